"""A body learns what another model answers (Hinton et al. 2015, arXiv:1503.02531), beside the labels: a small one of a
large one, say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tailorbird.data.read import read
from tailorbird.engine.features import columns
from tailorbird.engine.material import beginnings
from tailorbird.engine.predictor import Predictor, load
from tailorbird.errors import BadData, BadItem, BadSpelling
from tailorbird.kinds import Modality
from tailorbird.lesson import Lesson, Link, Scores, Truth, Workshop
from tailorbird.methods._first import Parts
from tailorbird.methods._tuning import Goal
from tailorbird.methods._whole import Whole
from tailorbird.progress import tell
from tailorbird.store.artifact import told_digest
from tailorbird.types import BodyFolder, Value


class Distill(Whole):
    """As finetune, towards a mixture of the labels and a teacher's answers; rows without labels teach by the answers
    alone. What is best is still judged by labels, on held-out rows."""

    main: ClassVar[str | None] = "teacher"

    teacher: str  # a model folder that answers with the same labels
    # Of the teacher's answers in what is learned; the rest is the label.
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    unlabelled: str | None = None  # a table or folder of more items, whose labels nobody knows

    @cached_property
    def _model(self) -> Predictor:
        return load(self.teacher)

    def check(self, body: BodyFolder) -> None:
        """Raise BadArtifact if the teacher is none."""
        super().check(body)
        _ = self._model

    def check_rows(self, labels: Sequence[str], link: Link, modality: Modality) -> None:
        """Raise BadSpelling for a teacher of something else."""
        model, other = self._model, None
        if model.modality.name != modality.name:
            other = f"reads {model.modality.name}s, and the data holds {modality.name}s"
        elif model.head.link != link:
            other = f"answers the task {model.task.spelling()!r}"
        elif set(model.labels) != set(labels):
            differing = sorted(set(model.labels) ^ set(labels))[:3]
            other = f"has other labels: {', '.join(map(repr, differing))} on one side only"
        if other:
            raise BadSpelling(
                f"the teacher {self.teacher!r} {other}", "name a model that was fitted to the same labels"
            )

    def goal(self, lesson: Lesson, shop: Workshop, parts: Parts) -> Goal:
        self._tell_seen(lesson, shop)
        more = [] if self.unlabelled is None else self._more(shop)
        self._check_same(shop, more)
        n, m = len(lesson.y), len(more)
        rows = np.concatenate([parts.learn, np.arange(n, n + m)])
        answers = self._answers([*(shop.values[i] for i in parts.learn), *more], shop.labels)
        aims = np.zeros((n + m, answers.shape[1]), answers.dtype)
        aims[rows] = answers
        labels = _as_scores(lesson)[parts.learn]
        aims[parts.learn] = self.share * aims[parts.learn] + (1 - self.share) * labels
        weights = np.concatenate([lesson.row_weights, np.full(m, lesson.row_weights[parts.learn].mean(), np.float32)])
        return Goal([*shop.values, *more], rows, aims, weights)

    def _check_same(self, shop: Workshop, more: Sequence[Value]) -> None:
        """Raise BadData if the teacher or the rows without labels are others than when this fit began."""
        if shop.noted is None:
            return
        twins = b"".join(_twin(shop.modality, value) or b"" for value in more)
        now = {"teacher": told_digest(Path(self.teacher)), "unlabelled": hashlib.sha256(twins).hexdigest()}
        then = shop.noted("teacher", lambda: dict(now))
        if others := [name for name, digest in now.items() if then[name] != digest]:
            given = " and ".join(repr(self.teacher if name == "teacher" else self.unlabelled) for name in others)
            problem = f"{given} changed since the interrupted fit began"
            raise BadData(problem, "restore that, or begin anew with --force instead of --resume")

    def _answers(self, values: Sequence[Value], labels: Sequence[str]) -> Scores:
        """The teacher's scores, (n, c), in the order of our labels."""
        model = self._model
        tell(f"the teacher {self.teacher!r} answers {len(values):,} rows")
        features, errors = model.features(values)
        if errors:
            place, error = next(iter(errors.items()))
            problem = f"the teacher cannot read {str(values[place])[:80]!r}: {error}"
            raise BadData(problem, "leave that row out")
        scores = model.head.scores(columns(model.choice.encoder.depths, model.head.depths, features))
        return scores if model.head.link == "identity" else scores[:, [model.labels.index(label) for label in labels]]

    def _more(self, shop: Workshop) -> list[Value]:
        """The rows without labels that are none of the labelled ones."""
        dataset = read(str(self.unlabelled), needs_target=False)
        if dataset.modality != shop.modality.name:
            problem = f"{self.unlabelled!r} holds {dataset.modality}s, and the data {shop.modality.name}s"
            raise BadData(problem, "name rows of the same kind: distill:TEACHER,unlabelled=FILE")
        known = {_twin(shop.modality, value) for value in shop.values}
        found = {_twin(shop.modality, value): value for value in dataset.rows.inputs[dataset.input]}
        more = [value for twin, value in found.items() if twin is not None and twin not in known]
        tell(
            f"{len(more):,} of {len(dataset.rows.ids):,} rows of {self.unlabelled!r} can be learned from without labels"
        )
        return more

    def _tell_seen(self, lesson: Lesson, shop: Workshop) -> None:
        """A teacher that has learned from the rows that will be tested on gives away their labels."""
        if not len(lesson.validation):
            return  # fold by fold all rows are both
        others = np.setdiff1d(np.arange(len(lesson.y)), np.concatenate([lesson.train, lesson.validation]))
        twins = [_twin(shop.modality, shop.values[i]) for i in others]
        digests = np.frombuffer(b"".join(twin for twin in twins if twin is not None), np.uint8).reshape(-1, 32)
        n_seen = int(np.isin(beginnings(digests), self._model.seen).sum())
        if n_seen:
            tell(
                f"the teacher has learned from {n_seen:,} of the {len(others):,} rows to test on: figures will flatter"
            )


def _twin(modality: Modality, value: Value) -> bytes | None:
    """None of what nobody could learn from."""
    try:
        return modality.facts(value).twin
    except BadItem:
        return None


def _as_scores(lesson: Lesson) -> NDArray[np.float64]:
    """The truth as a teacher would tell it that knew it, (n, c)."""
    y: Truth = lesson.y
    return np.eye(lesson.n_labels)[y] if lesson.link == "softmax" else np.asarray(y, np.float64)
