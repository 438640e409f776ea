"""Any number of labels for each item. In a cell they stand between bars: `urgent|billing`; a lone `|` says: none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.data.labels import MOST_LABELS, in_order, present, similar_labels
from tailorbird.errors import BadData
from tailorbird.kinds import Task
from tailorbird.lesson import Link, Rival, Scores, Truth
from tailorbird.measure.bootstrap import figures
from tailorbird.measure.labels import label_table, metrics, precisions
from tailorbird.measure.verdict import verdict
from tailorbird.tasks._unknown import unknown
from tailorbird.types import JSON, Dataset, Finding, Metrics, Prediction, Verdict

_FAIR_SHARE = 0.05  # of cells with several labels, before a target is taken for this task's: the bar is rare elsewhere
_MOST_CELLS = 250_000_000  # rows times labels: a gigabyte of truth
_EXAMPLES = 3


class Multilabel(Task):
    """A row without labels is written `|`: an empty cell is a row of which nobody said anything, and is left out."""

    link: ClassVar[Link] = "sigmoid"
    metric: ClassVar[str] = "average_precision"  # it needs no cut, so a cut that one of two chose well decides nothing
    told: ClassVar[tuple[str, ...]] = ("labels",)

    @classmethod
    def suits(cls, targets: Sequence[str]) -> float:
        cells = [_parts(target) for target in targets]
        several = sum(len(parts) > 1 for parts in cells)
        total, different = sum(map(len, cells)), len({part for parts in cells for part in parts})
        return 0.9 if several and several >= _FAIR_SHARE * len(cells) and 2 * different <= total else 0.0

    def check(self, dataset: Dataset) -> tuple[Finding, ...]:
        rows = [(row, _parts(target)) for row, target in present(dataset)]
        pairs = [(row, label) for row, parts in rows for label in parts]
        counts = Counter(label for _, label in pairs)
        where = f"column {dataset.target!r} of {dataset.origin!r}"
        _check_labels(where, tuple(counts))
        if len(counts) * len(rows) > _MOST_CELLS:
            problem = (
                f"{where} has {len(counts):,} labels and {len(rows):,} rows, and {_MOST_CELLS:,} pairs is the limit"
            )
            raise BadData(problem, "leave out the rarest labels, or give fewer rows")
        everywhere = {label for label, n in counts.items() if n == len(rows)}
        lone = {label for label, n in counts.items() if n < 2 <= len(rows)}
        return (
            *similar_labels(pairs),
            *_told("label_everywhere", everywhere, pairs, "kept, though they are in every row and tell nothing"),
            *_told("lone_label", lone, pairs, "kept, though no model learns what it sees in one row only"),
        )

    def labels(self, targets: Sequence[str]) -> tuple[str, ...]:
        found = {label for target in targets for label in _parts(target)}
        _check_labels("the target", tuple(found))
        return in_order(found)

    def encode(self, targets: Sequence[str], labels: Sequence[str]) -> Truth:
        numbers = {label: number for number, label in enumerate(labels)}
        y = np.zeros((len(targets), len(labels)), np.float32)
        for i, target in enumerate(targets):
            for label in _parts(target):
                if label not in numbers:
                    raise unknown(label, labels, target)
                y[i, numbers[label]] = 1
        return y

    def strata(self, y: Truth) -> NDArray[np.int64]:
        """The rarest label that a row has, from 1 on; 0 for a row without any."""
        rarity = np.where(y > 0, y.sum(0, dtype=np.float64), np.inf)
        return np.where(y.any(1), rarity.argmin(1) + 1, 0).astype(np.int64)

    def answer(self, item: str, scores: Scores, labels: Sequence[str], cut: float) -> Prediction:
        given = tuple(label for label, enough in zip(labels, scores >= cut, strict=True) if enough)
        return Prediction(item, labels=given, scores=dict(zip(labels, scores.tolist(), strict=True)))

    def measure(self, y: Truth, scores: Scores, cut: float, clusters: NDArray[np.int64] | None, seed: int) -> Metrics:
        return figures(metrics(cut), y, scores, clusters, seed)

    def compare(
        self, y: Truth, model: Scores, rivals: Mapping[str, Rival], clusters: NDArray[np.int64] | None, seed: int
    ) -> Verdict:
        return verdict(self.metric, precisions, y, model, rivals, clusters, seed)

    def table(self, y: Truth, scores: Scores, labels: Sequence[str], cut: float) -> tuple[Mapping[str, JSON], ...]:
        rows = zip(labels, label_table(y, scores, cut), strict=True)
        return tuple({"label": label, **row} for label, row in rows)

    def badness(self, y: Truth, scores: Scores, cut: float) -> NDArray[np.float64]:
        """The log-loss of the labels that were wrongly given or left out, added up."""
        true = np.where(y > 0, scores, 1 - scores).astype(np.float64)
        loss = -np.log(np.maximum(true, np.finfo(np.float64).eps))
        return np.asarray((loss * ((scores >= cut) != (y > 0))).sum(1))


def _parts(cell: str) -> tuple[str, ...]:
    """The labels in a cell, each once: between bars, or in a list of JSON, as JSON Lines and Parquet may hold one."""
    found = _listed(cell) if cell.startswith("[") else None
    parts = (part.strip() for part in (cell.split("|") if found is None else found))
    return tuple(dict.fromkeys(filter(None, parts)))


def _listed(cell: str) -> list[str] | None:
    try:
        found = json.loads(cell)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else None


def _check_labels(where: str, found: tuple[str, ...]) -> None:
    if len(found) < 2:
        seen = f"1 label, {found[0]!r}," if found else "0 labels,"
        raise BadData(f"{where} has {seen} and two or more are needed", "write labels as a|b, or: --target NAME")
    if len(found) > MOST_LABELS:
        raise BadData(f"{where} has {len(found):,} labels, and the limit is {MOST_LABELS:,}", "--target NAME")


def _told(kind: str, labels: set[str], pairs: Sequence[tuple[str, str]], action: str) -> tuple[Finding, ...]:
    concerned = {row: label for row, label in reversed(pairs) if label in labels}
    if not concerned:
        return ()
    examples = [f"{row} {label!r}" for row, label in reversed(concerned.items())][:_EXAMPLES]
    shown = ", ".join(in_order(labels)[:10]) + (f" and {len(labels) - 10:,} more" if len(labels) > 10 else "")
    return (Finding(kind, len(concerned), f"{action}: {shown}", tuple(examples)),)
