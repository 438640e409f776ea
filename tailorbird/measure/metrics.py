"""Metrics of a classifier: a statistic per row, and an aggregate of it with row weights.

So resampling, slices and ranks work alike for every metric: they differ only in the weights. Definitions are
scikit-learn's where it has one. Letters: n rows, c labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = NDArray[np.floating[Any]]
Columns: TypeAlias = tuple[NDArray[Any], ...]  # a statistic: one or more columns of n rows

ECE_BINS = 15  # of equal width in confidence: the number of Guo et al., 2017 (arXiv 1706.04599)


@dataclass(frozen=True)
class Metric:
    """statistic: (y (n,), scores (n, c)) -> columns; aggregate: (columns, weights (n,), some above 0) -> the figure."""

    statistic: Callable[[Ints, Scores], Columns]
    aggregate: Callable[[Columns, Floats], float]
    counts_right: bool = False  # 1 when, and only when, every row is right, and 0 when none is

    def __call__(self, y: Ints, scores: Scores) -> float:
        """The figure over all rows. y: (n,); scores: (n, c) probabilities."""
        return self.aggregate(self.statistic(y, scores), np.ones(len(y)))


def confusion(y: Ints, predicted: Ints, n_labels: int) -> Ints:
    """How often each true label (row) was given each label (column): (c, c)."""
    return np.bincount(y * n_labels + predicted, minlength=n_labels**2).reshape(n_labels, n_labels)


def class_table(y: Ints, predicted: Ints, n_labels: int) -> list[dict[str, float | int]]:
    """Precision, recall, f1 and support of each label; 0 where a share has no rows."""
    hits, support, given = (np.bincount(rows, minlength=n_labels) for rows in (y[y == predicted], y, predicted))
    columns = (_share(hits, given), _share(hits, support), _share(2 * hits, support + given), support)
    names = ("precision", "recall", "f1", "support")
    return [dict(zip(names, row, strict=True)) for row in zip(*(column.tolist() for column in columns), strict=True)]


# ---- statistics ---------------------------------------------------------------------------------------------------


def _outcomes(y: Ints, scores: Scores) -> Columns:
    predicted = scores.argmax(1)
    return y, predicted, (y == predicted).astype(np.float64)


def _loss(y: Ints, scores: Scores) -> Columns:
    tiny = np.finfo(np.float64).eps  # where scikit-learn clips
    return (-np.log(np.maximum(scores[np.arange(len(y)), y].astype(np.float64), tiny)),)


def _overconfidence(y: Ints, scores: Scores) -> Columns:
    confidence = scores.max(1).astype(np.float64)
    bins = np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    return bins, confidence - (scores.argmax(1) == y)


# ---- aggregates ---------------------------------------------------------------------------------------------------


def _mean(columns: Columns, weights: Floats) -> float:
    return float(weights @ columns[-1] / weights.sum())


def _mean_recall(columns: Columns, weights: Floats) -> float:
    y, _, correct = columns
    support, hits = np.bincount(y, weights), np.bincount(y, weights * correct)
    return float(_share(hits, support).sum() / np.count_nonzero(support))  # labels that no row has do not count


def _mean_f1(columns: Columns, weights: Floats) -> float:
    y, predicted, correct = columns
    size = int(max(y.max(), predicted.max())) + 1
    either = np.bincount(y, weights, size) + np.bincount(predicted, weights, size)
    f1 = _share(2 * np.bincount(y, weights * correct, size), either)
    return float(f1.sum() / np.count_nonzero(either))


def _calibration_error(columns: Columns, weights: Floats) -> float:
    bins, gap = columns
    return float(np.abs(np.bincount(bins, weights * gap)).sum() / weights.sum())


def _share(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    share: Floats = np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
    return share


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric(_outcomes, _mean, counts_right=True),
    "balanced_accuracy": Metric(_outcomes, _mean_recall, counts_right=True),
    "macro_f1": Metric(_outcomes, _mean_f1, counts_right=True),
    "log_loss": Metric(_loss, _mean),
    "ece": Metric(_overconfidence, _calibration_error),
}
