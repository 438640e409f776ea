"""How often intervals hold the truth: 1,000 models are simulated, of which it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tailorbird.measure.bootstrap import figures
from tailorbird.measure.metrics import METRICS
from tailorbird.measure.paired import paired

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
N_MODELS, N_ROWS = 1000, 300
RESAMPLES = 400  # fewer than usual, which costs a little cover and makes this quick


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import intervals

    return intervals


@pytest.mark.parametrize("family", ["one label", "many labels", "a number"])
def test_intervals_hold_the_truth_for_93_to_97_of_100_models(benchmark: Any, family: str) -> None:
    make, metrics = benchmark.FAMILIES[family]
    shares = benchmark.held(make, metrics, N_MODELS, N_ROWS, RESAMPLES)
    print(f"{family}: the 95 % interval held the truth for {shares}")
    shares.pop("ece", None)  # it has no unbiased estimate, and its interval is one of its noise
    assert shares and all(0.93 <= share <= 0.97 for share in shares.values())


def test_every_family_of_metrics_is_simulated(benchmark: Any) -> None:
    assert list(benchmark.FAMILIES) == ["one label", "many labels", "a number"]


def test_intervals_hold_the_truth_when_rows_come_in_clusters() -> None:
    rng, held = np.random.default_rng(1), 0
    clusters, accuracy = np.repeat(np.arange(40), 4), {"accuracy": METRICS["accuracy"]}
    for seed in range(N_MODELS):
        right = rng.random(160) < rng.beta(8, 2, size=40)[clusters]  # of mean 0.8
        answers = np.zeros(160, np.int64), np.eye(2)[1 - right.astype(int)]
        figure = figures(accuracy, *answers, clusters, seed, RESAMPLES)["accuracy"]
        held += figure.low <= 0.8 <= figure.high
    print(f"clusters: the 95 % interval held the truth for {held / N_MODELS}")
    assert 0.93 <= held / N_MODELS <= 0.97


def test_the_interval_of_a_gain_holds_the_truth() -> None:
    rng, held = np.random.default_rng(3), 0
    for seed in range(N_MODELS):
        gain = rng.normal(0.1, 0.5, 150) * np.exp(rng.normal(0, 0.5, 150))
        figure = paired(gain, seed=seed, resamples=RESAMPLES)
        held += figure.low <= 0.1 * np.exp(0.125) <= figure.high
    print(f"gains: the 95 % interval held the truth for {held / N_MODELS}")
    assert 0.93 <= held / N_MODELS <= 0.97
