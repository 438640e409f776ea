"""Learning fold by fold: what the head of each fold sees."""

import time
from dataclasses import replace

import numpy as np

from tailorbird.data.split import Split
from tailorbird.engine.choose import Choice
from tailorbird.engine.learn import baselines_for, learn_and_try
from tailorbird.lesson import Evidence, Lesson, Link, Tailored
from tailorbird.methods.probe import Probe
from tailorbird.types import BodyFolder


class Watched(Probe):
    def tailor(self, lesson: Lesson) -> Tailored:
        self.__dict__.setdefault("lessons", []).append(lesson)
        tailored = super().tailor(lesson)
        self.__dict__.setdefault("heads", []).append(tailored.head)
        return tailored


def never(body: BodyFolder) -> Choice:
    raise AssertionError("no body learned")


def made(link: Link) -> tuple[Lesson, Split, Evidence]:
    """120 rows in clusters of four and five folds, whose first feature tells the target."""
    rng, nothing = np.random.default_rng(0), np.zeros(0, np.int64)
    clusters = np.arange(120) // 4
    number = clusters % 2
    x = (rng.standard_normal((120, 6)) + number[:, None]).astype(np.float32)
    y = number if link == "softmax" else np.stack([number, 1 - number], 1).astype(np.float32)
    weights = np.ones(120, np.float32)
    lesson = Lesson({"last": x}, y, 2, weights, np.arange(120), nothing, 0, clusters=clusters, link=link)
    return lesson, Split(lesson.train, nothing, nothing, clusters % 5, clusters), Evidence([""] * 120, None, x)


def test_the_head_of_each_fold_and_the_kept_one_leave_out_whole_clusters() -> None:
    lesson, split, evidence = made("softmax")
    method = Watched(strengths=3)
    _, trial = learn_and_try(method, {}, lesson, evidence, split, never)
    assert [head.notes["held_out"] for head in method.__dict__["heads"]] == ["cluster folds"] * 6
    for seen in method.__dict__["lessons"]:
        assert seen.clusters is not None and len(seen.clusters) == 120
    assert sorted(trial.rows) == list(range(120)) and trial.model.scores.shape == (120, 2)


def test_only_the_kept_model_begins_with_what_was_there_early() -> None:
    """It has seen the rows of every fold."""
    lesson, split, evidence = made("softmax")
    method = Watched(strengths=1)
    early = Probe(strengths=1).tailor(lesson)
    learn_and_try(method, {}, replace(lesson, early=early), evidence, split, never)
    assert [seen.early for seen in method.__dict__["lessons"]] == [None] * 5 + [early]


def test_each_fold_gets_an_equal_share_of_the_time_that_is_left() -> None:
    lesson, split, evidence = made("softmax")
    method, now = Watched(strengths=1), time.monotonic()
    learn_and_try(method, {}, replace(lesson, deadline=now + 6000), evidence, split, never)
    seconds = [seen.deadline - now for seen in method.__dict__["lessons"]]
    assert np.allclose(seconds, [1000, 1200, 1500, 2000, 3000, 6000], atol=30)


def test_a_baselines_cut_is_chosen_on_rows_that_it_did_not_learn_from() -> None:
    lesson, split, evidence = made("sigmoid")
    learned, trial = learn_and_try(
        Watched(strengths=1), baselines_for("text", "sigmoid"), lesson, evidence, split, never
    )
    assert {"neighbour", "frequency"} <= set(learned.baselines)
    for name, (_, (facts, _)) in learned.baselines.items():
        assert 0.05 <= facts["cut"] <= 0.95, name
    assert all(rival.scores.shape == (120, 2) for rival in trial.rivals.values())
