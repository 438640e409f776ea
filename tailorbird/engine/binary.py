"""Our solver for labels of which a row may have any number: one logistic regression a label, all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.engine.descent import MAX_ROUNDS, descend, leverages, with_bias
from tailorbird.engine.linear import Floats, Problem, Singles, Solution, basis, blocks, shares_of


def pose(x: Singles, y: Singles, row_weights: Singles) -> Problem:
    """The problem that `path` solves. x: (n, d); y: (n, c) of 0 and 1, a label may have no row, or all of them."""
    assert y.ndim == 2 and len(x) == len(y) == len(row_weights) > 0, "a task gives rows, and labels for each"
    shares = shares_of(row_weights)
    counts = shares @ y * len(y)  # (c,)
    prior = np.log((counts + 0.5) / (len(y) - counts + 0.5))
    return Problem(basis(x, shares), y, shares.astype(np.float32), prior)


def path(
    problem: Problem, strengths: Sequence[float], rounds: int = MAX_ROUNDS, near: Solution | None = None
) -> Iterator[Solution]:
    """The optimum of every label at each strength, from strong to weak; see solve.path.

    The labels share nothing but the strength and the rounds: the objective is the sum of c problems, each of which is
    scikit-learn's with C = 1 / (strength * n)."""
    return descend(problem, _loss, strengths, rounds, near)


def leave_one_out(problem: Problem, solution: Solution) -> Floats:
    """The logits that each row would get from a head fitted without it, after one Newton step: (n, c)."""
    z = with_bias(problem)
    logits = z @ solution.theta
    p = 0.5 * (1 + np.tanh(0.5 * logits))
    shares = problem.shares[:, None].astype(np.float64)
    curvature = shares * p * (1 - p)
    h = leverages(z, curvature, solution.strength)
    # h * curvature is below 1 up to rounding; a row alone in its direction would divide by nearly nothing.
    return np.asarray(logits + shares * (p - problem.y) * h / np.maximum(1 - h * curvature, 1e-3))


def log_loss(
    logits: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]], row_weights: NDArray[np.floating[Any]]
) -> float:
    """The weighted mean over rows of the mean log-loss of their labels. logits, y: (n, c); row_weights: (n,)."""
    losses, _ = _losses_and_shares(logits.astype(np.float64), y)
    return float(np.average(losses.mean(1), weights=row_weights))


def _loss(problem: Problem, theta: Floats) -> tuple[float, Floats, Floats]:
    """The sum of the labels' weighted log-losses, its gradient (r + 1, c), and each label's mean curvature (c,)."""
    a, b = theta[:-1].astype(np.float32), theta[-1].astype(np.float32)
    loss, slope, curvature = 0.0, np.zeros_like(theta), np.zeros(len(b))
    for rows in blocks(len(problem.y), max(len(b), len(a))):
        z, y, share = problem.basis.z[rows], problem.y[rows], problem.shares[rows]
        losses, p = _losses_and_shares(z @ a + b, y)
        loss += float(share @ losses.sum(1, dtype=np.float64))
        curvature += share @ (p * (1 - p))
        p -= y
        p *= share[:, None]
        slope[:-1] += z.T @ p
        slope[-1] += p.sum(0, dtype=np.float64)
    return loss, slope, curvature


def _losses_and_shares(logits: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The log-loss of each row and label, and its probability: (n, c) each, in the precision of the logits."""
    small = np.exp(-np.abs(logits))  # of the less likely of yes and no: cannot overflow
    losses = np.maximum(logits, 0) - y * logits + np.log1p(small)
    return losses, np.where(logits >= 0, 1, small) / (1 + small)
