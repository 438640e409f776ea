"""Labels of the classifier: their order, what is refused, and the answers."""

from __future__ import annotations

import numpy as np
import pytest

from tailorbird.errors import BadData
from tailorbird.measure.metrics import METRICS
from tailorbird.tasks.classify import Classify
from tailorbird.types import Dataset, Rows

TASK = Classify()


def dataset(cells: list[str], target: str = "mood") -> Dataset:
    ids = tuple(f"a.csv:{i + 2}" for i in range(len(cells)))
    return Dataset(Rows(ids, {"text": ids}, tuple(cells)), "text", "text", target, "a.csv")


@pytest.mark.parametrize(
    "targets, labels",
    [
        (["pos", "neg", "pos"], ("neg", "pos")),
        (["10", "9", "-1", "9"], ("-1", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["1", "01", "2"], ("01", "1", "2")),
        (["٣", "10"], ("10", "٣")),  # digits of other scripts are words
        (["9" * 5000, "10"], ("10", "9" * 5000)),
        (["1.5", "10", "9"], ("1.5", "10", "9")),
    ],
)
def test_labels_are_sorted_and_integers_by_their_value(targets: list[str], labels: tuple[str, ...]) -> None:
    assert TASK.labels(targets) == labels


def test_a_target_with_one_label_is_refused() -> None:
    with pytest.raises(BadData) as caught:
        TASK.labels(["cat", "cat"])
    assert caught.value.problem == "the target has 1 label, 'cat', and a classifier needs two or more"
    assert caught.value.hint == "name the right column: --target NAME"


def test_a_target_without_values_is_refused() -> None:
    with pytest.raises(BadData, match="0 labels"):
        TASK.labels([])


def test_over_10_000_labels_are_refused() -> None:
    assert len(TASK.labels([str(i) for i in range(10_000)])) == 10_000
    with pytest.raises(BadData, match=r"10,001 labels.*10,000 at most"):
        TASK.labels([str(i) for i in range(10_001)])


@pytest.mark.parametrize(
    ("cells", "target", "problem", "hint"),
    [
        (["pos"] * 20, "mood", "'a.csv' has 1 label, 'pos', and a classifier needs two or more", "--target NAME"),
        (
            ["cat"] * 20,
            "label",
            "'a.csv' has 1 label, 'cat', and a classifier needs two or more",
            "one folder or value",
        ),
        ([str(i * 1.5) for i in range(20)], "mood", "holds 20 different numbers such as '0.0'", "--task regress"),
        ([str(i % 150 / 10) for i in range(600)], "mood", "holds 150 different numbers such as", "--task regress"),
        (
            [f"n{i}" for i in range(20)],
            "mood",
            "'mood' of 'a.csv' has another value in each of its 20",
            "--target NAME",
        ),
        ([f"n{i // 2}" for i in range(20_002)], "mood", "has 10,001 labels, and the limit is 10,000", "--target NAME"),
    ],
)
def test_targets_that_no_classifier_learns_are_refused(cells: list[str], target: str, problem: str, hint: str) -> None:
    with pytest.raises(BadData) as caught:
        TASK.check(dataset(cells, target))
    assert problem in caught.value.problem and hint in caught.value.hint


def test_numbers_that_may_be_names_are_labels() -> None:
    for cells in (
        [str(i % 10) for i in range(600)],  # digits
        [str(i % 11 / 2) for i in range(600)],  # half stars
        [str(i % 150) for i in range(600)],  # numbered classes
        [f"{i % 120 * 7:05}" for i in range(600)],  # post codes
    ):
        assert TASK.check(dataset(cells)) == ()


def test_labels_that_differ_by_case_or_spaces_alone_are_told_with_examples() -> None:
    cells = ["new york", "Rome", "New York", "rome", "newyork", "Oslo", "Rome"]
    (finding,) = TASK.check(dataset(cells))
    assert (finding.kind, finding.rows) == ("similar_labels", 6)
    assert finding.action == (
        "kept apart, though they differ by letter case or spaces alone: "
        "'New York' and 'new york' and 'newyork'; 'Rome' and 'rome'"
    )
    assert finding.examples == ("a.csv:4 'New York'", "a.csv:2 'new york'", "a.csv:6 'newyork'")


def test_targets_become_their_places_among_the_labels() -> None:
    y = TASK.encode(["b", "a", "b"], ("a", "b"))
    assert y.tolist() == [1, 0, 1] and y.dtype == np.int64


@pytest.mark.parametrize("target, hint", [("postive", "did you mean 'positive'?"), ("xyz", "correct or leave out")])
def test_an_unknown_label_is_named_with_the_known_ones(target: str, hint: str) -> None:
    with pytest.raises(BadData, match=repr(target)) as caught:
        TASK.encode(["positive", target], ("negative", "positive"))
    assert caught.value.hint.startswith(hint) and "'negative', 'positive'" in caught.value.hint


def test_an_answer_has_the_best_label_its_score_and_all_scores() -> None:
    answer = TASK.answer("cat.jpg", np.array([0.25, 0.75], np.float32), ("cat", "dog"), 0.5)
    assert (answer.item, answer.label, answer.score, answer.error) == ("cat.jpg", "dog", 0.75, None)
    assert answer.scores == {"cat": 0.25, "dog": 0.75} and type(answer.score) is float


def test_every_metric_is_measured_with_its_interval() -> None:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(3), 90)
    figures = TASK.measure(rng.integers(3, size=90), scores, 0.5, np.arange(90) // 2, seed=0)
    assert list(figures) == list(METRICS) and TASK.metric in figures
    assert all(figure.low <= figure.value <= figure.high for figure in figures.values())


def test_a_wrong_answer_is_as_bad_as_its_score_stands_above_the_right_ones() -> None:
    scores = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    assert TASK.badness(np.array([0, 0]), scores, 0.5) == pytest.approx([-0.5, 0.1])
    assert scores[0, 0] == 0.7
