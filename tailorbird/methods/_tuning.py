"""How a body learns with its head, whichever of its weights do: what finetune, distill and lora share."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat
from torch import nn

from tailorbird.bodies import base
from tailorbird.engine.batches import Feed, Shelf
from tailorbird.engine.loop import Course, Diverged, Run, train
from tailorbird.engine.scoring import best_cut
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Method
from tailorbird.lesson import Head, Lesson, Scores, Tailored, Workshop
from tailorbird.methods._first import Parts, Unit, head_first, parts_of, unit_of
from tailorbird.methods._mirror import may_flip
from tailorbird.methods._network import Learner, Network, Targets, judged
from tailorbird.store.bodies import write_learned
from tailorbird.types import JSON, BodyFolder, Value

_EPOCHS, _MOST_EPOCHS = 2.0, 10.0
_ENOUGH_STEPS = 300  # of which few rows make more epochs
_SEEN_OFTEN = 2.0  # epochs beyond which pictures vary
# A step of LAMB moves a matrix by this share of its length; one of AdamW at 2e-4 moves MiniLM's by about as much.
_RATE_OF_LAMB = 5e-3

Stages = Sequence[Sequence[nn.Parameter]]


@dataclass(frozen=True)
class Goal:
    """What is learned. values: of all rows, those of the lesson first; rows: places of those to learn from; aims: the
    scores to go after, (n, c), or None for the truth; row_weights: (n,)."""

    values: Sequence[Value]
    rows: NDArray[np.int64]
    aims: Scores | None
    row_weights: NDArray[np.float32]


class Tuning(Method):
    """Head first, then head and body together; what was best on held-out rows stays."""

    needs: ClassVar[tuple[str, ...]] = ("torch", "scipy")
    tunes: ClassVar[bool] = True

    epochs: Annotated[float, Field(gt=0, le=100)] | None = None  # None: 1.5 or 2, and up to 10 where rows are few
    rate: PositiveFloat | None = None  # at its highest, of what learns fastest; None: what did well for this method
    augment: Literal["auto", "yes", "no"] = "auto"  # whether pictures vary; auto: if each is seen more than twice
    flip: Literal["auto", "yes", "no"] = "auto"  # whether pictures may be mirrored; auto: if no label tells directions
    optimizer: Literal["adamw", "lamb"] = "adamw"
    thrifty: bool = False  # inner values are computed twice instead of kept: less memory, about a third more time

    @abstractmethod
    def stages(self, body: base.Body, name: str, seed: int) -> Stages:
        """What learns, from bottom to top; it may be put into the body here. name: of the body. Raises BadSpelling."""

    @abstractmethod
    def own_rate(self, network: Network) -> float:
        """The rate where the user names none, of AdamW."""

    def own_epochs(self, network: Network) -> float:
        """The epochs where the user names none and rows are many."""
        return _EPOCHS

    def own_decay(self) -> float:
        """From stage to stage downwards, how much more slowly it learns."""
        return 1.0

    def merge(self, body: base.Body) -> None:
        """Turn what was put into the body into weights that it had before."""

    def goal(self, lesson: Lesson, shop: Workshop, parts: Parts) -> Goal:
        """What is learned, and from which rows: the truth."""
        return Goal(shop.values, parts.learn, None, lesson.row_weights)

    def tailor(self, lesson: Lesson) -> Tailored:
        shop = lesson.workshop
        assert shop is not None, "a body cannot learn without a workshop"
        torch.set_num_threads(shop.threads)  # torch keeps one number for the whole process
        parts = parts_of(lesson)
        start, unit = head_first(lesson, parts), unit_of(lesson, parts.learn)
        learner, feed = self._prepared(lesson, shop, parts, start, unit)
        run, course = self._trained(lesson, shop, learner, feed)
        head = _settled(lesson, parts, start, learner, unit)
        self.merge(learner.network.body)
        body = _written(shop, learner, self.spelling())
        notes: dict[str, JSON] = {"held_out": parts.name, "rows": len(parts.learn), "rate": course.rate}
        notes |= {"precision": str(course.precision).removeprefix("torch."), "flip": feed.flip, **run.notes()}
        notes |= {"augment": feed.vary} if learner.varies else {}
        notes["learned"] = sum(p.numel() for group in learner.groups() for p in group.parameters)
        return Tailored(
            replace(head, notes={**notes, "temperature": head.temperature, "head_first": start.notes}), body
        )

    def _prepared(self, lesson: Lesson, shop: Workshop, parts: Parts, start: Head, unit: Unit) -> tuple[Learner, Feed]:
        device = "cuda" if shop.device != "cpu" and torch.cuda.is_available() else "cpu"
        network = Network(base.build(shop.body), *unit.inside(start))
        stages = self.stages(network.body, shop.body.spelling, lesson.seed)
        if self.thrifty:
            network.body.thrifty()
        goal = self.goal(lesson, shop, parts)
        truth = np.asarray(unit.standard(lesson.y), np.int64 if lesson.link == "softmax" else np.float32)
        aims = truth if goal.aims is None else unit.standard(goal.aims).astype(np.float32)
        shelf = Shelf(
            shop.modality.reader(shop.body), goal.values, np.concatenate([goal.rows, parts.held]), shop.threads
        )
        learner = Learner(network, Targets(lesson.link, truth, aims, goal.row_weights), shelf, parts.held, device)
        learner.graded(stages, self.own_decay(), lazily=self.optimizer == "adamw")
        feed = Feed(shelf, goal.rows, lesson.seed)
        vary = self.augment == "yes" or (self.augment == "auto" and self._epochs(network, feed) > _SEEN_OFTEN)
        flip = self.flip == "yes" or (self.flip == "auto" and may_flip(shop.labels))
        return learner, replace(feed, vary=vary, flip=flip)

    def _trained(self, lesson: Lesson, shop: Workshop, learner: Learner, feed: Feed) -> tuple[Run, Course]:
        rate = self.rate or (_RATE_OF_LAMB if self.optimizer == "lamb" else self.own_rate(learner.network))
        numbers = base.precision(learner.device, learner.network)
        n_steps = feed.count(self._epochs(learner.network, feed))
        course = Course(rate, n_steps, lesson.seed, lesson.deadline, learner.device, numbers, optimizer=self.optimizer)
        try:
            return train(learner, feed.steps, course, None if shop.laps is None else shop.laps(feed.name)), course
        except Diverged as error:
            better = self.model_copy(update={"rate": rate / 10})
            raise BadSpelling(f"method {self.spelling()!r}: {error}", f"--method {better.spelling()}") from error

    def _epochs(self, network: Network, feed: Feed) -> float:
        if self.epochs is not None:
            return self.epochs
        return max(self.own_epochs(network), min(_MOST_EPOCHS, round(_ENOUGH_STEPS / feed.count(1))))


def _settled(lesson: Lesson, parts: Parts, start: Head, learner: Learner, unit: Unit) -> Head:
    """The head as it was learned; its temperature and its cut are settled on the rows that judge, if there are any."""
    weight, bias = (x.detach().cpu().numpy() for x in (learner.network.weight, learner.network.bias))
    head = unit.outside(start, weight, bias)
    if lesson.link == "identity" or not len(parts.held):
        return head
    outputs, y = learner.outputs(parts.held), lesson.y[parts.held]
    head = replace(head, temperature=judged(lesson.link, outputs, y, lesson.row_weights[parts.held])[0])
    if lesson.link == "softmax":
        return head
    return replace(head, cut=best_cut(y, _scores(head, outputs)))


def _scores(head: Head, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
    same = np.eye(outputs.shape[1], dtype=np.float32)
    return replace(head, weight=same, bias=np.zeros_like(head.bias)).scores(outputs)


def _written(shop: Workshop, learner: Learner, spelling: str) -> BodyFolder:
    weights = {name: x.detach().cpu().numpy() for name, x in learner.network.body.weights().items()}
    return write_learned(shop.body, shop.folder / f"body-{secrets.token_hex(4)}", weights, f"method {spelling}")
