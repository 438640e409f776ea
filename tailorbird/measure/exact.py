"""The exact interval of a share, from the binomial distribution."""

from __future__ import annotations

import numpy as np

from tailorbird.measure.metrics import Floats, Ints


def clopper_pearson(hits: int, trials: int) -> tuple[float, float]:
    """The exact 95 % interval of a share, of which `hits` in `trials` were seen; 0 to 1 without trials."""
    if trials == 0:
        return 0.0, 1.0
    # The tail of the misses is that of the hits with the share turned around.
    return _least(hits, trials), 1 - _least(trials - hits, trials)


def _least(hits: int, trials: int) -> float:
    """The share at which so many hits or more have a chance of 2.5 %. By bisection: scipy is not at hand here."""
    if hits == 0:
        return 0.0
    sums = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])  # log k!
    k = np.arange(hits, trials + 1)
    ways = sums[trials] - sums[k] - sums[trials - k]
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _tail(ways, k, trials, middle) > 0.025 else (middle, high)
    return low


def _tail(ways: Floats, k: Ints, trials: int, share: float) -> float:
    """The chance of k hits, summed. In logarithms, for `ways` overflows from some thousand trials on."""
    return float(np.exp(ways + k * np.log(share) + (trials - k) * np.log1p(-share)).sum())
