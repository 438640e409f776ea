"""What a trial is worth: every figure with its interval, beside the baselines, and one verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tailorbird.kinds import Task
from tailorbird.lesson import Rival, Scores, Truth
from tailorbird.measure.metrics import confusion
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
    y: Truth,
    model: Rival,
    rivals: Mapping[str, Rival],
    clusters: NDArray[np.int64],
    seed: int,
) -> Judgement:
    """The model's answers beside its rivals' on the same rows. clusters: (n,), rows that belong together."""
    together = None if len(np.unique(clusters)) == len(clusters) else clusters
    measured: dict[str, Metrics] = {}
    with stage("measuring", 1 + len(rivals)) as advance:
        metrics = task.measure(y, model.scores, model.cut, together, seed)
        advance(1)
        for name, rival in rivals.items():
            measured[name] = task.measure(y, rival.scores, rival.cut, together, seed)
            advance(1)
    told = task.compare(y, model.scores, rivals, together, seed)
    table = task.table(y, model.scores, labels, model.cut)
    return Judgement(metrics, measured, told, _confusion(task, y, model.scores, len(labels)), table)


# Beyond this many labels the table is for no one's eyes, and its square would swamp the report.
_CONFUSION_LIMIT = 200


def _confusion(task: Task, y: Truth, scores: Scores, n_labels: int) -> tuple[tuple[int, ...], ...]:
    if task.link != "softmax" or n_labels > _CONFUSION_LIMIT:
        return ()
    return tuple(map(tuple, confusion(y, scores.argmax(1), n_labels).tolist()))
