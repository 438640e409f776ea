"""Intervals: how often they hold the truth, what they cost, and what is drawn."""

import numpy as np
import pytest
from scipy.stats import binomtest, t

from tailorbird.measure.bootstrap import _student, figures, interval, redraw
from tailorbird.measure.metrics import METRICS

ACCURACY = {"accuracy": METRICS["accuracy"]}


def answers(right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True labels and scores of which these are right."""
    return np.zeros(len(right), np.int64), np.eye(2)[1 - right.astype(int)]


def test_the_interval_holds_the_truth_in_19_of_20_samples() -> None:
    rng, held, samples = np.random.default_rng(0), 0, 1200
    for seed in range(samples):
        figure = figures(ACCURACY, *answers(rng.random(150) < 0.8), seed=seed, resamples=200)["accuracy"]
        held += figure.low <= 0.8 <= figure.high
    assert 0.93 <= held / samples <= 0.97


def test_the_interval_holds_the_truth_when_rows_come_in_clusters() -> None:
    rng, held, samples = np.random.default_rng(1), 0, 800
    clusters = np.repeat(np.arange(40), 4)
    for seed in range(samples):
        share = rng.beta(8, 2, size=40)[clusters]  # of mean 0.8
        figure = figures(ACCURACY, *answers(rng.random(160) < share), clusters, seed, resamples=200)["accuracy"]
        held += figure.low <= 0.8 <= figure.high
    assert 0.93 <= held / samples <= 0.97


def test_rows_of_one_cluster_are_drawn_together() -> None:
    clusters = np.array([7, 3, 7, 9, 3])
    for weights in redraw(5, clusters, seed=0, resamples=20):
        assert weights[0] == weights[2] and weights[1] == weights[4]
        assert weights[0] + weights[1] + weights[3] == 3


def test_equal_rows_in_clusters_widen_the_interval() -> None:
    right = np.random.default_rng(0).random(100) < 0.7
    y, scores = answers(np.repeat(right, 4))
    alone = figures(ACCURACY, y, scores)["accuracy"]
    together = figures(ACCURACY, y, scores, np.repeat(np.arange(100), 4))["accuracy"]
    assert together.high - together.low > 1.7 * (alone.high - alone.low)


def test_every_figure_lies_in_its_interval_and_a_seed_gives_it_again() -> None:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(3), 3000)
    y = np.array([rng.choice(3, p=row) for row in scores])  # calibrated, so the calibration error is mere noise
    first, again, other = (figures(METRICS, y, scores, seed=seed) for seed in (5, 5, 6))
    assert first == again != other
    assert all(figure.low <= figure.value <= figure.high for figure in first.values())


@pytest.mark.parametrize("freedom", [3, 6, 20, 1000])
def test_students_point_is_that_of_scipy(freedom: int) -> None:
    assert _student(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=0.03 if freedom < 6 else 2e-3)


def test_percentiles_move_outwards_when_few_things_are_drawn() -> None:
    draws = np.random.default_rng(0).standard_normal((4000, 1))
    width = [float(np.ptp(interval(draws, size))) for size in (8, 30, 10_000)]
    assert width[0] > 1.15 * width[1] > 1.15 * width[2]
    assert width[2] == pytest.approx(2 * 1.96, rel=0.05)


@pytest.mark.parametrize("right", [True, False])
def test_rows_that_are_all_right_or_all_wrong_have_the_exact_interval(right: bool) -> None:
    y = np.arange(12) % 3
    theirs = binomtest(12 * right, 12).proportion_ci(0.95, "exact")
    found = figures(METRICS, y, np.eye(3)[y if right else (y + 1) % 3])
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert found[name].value == right
        assert (found[name].low, found[name].high) == pytest.approx((theirs.low, theirs.high))


def test_clusters_that_are_all_right_are_as_many_trials() -> None:
    y, scores = answers(np.ones(12, bool))
    theirs = binomtest(4, 4).proportion_ci(0.95, "exact")
    assert figures(ACCURACY, y, scores, np.arange(12) // 3)["accuracy"].low == pytest.approx(theirs.low)
