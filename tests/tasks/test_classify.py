"""Labels of the classifier: their order, what is refused, and the answers."""

import numpy as np
import pytest

from tailorbird.errors import BadData
from tailorbird.measure.metrics import METRICS
from tailorbird.tasks.classify import Classify

TASK = Classify()


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


def test_targets_become_their_places_among_the_labels() -> None:
    y = TASK.encode(["b", "a", "b"], ("a", "b"))
    assert y.tolist() == [1, 0, 1] and y.dtype == np.int64


@pytest.mark.parametrize("target, hint", [("postive", "did you mean 'positive'?"), ("xyz", "correct or leave out")])
def test_an_unknown_label_is_named_with_the_known_ones(target: str, hint: str) -> None:
    with pytest.raises(BadData, match=repr(target)) as caught:
        TASK.encode(["positive", target], ("negative", "positive"))
    assert caught.value.hint.startswith(hint) and "'negative', 'positive'" in caught.value.hint


def test_an_answer_has_the_best_label_its_score_and_all_scores() -> None:
    answer = TASK.answer("cat.jpg", np.array([0.25, 0.75], np.float32), ("cat", "dog"))
    assert (answer.item, answer.label, answer.score, answer.error) == ("cat.jpg", "dog", 0.75, None)
    assert answer.scores == {"cat": 0.25, "dog": 0.75} and type(answer.score) is float


def test_every_metric_is_measured_with_its_interval() -> None:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(3), 90)
    figures = TASK.measure(rng.integers(3, size=90), scores, np.arange(90) // 2, seed=0)
    assert list(figures) == list(METRICS) and TASK.metric in figures
    assert all(figure.low <= figure.value <= figure.high for figure in figures.values())
