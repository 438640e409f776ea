"""What the next doubling of the rows will gain, read off from what the doublings so far have gained.

Where an error falls as a power of the number of rows, error = a + b n^-c (Hestness et al., 2017, arXiv 1712.00409),
each doubling gains 2^-c of what the one before it gained. That share and the first gain are fitted; a, the floor that
no number of rows passes, drops out, and so does whatever luck the measured rows bring to every part alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tailorbird.types import Figure

_SHARES = np.linspace(0.4, 1.0, 61)  # of a gain, what the next one has: c from 1.3, steeper than any seen, to 0
_DRAWS = 1_000
_FEWEST = 3  # gains: two would be met by any curve exactly
_POOR = 4.0  # the squared misfit, in errors, per gain beyond the two fitted, from which on it is no power law

Floats = NDArray[np.float64]


def expected_gain(gains: Sequence[tuple[float, float]], seed: int) -> Figure | str:
    """The gain of the next doubling with its 95 % interval, or why it cannot be told.

    gains: of each doubling so far, the smallest part first, with its standard error."""
    if len(gains) < _FEWEST:
        return "there are too few rows to see a trend"
    seen, errors = (np.array(column, np.float64) for column in zip(*gains, strict=True))
    errors = np.maximum(errors, 1e-12)
    expected, misfit = _fitted(seen[None], errors)
    scatter = float(misfit[0]) / (len(gains) - 2)
    if scatter > _POOR:
        return "the figures so far follow no smooth curve"
    # Gains that scatter more than their errors allow had larger errors than told: the Particle Data Group's factor.
    spread = errors * np.sqrt(max(scatter, 1.0))
    draws = expected[0] + _scattered(seen, spread, errors, seed)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Figure(float(expected[0]), float(min(low, expected[0])), float(max(high, expected[0])))


def _scattered(seen: Floats, spread: Floats, errors: Floats, seed: int) -> Floats:
    """How far the expectation moves when the gains are drawn again: (draws,)."""
    drawn = np.random.default_rng(seed).normal(seen, spread, (_DRAWS, len(seen)))
    moved = _fitted(drawn, errors)[0]
    return np.asarray(moved - moved.mean())


def _fitted(gains: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """The next gain and the misfit of the best share, by weighted least squares: (b, k), (k,) -> (b,), (b,)."""
    powers = _SHARES[:, None] ** np.arange(gains.shape[1])  # (shares, k)
    weights = errors**-2
    first = (gains * weights) @ powers.T / (powers**2 @ weights)  # (b, shares) of each share the best first gain
    misfit = (((gains[:, None] - first[..., None] * powers) ** 2) * weights).sum(2)
    best = misfit.argmin(1)
    rows = np.arange(len(gains))
    return first[rows, best] * _SHARES[best] ** gains.shape[1], misfit[rows, best]
