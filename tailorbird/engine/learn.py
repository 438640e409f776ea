"""Learning and answering: the model and its baselines, once, or fold by fold."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tailorbird.data.split import Split
from tailorbird.engine.choose import REFERENCE, Choice, reopen
from tailorbird.engine.features import columns, encode
from tailorbird.engine.scoring import best_cut
from tailorbird.errors import BadData
from tailorbird.kinds import Baseline, Method
from tailorbird.lesson import Evidence, Head, Lesson, Link, Quiz, Rival, Scores, State, Tailored
from tailorbird.plug import load, names
from tailorbird.progress import stage

_HELD_SHARE = 5  # one in so many rows is held out where a baseline's cut is chosen and there is no validation part

Rivals = Mapping[str, tuple[Baseline, State]]
# How the model to keep is run; None: by what gave the lesson's features.
Opening = Callable[[Tailored], Choice | None]


@dataclass(frozen=True)
class Learned:
    """What one pass of learning gives: what was tailored, and each baseline with what it knows."""

    tailored: Tailored
    baselines: Rivals


@dataclass(frozen=True)
class Trial:
    """Answers to rows that were not learned from. rows: (k,) places."""

    rows: NDArray[np.int64]
    model: Rival
    rivals: Mapping[str, Rival]


def baselines_for(modality: str, link: Link) -> dict[str, Baseline]:
    """Every baseline that can judge this modality and this kind of target, by name."""
    found: dict[str, Baseline] = {}
    for name in names("baseline"):
        plug = load("baseline", name)
        assert issubclass(plug, Baseline), f"baselines/{name}.py holds no Baseline"
        if modality in plug.modalities and link in plug.links:
            found[name] = plug()
    return found


def learn_and_try(
    method: Method, rivals: Mapping[str, Baseline], lesson: Lesson, evidence: Evidence, split: Split, opening: Opening
) -> tuple[Learned, Trial]:
    """The model to keep, and answers for its figures: on the test rows, or pooled over folds if rows are few.

    opening: how the model to keep is run; those of the folds are run by torch, if their body learned."""
    numbers = [] if split.folds is None else np.unique(split.folds).tolist()
    with stage("fitting", len(numbers) + 1) as advance:
        trials = []
        for i, number in enumerate(numbers):
            held = np.flatnonzero(split.folds == number)
            part = replace(lesson, train=np.flatnonzero(split.folds != number), early=None)
            trials.append(_tried(method, rivals, _share(part, len(numbers) + 1 - i), evidence, held))
            advance(1)
        learned = _learn(method, rivals, lesson, evidence)
        advance(1)
    if trials:
        return learned, _pool(trials)
    return learned, _try(learned, lesson, evidence, split.test, opening)


def answers(tailored: Tailored, lesson: Lesson, rows: NDArray[np.int64], opening: Opening | None = None) -> Scores:
    """Scores of the model for rows of the lesson: (k, c). opening: how it is run; None: torch runs what learned."""
    choice = opening(tailored) if opening else _by_torch(tailored, lesson)
    if choice is None:
        features = {depth: lesson.features[depth][rows] for depth in tailored.head.depths}
        return head_scores(tailored.head, features)
    shop = lesson.workshop
    assert shop is not None, "a body cannot learn without a workshop"
    values = [shop.values[i] for i in rows]
    features_of_rows, errors = encode(
        choice.encoder, shop.modality.reader(tailored.body or shop.body), values, threads=choice.threads
    )
    if errors:
        place, error = next(iter(errors.items()))
        problem = f"{values[place]!r} could be read a moment ago, and now not: {error}"
        raise BadData(problem, "run again when nothing writes to the data")
    return tailored.head.scores(columns(choice.encoder.depths, tailored.head.depths, features_of_rows))


def _by_torch(tailored: Tailored, lesson: Lesson) -> Choice | None:
    shop = lesson.workshop
    if tailored.body is None or shop is None:
        return None
    return reopen(tailored.body, shop.modality, REFERENCE, threads=shop.threads, device=shop.device)


def head_scores(head: Head, features: Mapping[str, NDArray[np.float32]]) -> Scores:
    """Scores of a head for features by depth: (n, c)."""
    return head.scores(np.concatenate([features[depth] for depth in head.depths], axis=1))


def rivals_answers(rivals: Rivals, evidence: Evidence, link: Link) -> dict[str, Rival]:
    """Each baseline's answers to the same rows."""
    return {
        name: Rival(plug.title(link), plug.scores(state, evidence), float(state[0].get("cut", 0.5)))
        for name, (plug, state) in rivals.items()
    }


def _share(lesson: Lesson, turns: int) -> Lesson:
    """The lesson with an equal share of the time that is left for so many turns."""
    if lesson.deadline is None:
        return lesson
    now = time.monotonic()
    return replace(lesson, deadline=now + (lesson.deadline - now) / turns)


def _tried(
    method: Method, rivals: Mapping[str, Baseline], lesson: Lesson, evidence: Evidence, rows: NDArray[np.int64]
) -> Trial:
    """A fold's answers; nothing else of it is kept."""
    learned = _learn(method, rivals, lesson, evidence)
    trial = _try(learned, lesson, evidence, rows, None)
    if learned.tailored.body is not None:
        shutil.rmtree(learned.tailored.body.folder)
    return trial


def _learn(method: Method, rivals: Mapping[str, Baseline], lesson: Lesson, evidence: Evidence) -> Learned:
    # The model has seen the validation rows too, when it chose its strength: its rivals may learn from them as well.
    known = np.concatenate([lesson.train, lesson.validation])
    states = {name: (plug, _state(plug, lesson, evidence, known)) for name, plug in rivals.items()}
    return Learned(method.tailor(lesson), states)


def _state(plug: Baseline, lesson: Lesson, evidence: Evidence, known: NDArray[np.int64]) -> State:
    facts, arrays = _fitted(plug, lesson, evidence, known)
    if lesson.link != "sigmoid":
        return facts, arrays
    # A rival's cut is chosen as the model's is: on rows that it did not learn from.
    held = lesson.validation if len(lesson.validation) else known[::_HELD_SHARE]
    early = _fitted(plug, lesson, evidence, np.setdiff1d(known, held))
    return {**facts, "cut": best_cut(lesson.y[held], plug.scores(early, evidence.take(held)))}, arrays


def _fitted(plug: Baseline, lesson: Lesson, evidence: Evidence, rows: NDArray[np.int64]) -> State:
    return plug.fit(evidence.take(rows), Quiz(lesson.y[rows], lesson.n_labels, lesson.link, lesson.seed))


def _try(
    learned: Learned, lesson: Lesson, evidence: Evidence, rows: NDArray[np.int64], opening: Opening | None
) -> Trial:
    tailored = learned.tailored
    model = Rival("this model", answers(tailored, lesson, rows, opening), tailored.head.cut)
    return Trial(rows, model, rivals_answers(learned.baselines, evidence.take(rows), lesson.link))


def _pool(trials: list[Trial]) -> Trial:
    rivals = {name: _joined([trial.rivals[name] for trial in trials]) for name in trials[0].rivals}
    return Trial(np.concatenate([trial.rows for trial in trials]), _joined([trial.model for trial in trials]), rivals)


def _joined(parts: list[Rival]) -> Rival:
    """Answers of several folds as one. The cut is the mean of theirs."""
    # All but one of these cuts saw the rows that they judge. Of 80 and of 250 made rows that added 0.002 to micro-F1
    # (0.01 to a neighbour's). Shifting scores until each fold's own cut lies at one place would take 0.01 of average
    # precision from a neighbour, and so bend the verdict; what remains is a cut for each row.
    scores = np.concatenate([part.scores for part in parts])
    return Rival(parts[0].title, scores, float(np.mean([part.cut for part in parts])))
