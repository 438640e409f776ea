"""What all linear heads share: standardised features in their eigenbasis, the problem on them, and its solution.

The features are standardised and rotated once into the eigenbasis of their weighted second moment. There the Hessian
is nearly diagonal for every strength at once, s * v + strength: exactly so where the loss is a square.

Letters: n rows, d width of the features, r rank of the basis (at most n and d), c labels, s eigenvalues, v curvatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tailorbird.lesson import Truth

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

BLOCK = 2**22  # entries of one block of rows: 16 MB of float32
_DEAD = 1e-5  # of the widest column: one that spreads less tells nothing


@dataclass(frozen=True)
class Basis:
    """Features in the coordinates in which the solver works: z = (x - mean) @ turn.

    z: (n, r) float32; second: (r,) eigenvalues of its weighted second moment; turn: (d, r), scaling and rotation."""

    z: Singles
    second: Floats
    mean: Floats
    turn: Floats


@dataclass(frozen=True)
class Problem:
    """Rows in their basis, with what the objective needs. y: truth of the rows; shares: (n,) row weights that add up
    to 1; prior: (c,) the answer where the features say nothing."""

    basis: Basis
    y: Truth
    shares: Singles
    prior: Floats


@dataclass(frozen=True)
class Solution:
    """The optimum at one strength. weight: (d, c), bias: (c,) on the features as they were given."""

    strength: float
    weight: Singles
    bias: Singles
    loss: float  # the objective: weighted mean of the rows' losses, and the penalty
    rounds: int
    theta: Floats  # (r + 1, c) in the basis, the bias last


def basis(x: Singles, shares: Floats) -> Basis:
    """The basis of features (n, d) whose rows count by shares (n,), which add up to 1."""
    mean, scale = _moments(x, shares)
    eigen = _eigen_of_rows if len(x) < x.shape[1] else _eigen_of_columns
    second, vectors = eigen(x, shares, mean, scale)
    kept = second > 1e-9 * max(second.max(initial=0.0), 1e-30)  # what is left is rounding, not data
    turn = vectors[:, kept] * scale[:, None]
    near, turned = mean.astype(np.float32), turn.astype(np.float32)
    z = [(x[rows] - near) @ turned for rows in blocks(*x.shape)]
    return Basis(np.concatenate(z), second[kept], mean, turn)


def on_features(basis: Basis, theta: Floats) -> tuple[Singles, Singles]:
    """The weight (d, c) and the bias (c,) that do on features as they were given what theta does in the basis."""
    weight = basis.turn @ theta[:-1]
    return weight.astype(np.float32), (theta[-1] - basis.mean @ weight).astype(np.float32)


def in_basis(basis: Basis, solution: Solution) -> Floats:
    """The coefficients in this basis that give the logits of a solution, up to what the basis leaves out."""
    weight = solution.weight.astype(np.float64)
    return np.vstack([np.linalg.lstsq(basis.turn, weight, rcond=None)[0], solution.bias + basis.mean @ weight])


def shares_of(row_weights: Singles) -> Floats:
    """Row weights (n,) that add up to 1."""
    return np.asarray(row_weights.astype(np.float64) / row_weights.sum(dtype=np.float64))


def blocks(n: int, width: int) -> Iterator[slice]:
    """Runs of rows, of BLOCK entries each at this width."""
    step = max(BLOCK // max(width, 1), 64)
    return (slice(i, min(i + step, n)) for i in range(0, n, step))


def _moments(x: Singles, shares: Floats) -> tuple[Floats, Floats]:
    """The weighted mean and one over the weighted deviation: (d,), (d,); 0 where a column is constant."""
    mean = sum((shares[rows] @ x[rows] for rows in blocks(*x.shape)), np.zeros(x.shape[1]))
    square = sum((shares[rows] @ (x[rows] - mean) ** 2 for rows in blocks(*x.shape)), np.zeros(x.shape[1]))
    deviation = np.sqrt(square)
    # Less is the rounding of float32, or a unit that training switched off (MiniLM has some, of a spread near 1e-9): as
    # wide as the others it would get a weight of millions, which the body's first step would turn into nonsense.
    alive = deviation > np.maximum(1e-6 * np.abs(mean), _DEAD * deviation.max(initial=0.0)) + 1e-30
    return mean, np.divide(1.0, deviation, out=np.zeros_like(deviation), where=alive)


def _eigen_of_columns(x: Singles, shares: Floats, mean: Floats, scale: Floats) -> tuple[Floats, Floats]:
    moment = np.zeros((x.shape[1], x.shape[1]))
    for rows in blocks(*x.shape):
        block = ((x[rows] - mean) * scale * np.sqrt(shares[rows, None])).astype(np.float32)
        moment += block.T @ block
    second, vectors = np.linalg.eigh(moment)
    return second, vectors


def _eigen_of_rows(x: Singles, shares: Floats, mean: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """The same by way of the (n, n) side, which is the smaller one when there are fewer rows than columns."""
    whole = (x - mean) * scale * np.sqrt(shares[:, None])
    second, sides = np.linalg.eigh(whole @ whole.T)
    length = np.sqrt(np.maximum(second, 1e-12 * max(second.max(initial=0.0), 1e-30)))
    return second, whole.T @ (sides / length)
