"""Which rows a method's choices are made on, and what is learned from while they are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.lesson import Lesson, Link, Truth

_FOLDS = 5
# Leave-one-out costs a factorisation as wide as there are rows, for each label and strength: with more labels than this
# that is most of a fit, and folds cost a fraction of it.
_FEW_LABELS = 10


@dataclass(frozen=True)
class HeldOut:
    """The rows that choices are made on. pairs: (rows to learn from, rows to answer); none: leave-one-out."""

    name: str
    rows: NDArray[np.int64]
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]]


def held_out(lesson: Lesson) -> HeldOut:
    """The validation part; else the training rows, each answered as if its cluster had been left out."""
    train, clusters = lesson.train, lesson.clusters
    if len(lesson.validation):
        return HeldOut("validation", lesson.validation, [(train, lesson.validation)])
    n_clusters = len(train) if clusters is None else len(np.unique(clusters[train]))
    # One cluster cannot be told from what is left when it is left out, for that is nothing.
    single = clusters is None or n_clusters in (1, len(train))
    many = lesson.link == "sigmoid" and lesson.n_labels > _FEW_LABELS and len(train) > 1
    if single and not many:
        return HeldOut("leave-one-out", train, [])
    folds = spread(replace(lesson, clusters=None) if single else lesson, train, _FOLDS)
    pairs = [(train[folds != fold], train[folds == fold]) for fold in range(folds.max() + 1)]
    name = "folds" if single else "cluster folds"
    return HeldOut(name, np.concatenate([rows for _, rows in pairs]), pairs)


def spread(lesson: Lesson, rows: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """A fold for each of these rows, (k,), from 0 up: whole clusters, so there are no more folds than those."""
    together = np.arange(len(rows)) if lesson.clusters is None else lesson.clusters[rows]
    return _folds(_strata(lesson.link, lesson.y[rows]), together, n_folds)


def _strata(link: Link, y: Truth) -> NDArray[Any]:
    """A number for each row; rows with near ones are dealt out to different folds. (n,)"""
    if link == "identity":
        return y[:, 0]
    if link == "softmax":
        return y
    rare = y.sum(0).argsort(kind="stable")  # the rarest label that a row has: the others come to every fold anyway
    return np.asarray(np.where(y.any(1), y[:, rare].argmax(1), y.shape[1]))


def _folds(strata: NDArray[Any], clusters: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """A fold for each row: clusters are dealt out stratum by stratum (that of their first row), the largest first."""
    _, first, member, size = np.unique(clusters, return_index=True, return_inverse=True, return_counts=True)
    folds = np.empty(len(first), np.int64)
    folds[np.lexsort((-size, strata[first]))] = np.arange(len(first)) % n_folds
    return folds[member]
