"""The learning curve: what a head on the frozen body makes of ever larger parts of the rows, and of twice as many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from tailorbird.data.split import Split
from tailorbird.engine.doubling import expected_gain
from tailorbird.kinds import Method, Task
from tailorbird.lesson import Head, Lesson, Rival, Scores
from tailorbird.measure.names import higher_is_better
from tailorbird.plug import parse
from tailorbird.progress import stage
from tailorbird.types import JSON, Figure

METHOD = "probe:last,strengths=6"  # the cheapest that is any good; a curve of tuned bodies would take a day
_PARTS = (16, 8, 4, 2, 1)  # the whole is divided by these, so each part is twice the one before it
_ORDERS = 3  # in so many random orders the parts are taken, for which rows come first is chance
_FEWEST_ROWS = 20  # of a part: a head on fewer says nothing
_CHOOSE_ON = 5  # one cluster in so many of a part: without a validation part the method leaves out row by row
_MOST_MEASURED = 5_000  # rows; of more, the intervals take longer than the heads
_LEARNING = 0.8  # of the time is for heads; the rest for measuring them
_GROWTH = 2.0  # what a part costs, of what its half did

Places = NDArray[np.int64]
Points = tuple[Mapping[str, JSON], ...]


@dataclass(frozen=True)
class _Exam:
    """The rows that every part is measured on: the test rows, or where there are none those of one fold."""

    task: Task
    lesson: Lesson
    rows: Places
    clusters: NDArray[np.int64] | None

    def figure(self, head: Head) -> Figure:
        """The task's metric of a head."""
        y, lesson = self.lesson.y[self.rows], self.lesson
        return self.task.measure(y, self.scores(head), head.cut, self.clusters, lesson.seed)[self.task.metric]

    def gain(self, head: Head, half: Head) -> Figure:
        """How much better one head is than another, by the task's metric, paired over the same rows."""
        rivals = {"half": Rival("half", self.scores(half), half.cut)}
        y, seed = self.lesson.y[self.rows], self.lesson.seed
        return self.task.compare(y, self.scores(head), rivals, self.clusters, seed).difference

    def scores(self, head: Head) -> Scores:
        """What a head answers."""
        return head.scores(self.lesson.features["last"][self.rows])


@dataclass(frozen=True)
class _Step:
    """A part of the rows: how many, and a head for each order that they may be taken in."""

    rows: int
    heads: tuple[Head, ...]


def learning_curve(
    lesson: Lesson, task: Task, labels: tuple[str, ...], parts: Split, *, seconds: float = 20.0
) -> tuple[Points, Mapping[str, JSON]]:
    """Points (rows, figure of task.metric) for Story.curve, and what twice as many rows may bring for .more_labels.

    more_labels: metric; rows, twice as many as there are; gain with its interval, above 0 where it is for the better;
    expected, the metric then; where no gain can be told, gain is None and `reason` says why. Takes as many parts as
    fit into the seconds; none give no points."""
    if seconds <= 0:
        return (), {}
    deadline = monotonic() + _LEARNING * seconds
    held = parts.test if parts.folds is None else np.flatnonzero(parts.folds == 0)
    exam = _exam(lesson, task, held, parts)
    learned = np.concatenate([lesson.train, lesson.validation])  # by the model to keep: of folds all rows
    known = np.setdiff1d(learned, held)
    steps = _climb(exam, known, 2 * len(labels) if lesson.link == "softmax" else 0, deadline)
    if not steps:
        return (), {}
    figures = [exam.figure(step.heads[0]) for step in steps]
    points = tuple({"rows": step.rows, "figure": asdict(one)} for step, one in zip(steps, figures, strict=True))
    return points, {"metric": task.metric, "rows": 2 * len(learned), **_promise(exam, steps, figures[-1], len(known))}


def _exam(lesson: Lesson, task: Task, held: Places, parts: Split) -> _Exam:
    rows = np.sort(np.random.default_rng(lesson.seed).permutation(held)[:_MOST_MEASURED])
    clusters = parts.clusters[rows]
    return _Exam(task, lesson, rows, None if len(np.unique(clusters)) == len(rows) else clusters)


# ---- parts --------------------------------------------------------------------------------------------------------


def _climb(exam: _Exam, known: Places, fewest: int, deadline: float) -> list[_Step]:
    """Heads for each part, from the smallest to the largest, as far as the time goes; other orders only after that."""
    method = parse("method", METHOD, Method)
    orders = [_order(exam, known, exam.lesson.seed + i) for i in range(_ORDERS)]
    turns = [(orders[0], divisor) for divisor in _PARTS]
    turns += [(order, divisor) for order in orders[1:] for divisor in _PARTS[:-1]]  # the whole has no order
    heads: dict[int, list[Head]] = {}
    rows: dict[int, int] = {}
    cost_s: dict[int, float] = {}
    with stage("learning curve", len(turns)) as advance:
        for order, divisor in turns:
            part = _part(order, len(known) // divisor)
            started = monotonic()
            if started + cost_s.get(divisor, _GROWTH * cost_s.get(2 * divisor, 0.0)) > deadline:
                break
            if _can_be_learned(exam, part, fewest):
                heads.setdefault(divisor, []).append(_head(method, exam.lesson, part))
                rows.setdefault(divisor, sum(map(len, part)))
                cost_s[divisor] = monotonic() - started
            advance(1)
    return [_Step(rows[divisor], tuple(heads[divisor])) for divisor in _PARTS if divisor in heads]


def _order(exam: _Exam, known: Places, seed: int) -> list[Places]:
    """The clusters of the known rows in a random order in which every beginning has its share of each stratum."""
    lesson = exam.lesson
    clusters = known if lesson.clusters is None else lesson.clusters[known]
    _, first, member = np.unique(clusters, return_index=True, return_inverse=True)
    strata = exam.task.strata(lesson.y[known])[first]
    rng = np.random.default_rng(seed)
    place = np.empty(len(first))
    for stratum in np.unique(strata):
        mine = rng.permutation(np.flatnonzero(strata == stratum))
        place[mine] = (np.arange(len(mine)) + rng.random(len(mine))) / len(mine)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(place)] = np.arange(len(first))
    sorted_rows = known[np.argsort(rank[member], kind="stable")]
    return np.split(sorted_rows, np.cumsum(np.bincount(rank[member]))[:-1])


def _part(order: Sequence[Places], n_rows: int) -> Sequence[Places]:
    """The first clusters that have so many rows together, or the next that come close."""
    ends = np.cumsum([len(cluster) for cluster in order])
    return order[: int(np.searchsorted(ends, n_rows)) + 1]


def _can_be_learned(exam: _Exam, part: Sequence[Places], fewest: int) -> bool:
    rows = np.concatenate(part)
    enough = len(rows) >= max(_FEWEST_ROWS, fewest) and len(part) >= _CHOOSE_ON
    return enough and len(np.unique(exam.lesson.y[rows])) > 1


def _head(method: Method, lesson: Lesson, part: Sequence[Places]) -> Head:
    """What the method learns from a part. It solves once more with what it chose on, so that no row is lost."""
    held = np.sort(np.concatenate(part[_CHOOSE_ON - 1 :: _CHOOSE_ON]))
    train = np.setdiff1d(np.concatenate(part), held)
    last = {"last": lesson.features["last"]}
    taught = replace(lesson, features=last, train=train, validation=held, workshop=None, deadline=None)
    return method.tailor(taught).head


# ---- twice as many ------------------------------------------------------------------------------------------------


def _promise(exam: _Exam, steps: Sequence[_Step], last: Figure, n_known: int) -> Mapping[str, JSON]:
    """What is to be expected of twice as many rows: gain, expected, reason."""
    if steps[-1].rows < n_known:
        return {"gain": None, "reason": "the time did not suffice to learn from all rows"}
    gains = [_gain(exam, step, half) for half, step in pairwise(steps)]
    found = expected_gain(gains, exam.lesson.seed)
    if isinstance(found, str):
        return {"gain": None, "reason": found}
    sign = 1 if higher_is_better(exam.task.metric) else -1
    ends = sorted(last.value + sign * end for end in (found.low, found.high))
    expected = Figure(last.value + sign * found.value, ends[0], ends[1])
    return {"gain": asdict(found), "expected": asdict(expected)}


def _gain(exam: _Exam, step: _Step, half: _Step) -> tuple[float, float]:
    """The mean gain over the orders, with its standard error: that of the rows measured on, and of the order."""
    pairs = [
        (step.heads[min(i, len(step.heads) - 1)], half.heads[min(i, len(half.heads) - 1)])
        for i in range(max(len(step.heads), len(half.heads)))
    ]
    found = [exam.gain(head, lesser) for head, lesser in pairs]
    values = np.array([one.value for one in found])
    of_rows = np.mean([((one.high - one.low) / 3.92) ** 2 for one in found])  # an interval is 2 x 1.96 errors wide
    of_orders = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
    return float(values.mean()), float(np.sqrt(of_rows + of_orders))
