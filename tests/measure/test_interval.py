"""The ends of intervals, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tailorbird.measure.bootstrap import spread
from tailorbird.measure.interval import interval, student

FLAT = np.zeros((50, 1))


@pytest.mark.parametrize("freedom", [3, 6, 20, 1000])
def test_students_point_is_that_of_scipy(freedom: int) -> None:
    rel = 0.03 if freedom < 6 else 2e-3
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=rel)


def test_points_move_outwards_when_few_things_are_drawn() -> None:
    draws = np.random.default_rng(0).standard_normal((4000, 1))
    width = [float(np.ptp(interval(draws, np.zeros(1), FLAT, size))) for size in (8, 30, 10_000)]
    assert width[0] > 1.15 * width[1] > 1.15 * width[2]
    assert width[2] == pytest.approx(2 * 1.96, rel=0.05)


def test_points_move_outwards_when_few_rows_carry_a_figure() -> None:
    draws, even = np.random.default_rng(0).standard_normal((4000, 1)), np.tile([1.0, -1.0], 50)[:, None]
    few = even * (np.arange(100) < 6)[:, None]
    narrow, wide = (float(np.ptp(interval(draws, np.zeros(1), left_out, 100))) for left_out in (even, few))
    assert wide > 1.05 * narrow


@pytest.mark.parametrize("statistic", [np.mean, np.var])
def test_of_many_rows_the_interval_is_scipys_bca(statistic: object) -> None:
    rows = np.random.default_rng(1).exponential(size=400)
    square = statistic is np.var

    def aggregate(weights: np.ndarray) -> np.ndarray:
        mean = weights @ rows / weights.sum(1)
        return (weights @ rows**2 / weights.sum(1) - mean**2 if square else mean)[:, None]

    theirs = stats.bootstrap((rows,), statistic, n_resamples=20_000, method="BCa", rng=0).confidence_interval
    _, (low,), (high,) = spread(aggregate, len(rows), None, 0, 20_000)
    # Ours is a little wider: Student's points, and of a variance the few degrees of freedom of a long tail.
    assert theirs.low - 0.1 * np.ptp(theirs) < low <= theirs.low + 0.01 * np.ptp(theirs)
    assert theirs.high - 0.01 * np.ptp(theirs) <= high < theirs.high + 0.25 * np.ptp(theirs)


def test_draws_that_do_not_differ_have_an_interval_of_one_point() -> None:
    low, high = interval(np.full((100, 2), 3.0), np.full(2, 3.0), np.full((9, 2), 3.0), 9)
    assert low.tolist() == high.tolist() == [3, 3]


def test_noise_of_the_draws_shifts_nothing() -> None:
    draws = np.arange(-49.5, 50)[:, None]
    ends = [interval(draws, np.array([value]), FLAT, 10_000) for value in (0.0, 4.0, 25.0)]
    assert ends[0] == ends[1]
    assert ends[2][0] > ends[0][0]
