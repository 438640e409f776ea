"""Metrics: a statistic per row, and an aggregate of it with row weights; those of one label out of several.

So resampling works alike for every metric: draws differ only in the weights, and many are made at once. Definitions
are scikit-learn's where it has one. Letters: n rows, c labels, b draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Truth: TypeAlias = NDArray[Any]
Scores: TypeAlias = NDArray[np.floating[Any]]
Columns: TypeAlias = tuple[NDArray[Any], ...]  # a statistic: one or more arrays, the first axis of each is the rows

_FEW_GROUPS = 64  # are summed faster by a matrix product than one weight after the other
ECE_BINS = 15  # of equal width in confidence: the number of Guo et al., 2017 (arXiv 1706.04599)


@dataclass(frozen=True)
class Metric:
    """statistic: (y, scores) -> columns; aggregate: (columns, weights (b, n), some above 0) -> the figures (b,).

    trials: the rows that bear on a metric that is 0, or is 1, where those are all alike: resampling then shows no
    spread, and the exact interval of a share is put in its place."""

    statistic: Callable[[Truth, Scores], Columns]
    aggregate: Callable[[Columns, Floats], Floats]
    trials: Callable[[Columns], Bools] | None = None

    def __call__(self, y: Truth, scores: Scores) -> float:
        """The figure over all rows. y: (n,) or (n, c); scores: (n, c)."""
        return float(self.aggregate(self.statistic(y, scores), np.ones((1, len(y))))[0])


def mean(columns: Columns, weights: Floats) -> Floats:
    """The mean of the last column."""
    total: Floats = weights @ columns[-1] / weights.sum(1)
    return total


def every(columns: Columns) -> Bools:
    """All rows."""
    return np.ones(len(columns[0]), np.bool_)


def share(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """part / whole, and 0 where the whole is 0."""
    found: Floats = np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)
    return found


def right(y: Ints, scores: Scores) -> Floats:
    """1 for a row whose best score is that of its label, else 0: (n,), of which accuracy is the mean."""
    return np.asarray(y == scores.argmax(1), np.float64)


def confusion(y: Ints, predicted: Ints, n_labels: int) -> Ints:
    """How often each true label (row) was given each label (column): (c, c)."""
    return np.bincount(y * n_labels + predicted, minlength=n_labels**2).reshape(n_labels, n_labels)


def class_table(y: Ints, predicted: Ints, n_labels: int) -> list[dict[str, float | int]]:
    """Precision, recall, f1 and support of each label; 0 where a share has no rows."""
    hits, support, given = (np.bincount(rows, minlength=n_labels) for rows in (y[y == predicted], y, predicted))
    return table(hits, support, given)


def table(hits: Ints, support: Ints, given: Ints) -> list[dict[str, float | int]]:
    """Precision, recall, f1 and support of each label, from how often it was given and true, true, and given: (c,)."""
    columns = (share(hits, given), share(hits, support), share(2 * hits, support + given), support)
    names = ("precision", "recall", "f1", "support")
    return [dict(zip(names, row, strict=True)) for row in zip(*(column.tolist() for column in columns), strict=True)]


# ---- statistics ---------------------------------------------------------------------------------------------------


def _outcomes(y: Ints, scores: Scores) -> Columns:
    return y, scores.argmax(1), right(y, scores)


def _loss(y: Ints, scores: Scores) -> Columns:
    tiny = np.finfo(np.float64).eps  # where scikit-learn clips
    return (-np.log(np.maximum(scores[np.arange(len(y)), y].astype(np.float64), tiny)),)


def _overconfidence(y: Ints, scores: Scores) -> Columns:
    confidence = scores.max(1).astype(np.float64)
    bins = np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    return bins, confidence - right(y, scores)


# ---- aggregates ---------------------------------------------------------------------------------------------------


def _mean_recall(columns: Columns, weights: Floats) -> Floats:
    y, _, correct = columns
    size = int(y.max()) + 1
    support, hits = _sums(y, weights, size), _sums(y, weights * correct, size)
    recall: Floats = share(hits, support).sum(1) / np.count_nonzero(support, axis=1)  # labels without rows do not count
    return recall


def _mean_f1(columns: Columns, weights: Floats) -> Floats:
    y, predicted, correct = columns
    size = int(max(y.max(), predicted.max())) + 1
    either = _sums(y, weights, size) + _sums(predicted, weights, size)
    f1 = share(2 * _sums(y, weights * correct, size), either)
    mean_f1: Floats = f1.sum(1) / np.count_nonzero(either, axis=1)
    return mean_f1


def _calibration_error(columns: Columns, weights: Floats) -> Floats:
    bins, gap = columns
    error: Floats = np.abs(_sums(bins, weights * gap, ECE_BINS)).sum(1) / weights.sum(1)
    return error


def _sums(groups: Ints, weights: Floats, size: int) -> Floats:
    """The sum of the weights in each group, draw by draw: (n,), (b, n) -> (b, size)."""
    if size <= _FEW_GROUPS:
        return np.asarray(weights @ (groups[:, None] == np.arange(size)), np.float64)
    b = len(weights)
    places = groups + size * np.arange(b)[:, None]
    return np.asarray(np.bincount(places.ravel(), weights.ravel(), b * size).reshape(b, size), np.float64)


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric(_outcomes, mean, every),
    "balanced_accuracy": Metric(_outcomes, _mean_recall, every),
    "macro_f1": Metric(_outcomes, _mean_f1, every),
    "log_loss": Metric(_loss, mean),
    "ece": Metric(_overconfidence, _calibration_error),
}
