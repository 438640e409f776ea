"""The gain of one model over another on the same rows, with an interval that leaves out zero only where a test does."""

from __future__ import annotations

from math import isfinite

import numpy as np

from tailorbird.measure.bootstrap import RESAMPLES, count, numbered, spread
from tailorbird.measure.exact import clopper_pearson
from tailorbird.measure.interval import student
from tailorbird.measure.metrics import Floats, Ints
from tailorbird.types import Figure

_FEW = 10  # differences, of which all signs are tried: 1,024 ways
_FLIPS = 2000  # of more: the share that they estimate is then right to 0.5 % at 5 %
_CELLS = 2**18  # signs that are made at once


def paired(
    gain: Floats, clusters: Ints | None = None, seed: int = 0, resamples: int = RESAMPLES, most: float = 1.0
) -> Figure:
    """The mean of a gain, (n,), with its 95 % interval, which leaves out zero only where an exact test rejects at 5 %:
    resampling knows nothing of losses that did not happen.

    A gain of 1 where only the model is right, -1 where only the other is, and else 0, has McNemar's test for single
    rows, and for clusters the sign test of their sums. Any other gain has the test that turns its signs around.

    most: how much a row can gain, inf where there is no bound. Where none gained or lost, as many may have done so
    elsewhere as an exact test lets be: of n rows about 3.7 / n."""
    if not gain.any():
        reach = most * clopper_pearson(0, count(len(gain), clusters))[1] if isfinite(most) else 0.0
        return Figure(0.0, -reach, reach)
    wins_only = bool(np.isin(gain, (-1, 0, 1)).all())
    if wins_only and count(len(gain), clusters) == len(gain):
        return _of_wins(gain)
    ends = spread(lambda weights: (weights @ gain / weights.sum(1))[:, None], len(gain), clusters, seed, resamples)
    value, low, high = (float(end[0]) for end in ends)
    sums = np.bincount(numbered(len(gain), clusters), gain).astype(np.float64)
    if not (_sides_differ(sums) if wins_only else signs_matter(sums, seed)):
        low, high = min(low, 0.0), max(high, 0.0)
    return Figure(value, low, high)


def signs_matter(differences: Floats, seed: int = 0) -> bool:
    """Whether a sum of differences so far from 0 is rarer than 5 % if each might as well have had the other sign.

    Of wins and losses that count alike this is McNemar's test; five differences or fewer are never enough."""
    apart = differences[differences != 0]
    seen, rounding = abs(apart.sum()), 1e-9 * np.abs(apart).sum()
    if len(apart) <= _FEW:
        signs = 1 - 2 * (np.arange(2 ** len(apart))[:, None] >> np.arange(len(apart)) & 1)
        return bool((np.abs(signs @ apart) >= seen - rounding).mean() < 0.05)
    rng, as_far = np.random.default_rng(seed), 1  # what was seen is one of the ways
    most = max(_CELLS // len(apart), 1)
    for start in range(0, _FLIPS, most):
        up = rng.random((min(most, _FLIPS - start), len(apart)), dtype=np.float32) < 0.5
        as_far += int((np.abs(2 * (up @ apart) - apart.sum()) >= seen - rounding).sum())
    return as_far / (_FLIPS + 1) < 0.05


def _sides_differ(sums: Floats) -> bool:
    """Whether the exact two-sided sign test rejects at 5 % that gains and losses are equally likely."""
    wins, losses = int((sums > 0).sum()), int((sums < 0).sum())
    low, high = clopper_pearson(wins, wins + losses)
    return low > 0.5 or high < 0.5


def _of_wins(gain: Floats) -> Figure:
    """Student's interval, and what McNemar's test leaves possible beside it: that looks at the direction of the wins
    and losses only, and takes their number for given."""
    n, value = len(gain), float(gain.mean())
    wins, losses = int((gain > 0).sum()), int((gain < 0).sum())
    low, high = ((2 * share - 1) * (wins + losses) / n for share in clopper_pearson(wins, wins + losses))
    reach = student(n - 1) * float(gain.std()) / max(n - 1, 1) ** 0.5
    return Figure(value, max(min(low, value - reach), -1.0), min(max(high, value + reach), 1.0))
