"""One label out of several for each item."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import BadData
from tailorbird.kinds import Task
from tailorbird.measure.bootstrap import figures
from tailorbird.measure.metrics import METRICS
from tailorbird.types import Metrics, Prediction

_MOST_LABELS = 10_000
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)  # longer ones are identifiers, not numbers


class Classify(Task):
    """Labels are what the target says, word for word."""

    offers: ClassVar[str] = "pooled"
    metric: ClassVar[str] = "accuracy"

    def labels(self, targets: Sequence[str]) -> tuple[str, ...]:
        found = set(targets)
        if len(found) < 2:
            seen = f"1 label, {next(iter(found))!r}," if found else "0 labels,"
            problem = f"the target has {seen} and a classifier needs two or more"
            raise BadData(problem, "name the right column: --target NAME")
        if len(found) > _MOST_LABELS:
            problem = f"the target has {len(found):,} labels, and a classifier takes {_MOST_LABELS:,} at most"
            raise BadData(problem, "name a column with fewer different values: --target NAME")
        if all(_INTEGER.fullmatch(label) for label in found):
            return tuple(sorted(found, key=lambda label: (int(label), label)))  # "10" after "9"; "01" and "1" both stay
        return tuple(sorted(found))

    def encode(self, targets: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
        numbers = {label: number for number, label in enumerate(labels)}
        for target in targets:
            if target not in numbers:
                raise _unknown(target, labels)
        return np.array([numbers[target] for target in targets], dtype=np.int64)

    def answer(self, item: str, scores: NDArray[np.floating[Any]], labels: Sequence[str]) -> Prediction:
        best = int(scores.argmax())
        by_label = dict(zip(labels, scores.tolist(), strict=True))
        return Prediction(item, labels[best], by_label[labels[best]], by_label)

    def measure(
        self, y: NDArray[np.int64], scores: NDArray[np.floating[Any]], clusters: NDArray[np.int64] | None, seed: int
    ) -> Metrics:
        return figures(METRICS, y, scores, clusters, seed)


def _unknown(target: str, labels: Sequence[str]) -> BadData:
    close = difflib.get_close_matches(target, labels, n=1)
    shown = ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")
    hint = (
        f"did you mean {close[0]!r}? labels: {shown}" if close else f"correct or leave out such rows; labels: {shown}"
    )
    return BadData(f"the label {target!r} is not among the {len(labels):,} that the model knows", hint)
