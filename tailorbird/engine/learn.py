"""Learning and answering on frozen features: the head and its baselines, once, or fold by fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.data.split import Split
from tailorbird.kinds import Baseline, Evidence, Head, Lesson, Method, State
from tailorbird.plug import load, names
from tailorbird.progress import stage

Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Learned:
    """What one pass of learning gives: the head, and each baseline with what it knows."""

    head: Head
    baselines: Mapping[str, tuple[Baseline, State]]


@dataclass(frozen=True)
class Trial:
    """Answers to rows that were not learned from. rows: (k,) places; scores: (k, c) of the model and each baseline."""

    rows: NDArray[np.int64]
    scores: Scores
    baselines: Mapping[str, Scores]


def baselines_for(modality: str) -> dict[str, Baseline]:
    """Every baseline that can judge this modality, by name."""
    found: dict[str, Baseline] = {}
    for name in names("baseline"):
        plug = load("baseline", name)
        assert issubclass(plug, Baseline), f"baselines/{name}.py holds no Baseline"
        if modality in plug.modalities:
            found[name] = plug()
    return found


def learn_and_try(
    method: Method, rivals: Mapping[str, Baseline], lesson: Lesson, evidence: Evidence, split: Split
) -> tuple[Learned, Trial]:
    """The model to keep, and answers for its figures: on the test rows, or pooled over folds if rows are few."""
    numbers = [] if split.folds is None else np.unique(split.folds).tolist()
    with stage("fitting", len(numbers) + 1) as advance:
        trials = []
        for number in numbers:
            held = np.flatnonzero(split.folds == number)
            part = replace(lesson, train=np.flatnonzero(split.folds != number))
            trials.append(_try(_learn(method, rivals, part, evidence), part, evidence, held))
            advance(1)
        learned = _learn(method, rivals, lesson, evidence)
        advance(1)
    return learned, _pool(trials) if trials else _try(learned, lesson, evidence, split.test)


def answer(
    head: Head,
    rivals: Mapping[str, tuple[Baseline, State]],
    features: Mapping[str, NDArray[np.float32]],
    evidence: Evidence,
) -> tuple[Scores, dict[str, Scores]]:
    """Scores of the model and of each baseline for the same rows: (n, c) each."""
    x = np.concatenate([features[depth] for depth in head.depths], axis=1)
    return head.scores(x), {name: plug.scores(state, evidence) for name, (plug, state) in rivals.items()}


def _learn(method: Method, rivals: Mapping[str, Baseline], lesson: Lesson, evidence: Evidence) -> Learned:
    # The model has seen the validation rows too, when it chose its strength: its rivals may learn from them as well.
    known = np.concatenate([lesson.train, lesson.validation])
    part, y = evidence.take(known), lesson.y[known]
    states = {name: (plug, plug.fit(part, y, lesson.n_labels, lesson.seed)) for name, plug in rivals.items()}
    return Learned(method.tailor(lesson), states)


def _try(learned: Learned, lesson: Lesson, evidence: Evidence, rows: NDArray[np.int64]) -> Trial:
    features = {depth: lesson.features[depth][rows] for depth in learned.head.depths}
    return Trial(rows, *answer(learned.head, learned.baselines, features, evidence.take(rows)))


def _pool(trials: list[Trial]) -> Trial:
    return Trial(
        np.concatenate([trial.rows for trial in trials]),
        np.concatenate([trial.scores for trial in trials]),
        {name: np.concatenate([trial.baselines[name] for trial in trials]) for name in trials[0].baselines},
    )
