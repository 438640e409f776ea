"""Exact intervals against scipy."""

import pytest
from scipy.stats import binomtest

from tailorbird.measure.exact import clopper_pearson


@pytest.mark.parametrize("hits, trials", [(0, 1), (1, 1), (0, 20), (7, 20), (20, 20), (510, 1000), (59_000, 60_000)])
def test_the_interval_of_a_share_is_that_of_scipy(hits: int, trials: int) -> None:
    theirs = binomtest(hits, trials).proportion_ci(0.95, "exact")
    assert clopper_pearson(hits, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
