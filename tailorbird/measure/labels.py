"""Metrics where a row has any number of labels. y: (n, c) of 0 and 1; scores: (n, c); a label is given from a cut on.

Letters: n rows, c labels, b draws, m = n * c cells, g scores that differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.measure.metrics import Bools, Columns, Floats, Metric, Scores, Truth, every, mean, share, table


def metrics(cut: float) -> Mapping[str, Metric]:
    """The metrics of labels that are given from this score on. Macro averages leave out labels that say nothing: for
    F1 those neither true nor given, for average precision those that no row has (scikit-learn counts both as 0)."""
    counts, micro = partial(_counts, cut=cut), partial(_totals, cut=cut)
    return {
        "average_precision": Metric(lambda y, scores: (precisions(y, scores), y), _logit_mean, _marked),
        "macro_average_precision": Metric(lambda y, scores: (_by_label(y, scores), y), _logit_mean, _marked),
        "micro_f1": Metric(micro, _micro_f1, _marked),
        "macro_f1": Metric(counts, _macro_f1, _marked),
        "exact_match": Metric(lambda y, scores: (_wrong(y, scores, cut) == 0,), mean, every),
        "hamming_loss": Metric(lambda y, scores: (_wrong(y, scores, cut) / y.shape[1],), mean, every),
    }


def precisions(y: Truth, scores: Scores) -> Floats:
    """(n,) of which the mean is the average precision of all cells together (micro-averaged), and of which the mean
    with other weights is very nearly that of rows so weighted: its linear approximation, exact where weights are
    alike. One sort serves every draw, and rows that are drawn twice are not taken for ties."""
    value, slopes = _average_precision(y.ravel(), scores.ravel())
    return np.asarray(value + len(y) * slopes.reshape(y.shape).sum(1))


def label_table(y: Truth, scores: Scores, cut: float) -> list[dict[str, float | int]]:
    """Precision, recall, f1, support and average precision of each label; 0 where there are no rows for it."""
    true, given = y > 0, scores >= cut
    rows = table((true & given).sum(0), true.sum(0), given.sum(0))
    found = (_average_precision(y[:, i], scores[:, i])[0] for i in range(y.shape[1]))
    return [{**row, "average_precision": value} for row, value in zip(rows, found, strict=True)]


def _average_precision(y: NDArray[Any], scores: Scores) -> tuple[float, Floats]:
    """Average precision of cells, ties counted as one, and its slope by the weight of each cell: (m,) each -> (m,).

    It is the sum over scores s of hits(s) * precision(s) / hits, and the precision at s is that of all cells from s
    up: so a cell bears on its own precision and on those of all lower scores."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of the cells of one score
    true = np.cumsum(y[order], dtype=np.float64)[last]
    if true[-1] == 0:
        return 0.0, np.zeros(len(y))
    hits, cells, precision = np.diff(true, prepend=0), last + 1.0, true / (last + 1.0)
    value = float(hits @ precision / true[-1])
    lower, lost = (np.cumsum(part[::-1])[::-1] for part in (hits / cells, hits * precision / cells))  # (g,)
    place = np.empty(len(order), np.int64)
    place[order] = np.repeat(np.arange(len(last)), np.diff(last, prepend=-1))
    return value, (y * (precision[place] - value + lower[place]) - lost[place]) / true[-1]


def _by_label(y: Truth, scores: Scores) -> Floats:
    """As `precisions`, for the mean of the average precisions of the labels that some row has."""
    there = np.flatnonzero(y.any(0))
    total = np.zeros(len(y))
    for i in there:
        value, slopes = _average_precision(y[:, i], scores[:, i])
        total += value + len(y) * slopes
    return total / max(len(there), 1)


def _logit_mean(columns: Columns, weights: Floats) -> Floats:
    """The weighted mean, moved on the scale of the log-odds, so that it stays between 0 and 1 and its interval leans
    as it should near them (Boyd, Eng and Page, 2013, "Area under the precision-recall curve")."""
    value = columns[0].mean()
    if not 0 < value < 1:
        return np.full(len(weights), value)
    moved = (mean(columns[:1], weights) - value) / (value * (1 - value))
    return np.asarray(value / (value + (1 - value) * np.exp(-moved)))


def _wrong(y: Truth, scores: Scores, cut: float) -> Floats:
    return np.asarray(((scores >= cut) != (y > 0)).sum(1), np.float64)


def _counts(y: Truth, scores: Scores, cut: float) -> Columns:
    given = scores >= cut
    # Counts of rows are exact in float32 up to 16 million, and half as much is multiplied.
    return (y * given).astype(np.float32), (y + given).astype(np.float32)


def _totals(y: Truth, scores: Scores, cut: float) -> Columns:
    both, either = _counts(y, scores, cut)
    return both.sum(1, dtype=np.float64), either.sum(1, dtype=np.float64)


def _micro_f1(columns: Columns, weights: Floats) -> Floats:
    both, either = columns
    return share(2 * (weights @ both), weights @ either)


def _macro_f1(columns: Columns, weights: Floats) -> Floats:
    both, either = (weights.astype(np.float32) @ column for column in columns)
    f1: Floats = share(2 * both, either).sum(1) / np.maximum(np.count_nonzero(either, axis=1), 1)
    return f1


def _marked(columns: Columns) -> Bools:
    """Rows that have a label, or were given one."""
    marks = columns[-1].reshape(len(columns[-1]), -1)
    return np.asarray(marks.any(1))
