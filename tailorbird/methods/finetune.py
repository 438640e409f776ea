"""The body learns with the head: all of its layers, or the last few."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from tailorbird.bodies import base
from tailorbird.engine.batches import Feed, Shelf
from tailorbird.engine.loop import Course, Diverged, Run, train
from tailorbird.engine.scoring import best_cut
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Method
from tailorbird.lesson import Head, Lesson, Tailored, Truth, Workshop
from tailorbird.methods._held_out import spread
from tailorbird.methods._network import Learner, Network, Targets, judged
from tailorbird.methods._numbers import mean_and_deviation
from tailorbird.plug import parse
from tailorbird.store.bodies import write_learned
from tailorbird.types import JSON, BodyFolder

Rows = NDArray[np.int64]

_RATE, _RATE_OF_LAST = 2e-4, 2e-4  # the fewer layers learn, the more each may change
# Of EfficientNet-Lite on 5,000 rows of Fashion-MNIST, 2 epochs: 87.3 % at 1e-4, 90.1 at 5e-4, 89.2 at 1e-3; probe 84.6.
_RATE_OF_CONVOLUTIONS = 5e-4
_DECAY, _DECAY_OF_LAST = 0.9, 1.0  # graded rates helped a whole body, and cost accuracy where half of it was frozen
# With embeddings that learn, the log-loss of 2,000 film reviews was 0.328 instead of 0.330, for a tenth more time; but
# each parameter needs 20 bytes while it learns.
_LARGE_BELOW = 2.0
# On 2,000 other rows of film reviews the log-loss was 0.330 after 2 epochs and 0.319 after 3.
_EPOCHS, _MOST_EPOCHS = 2.0, 10.0
_ENOUGH_STEPS = 300  # of which few rows make more epochs
_HELD_SHARE = 5  # one cluster in so many is held out where there is no validation part
_LEAST_HELD = 10  # rows: fewer could tell nothing apart


class Finetune(Method):
    """Head first, then head and body together, lower layers more slowly; what was best on held-out rows stays."""

    main: ClassVar[str | None] = "last"
    needs: ClassVar[tuple[str, ...]] = ("torch", "scipy")
    tunes: ClassVar[bool] = True

    last: PositiveInt | None = None  # how many layers learn, counted from the top; None: all. Time grows with it
    epochs: Annotated[float, Field(gt=0, le=100)] | None = None  # None: 3, and up to 10 where rows are few
    rate: PositiveFloat | None = None  # of the top layer, at most; None: 1e-4, with `last` 2e-4, of convolutions 5e-4
    decay: Annotated[float, Field(gt=0, le=1)] | None = None  # from layer to layer downwards; None: 0.9, or 1 with last
    flip: Literal["auto", "yes", "no"] = "auto"  # whether pictures may be mirrored; auto: if no label tells directions
    # Whether what lies below the layers learns too: word embeddings, the first convolution. None: with all layers,
    # unless it is much larger than they are, as in models of many languages.
    embeddings: bool | None = None

    def check(self, body: BodyFolder) -> None:
        """Raise BadSpelling if the body has fewer layers than shall learn. Raises BadBody."""
        if self.last is not None:
            self._stages(base.build(body), body.spelling)

    def tailor(self, lesson: Lesson) -> Tailored:
        shop = lesson.workshop
        assert shop is not None, "a body cannot learn without a workshop"
        torch.set_num_threads(shop.threads)  # torch keeps one number for the whole process
        parts = _parts(lesson)
        start = _head_first(lesson, parts)
        unit = _unit(lesson, parts.learn)
        learner, feed = self._prepared(lesson, shop, parts, start, unit)
        run, course = self._trained(lesson, learner, feed)
        head = _settled(lesson, parts, start, learner, unit)
        body = _written(shop, learner, self.spelling())
        notes: dict[str, JSON] = {"held_out": parts.name, "rows": len(parts.learn), "rate": course.rate}
        notes |= {"precision": str(course.precision).removeprefix("torch."), "flip": feed.flip, **run.notes()}
        return Tailored(
            replace(head, notes={**notes, "temperature": head.temperature, "head_first": start.notes}), body
        )

    def _prepared(
        self, lesson: Lesson, shop: Workshop, parts: _Parts, start: Head, unit: _Unit
    ) -> tuple[Learner, Feed]:
        default = _DECAY if self.last is None else _DECAY_OF_LAST
        device = "cuda" if shop.device != "cpu" and torch.cuda.is_available() else "cpu"
        network = Network(base.build(shop.body), *unit.inside(start))
        truth = np.asarray(unit.standard(lesson.y), np.int64 if lesson.link == "softmax" else np.float32)
        reader = shop.modality.reader(shop.body)
        shelf = Shelf(reader, shop.values, np.concatenate([parts.learn, parts.held]), shop.threads)
        learner = Learner(network, Targets(lesson.link, truth, lesson.row_weights), shelf, parts.held, device)
        learner.graded(self._stages(network.body, shop.body.spelling), self.decay or default)
        flip = self.flip == "yes" or (self.flip == "auto" and may_flip(shop.labels))
        return learner, Feed(shelf, parts.learn, lesson.seed, flip)

    def _trained(self, lesson: Lesson, learner: Learner, feed: Feed) -> tuple[Run, Course]:
        rate = self.rate or self._rate(learner.network)
        numbers = base.precision(learner.device, learner.network)
        n_steps = feed.count(self._epochs(feed))
        course = Course(rate, n_steps, lesson.seed, lesson.deadline, learner.device, numbers)
        try:
            return train(learner, feed.steps(), course), course
        except Diverged as error:
            better = self.model_copy(update={"rate": rate / 10})
            raise BadSpelling(f"method {self.spelling()!r}: {error}", f"--method {better.spelling()}") from error

    def _rate(self, network: Network) -> float:
        if network.is_convolutional():
            return _RATE_OF_CONVOLUTIONS
        return _RATE if self.last is None else _RATE_OF_LAST

    def _epochs(self, feed: Feed) -> float:
        if self.epochs is not None:
            return self.epochs
        return float(np.clip(_ENOUGH_STEPS / feed.count(1), _EPOCHS, _MOST_EPOCHS).round())

    def _stages(self, body: base.Body, name: str) -> list[list[nn.Parameter]]:
        """The stages of the body that learn, from bottom to top."""
        below, *layers = body.stages()
        n_layers = len(layers)
        if self.last is not None and self.last > n_layers:
            problem = f"method {self.spelling()!r} names {self.last} layers, and {name} has {n_layers} layers"
            raise BadSpelling(problem, f"--method finetune:last={n_layers}" if n_layers else "--method finetune")
        chosen = layers if self.last is None else layers[-self.last :]
        is_small = _size(below) <= _LARGE_BELOW * sum(map(_size, layers))
        with_below = self.last is None and is_small if self.embeddings is None else self.embeddings
        return [below, *chosen] if with_below or not chosen else chosen


def _size(parameters: Sequence[nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters)


# ---- rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parts:
    """Rows to learn from, and rows that the weights, the temperature and the cut are chosen on; perhaps none."""

    learn: Rows
    held: Rows
    name: str


def _parts(lesson: Lesson) -> _Parts:
    """The validation part judges. Without one a fifth of the clusters does: weights that nothing judges may have
    learned the rows by heart, and their probabilities would be too sure."""
    if len(lesson.validation):
        return _Parts(lesson.train, lesson.validation, "validation")
    learn, held = _fifth(lesson, lesson.train)
    if len(held) < _LEAST_HELD or not len(learn):
        return _Parts(lesson.train, np.zeros(0, np.int64), "nothing: rows are too few to judge on")
    return _Parts(learn, held, "a fifth of the training clusters")


def _fifth(lesson: Lesson, rows: Rows) -> tuple[Rows, Rows]:
    folds = spread(lesson, rows, _HELD_SHARE)
    return rows[folds > 0], rows[folds == 0]


# ---- the head -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Unit:
    """What numbers are counted in while the network learns: deviations from their mean."""

    mean: float
    scale: float

    def standard(self, y: Truth) -> Truth:
        return y if (self.mean, self.scale) == (0.0, 1.0) else (y - self.mean) / self.scale

    def inside(self, head: Head) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight and bias of a head as the network has them: its temperature and this unit folded in."""
        scale = head.temperature * self.scale
        return head.weight.astype(np.float64) / scale, (head.bias.astype(np.float64) - self.mean) / scale


def _unit(lesson: Lesson, rows: Rows) -> _Unit:
    if lesson.link != "identity":
        return _Unit(0.0, 1.0)
    return _Unit(*mean_and_deviation(lesson, rows))


def _head_first(lesson: Lesson, parts: _Parts) -> Head:
    """The head of a probe that has not seen the rows that judge."""
    train, validation = _fifth(lesson, parts.learn)
    if len(validation) < _LEAST_HELD:
        train, validation = parts.learn, np.zeros(0, np.int64)
    part = replace(lesson, train=train, validation=validation, workshop=None)
    return parse("method", "probe:last", Method).tailor(part).head


def _settled(lesson: Lesson, parts: _Parts, start: Head, learner: Learner, unit: _Unit) -> Head:
    """The head as it was learned; its temperature and its cut are settled on the rows that judge, if there are any."""
    weight, bias = (x.detach().cpu().numpy() for x in (learner.network.weight, learner.network.bias))
    head = replace(start, weight=weight * np.float32(unit.scale), bias=bias, temperature=1.0)
    if lesson.link == "identity":
        # float64: float32 would round away what differs between numbers that are large, like points of time.
        return replace(head, bias=bias.astype(np.float64) * unit.scale + unit.mean)
    if not len(parts.held):
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


# ---- mirror images --------------------------------------------------------------------------------------------------

_DIRECTION = re.compile(
    r"(?<![a-z])(left|right|east|west|clockwise|anti-?clockwise|counter-?clockwise|links|rechts|gauche|droite|izquierd|derech)"
)
_SIGN = re.compile(r"\d+|\w")  # a number or a single letter: what is read in the picture, and b would become d


def may_flip(labels: Sequence[str]) -> bool:
    """Whether the mirror image of a picture may have the same label: none is a number, a letter or a direction."""
    words = [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).casefold().strip() for label in labels]
    return not any(_SIGN.fullmatch(word) or _DIRECTION.search(word) for word in words)
