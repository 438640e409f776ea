"""Which solver finds the linear head of a link, and what it is judged by on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.engine import binary, ridge, solve
from tailorbird.engine.linear import Floats, Problem, Singles, Solution
from tailorbird.lesson import Link, Truth


@dataclass(frozen=True)
class Solver:
    """How the heads of one link are found and judged."""

    pose: Callable[[Singles, Truth, int, Singles], Problem]  # features, truth, number of labels, row weights
    path: Callable[[Problem, Sequence[float], int, Solution | None], Iterator[Solution]]  # strengths, rounds, near
    leave_one_out: Callable[[Problem, Solution], Floats]
    loss: Callable[[NDArray[np.floating[Any]], Truth, Any], float]  # of outputs before the link, and row weights
    loss_name: str
    strongest: float  # of the strengths that are tried
    weakest: float


# On features of unit variance. On film reviews and digits, of 40 to 8,600 rows, the best lay between 3 and 0.003. The
# curvature of a square is 1, and that of the logistic loss a quarter at most: there the same strength does less.
SOLVERS: Mapping[Link, Solver] = {
    "softmax": Solver(solve.pose, solve.path, solve.leave_one_out, solve.log_loss, "log-loss", 10.0, 1e-4),
    "sigmoid": Solver(
        lambda x, y, n_labels, row_weights: binary.pose(x, y, row_weights),
        binary.path,
        binary.leave_one_out,
        binary.log_loss,
        "mean log-loss of the labels",
        10.0,
        1e-4,
    ),
    "identity": Solver(
        lambda x, y, n_labels, row_weights: ridge.pose(x, y, row_weights),
        lambda problem, strengths, rounds, near: ridge.path(problem, strengths),
        ridge.leave_one_out,
        ridge.squared_error,
        "squared error, as a share of the target's variance",
        100.0,
        1e-3,
    ),
}
