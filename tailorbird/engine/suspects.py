"""Targets that are likely wrong, by answers of heads that did not learn from them.

Labels: confident learning (Northcutt, Jiang and Chuang, JAIR 2021) as in cleanlab. With 10 % of the labels of digits
turned, in two draws, 84 and 93 % of the named rows were turned, and 72 % of the turned ones were named. On film reviews
as they are, 6 % are named: a quarter of the answers is wrong there, and most of those rows are only hard."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.lesson import Link, Scores, Truth
from tailorbird.plug import needs
from tailorbird.progress import tell

_MARGIN = 0.5  # that another label is more likely by: without it, 14 % of the film reviews would be named
_DEVIATIONS = 5.0  # that a number is off by; of normal errors one in two million is
_FEW_ROWS = 5  # with a label, and without it, before it is looked at
_COMMONEST = 200  # of labels of which a row has any number: a few milliseconds each for 10,000 rows
_MOST_LABELS = 2000  # of which a row has one: each is held against each other, and 10,000 would need gigabytes


@dataclass(frozen=True)
class Doubt:
    """A row whose target is likely wrong. score: how likely the given label is, or by how many deviations a number is
    off; the lower or the further, the more doubtful."""

    row: int
    suggested: str
    score: float


def doubts(link: Link, y: Truth, scores: Scores, labels: Sequence[str]) -> list[Doubt]:
    """Rows whose target is likely wrong, the most doubtful first. scores: (n, c), of heads that did not see the row."""
    if link == "identity":
        return sorted(_numbers(y, scores), key=lambda one: -abs(one.score))
    if link == "softmax" and len(labels) > _MOST_LABELS:
        tell(f"wrong labels are not looked for: there are {len(labels):,}, and {_MOST_LABELS:,} is the limit")
        return []
    look = _one_label if link == "softmax" else _many_labels
    return sorted(look(y, scores, labels), key=lambda one: one.score)


def _one_label(y: NDArray[np.int64], p: Scores, labels: Sequence[str]) -> Iterator[Doubt]:
    best, given = p.argmax(1), p[np.arange(len(y)), y]
    for i in np.flatnonzero(_issues(y, p) & (p.max(1) - given >= _MARGIN)):
        yield Doubt(int(i), labels[best[i]], float(given[i]))


def _many_labels(y: NDArray[np.float32], p: Scores, labels: Sequence[str]) -> Iterator[Doubt]:
    """Each label by itself; a row is suggested with all its doubtful labels turned."""
    turned = np.zeros(y.shape, bool)
    counts = y.sum(0, dtype=np.float64)
    able = np.flatnonzero((counts >= _FEW_ROWS) & (len(y) - counts >= _FEW_ROWS))
    for k in able[np.argsort(-counts[able], kind="stable")][:_COMMONEST]:
        pair = np.stack([1 - p[:, k], p[:, k]], 1).astype(np.float64)
        has = y[:, k].astype(np.int64)
        turned[:, k] = _issues(has, pair) & (pair[np.arange(len(y)), 1 - has] >= (1 + _MARGIN) / 2)
    given = np.where(y > 0, p, 1 - p)
    for i in np.flatnonzero(turned.any(1)):
        suggested = [label for label, has, turn in zip(labels, y[i] > 0, turned[i], strict=True) if has != turn]
        yield Doubt(int(i), "|".join(suggested) or "|", float(given[i][turned[i]].min()))


def _numbers(y: NDArray[np.float64], answers: Scores) -> Iterator[Doubt]:
    """Numbers that are off by many times the usual error."""
    errors = y[:, 0] - answers[:, 0]
    errors = errors - np.median(errors)
    usual = 1.4826 * float(np.median(np.abs(errors)))  # the deviation, where errors are normal
    for i in np.flatnonzero(np.abs(errors) > max(_DEVIATIONS * usual, 1e-30)):
        yield Doubt(int(i), f"{answers[i, 0]:.6g}", float(errors[i] / max(usual, 1e-30)))


def _issues(y: NDArray[np.int64], p: NDArray[Any]) -> NDArray[np.bool_]:
    """Which labels confident learning doubts, by the share of each label and by each pair of labels: (n,)."""
    needs("looking for wrong labels", "cleanlab")
    from cleanlab.filter import find_label_issues  # it takes seconds, and answering does without

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels with one row: the doctor tells of those itself
        return np.asarray(find_label_issues(y, p, filter_by="both", n_jobs=1), bool)
