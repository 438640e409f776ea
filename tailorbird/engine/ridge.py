"""Our solver for numbers: ridge regression in closed form, at every strength and for every row left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.engine.linear import Floats, Problem, Singles, Solution, basis, blocks, on_features, shares_of


def pose(x: Singles, y: Floats, row_weights: Singles) -> Problem:
    """The problem that `path` solves. x: (n, d); y: (n, 1), best near 1 in size, for bias and weights are float32."""
    assert y.ndim == 2 and len(x) == len(y) == len(row_weights) > 0, "a task gives rows, and a number for each"
    shares = shares_of(row_weights)
    return Problem(basis(x, shares), y, shares.astype(np.float32), shares @ y)


def path(problem: Problem, strengths: Sequence[float]) -> Iterator[Solution]:
    """The optimum at each strength.

    The objective is (sum(shares * squared error) + strength * |a|^2) / 2 on standardised features, so strength =
    alpha / n in scikit-learn's terms. In the basis it falls apart into a division for each coordinate, and the bias is
    the mean of y, for every column of z has the mean 0."""
    off = problem.y - problem.prior  # (n, 1)
    pull = np.zeros((len(problem.basis.second), off.shape[1]))
    for rows in blocks(*problem.basis.z.shape):
        pull += problem.basis.z[rows].T.astype(np.float64) @ (problem.shares[rows, None] * off[rows])
    for strength in strengths:
        theta = np.vstack([pull / (problem.basis.second[:, None] + strength), problem.prior])
        left = problem.y - _answers(problem, theta)
        value = 0.5 * float(problem.shares @ (left**2).sum(1)) + 0.5 * strength * float((theta[:-1] ** 2).sum())
        yield Solution(strength, *on_features(problem.basis, theta), value, 0, theta)


def leave_one_out(problem: Problem, solution: Solution) -> Floats:
    """The value that each row would get from a head fitted without it, on the same standardised features: (n, 1).

    Exact: the row's residual grows by 1 / (1 - h), where h is the share of a row's own value in its answer."""
    shrink = 1 / (problem.basis.second + solution.strength)
    own = [np.square(problem.basis.z[rows], dtype=np.float64) @ shrink for rows in blocks(*problem.basis.z.shape)]
    h = problem.shares.astype(np.float64) * (1 + np.concatenate(own))  # 1: the bias
    left = problem.y - _answers(problem, solution.theta)
    return np.asarray(problem.y - left / np.maximum(1 - h, 1e-6)[:, None])  # the only row is its own answer: h is 1


def squared_error(
    values: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]], row_weights: NDArray[np.floating[Any]]
) -> float:
    """The weighted mean of the squared error. values, y: (n, 1); row_weights: (n,)."""
    return float(np.average(((values.astype(np.float64) - y) ** 2).mean(1), weights=row_weights))


def _answers(problem: Problem, theta: Floats) -> Floats:
    z, a = problem.basis.z, theta[:-1]
    return np.asarray(np.concatenate([z[rows].astype(np.float64) @ a for rows in blocks(*z.shape)]) + theta[-1])
