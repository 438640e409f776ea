"""Intervals: what is drawn, what is left out, and where the exact interval stands in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tailorbird.measure.bootstrap import figures, leave_out, redraw
from tailorbird.measure.metrics import METRICS

ACCURACY = {"accuracy": METRICS["accuracy"]}


def answers(right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True labels and scores of which these are right."""
    return np.zeros(len(right), np.int64), np.eye(2)[1 - right.astype(int)]


def test_rows_of_one_cluster_are_drawn_together() -> None:
    weights = np.concatenate(list(redraw(5, np.array([7, 3, 7, 9, 3]), seed=0, resamples=20)))
    assert weights.shape == (20, 5) and weights.std() > 0
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()


def test_draws_are_the_same_however_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(redraw(50, None, seed=3, resamples=30)))
    assert (whole.sum(1) == 50).all()
    monkeypatch.setattr("tailorbird.measure.bootstrap._CELLS", 170)
    parts = list(redraw(50, None, seed=3, resamples=30))
    assert [len(part) for part in parts] == [3] * 10
    assert (np.concatenate(parts) == whole).all()


@pytest.mark.parametrize("n, clusters", [(7, None), (1000, None), (9, np.arange(9) // 3)])
def test_every_row_is_left_out_once(n: int, clusters: np.ndarray | None) -> None:
    weights = np.concatenate(list(leave_out(n, clusters, seed=0)))
    assert len(weights) == min(n if clusters is None else 3, 300)
    assert ((weights == 0).sum(0) == 1).all()
    if clusters is not None:
        assert (weights[:, ::3] == weights[:, 1::3]).all()


def test_one_thing_alone_is_not_left_out() -> None:
    assert [weights.tolist() for weights in leave_out(3, np.zeros(3, np.int64), seed=0)] == [[[1, 1, 1]]]


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
