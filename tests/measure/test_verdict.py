"""The verdict: which rival is taken, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from tailorbird.lesson import Rival
from tailorbird.measure.labels import precisions
from tailorbird.measure.metrics import right
from tailorbird.measure.numbers import distances
from tailorbird.measure.verdict import verdict
from tailorbird.types import Verdict


def scores(hits: np.ndarray) -> np.ndarray:
    return np.eye(2)[1 - hits.astype(int)]


def judged(model: np.ndarray, *baselines: np.ndarray, clusters: np.ndarray | None = None) -> Verdict:
    rivals = {f"b{i}": Rival(f"baseline b{i}", scores(one)) for i, one in enumerate(baselines)}
    return verdict("accuracy", right, np.zeros(len(model), np.int64), scores(model), rivals, clusters)


def test_two_equal_models_are_told_apart_in_at_most_one_of_twenty() -> None:
    rng, outcomes = np.random.default_rng(0), []
    for _ in range(1000):
        hard = rng.random(200) < 0.5
        right = [rng.random(200) < np.where(hard, 0.6, 0.95) for _ in range(2)]
        outcomes.append(judged(*right).outcome)
    assert outcomes.count("better") <= 50
    assert outcomes.count("better") + outcomes.count("worse") <= 50


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


def test_a_model_that_always_agrees_with_its_baseline_has_a_difference_of_about_nothing() -> None:
    told = judged(np.arange(300) % 3 > 0, np.arange(300) % 3 > 0)
    assert told.sentence.endswith("on 300 rows, a difference of +0.0 points (95 % interval -1.2 to +1.2).")
    y = np.arange(40.0)[:, None]
    told = verdict("mae", distances, y, y + 1, {"b": Rival("b", y + 1)}, None)
    assert (told.difference.low, told.difference.high) == (0, 0), "a row may be as far off as it likes"


def test_sentences_name_the_metric_and_its_figures() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random((400, 3)) < 0.3).astype(np.float32)
    rivals = {"b": Rival("guessing", rng.random(y.shape))}
    told = verdict("average_precision", precisions, y, 0.3 * y + rng.random(y.shape), rivals, None)
    assert told.metric == "average_precision" and told.difference.value == pytest.approx(0.315, abs=1e-3)
    assert told.sentence == (
        "The model is better than guessing: average precision 0.608 against 0.293 on 400 rows, "
        "a difference of +0.315 (95 % interval +0.268 to +0.358)."
    )


def test_a_lower_error_is_a_gain() -> None:
    rng = np.random.default_rng(0)
    y = 1000 * rng.normal(size=(400, 1))
    model, rival = (y + spread * rng.normal(size=y.shape) for spread in (300, 400))
    better = verdict("mae", distances, y, model, {"b": Rival("ridge", rival)}, None)
    assert better.outcome == "better" and better.difference.low > 0
    assert better.sentence == (
        "The model is better than ridge: mean absolute error 242 against 292 on 400 rows, "
        "a gain of +50.3 (95 % interval +23.6 to +78.3)."
    )
    worse = verdict("mae", distances, y, rival, {"b": Rival("ridge", model), "c": Rival("none", y + 900)}, None)
    assert (worse.outcome, worse.baseline) == ("worse", "b")
    assert "the model is worse, mean absolute error 292 against 242 on 400 rows, a gain of -50.3" in worse.sentence
