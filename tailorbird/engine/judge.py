"""What a trial is worth: every figure with its interval, beside the baselines, and one verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.kinds import Baseline, Task
from tailorbird.measure.metrics import class_table, confusion
from tailorbird.measure.verdict import verdict
from tailorbird.progress import stage
from tailorbird.types import JSON, Metrics, Verdict


@dataclass(frozen=True)
class Judgement:
    """The figures of a model and of its baselines on the same rows."""

    metrics: Metrics
    baselines: Mapping[str, Metrics]
    verdict: Verdict
    confusion: tuple[tuple[int, ...], ...]
    per_class: tuple[Mapping[str, JSON], ...]


def judge(
    task: Task,
    labels: tuple[str, ...],
    y: NDArray[np.int64],
    scores: NDArray[np.floating[Any]],
    rivals: Mapping[str, tuple[Baseline, NDArray[np.floating[Any]]]],
    clusters: NDArray[np.int64],
    seed: int,
) -> Judgement:
    """y: (n,); scores: (n, c); rivals: each baseline with its scores; clusters: (n,), rows that belong together."""
    together = None if len(np.unique(clusters)) == len(clusters) else clusters
    with stage("measuring", 1 + len(rivals)) as advance:
        metrics = task.measure(y, scores, together, seed)
        advance(1)
        measured: dict[str, Metrics] = {}
        for name, (_, theirs) in rivals.items():
            measured[name] = task.measure(y, theirs, together, seed)
            advance(1)
    titles = {name: plug.title for name, (plug, _) in rivals.items()}
    told = verdict(y, scores, {name: theirs for name, (_, theirs) in rivals.items()}, together, titles, seed)
    given = scores.argmax(1)
    per_class = zip(labels, class_table(y, given, len(labels)), strict=True)
    return Judgement(
        metrics, measured, told, _table(y, given, len(labels)), tuple({"label": one, **row} for one, row in per_class)
    )


# Beyond this many labels the table is for no one's eyes, and its square would swamp the report.
_CONFUSION_LIMIT = 200


def _table(y: NDArray[np.int64], given: NDArray[np.int64], n_labels: int) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, confusion(y, given, n_labels).tolist())) if n_labels <= _CONFUSION_LIMIT else ()
