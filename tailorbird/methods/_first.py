"""What stands before a body learns: the rows that it learns from and is judged on, and the head that it begins with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.kinds import Method
from tailorbird.lesson import Head, Lesson, Truth
from tailorbird.methods._held_out import spread
from tailorbird.methods._numbers import mean_and_deviation
from tailorbird.plug import parse

Rows = NDArray[np.int64]

_HELD_SHARE = 5  # one cluster in so many is held out where there is no validation part
_LEAST_HELD = 10  # rows: fewer could tell nothing apart


@dataclass(frozen=True)
class Parts:
    """Rows to learn from, and rows that the weights, the temperature and the cut are chosen on; perhaps none."""

    learn: Rows
    held: Rows
    name: str


def parts_of(lesson: Lesson) -> Parts:
    """The validation part judges. Without one a fifth of the clusters does: weights that nothing judges may have
    learned the rows by heart, and their probabilities would be too sure."""
    if len(lesson.validation):
        return Parts(lesson.train, lesson.validation, "validation")
    learn, held = _fifth(lesson, lesson.train)
    if len(held) < _LEAST_HELD or not len(learn):
        return Parts(lesson.train, np.zeros(0, np.int64), "nothing: rows are too few to judge on")
    return Parts(learn, held, "a fifth of the training clusters")


def _fifth(lesson: Lesson, rows: Rows) -> tuple[Rows, Rows]:
    folds = spread(lesson, rows, _HELD_SHARE)
    return rows[folds > 0], rows[folds == 0]


@dataclass(frozen=True)
class Unit:
    """What numbers are counted in while the network learns: deviations from their mean."""

    mean: float
    scale: float

    def standard(self, y: Truth) -> Truth:
        """Truth in this unit."""
        return y if (self.mean, self.scale) == (0.0, 1.0) else (y - self.mean) / self.scale

    def inside(self, head: Head) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight and bias of a head as the network has them: its temperature and this unit folded in."""
        scale = head.temperature * self.scale
        return head.weight.astype(np.float64) / scale, (head.bias.astype(np.float64) - self.mean) / scale

    def outside(self, head: Head, weight: NDArray[Any], bias: NDArray[Any]) -> Head:
        """The head with what the network learned, as it is stored."""
        found = replace(head, weight=weight * np.float32(self.scale), bias=bias, temperature=1.0)
        if head.link != "identity":
            return found
        # float64: float32 would round away what differs between numbers that are large, like points of time.
        return replace(found, bias=bias.astype(np.float64) * self.scale + self.mean)


def unit_of(lesson: Lesson, rows: Rows) -> Unit:
    """The unit of these rows' targets; of labels, one."""
    if lesson.link != "identity":
        return Unit(0.0, 1.0)
    return Unit(*mean_and_deviation(lesson, rows))


def head_first(lesson: Lesson, parts: Parts) -> Head:
    """The head of a probe that has not seen the rows that judge."""
    train, validation = _fifth(lesson, parts.learn)
    if len(validation) < _LEAST_HELD or not len(train):  # a single cluster lies in one fold whole
        train, validation = parts.learn, np.zeros(0, np.int64)
    part = replace(lesson, train=train, validation=validation, workshop=None)
    return parse("method", "probe:last", Method).tailor(part).head
