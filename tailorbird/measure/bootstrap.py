"""Bootstrap intervals: the same rows drawn again, a thousand times, for all metrics at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tailorbird.measure.exact import clopper_pearson
from tailorbird.measure.interval import interval
from tailorbird.measure.metrics import Columns, Floats, Ints, Metric, Scores, Truth
from tailorbird.types import Figure

RESAMPLES = 1000
_CELLS = 2**18  # weights that are made at once: enough to keep numpy busy, and little memory
_GROUPS = 300  # of rows that are left out in turn: to know how figures lean, more would tell no more


def figures(
    metrics: Mapping[str, Metric],
    y: Truth,
    scores: Scores,
    clusters: Ints | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Figure]:
    """Each metric with its 95 % interval, all from the same draws. clusters: (n,) or None, drawn whole.

    Where every row is right, or none, resampling shows no spread, and the interval is the exact one of a share."""
    assert len(y) > 0, "there is nothing to measure without rows"
    columns = {name: metric.statistic(y, scores) for name, metric in metrics.items()}
    values, low, high = spread(
        lambda weights: np.array([metric.aggregate(columns[name], weights) for name, metric in metrics.items()]).T,
        len(y), clusters, seed, resamples,
    )  # fmt: skip
    # The calibration error sums absolute values, so noise of resampling only raises it: its interval may miss it.
    ends = zip(metrics, values, np.minimum(low, values), np.maximum(high, values), strict=True)
    found = {name: Figure(float(value), float(least), float(most)) for name, value, least, most in ends}
    even = {name: _even(metric, columns[name], found[name].value, clusters) for name, metric in metrics.items()}
    return {name: even[name] or figure for name, figure in found.items()}


def _even(metric: Metric, columns: Columns, value: float, clusters: Ints | None) -> Figure | None:
    """A share of 0 or 1 with its exact interval, where each thing drawn is one trial; else nothing.

    Balanced accuracy and macro-F1 get the bound of accuracy: they differ from it only when mistakes fall on labels
    unlike rows do, and where no mistake was seen nothing tells that they would. Exact bounds label by label would say
    next to nothing: with three rows of a label its recall may be 0.29."""
    if metric.trials is None or value not in (0.0, 1.0):
        return None
    rows = metric.trials(columns)
    size = count(int(rows.sum()), None if clusters is None else clusters[rows])
    return Figure(value, *clopper_pearson(round(value * size), size))


def spread(
    aggregate: Callable[[Floats], Floats], n: int, clusters: Ints | None, seed: int, resamples: int = RESAMPLES
) -> tuple[Floats, Floats, Floats]:
    """Figures over all rows and the ends of their intervals: (k,) each. aggregate: weights (b, n) -> figures (b, k)."""
    values = aggregate(np.ones((1, n)))[0]
    draws = np.concatenate([aggregate(weights) for weights in redraw(n, clusters, seed, resamples)])
    left_out = np.concatenate([aggregate(weights) for weights in leave_out(n, clusters, seed)])
    return values, *interval(draws, values, left_out, count(n, clusters))


def redraw(n: int, clusters: Ints | None, seed: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """How often each row is drawn in each resample, some resamples at a time: (b, n)."""
    rng, size = np.random.default_rng(seed), count(n, clusters)
    members = numbered(n, clusters)
    for numbers in _blocks(resamples, n):
        b = len(numbers)
        drawn = rng.integers(size, size=(b, size)) + size * np.arange(b)[:, None]
        yield np.bincount(drawn.ravel(), minlength=b * size).reshape(b, size)[:, members].astype(np.float64)


def leave_out(n: int, clusters: Ints | None, seed: int) -> Iterator[Floats]:
    """Weights of 0 for one group of rows and else 1, each group in its turn, some at a time: (b, n). A group is a row
    or a cluster, or a few of them where they are many."""
    size = count(n, clusters)
    n_groups = min(size, _GROUPS)
    group = (np.random.default_rng(seed).permutation(size) % n_groups)[numbered(n, clusters)]
    if n_groups > 1:
        yield from ((group != numbers[:, None]).astype(np.float64) for numbers in _blocks(n_groups, n))
    else:
        yield np.ones((1, n))  # nothing would be left


def numbered(n: int, clusters: Ints | None) -> Ints:
    """The number of the thing that each row is drawn with, from 0 on: (n,)."""
    return np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1].astype(np.int64)


def _blocks(total: int, n: int) -> Iterator[Ints]:
    """The numbers below total, so many at a time as weights of n rows may be held."""
    most = max(_CELLS // n, 1)
    yield from (np.arange(start, min(start + most, total)) for start in range(0, total, most))


def count(n: int, clusters: Ints | None) -> int:
    """How many things are drawn: rows, or clusters of rows."""
    return n if clusters is None else len(np.unique(clusters))
