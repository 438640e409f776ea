"""One label out of several for each item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.data.labels import MOST_LABELS, SOME, are_numbers, in_order, present, similar_labels
from tailorbird.errors import BadData
from tailorbird.kinds import Task
from tailorbird.lesson import Link, Rival, Scores, Truth
from tailorbird.measure.bootstrap import figures
from tailorbird.measure.metrics import METRICS, class_table, right
from tailorbird.measure.verdict import verdict
from tailorbird.tasks._unknown import unknown
from tailorbird.types import JSON, Dataset, Finding, Metrics, Prediction, Verdict


class Classify(Task):
    """Labels are what the target says, word for word."""

    link: ClassVar[Link] = "softmax"
    metric: ClassVar[str] = "accuracy"
    told: ClassVar[tuple[str, ...]] = ("label", "score")

    @classmethod
    def suits(cls, targets: Sequence[str]) -> float:
        return 0.5  # whatever a cell holds can be a label: the other tasks must look likelier

    def check(self, dataset: Dataset) -> tuple[Finding, ...]:
        pairs, origin = present(dataset), f"{dataset.origin!r}"
        targets = [target for _, target in pairs]
        found, hint = set(targets), "name the right column: --target NAME"
        if len(found) == 1:
            one = f"{origin} has 1 label, {targets[0]!r}, and a classifier needs two or more"
            raise BadData(one, hint if dataset.target != "label" else "one folder or value for each label; two or more")
        if are_numbers(targets):
            seen = f"{len(found):,} different numbers such as {targets[0]!r}"
            raise BadData(f"column {dataset.target!r} of {origin} holds {seen}, which are no labels", "--task regress")
        if len(found) > MOST_LABELS:
            raise BadData(f"{origin} has {len(found):,} labels, and the limit is {MOST_LABELS:,}", hint)
        if len(found) == len(targets) >= SOME:
            problem = f"column {dataset.target!r} of {origin} has another value in each of its {len(targets):,} rows"
            raise BadData(problem, hint)
        return similar_labels(pairs)

    def labels(self, targets: Sequence[str]) -> tuple[str, ...]:
        found = set(targets)
        if len(found) < 2:
            seen = f"1 label, {next(iter(found))!r}," if found else "0 labels,"
            problem = f"the target has {seen} and a classifier needs two or more"
            raise BadData(problem, "name the right column: --target NAME")
        if len(found) > MOST_LABELS:
            problem = f"the target has {len(found):,} labels, and a classifier takes {MOST_LABELS:,} at most"
            raise BadData(problem, "name a column with fewer different values: --target NAME")
        return in_order(found)

    def encode(self, targets: Sequence[str], labels: Sequence[str]) -> Truth:
        numbers = {label: number for number, label in enumerate(labels)}
        for target in targets:
            if target not in numbers:
                raise unknown(target, labels)
        return np.array([numbers[target] for target in targets], dtype=np.int64)

    def strata(self, y: Truth) -> NDArray[np.int64]:
        return y.astype(np.int64)

    def answer(self, item: str, scores: Scores, labels: Sequence[str], cut: float) -> Prediction:
        best = int(scores.argmax())
        by_label = dict(zip(labels, scores.tolist(), strict=True))
        return Prediction(item, labels[best], by_label[labels[best]], by_label)

    def measure(self, y: Truth, scores: Scores, cut: float, clusters: NDArray[np.int64] | None, seed: int) -> Metrics:
        return figures(METRICS, y, scores, clusters, seed)

    def compare(
        self, y: Truth, model: Scores, rivals: Mapping[str, Rival], clusters: NDArray[np.int64] | None, seed: int
    ) -> Verdict:
        return verdict(self.metric, right, y, model, rivals, clusters, seed)

    def table(self, y: Truth, scores: Scores, labels: Sequence[str], cut: float) -> tuple[Mapping[str, JSON], ...]:
        rows = zip(labels, class_table(y, scores.argmax(1), len(labels)), strict=True)
        return tuple({"label": label, **row} for label, row in rows)

    def badness(self, y: Truth, scores: Scores, cut: float) -> NDArray[np.float64]:
        """The best score of another label less that of the row's own."""
        rows, others = np.arange(len(y)), scores.astype(np.float64)
        own = others[rows, y].copy()
        others[rows, y] = -np.inf
        return np.asarray(others.max(1) - own)
