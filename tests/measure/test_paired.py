"""The paired test: exact where gains are wins, never sure of a handful of rows, and slow to claim a lift."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test

from tailorbird.measure.paired import paired, signs_matter
from tailorbird.types import Figure


def test_the_outcome_is_that_of_mcnemars_exact_test() -> None:
    for wins in range(16):
        for losses in range(16):
            gain = np.repeat([1, -1, 0], [wins, losses, 10])
            figure = paired(gain)
            significant = wins + losses > 0 and binomtest(wins, wins + losses).pvalue < 0.05
            assert (figure.low > 0 or figure.high < 0) == significant
            assert figure.low <= figure.value <= figure.high


def test_few_clusters_never_tell_two_models_apart_even_if_all_agree() -> None:
    gain, clusters = np.ones(50, np.int64), np.repeat(np.arange(10), 5)
    assert paired(gain, clusters).low == 1
    assert paired(gain, clusters // 2).low <= 0


def test_equal_models_on_clustered_rows_are_rarely_called_better() -> None:
    rng, better = np.random.default_rng(1), 0
    clusters = np.repeat(np.arange(12), 10)
    for seed in range(200):
        lean = rng.normal(0, 0.3, 12)[clusters]  # a cluster favours one of the two as a whole
        gain = np.sign(rng.normal(lean, 0.5)).astype(np.int64)
        better += paired(gain, clusters, seed).low > 0
    assert better <= 0.05 * 200


@pytest.mark.parametrize("wins, losses, better", [(4, 0, False), (5, 0, False), (6, 0, True), (8, 1, True)])
@pytest.mark.parametrize("twins", [(0, 1), (0, 199), (198, 199)])
@pytest.mark.parametrize("seed", range(3))
def test_one_pair_of_twins_makes_no_claim_that_the_exact_test_would_not(
    wins: int, losses: int, better: bool, twins: tuple[int, int], seed: int
) -> None:
    clusters = np.arange(200)
    clusters[twins[1]] = twins[0]
    gain = np.repeat([0, 1, 0, -1], [2, wins, 198 - wins - losses, losses])  # whether twins tell apart matters little
    assert (paired(gain, clusters, seed).low > 0) == better
    assert (paired(-gain, clusters, seed).high < 0) == better


def test_equal_models_on_rows_with_some_twins_are_called_better_in_at_most_one_of_twenty() -> None:
    rng, better = np.random.default_rng(2), 0
    clusters = np.concatenate([np.arange(190), np.arange(10)])
    for seed in range(1000):
        gain = rng.choice([1, 0, -1], 190, p=[0.03, 0.94, 0.03])[clusters]
        better += paired(gain, clusters, seed, 200).low > 0
    assert better <= 50


def test_models_that_never_differed_may_differ_on_rows_not_seen() -> None:
    alone = paired(np.zeros(300, np.int64))
    assert alone.value == 0 and alone.high == -alone.low == pytest.approx(binomtest(0, 300).proportion_ci().high)
    together = paired(np.zeros(300, np.int64), np.repeat(np.arange(30), 10))
    assert together.value == 0 and together.high == -together.low == pytest.approx(0.1157, abs=1e-4)
    assert paired(np.zeros(300), most=inf) == Figure(0.0, 0.0, 0.0), "of what has no bounds nothing can be said"


def test_clusters_widen_the_interval() -> None:
    gain = np.repeat(np.random.default_rng(0).choice([1, 0, -1], 60, p=[0.5, 0.3, 0.2]), 5)
    alone, together = paired(gain), paired(gain, np.repeat(np.arange(60), 5))
    assert together.high - together.low > 1.7 * (alone.high - alone.low)


def test_clusters_of_single_rows_count_as_none() -> None:
    gain = np.array([1, 1, 0, -1, 1, 1, 1])
    assert paired(gain, np.arange(7)) == paired(gain)


def test_turned_signs_of_wins_are_mcnemars_exact_test() -> None:
    for wins in range(11):
        for losses in range(11 - wins):
            gain = np.repeat([1.0, -1.0, 0.0], [wins, losses, 3])
            assert signs_matter(gain) == (wins + losses > 0 and binomtest(wins, wins + losses).pvalue < 0.05)


@pytest.mark.parametrize("n", [5, 9, 30, 200])
def test_turned_signs_are_the_permutation_test_of_scipy(n: int) -> None:
    for seed in range(8):
        gain = np.random.default_rng(seed).normal(0.4 / np.sqrt(n / 30), 1, n)
        theirs = permutation_test((gain,), np.sum, permutation_type="samples", n_resamples=4000, rng=0).pvalue
        assert signs_matter(gain) == (theirs < 0.05) or abs(theirs - 0.05) < 0.01


@pytest.mark.parametrize("n, better", [(1, False), (5, False), (6, True)])
def test_five_gains_or_fewer_are_never_enough(n: int, better: bool) -> None:
    gain = np.linspace(1.0, 1.2, 6)[:n]
    assert (paired(gain).low > 0) == (paired(-gain).high < 0) == better
    assert (paired(np.repeat(gain, 4), np.repeat(np.arange(n), 4)).low > 0) == better


@pytest.mark.parametrize("n", [8, 30, 150])
def test_equal_errors_with_long_tails_are_told_apart_in_at_most_one_of_twenty(n: int) -> None:
    rng, apart = np.random.default_rng(n), 0
    for seed in range(400):
        figure = paired(rng.standard_t(3, n), seed=seed, resamples=200)
        apart += figure.low > 0 or figure.high < 0
    print(f"{n} rows: {apart} of 400 equal models told apart")
    assert apart <= 32  # 20 are expected, and more than 32 in one of 300 such tests
