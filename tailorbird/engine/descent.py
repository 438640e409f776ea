"""What the two logistic problems share: the way down to the optimum along a path of strengths, and the leverages.

L-BFGS works on coordinates divided by the root of the nearly diagonal Hessian, so it needs few rounds; a start from the
two stronger answers saves more. Matrix products are float32, sums and coefficients float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import TypeAlias

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

from tailorbird.engine.linear import Floats, Problem, Solution, in_basis, on_features

# The bias is held to the prior by this share of the strength: a label without rows stays finite, and the optimum of the
# others moves by less than 1e-5 of the loss.
BIAS_SHARE = 1e-3
TOLERANCE = 3e-7  # a round of L-BFGS that lowers the objective by less than this share of it is the last
MAX_ROUNDS = 500
_SMALL = 30_000_000  # numbers in a product, below which one thread is quicker than two
HISTORY = 10  # pairs that L-BFGS keeps; 30 needed as many rounds on made and real features

# Without the penalty: the weighted loss at theta, its gradient (r + 1, c), and each label's mean curvature (c,).
Loss: TypeAlias = Callable[[Problem, Floats], tuple[float, Floats, Floats]]


def descend(
    problem: Problem, loss: Loss, strengths: Sequence[float], rounds: int, near: Solution | None
) -> Iterator[Solution]:
    """The optimum of loss + strength / 2 * |a|^2 at each strength, from strong to weak. Lazy.

    rounds: the most at one strength; near: the answer to a like problem, to begin from."""
    theta = np.vstack([np.zeros((len(problem.basis.second), len(problem.prior))), problem.prior])
    if near:
        theta = in_basis(problem.basis, near)
    before = theta
    for i, strength in enumerate(strengths):
        # The path is smooth in log(strength): going on in its last direction saves a fifth of the rounds.
        start = theta + (theta - before) if i > 1 else theta
        before, (theta, value, done) = theta, _descend(problem, loss, start, strength, rounds)
        yield Solution(strength, *on_features(problem.basis, theta), value, done, theta)


def with_bias(problem: Problem) -> Floats:
    """The rows in the basis with a column of ones: (n, r + 1)."""
    return np.column_stack([problem.basis.z.astype(np.float64), np.ones(len(problem.basis.z))])


def leverages(z: Floats, curvature: Floats, strength: float) -> Floats:
    """z_i' H_k^-1 z_i with H_k = z' diag(curvature_k) z + the penalty's, for all rows and labels: (n, c).

    z: (n, r + 1), the column of the bias last; curvature: (n, c).
    One factorisation a label. Cheaper stand-ins (the diagonal of H_k, one H for all labels) were tried on digits, wine
    and film reviews: with fewer rows than columns they are wrong by more than the choice of a strength can bear."""
    ridge = np.diag(np.append(np.full(z.shape[1] - 1, strength), BIAS_SHARE * strength))
    leverage = np.empty_like(curvature)
    for k in range(curvature.shape[1]):
        root = cholesky((z * curvature[:, k, None]).T @ z + ridge, lower=True)
        leverage[:, k] = (solve_triangular(root, z.T, lower=True) ** 2).sum(0)
    return leverage


def _descend(problem: Problem, loss: Loss, start: Floats, strength: float, rounds: int) -> tuple[Floats, float, int]:
    """The optimum from a start: theta, objective, rounds."""
    first, slope, curvature = _objective(problem, loss, start, strength)
    bend = np.vstack([problem.basis.second[:, None] * curvature + strength, curvature + BIAS_SHARE * strength])
    step = 1 / np.sqrt(bend)  # (r + 1, c): in u = (theta - start) / step the Hessian is near 1
    # L-BFGS begins with a step of length 1: in these units that is Newton's step, and needs no search along the line.
    step *= max(float(np.linalg.norm(slope * step)), 1e-30)

    def objective(u: Floats) -> tuple[float, Floats]:
        known = (first, slope, curvature)  # at u = 0, where scipy begins: one pass over the rows less
        theta = start + u.reshape(step.shape) * step
        value, fall, _ = _objective(problem, loss, theta, strength) if u.any() else known
        return value / first, (fall * step).ravel() / first  # scipy's tolerance is absolute below 1

    options = {"maxiter": rounds, "maxcor": min(HISTORY, rounds), "ftol": TOLERANCE, "gtol": 1e-9}
    with _threads(problem, start.shape[1]):
        found = minimize(objective, np.zeros(start.size), jac=True, method="L-BFGS-B", options=options)
    return start + found.x.reshape(step.shape) * step, float(found.fun * first), int(found.nit)


def _threads(problem: Problem, n_columns: int) -> AbstractContextManager[object]:
    """Threads that wait for each other cost more than they save in the small steps of L-BFGS itself, and in small
    products too: on two cores 10,000 rows of 256 columns and ten labels took 11.0 s so, and 1.4 s on one."""
    blas, is_small = _blas(), problem.basis.z.size * n_columns <= _SMALL
    scipys = [one["filepath"] for one in blas.info() if "scipy.libs" in one["filepath"]]
    limited: AbstractContextManager[object] = (blas if is_small else blas.select(filepath=scipys)).limit(limits=1)
    return limited


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def _objective(problem: Problem, loss: Loss, theta: Floats, strength: float) -> tuple[float, Floats, Floats]:
    """The objective, its gradient (r + 1, c), and each label's mean curvature (c,)."""
    value, slope, curvature = loss(problem, theta)
    off = theta[-1] - problem.prior
    value += 0.5 * strength * (float((theta[:-1] ** 2).sum()) + BIAS_SHARE * float(off @ off))
    slope[:-1] += strength * theta[:-1]
    slope[-1] += BIAS_SHARE * strength * off
    return value, slope, curvature
