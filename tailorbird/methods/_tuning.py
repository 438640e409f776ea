"""How a body learns with its head, whichever of its weights do: what finetune, distill and lora share."""

from __future__ import annotations

import hashlib
import secrets
import time
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat
from torch import nn

from tailorbird import __version__
from tailorbird.bodies import base
from tailorbird.engine.batches import Feed, Shelf
from tailorbird.engine.course import Course, Run
from tailorbird.engine.features import is_same
from tailorbird.engine.loop import Diverged, train
from tailorbird.engine.scoring import best_cut
from tailorbird.errors import BadOutput, BadSpelling
from tailorbird.kinds import Method, Runtime
from tailorbird.lesson import Effort, Head, Lesson, Scores, Tailored, Workshop
from tailorbird.methods._first import Parts, Unit, head_first, parts_of, unit_of
from tailorbird.methods._mirror import may_flip
from tailorbird.methods._network import Learner, Network, Targets, judged, operations_a_token
from tailorbird.methods._prefix import Terms
from tailorbird.plug import parse
from tailorbird.store.bodies import write_learned
from tailorbird.types import JSON, BodyFolder, Value

_EPOCHS, _MOST_EPOCHS = 2.0, 10.0
_ENOUGH_STEPS = 300  # of which few rows make more epochs
_SEEN_OFTEN = 2.0  # epochs beyond which pictures vary
_TRIED_STEPS = 16  # from which it is told what all would take
_SETTLING_LOOKS = 2.5  # what answering the held-out rows in full precision, and the writing, cost
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
    prefix: bool = True  # what the layers that stay make of each row is computed once, and kept on disk meanwhile
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
        keeps_below = self._keep_below(lesson, shop, learner, feed, parts)
        run, course = self._trained(lesson, shop, learner, feed)
        learner.forget_below()  # what is sealed answers in full precision
        head = _settled(lesson, parts, start, learner, unit)
        self.merge(learner.network.body)
        body = _written(shop, learner, self.spelling())
        notes: dict[str, JSON] = {"held_out": parts.name, "rows": len(parts.learn), "rate": course.rate}
        notes |= {"precision": str(course.precision).removeprefix("torch."), "flip": feed.flip, **run.notes()}
        notes |= {"augment": feed.vary} if learner.varies else {}
        notes |= {"prefix": True} if keeps_below else {}
        notes["epochs"] = self._epochs(learner.network, feed.count(1))
        notes["learned"] = sum(p.numel() for group in learner.groups() for p in group.parameters)
        return Tailored(
            replace(head, notes={**notes, "temperature": head.temperature, "head_first": start.notes}), body
        )

    def effort(self, lesson: Lesson, n_train: int, n_held: int) -> Effort:
        """The steps are counted as all rows would make them, and a few are taken."""
        shop = lesson.workshop
        assert shop is not None, "a body cannot learn without a workshop"
        torch.set_num_threads(shop.threads)
        parts, began = parts_of(lesson), time.monotonic()
        start, unit = head_first(lesson, parts), unit_of(lesson, parts.learn)
        head_s = time.monotonic() - began
        learner, feed = self._prepared(lesson, shop, parts, start, unit)
        reading_s = time.monotonic() - began - head_s
        growth = max(1.0, n_train / len(lesson.train))  # rows without labels are all there already
        grown = 1 + (growth - 1) * len(parts.learn) / len(feed.rows)
        epochs = self._epochs(learner.network, grown * feed.count(1))
        feed = replace(feed, vary=self._varied(epochs))
        began = time.monotonic()
        # Neither noted nor kept: it is to be told what the whole takes, and not found the second time.
        alone = replace(shop, noted=None, digests=None)
        keeps_below = self._keep_below(replace(lesson, deadline=None), alone, learner, feed, parts)
        keeping_s = time.monotonic() - began
        course = self._course(lesson, learner, feed)
        run = train(learner, feed.steps, replace(course, n_steps=_TRIED_STEPS))
        if run.n_steps < 2:  # the deadline came first
            run = train(learner, feed.steps, replace(course, n_steps=2, deadline=None))
        n_looked = max(n_held, growth * len(parts.held)) / max(1, len(parts.held))
        n_steps = max(1, round(epochs * grown * feed.count(1)))
        looking_s = (course.n_looks + 1 + _SETTLING_LOOKS) * run.look_s * max(1.0, n_looked)
        once_s = grown * (head_s + keeping_s) + reading_s
        n_tokens = None if learner.varies else epochs * grown * float(feed.shelf.costs(feed.rows).sum())
        each = operations_a_token(learner.network, keeps_below=keeps_below)
        return Effort(once_s + n_steps * run.step_s + looking_s, n_steps, None if n_tokens is None else n_tokens * each)

    def _keep_below(self, lesson: Lesson, shop: Workshop, learner: Learner, feed: Feed, parts: Parts) -> bool:
        """Whether what stays as it is is computed once, and was."""
        if not self.prefix or (feed.vary and learner.varies) or self._epochs(learner.network, feed.count(1)) < 1:
            return False
        precision, found = base.precision(learner.device, learner.network), list[bool]()
        terms = Terms(
            shop.folder, learner.device, precision, lesson.deadline, shop.digests, partial(_is_still, shop), _key(shop)
        )
        rows = np.concatenate([feed.rows, parts.held])
        if shop.noted is None:
            return learner.keep_below(rows, terms)

        def first() -> bool:
            found.append(learner.keep_below(rows, terms))
            return found[0]

        was = False
        with suppress(BadOutput):  # a full disk; it is no reason to learn nothing
            # It went by the clock and the room on the disk, and would go otherwise now.
            was = bool(shop.noted(f"prefix-{feed.name}-{self._digest()}", first))
        return found[0] if found else was and learner.keep_below(rows, replace(terms, deadline=None))

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
        vary = self._varied(self._epochs(network, feed.count(1)))
        flip = self.flip == "yes" or (self.flip == "auto" and may_flip(shop.labels))
        return learner, replace(feed, vary=vary, flip=flip)

    def _course(self, lesson: Lesson, learner: Learner, feed: Feed) -> Course:
        rate = self.rate or (_RATE_OF_LAMB if self.optimizer == "lamb" else self.own_rate(learner.network))
        numbers = base.precision(learner.device, learner.network)
        n_steps = feed.count(self._epochs(learner.network, feed.count(1)))
        return Course(rate, n_steps, lesson.seed, lesson.deadline, learner.device, numbers, optimizer=self.optimizer)

    def _trained(self, lesson: Lesson, shop: Workshop, learner: Learner, feed: Feed) -> tuple[Run, Course]:
        course = self._course(lesson, learner, feed)
        try:
            lap = None if shop.laps is None else shop.laps(f"{feed.name}-{self._digest()}")
            return train(learner, feed.steps, course, lap), course
        except Diverged as error:
            better = self.model_copy(update={"rate": course.rate / 10})
            raise BadSpelling(f"method {self.spelling()!r}: {error}", f"--method {better.spelling()}") from error

    def _varied(self, epochs: float) -> bool:
        return self.augment == "yes" or (self.augment == "auto" and epochs > _SEEN_OFTEN)

    def _digest(self) -> str:
        """For the name of a lap: auto lets several methods learn the same rows."""
        return hashlib.sha256(self.spelling(full=True).encode()).hexdigest()[:8]

    def _epochs(self, network: Network, steps: float) -> float:
        """steps: of one epoch."""
        if self.epochs is not None:
            return self.epochs
        return max(self.own_epochs(network), min(_MOST_EPOCHS, round(_ENOUGH_STEPS / steps)))


def _key(shop: Workshop) -> dict[str, JSON]:
    """What states of this body's layers depend on, beside the rows."""
    modality, ran = shop.modality, parse("runtime", "torch", Runtime)
    told = {"fingerprint": shop.body.fingerprint, "spelling": shop.body.spelling, "threads": shop.threads}
    read = {"modality": modality.spelling(full=True), "reading": modality.version()}
    return {**told, **read, "tailorbird": __version__, "version": ran.version()}


def _is_still(shop: Workshop, row: int) -> bool:
    """Whether a row's content has the digest that it had when the rows were read."""
    assert shop.digests is not None, "asked where digests are known"
    return is_same(shop.digests[row].tobytes(), shop.values[row], shop.modality.digest)


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
