"""The gain of one more doubling, read off from those that were measured."""

from __future__ import annotations

import numpy as np
import pytest

from tailorbird.engine.doubling import expected_gain
from tailorbird.types import Figure


def power_law(share: float, first: float = 0.04, n: int = 4) -> np.ndarray:
    """Gains of doublings where each is this share of the one before."""
    return first * share ** np.arange(n + 1)


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 1.0])
def test_an_exact_power_law_is_continued(share: float) -> None:
    gains = power_law(share)
    found = expected_gain([(gain, 0.001) for gain in gains[:-1]], seed=0)
    assert isinstance(found, Figure)
    assert found.value == pytest.approx(gains[-1], rel=0.02)
    assert found.low < gains[-1] < found.high


def test_the_interval_holds_the_true_gain_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held, told = 0, 0
    for seed in range(100):
        gains, error = power_law(rng.uniform(0.55, 0.95)), 0.004
        found = expected_gain([(gain, error) for gain in rng.normal(gains[:-1], error)], seed)
        if isinstance(found, Figure):
            told += 1
            held += found.low <= gains[-1] <= found.high
    assert told >= 90
    assert held / told >= 0.88  # of 3,600 simulated at other errors 96 % were held


def test_no_trend_promises_nothing() -> None:
    found = expected_gain([(0.001, 0.005), (-0.002, 0.005), (0.002, 0.005), (0.0, 0.005)], seed=0)
    assert isinstance(found, Figure)
    assert found.low < 0 < found.high


def test_figures_that_jump_are_not_continued() -> None:
    assert expected_gain([(0.05, 0.001), (-0.05, 0.001), (0.06, 0.001), (0.001, 0.001)], seed=0) == (
        "the figures so far follow no smooth curve"
    )


def width(error: float) -> float:
    """How wide the interval is of gains that scatter, if their errors are told to be this."""
    found = expected_gain([(gain, error) for gain in (0.05, 0.025, 0.027, 0.011)], seed=0)
    assert isinstance(found, Figure)
    return found.high - found.low


def test_where_gains_scatter_more_than_their_errors_allow_the_scatter_counts() -> None:
    assert width(0.0035) == pytest.approx(width(0.005))
    assert width(0.012) > 1.5 * width(0.005)


def test_two_gains_are_too_few_to_see_a_trend() -> None:
    assert expected_gain([(0.05, 0.001), (0.03, 0.001)], seed=0) == "there are too few rows to see a trend"


def test_gains_without_any_error_do_no_harm() -> None:
    assert isinstance(expected_gain([(0.0, 0.0)] * 4, seed=0), Figure)
