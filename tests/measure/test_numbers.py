"""Metrics of a number, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from tailorbird.measure.bootstrap import figures
from tailorbird.measure.numbers import METRICS, distances


def made(n: int, seed: int, offset: float = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = offset + rng.normal(0, 3, (n, 1)).round(1)
    return y, y + rng.standard_t(3, (n, 1))


@given(st.integers(2, 60), st.integers(0, 10**6), st.sampled_from([0, 1e3, 1e9]))
@settings(max_examples=60, deadline=None)
def test_figures_are_those_of_scikit_learn(n: int, seed: int, offset: float) -> None:
    y, scores = made(n, seed, offset)
    theirs = {
        "mae": peer.mean_absolute_error(y, scores),
        "median_absolute_error": peer.median_absolute_error(y, scores),
        "rmse": peer.root_mean_squared_error(y, scores),
        "r2": peer.r2_score(y, scores),
    }
    assert {name: metric(y, scores) for name, metric in METRICS.items()} == pytest.approx(theirs, rel=1e-6)
    assert distances(y, scores).mean() == pytest.approx(theirs["mae"])


@pytest.mark.parametrize("name", METRICS)
def test_a_row_of_weight_two_counts_as_two_rows(name: str) -> None:
    y, scores = made(41, 0)
    weights, metric = np.random.default_rng(1).integers(0, 3, (8, 41)), METRICS[name]
    weighted = metric.aggregate(metric.statistic(y, scores), weights.astype(float))
    repeated = [metric(np.repeat(y, times, axis=0), np.repeat(scores, times, axis=0)) for times in weights]
    assert weighted == pytest.approx(repeated, rel=1e-9)


@pytest.mark.parametrize("answer", [5.0, 6.0])
def test_explained_variance_of_targets_that_are_all_one_number_is_that_of_scikit_learn(answer: float) -> None:
    y, scores = np.full((4, 1), 5.0), np.full((4, 1), answer)
    assert METRICS["r2"](y, scores) == peer.r2_score(y, scores)
    assert METRICS["r2"](y[:1], scores[:1]) == (answer == 5)


def test_every_figure_lies_in_its_interval_even_of_two_rows_and_of_constant_errors() -> None:
    for y, scores in (made(2, 0), made(30, 1), (np.arange(9.0)[:, None], np.arange(9.0)[:, None] + 1)):
        for name, figure in figures(METRICS, y, scores).items():
            assert figure.low <= figure.value <= figure.high, name


def test_single_precision_loses_nothing_of_large_numbers() -> None:
    y = np.array([[1e9 + 1], [1e9 + 2]])
    assert distances(y, np.array([[1e9], [1e9]])).tolist() == [1, 2]
