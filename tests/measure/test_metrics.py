"""Metrics against scikit-learn, and with row weights against rows that are repeated."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as peer

from tailorbird.measure.metrics import METRICS, class_table, confusion, right


def made(n: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(c, size=n)
    scores = rng.dirichlet(np.ones(c), n) + 0.3 * np.eye(c)[y]
    return y, scores / scores.sum(1, keepdims=True)


@pytest.mark.parametrize("c", [2, 3, 10])
def test_figures_are_those_of_scikit_learn(c: int) -> None:
    y, scores = made(400, c)
    predicted = scores.argmax(1)
    theirs = {
        "accuracy": peer.accuracy_score(y, predicted),
        "balanced_accuracy": peer.balanced_accuracy_score(y, predicted),
        "macro_f1": peer.f1_score(y, predicted, average="macro"),
        "log_loss": peer.log_loss(y, scores, labels=np.arange(c)),
    }
    assert {name: METRICS[name](y, scores) for name in theirs} == pytest.approx(theirs, rel=1e-12)
    assert right(y, scores).mean() == pytest.approx(theirs["accuracy"])


def test_macro_f1_counts_labels_that_are_true_or_given_and_no_others() -> None:
    y, scores = np.array([0, 0, 2]), np.eye(5)[[0, 3, 2]]
    assert METRICS["macro_f1"](y, scores) == pytest.approx(peer.f1_score(y, [0, 3, 2], average="macro"))


def test_balanced_accuracy_leaves_out_labels_that_no_row_has() -> None:
    assert METRICS["balanced_accuracy"](np.array([0, 0, 2]), np.eye(5)[[0, 3, 2]]) == 0.75


def test_log_loss_of_an_impossible_label_is_finite() -> None:
    y, scores = np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])
    assert METRICS["log_loss"](y, scores) == pytest.approx(peer.log_loss(y, scores))


def test_calibration_error_is_the_mean_gap_between_confidence_and_accuracy() -> None:
    confidence = np.repeat([0.62, 0.95], [50, 100])
    scores = np.column_stack([confidence, 1 - confidence])
    y = np.zeros(150, np.int64)
    y[:25] = 1  # half right where 62 % were promised, all right where 95 % were
    assert METRICS["ece"](y, scores) == pytest.approx((50 * 0.12 + 100 * 0.05) / 150)


def test_full_confidence_falls_into_the_last_bin() -> None:
    scores = np.array([[1.0, 0.0], [0.97, 0.03]])
    assert METRICS["ece"](np.array([1, 0]), scores) == pytest.approx((1 - 0.03) / 2)


@pytest.mark.parametrize("c", [4, 80])
@pytest.mark.parametrize("name", METRICS)
def test_a_row_of_weight_two_counts_as_two_rows_in_each_of_many_draws(name: str, c: int) -> None:
    y, scores = made(60, c)
    weights = np.random.default_rng(1).integers(0, 3, (5, 60))
    metric = METRICS[name]
    weighted = metric.aggregate(metric.statistic(y, scores), weights.astype(float))
    repeated = [metric(np.repeat(y, times), np.repeat(scores, times, axis=0)) for times in weights]
    assert weighted == pytest.approx(repeated, rel=1e-12)


def test_confusion_and_the_table_by_label_are_those_of_scikit_learn() -> None:
    y, scores = made(300, 5)
    predicted = scores.argmax(1)
    table = confusion(y, predicted, 5)
    assert (table == peer.confusion_matrix(y, predicted)).all()
    theirs = peer.precision_recall_fscore_support(y, predicted)
    ours = class_table(y, predicted, 5)
    for column, name in zip(theirs, ("precision", "recall", "f1", "support"), strict=True):
        assert [row[name] for row in ours] == pytest.approx(list(column))


def test_a_label_that_is_neither_true_nor_given_has_zeros_in_the_table() -> None:
    assert class_table(np.array([0]), np.array([0]), 2)[1] == {
        "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0,
    }  # fmt: skip
