"""Bootstrap intervals: the same rows drawn again, a thousand times, for all metrics at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

from tailorbird.measure.exact import clopper_pearson
from tailorbird.measure.metrics import Floats, Ints, Metric, Scores
from tailorbird.types import Figure

RESAMPLES = 1000
_Z = 1.959964  # of a two-sided 95 % interval


def figures(
    metrics: Mapping[str, Metric],
    y: Ints,
    scores: Scores,
    clusters: Ints | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Figure]:
    """Each metric with its 95 % interval, all from the same draws. clusters: (n,) or None, drawn whole.

    Where every row is right, or none, resampling shows no spread, and the interval is the exact one of a share."""
    assert len(y) > 0, "there is nothing to measure without rows"
    columns = {name: metric.statistic(y, scores) for name, metric in metrics.items()}
    draws = [
        [metric.aggregate(columns[name], weights) for name, metric in metrics.items()]
        for weights in redraw(len(y), clusters, seed, resamples)
    ]
    size = count(len(y), clusters)
    low, high = interval(np.array(draws), size)
    values = [metric.aggregate(columns[name], np.ones(len(y))) for name, metric in metrics.items()]
    # The calibration error sums absolute values, so noise of resampling only raises it: its interval may miss it.
    ends = zip(metrics, values, np.minimum(low, values), np.maximum(high, values), strict=True)
    found = {name: Figure(value, float(least), float(most)) for name, value, least, most in ends}
    even = {name: _even(found[name].value, size) for name, metric in metrics.items() if metric.counts_right}
    return {name: even.get(name) or figure for name, figure in found.items()}


def _even(value: float, size: int) -> Figure | None:
    """A share of 0 or 1 with its exact interval, where each of `size` things drawn is one trial; else nothing.

    Balanced accuracy and macro-F1 get the bound of accuracy: they differ from it only when mistakes fall on labels
    unlike rows do, and where no mistake was seen nothing tells that they would. Exact bounds label by label would say
    next to nothing: with three rows of a label its recall may be 0.29."""
    if value not in (0.0, 1.0):
        return None
    return Figure(value, *clopper_pearson(round(value * size), size))


def redraw(n: int, clusters: Ints | None, seed: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """How often each row is drawn in each resample: (n,). One at a time, so memory does not grow with their number."""
    rng = np.random.default_rng(seed)
    members = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    size = count(n, clusters)
    for _ in range(resamples):
        yield np.bincount(rng.integers(size, size=size), minlength=size)[members].astype(np.float64)


def count(n: int, clusters: Ints | None) -> int:
    """How many things are drawn: rows, or clusters of rows."""
    return n if clusters is None else len(np.unique(clusters))


def interval(draws: NDArray[np.float64], size: int) -> tuple[Floats, Floats]:
    """The ends of the 95 % percentile interval along the first axis. size: how many things each draw drew.

    Few things vary too little when redrawn: the percentiles are moved outwards by Student's t and n / (n - 1), which
    is nothing from some hundreds on (expanded percentiles: Hesterberg, 2015, arXiv 1411.5279, section 5)."""
    tail = (1 + erf(-_student(size - 1) * sqrt(size / max(size - 1, 1)) / sqrt(2))) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's t: the Cornish-Fisher series, 2 % low at 3 degrees and exact to 1e-3 from 6."""
    z, f = _Z, max(freedom, 1)
    second = (z**3 + z) / 4
    third = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    fourth = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + second / f + third / f**2 + fourth / f**3
