"""The verdict: exact where rows are single, and slow to claim a lift."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import binomtest

from tailorbird.measure.bootstrap import redraw
from tailorbird.measure.verdict import paired, verdict


def scores(right: np.ndarray) -> np.ndarray:
    return np.eye(2)[1 - right.astype(int)]


def judged(model: np.ndarray, *baselines: np.ndarray, clusters: np.ndarray | None = None):
    names = [f"b{i}" for i in range(len(baselines))]
    rivals = dict(zip(names, map(scores, baselines), strict=True))
    titles = {name: f"baseline {name}" for name in names}
    return verdict(np.zeros(len(model), np.int64), scores(model), rivals, clusters, titles)


def test_the_outcome_is_that_of_mcnemars_exact_test() -> None:
    for wins in range(16):
        for losses in range(16):
            gain = np.repeat([1, -1, 0], [wins, losses, 10])
            figure = paired(gain)
            significant = wins + losses > 0 and binomtest(wins, wins + losses).pvalue < 0.05
            assert (figure.low > 0 or figure.high < 0) == significant
            assert figure.low <= figure.value <= figure.high


def test_two_equal_models_are_told_apart_in_at_most_one_of_twenty() -> None:
    rng, outcomes = np.random.default_rng(0), []
    for _ in range(1000):
        hard = rng.random(200) < 0.5
        right = [rng.random(200) < np.where(hard, 0.6, 0.95) for _ in range(2)]
        outcomes.append(judged(*right).outcome)
    assert outcomes.count("better") <= 50
    assert outcomes.count("better") + outcomes.count("worse") <= 50


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


def test_equal_models_on_rows_with_some_twins_are_called_better_in_at_most_one_of_twenty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tailorbird.measure.verdict.redraw", partial(redraw, resamples=200))
    rng, better = np.random.default_rng(2), 0
    clusters = np.concatenate([np.arange(190), np.arange(10)])
    for seed in range(1000):
        gain = rng.choice([1, 0, -1], 190, p=[0.03, 0.94, 0.03])[clusters]
        better += paired(gain, clusters, seed).low > 0
    assert better <= 50


def test_clusters_widen_the_interval() -> None:
    gain = np.repeat(np.random.default_rng(0).choice([1, 0, -1], 60, p=[0.5, 0.3, 0.2]), 5)
    alone, together = paired(gain), paired(gain, np.repeat(np.arange(60), 5))
    assert together.high - together.low > 1.7 * (alone.high - alone.low)


def test_clusters_of_single_rows_count_as_none() -> None:
    gain = np.array([1, 1, 0, -1, 1, 1, 1])
    assert paired(gain, np.arange(7)) == paired(gain)


def test_a_clear_lift_over_the_best_baseline_is_better() -> None:
    rng = np.random.default_rng(0)
    weak, strong, model = (rng.random(1000) < share for share in (0.6, 0.8, 0.9))
    told = judged(model, weak, strong)
    assert (told.outcome, told.baseline) == ("better", "b1")
    assert told.sentence.startswith("The model is better than baseline b1: accuracy 9")


def test_a_model_that_is_not_better_is_advised_against_by_name() -> None:
    right = np.random.default_rng(0).random(300) < 0.8
    same = judged(right, right)
    assert same.outcome == "not_distinguishable"
    assert same.sentence.startswith("No gain over baseline b0 is shown, so take that")
    worse = judged(right & (np.arange(300) % 3 > 0), right)
    assert worse.outcome == "worse"
    assert worse.sentence.startswith("Do not use this model, take baseline b0:")


def test_a_model_that_always_agrees_with_its_baseline_has_a_difference_of_nothing() -> None:
    right = np.array([True, False, True])
    figure = judged(right, right).difference
    assert (figure.low, figure.value, figure.high) == (0, 0, 0)
