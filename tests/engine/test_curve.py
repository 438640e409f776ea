"""The learning curve: nested parts of what is learned from, measured on rows that no part has seen."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from tailorbird.data.split import Split
from tailorbird.engine import curve
from tailorbird.engine.curve import learning_curve
from tailorbird.kinds import Method, Task
from tailorbird.lesson import Head, Lesson, Link, Tailored
from tailorbird.plug import parse

WIDTH = 24
PLACES = np.int64


def made(link: Link, n: int = 800, *, noise: float = 1.0, seed: int = 0) -> Lesson:
    """Rows whose truth shows in their features, under noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, WIDTH)).astype(np.float32)
    signal = x @ rng.normal(size=(WIDTH, 3)) / np.sqrt(WIDTH) + noise * rng.normal(size=(n, 3))
    truths = {"softmax": signal.argmax(1), "sigmoid": (signal > 0.3).astype(np.float32), "identity": signal[:, :1]}
    parts = np.split(rng.permutation(n), [int(0.6 * n), int(0.7 * n)])
    train, validation, _ = map(np.sort, parts)
    n_labels = 1 if link == "identity" else 3
    features = {"layer1": x[:, :3], "last": x}
    ones = np.ones(n, np.float32)
    return Lesson(features, truths[link], n_labels, ones, train, validation, 0, np.arange(n), link)


def split_of(lesson: Lesson) -> Split:
    """The split of a made lesson: what is not learned from is tested on."""
    n = len(lesson.y)
    test = np.setdiff1d(np.arange(n), np.union1d(lesson.train, lesson.validation))
    clusters = np.arange(n) if lesson.clusters is None else lesson.clusters
    return Split(lesson.train, lesson.validation, test, None, clusters)


def labels_of(lesson: Lesson) -> tuple[str, ...]:
    return ("value",) if lesson.link == "identity" else ("a", "b", "c")


TASKS = {"softmax": "classify", "sigmoid": "multilabel", "identity": "regress"}


@pytest.mark.parametrize("link", ["softmax", "sigmoid", "identity"])
def test_more_rows_are_better_for_every_kind_of_target(link: Link) -> None:
    lesson = made(link)
    task = parse("task", TASKS[link], Task)
    points, more = learning_curve(lesson, task, labels_of(lesson), split_of(lesson))
    rows = [point["rows"] for point in points]
    assert rows == [35, 70, 140, 280, 560]
    figures = [point["figure"] for point in points]
    assert all(one["low"] <= one["value"] <= one["high"] for one in figures)
    gain = figures[-1]["value"] - figures[0]["value"]
    assert gain < 0 if link == "identity" else gain > 0
    assert more["metric"] == task.metric and more["rows"] == 1120
    assert more["gain"] is not None
    better = more["expected"]["value"] - figures[-1]["value"]
    assert better == pytest.approx(more["gain"]["value"] * (-1 if link == "identity" else 1))
    assert more["expected"]["low"] <= more["expected"]["value"] <= more["expected"]["high"]


class Spy(Method):
    """Learns nothing, and remembers what it was to learn from."""

    def tailor(self, lesson: Lesson) -> Tailored:
        SEEN.append(lesson)
        time.sleep(PAUSE_S[0])
        rng = np.random.default_rng(len(lesson.train))
        weight = rng.normal(size=(WIDTH, lesson.n_labels)).astype(np.float32)
        return Tailored(Head(("last",), weight, np.zeros(lesson.n_labels, np.float32), 1.0, {}, lesson.link))


SEEN: list[Lesson] = []
PAUSE_S = [0.0]


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[Lesson]:
    """Every lesson that the curve's method was given, in order."""
    SEEN.clear()
    PAUSE_S[0] = 0.0
    monkeypatch.setattr(curve, "parse", lambda kind, spelling, parent: Spy())
    return SEEN


def known(lesson: Lesson) -> set[int]:
    return {*lesson.train.tolist(), *lesson.validation.tolist()}


def run(lesson: Lesson, parts: Split | None = None, seconds: float = 20.0):
    task = parse("task", TASKS[lesson.link], Task)
    return learning_curve(lesson, task, labels_of(lesson), parts or split_of(lesson), seconds=seconds)


def test_each_part_lies_inside_the_next_in_three_orders(spied: list[Lesson]) -> None:
    lesson = made("softmax")
    run(lesson)
    sizes = [len(known(one)) for one in spied]
    assert sizes == [35, 70, 140, 280, 560] + 2 * [35, 70, 140, 280]
    for first in (0, 5, 9):
        chain = [known(spied[first + step]) for step in range(4)] + [known(spied[4])]
        assert all(small < large for small, large in pairwise(chain))
    assert known(spied[0]) != known(spied[5])


def test_no_part_sees_a_row_that_it_is_measured_on(spied: list[Lesson]) -> None:
    lesson = made("softmax")
    parts = split_of(lesson)
    run(lesson, parts)
    assert not set(parts.test.tolist()) & set().union(*map(known, spied))
    folds = np.arange(len(lesson.y)) % 5
    everything = Split(np.arange(800), lesson.validation[:0], lesson.validation[:0], folds, np.arange(800))
    spied.clear()
    run(Lesson(**{**vars(lesson), "train": np.arange(800), "validation": lesson.validation[:0]}), everything)
    assert {row % 5 for row in set().union(*map(known, spied))} == {1, 2, 3, 4}


def test_rows_that_belong_together_come_together(spied: list[Lesson]) -> None:
    lesson = made("softmax")
    lesson = Lesson(**{**vars(lesson), "clusters": np.arange(800) // 8})
    train = np.flatnonzero(lesson.clusters % 5 > 0)
    lesson = Lesson(**{**vars(lesson), "train": train, "validation": train[:0]})
    run(lesson)
    for one in spied:
        for rows in (one.train, one.validation):
            _, counts = np.unique(lesson.clusters[rows], return_counts=True)
            assert set(counts) == {8}


def test_every_part_has_its_share_of_each_label(spied: list[Lesson]) -> None:
    lesson = made("softmax")
    y = np.zeros(800, np.int64)
    y[::10] = 1
    run(Lesson(**{**vars(lesson), "y": y}))
    rare = [np.mean(y[sorted(known(one))]) for one in spied]
    assert max(rare) - min(rare) < 0.05


def test_only_features_of_the_frozen_body_are_learned_from(spied: list[Lesson]) -> None:
    run(Lesson(**{**vars(made("softmax")), "deadline": 0.0}))
    assert {(tuple(one.features), one.workshop, one.deadline) for one in spied} == {(("last",), None, None)}


def test_a_fifth_of_each_part_is_chosen_on_and_the_rest_learned_from(spied: list[Lesson]) -> None:
    run(made("softmax"))
    assert [(len(one.train), len(one.validation)) for one in spied[:5]] == [
        (28, 7),
        (56, 14),
        (112, 28),
        (224, 56),
        (448, 112),
    ]
    assert all(not set(one.train) & set(one.validation) for one in spied)


def test_it_stops_where_the_next_part_would_take_too_long(spied: list[Lesson]) -> None:
    PAUSE_S[0] = 0.05
    points, more = run(made("softmax"), seconds=0.35)
    assert 0 < len(points) < 5 and len(spied) <= 5
    assert more["gain"] is None and "time did not suffice" in more["reason"]
    assert run(made("softmax"), seconds=0.0) == ((), {})


def test_twice_as_many_is_of_what_the_model_to_keep_learns_from_and_not_of_one_fold_less() -> None:
    lesson = made("softmax", 80)
    lesson = Lesson(**{**vars(lesson), "train": np.arange(80), "validation": lesson.validation[:0]})
    points, more = run(
        lesson, Split(lesson.train, lesson.validation, lesson.validation, np.arange(80) % 5, lesson.train)
    )
    assert points[-1]["rows"] == 64 and more["rows"] == 160


def test_rows_that_are_too_few_to_learn_from_give_no_points(spied: list[Lesson]) -> None:
    points, more = run(made("softmax", 100))
    assert [point["rows"] for point in points] == [35, 70]
    assert more["gain"] is None and "too few rows" in more["reason"]
    assert run(made("softmax", 20)) == ((), {})
    one_label = Lesson(**{**vars(made("softmax")), "y": np.zeros(800, np.int64)})
    assert run(one_label) == ((), {})


def test_the_same_seed_gives_the_same_curve() -> None:
    lesson = made("softmax", 300)
    assert run(lesson) == run(lesson)
