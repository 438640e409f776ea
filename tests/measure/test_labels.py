"""Metrics of any number of labels, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from tailorbird.measure.bootstrap import figures
from tailorbird.measure.labels import label_table, metrics, precisions


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Truth of which every label has a row, and scores with many ties."""
    n, c, seed = draw(st.integers(2, 40)), draw(st.integers(2, 6)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    y = (rng.random((n, c)) < draw(st.sampled_from([0.1, 0.5, 0.9]))).astype(np.float32)
    y[rng.integers(n, size=c), np.arange(c)] = 1
    steps = draw(st.sampled_from([1, 3, 1000]))
    return y, np.round(0.7 * rng.random((n, c)) + 0.3 * y * rng.random((n, c)), 6) * steps // 1 / steps


@given(answers(), st.sampled_from([0.2, 0.5]))
@settings(max_examples=60, deadline=None)
def test_figures_are_those_of_scikit_learn(made: tuple[np.ndarray, np.ndarray], cut: float) -> None:
    y, scores = made
    given_ = (scores >= cut).astype(int)
    theirs = {
        "average_precision": peer.average_precision_score(y, scores, average="micro"),
        "macro_average_precision": peer.average_precision_score(y, scores, average="macro"),
        "micro_f1": peer.f1_score(y, given_, average="micro", zero_division=0),
        "macro_f1": peer.f1_score(y, given_, average="macro", zero_division=0),
        "exact_match": peer.accuracy_score(y, given_),
        "hamming_loss": peer.hamming_loss(y, given_),
    }
    ours = {name: metric(y, scores) for name, metric in metrics(cut).items()}
    assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-9)  # macro-F1 is counted in single precision
    assert precisions(y, scores).mean() == pytest.approx(theirs["average_precision"])
    columns = peer.precision_recall_fscore_support(y, given_, zero_division=0)
    table = label_table(y, scores, cut)
    for column, name in zip(columns, ("precision", "recall", "f1", "support"), strict=True):
        assert [row[name] for row in table] == pytest.approx(list(column))
    by_label = peer.average_precision_score(y, scores, average=None)
    assert [row["average_precision"] for row in table] == pytest.approx(list(by_label))


@given(answers())
@settings(max_examples=30, deadline=None)
def test_average_precision_by_row_is_its_slope_by_the_weight_of_the_row(made: tuple[np.ndarray, np.ndarray]) -> None:
    y, scores = made
    n, step, rows = len(y), 1e-6, precisions(y, scores)
    for i in range(min(n, 5)):
        weights = np.ones(n) + step * (np.arange(n) == i)
        moved = peer.average_precision_score(y.ravel(), scores.ravel(), sample_weight=np.repeat(weights, y.shape[1]))
        assert moved - rows.mean() == pytest.approx(step * (rows[i] - rows.mean()) / n, abs=1e-10)


@pytest.mark.parametrize("name", ["micro_f1", "macro_f1", "exact_match", "hamming_loss"])
def test_a_row_of_weight_two_counts_as_two_rows(name: str) -> None:
    rng = np.random.default_rng(0)
    y, scores = (rng.random((50, 4)) < 0.3).astype(np.float32), rng.random((50, 4))
    weights, metric = rng.integers(0, 3, (5, 50)), metrics(0.4)[name]
    weighted = metric.aggregate(metric.statistic(y, scores), weights.astype(float))
    repeated = [metric(np.repeat(y, times, axis=0), np.repeat(scores, times, axis=0)) for times in weights]
    assert weighted == pytest.approx(repeated, rel=1e-6)


@pytest.mark.parametrize("name", ["average_precision", "macro_average_precision"])
def test_resampled_average_precision_is_close_to_that_of_the_rows_drawn(name: str) -> None:
    rng = np.random.default_rng(0)
    y = (rng.random((1000, 3)) < 0.3).astype(np.float32)
    scores, metric = rng.random(y.shape) + 0.5 * y, metrics(0.5)[name]
    weights = rng.multinomial(1000, np.full(1000, 1e-3), size=20)
    approximate = metric.aggregate(metric.statistic(y, scores), weights.astype(float))
    exact = np.array([metric(np.repeat(y, times, axis=0), np.repeat(scores, times, axis=0)) for times in weights])
    assert np.abs(approximate - exact).max() < 0.25 * exact.std()


def test_labels_without_rows_are_left_out_of_macro_averages() -> None:
    y = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]], np.float32)
    scores = np.array([[0.9, 0.1, 0.2], [0.1, 0.9, 0.3], [0.8, 0.2, 0.1]])
    assert metrics(0.5)["macro_average_precision"](y, scores) == 1
    assert metrics(0.5)["macro_f1"](y, scores) == 1
    assert label_table(y, scores, 0.5)[2] == {
        "precision": 0, "recall": 0, "f1": 0, "support": 0, "average_precision": 0,
    }  # fmt: skip


def test_rows_without_labels_and_without_answers_are_matched_and_bear_on_no_other_figure() -> None:
    y, scores = np.zeros((6, 2), np.float32), np.full((6, 2), 0.1)
    found = figures(metrics(0.5), y, scores)
    assert (found["exact_match"].value, found["hamming_loss"].value) == (1, 0)
    assert found["exact_match"].low < 0.6 and found["hamming_loss"].high > 0.4
    for name in ("average_precision", "macro_average_precision", "micro_f1", "macro_f1"):
        assert (found[name].value, found[name].low, found[name].high) == (0, 0, 1), name


def test_a_perfect_score_has_the_exact_interval_of_the_rows_that_bear_on_it() -> None:
    y = np.zeros((100, 3), np.float32)
    y[:10, 0] = 1
    found = figures(metrics(0.5), y, y.astype(np.float64))
    assert found["micro_f1"].low == found["average_precision"].low == pytest.approx(0.025 ** (1 / 10))
    assert found["exact_match"].low == pytest.approx(0.025 ** (1 / 100))


def test_the_interval_of_average_precision_stays_between_0_and_1() -> None:
    y, scores = np.zeros((30, 1), np.float32), np.linspace(1, 0, 30)[:, None]
    y[[0, 1, 2, 4]] = 1
    figure = figures(metrics(0.5), y, scores)["average_precision"]
    assert 0.3 < figure.low < figure.value == pytest.approx(0.95) and figure.value < figure.high < 1
