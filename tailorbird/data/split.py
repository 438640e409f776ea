"""Which rows are learned from and which only measured: by content, so yesterday's test rows stay test rows.

Rows that mean the same or nearly so, or that share a group, form a cluster, and a cluster is never torn apart. Its
place is a number in [0, 1) made from its content alone: not from its path, its position or a seed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.data.cases import Case, case, findings_of
from tailorbird.data.together import components, content_pairs, group_pairs
from tailorbird.errors import BadData
from tailorbird.types import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tailorbird.data.check import Checked

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1
FEW_ROWS = 500  # below it a fifth is too small to measure on, and every row measures in its turn
N_FOLDS = 5
TRAIN, VALIDATION, TEST, OUT = range(4)


@dataclass(frozen=True)
class Split:
    """Places of rows: train, validation and test (int64, ascending). folds: (n,) the fold that each row is measured in
    when rows are few, and then all of them are in train; else None. clusters: (n,) rows with one number belong
    together."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    folds: NDArray[np.int64] | None
    clusters: NDArray[np.int64]
    findings: tuple[Finding, ...] = ()
    cases: tuple[Case, ...] = ()  # the same findings, with every row of each


@dataclass(frozen=True)
class _Known:
    """What a row's part depends on, (n,) each."""

    strata: NDArray[np.int64]  # numbers from 0 without gaps
    together: NDArray[np.int64]  # its cluster
    place: NDArray[np.float64]  # its cluster's place


def split(checked: Checked, strata: NDArray[np.int64]) -> Split:
    """Divide rows into 70 % train, 10 % validation and 20 % test, around the parts that the user gave.

    strata: (n,) numbers, rows of one number are spread evenly. Under 500 rows and without a given test part there are
    folds instead. Raises BadData where nothing is left."""
    together = clusters(checked)
    strata = np.unique(strata, return_inverse=True)[1].astype(np.int64)
    parts = checked.dataset.rows.parts or (None,) * len(together)
    given, dropped = _given(checked, together, parts)
    if TEST not in given and len(together) < FEW_ROWS:
        return _folds(checked, _Known(strata, together, _places(checked, together)))
    rows = _Known(strata, together, _places(checked, together)[together])
    where, free = _divide(given, rows.place), given == TRAIN
    _mend(where, free, rows)
    if TEST not in given:
        _spare(where, free, rows)
    train, validation, test = (np.flatnonzero(where == part) for part in (TRAIN, VALIDATION, TEST))
    cases = dropped
    if _are_labels(strata, checked):
        cases += _unlearned(checked, strata, train, test, "test")
        cases += _unlearned(checked, strata, train, validation, "validation")
    _check(checked, strata, train, test)
    return Split(train, validation, test, None, together, findings_of(cases), tuple(cases))


def clusters(checked: Checked) -> NDArray[np.int64]:
    """A number for each row; rows of one number mean the same or nearly, or share a group, over any number of steps.
    (n,)"""
    pairs = np.concatenate([content_pairs(checked), group_pairs(checked)])
    return components(len(checked.twins), pairs)


def _places(checked: Checked, together: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where each cluster stands in [0, 1): the lowest of its groups, or of its contents where there is no group.

    The lowest, so that a new row that joins two clusters moves rows into the test part and never out of it."""
    groups = checked.dataset.rows.groups or (None,) * len(together)
    places = np.ones(int(together.max(initial=-1)) + 1)
    for cluster, twin, group in zip(together, checked.twins, groups, strict=True):
        places[cluster] = min(places[cluster], _place(b"content " + twin.tobytes() if group is None else _key(group)))
    return places


def _key(group: str) -> bytes:
    return b"group " + group.encode(errors="surrogatepass")


def _place(key: bytes) -> float:
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") / 2**64


def _given(
    checked: Checked, together: NDArray[np.int64], parts: Sequence[str | None]
) -> tuple[NDArray[np.int64], list[Case]]:
    """The part of each row as the user gave it (TRAIN: ours to choose); twins of given rows elsewhere are OUT."""
    number = {"test": TEST, "validation": VALIDATION}
    given = np.array([number.get(part or "", TRAIN) for part in parts], np.int64)
    alike = components(len(given), content_pairs(checked))
    cases = []
    for part, name, others in ((TEST, "test", (TRAIN, VALIDATION)), (VALIDATION, "validation", (TRAIN,))):
        held = given == part
        gone = np.isin(together, together[held]) & np.isin(given, others)
        twins = gone & np.isin(alike, alike[held])
        action = f"left out: they repeat rows of the {name} part, or nearly"
        cases.append(case(checked.dataset, f"twin_of_{name}", np.flatnonzero(twins), action))
        action = f"left out: rows of their group are in the {name} part"
        cases.append(case(checked.dataset, f"group_of_{name}", np.flatnonzero(gone & ~twins), action))
        given[gone] = OUT
    return given, [one for one in cases if one.finding.rows]


def _divide(given: NDArray[np.int64], place: NDArray[np.float64]) -> NDArray[np.int64]:
    """The part of each row: what was given stays, the rest goes by its place."""
    where = given.copy()
    free = given == TRAIN
    if TEST not in given:
        where[free & (place < TEST_SHARE)] = TEST
    if VALIDATION not in given and free.sum() >= FEW_ROWS:
        where[free & (place >= TEST_SHARE) & (place < TEST_SHARE + VALIDATION_SHARE)] = VALIDATION
    return where


def _mend(where: NDArray[np.int64], free: NDArray[np.bool_], rows: _Known) -> None:
    """Bring one cluster of each label that is missing from train back there. Changes `where`."""
    for label in np.setdiff1d(rows.strata[free], rows.strata[where == TRAIN]):
        mine = np.flatnonzero(free & (rows.strata == label))
        if not (where[mine] == TRAIN).any():  # an earlier label's cluster may have brought it
            highest = rows.together[mine[rows.place[mine].argmax()]]
            where[free & (rows.together == highest)] = TRAIN


def _spare(where: NDArray[np.int64], free: NDArray[np.bool_], rows: _Known) -> None:
    """Move one cluster of each label that is missing from test there, if its labels stay in train without it."""
    members = _members(rows.together)
    left = np.bincount(rows.strata[where == TRAIN], minlength=int(rows.strata.max(initial=0)) + 1)
    for label in np.setdiff1d(rows.strata[free], rows.strata[where == TEST]):
        mine = np.flatnonzero(free & (rows.strata == label))
        for cluster in dict.fromkeys(rows.together[mine[rows.place[mine].argsort(kind="stable")]].tolist()):
            moved = np.array([i for i in members[cluster] if free[i]])
            taken = np.bincount(rows.strata[moved[where[moved] == TRAIN]], minlength=len(left))
            if not (where[mine] == TEST).any() and (left > taken)[rows.strata[moved]].all():
                where[moved] = TEST
                left -= taken


def _folds(checked: Checked, rows: _Known) -> Split:
    """Every row is measured once, by a model that saw neither it nor its cluster; strata are spread evenly.

    rows: with the place of each cluster, not of each row."""
    n_rows, n_clusters = len(rows.together), len(rows.place)
    if n_clusters < 2:
        raise BadData(
            f"all {n_rows:,} rows of {checked.dataset.origin!r} belong together, so none is left to measure on",
            "add rows that differ, or leave out --group",
        )
    folds = spread(rows.strata, rows.together, rows.place, min(N_FOLDS, n_clusters))
    action = f"fewer than {FEW_ROWS}: measured out of fold, in {folds.max() + 1} folds; the model learns from all"
    if "validation" in (checked.dataset.rows.parts or ()):
        action += ", those given to validate with too"
    few = Case(Finding("few_rows", n_rows, action))
    nothing = np.zeros(0, np.int64)
    return Split(np.arange(n_rows), nothing, nothing, folds, rows.together, (few.finding,), (few,))


def spread(
    strata: NDArray[np.int64], together: NDArray[np.int64], places: NDArray[np.float64], n_folds: int
) -> NDArray[np.int64]:
    """A fold for each row: clusters in the order of their places go to the fold with the fewest of their stratum. (n,)

    strata, together: (n,) numbers from 0 without gaps; places: a number for each cluster."""
    members = _members(together)
    counts = np.zeros((n_folds, int(strata.max(initial=0)) + 1), np.int64)
    folds = np.zeros(len(together), np.int64)
    for cluster in places.argsort(kind="stable"):
        labels = strata[members[cluster]]
        label = int(np.bincount(labels).argmax())
        fold = min(range(n_folds), key=lambda k: (counts[k, label], counts[k].sum(), k))
        folds[members[cluster]] = fold
        np.add.at(counts[fold], labels, 1)
    return folds


def _members(together: NDArray[np.int64]) -> Mapping[int, list[int]]:
    members: dict[int, list[int]] = defaultdict(list)
    for row, cluster in enumerate(together.tolist()):
        members[cluster].append(row)
    return members


def _are_labels(strata: NDArray[np.int64], checked: Checked) -> bool:
    """Whether each stratum is a label, and not a share of many numbers or of many sets of labels."""
    return int(strata.max(initial=-1)) + 1 == len(set(checked.dataset.rows.targets or ()))


def _unlearned(
    checked: Checked, strata: NDArray[np.int64], train: NDArray[np.int64], held: NDArray[np.int64], part: str
) -> list[Case]:
    """Held-out rows with a label that no training row has: they can only be mistakes, and stay."""
    odd = held[~np.isin(strata[held], strata[train])]
    action = "kept: no row to learn from has their label"
    return [case(checked.dataset, f"only_in_{part}", odd, action)] if len(odd) else []


def _check(checked: Checked, strata: NDArray[np.int64], train: NDArray[np.int64], test: NDArray[np.int64]) -> None:
    targets = checked.dataset.rows.targets or ()
    labels = {targets[i] for i in train}
    origin = repr(checked.dataset.origin)
    if len(labels) < 2:
        left = f"{len(train):,} rows of {len(labels)} labels are left to learn from in {origin}"
        raise BadData(f"{left}, after twins of the given parts left", "give a --test or --validation with other rows")
    if not len(test):
        problem = f"no row of {origin} can be spared to measure on: too many of them belong together"
        raise BadData(problem, "name rows to measure on: --test PATH")
