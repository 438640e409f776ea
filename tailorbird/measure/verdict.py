"""Is the model better than its best baseline? A paired test over the same rows, and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np

from tailorbird.measure.bootstrap import count, interval, redraw
from tailorbird.measure.metrics import METRICS, Floats, Ints, Scores
from tailorbird.types import Figure, Verdict

Outcome: TypeAlias = Literal["better", "not_distinguishable", "worse"]

_FEWEST_CLUSTERS = 6  # fewer all agree by chance more often than one time in twenty: 2 / 2**5


def verdict(
    y: Ints,
    model: Scores,
    baselines: Mapping[str, Scores],
    clusters: Ints | None,
    titles: Mapping[str, str],
    seed: int = 0,
) -> Verdict:
    """The model against the baseline with the best accuracy. y: (n,); scores: (n, c) each; titles: for readers."""
    assert baselines, "a verdict needs a baseline"
    accuracy = METRICS["accuracy"]
    best = max(baselines, key=lambda name: accuracy(y, baselines[name]))
    gain = (model.argmax(1) == y).astype(np.int64) - (baselines[best].argmax(1) == y)
    difference = paired(gain, clusters, seed)
    outcome: Outcome = "better" if difference.low > 0 else "worse" if difference.high < 0 else "not_distinguishable"
    figures = accuracy(y, model), accuracy(y, baselines[best])
    return Verdict(outcome, best, difference, _sentence(outcome, titles[best], figures, difference, len(y)))


def paired(gain: Ints, clusters: Ints | None = None, seed: int = 0) -> Figure:
    """The mean of a gain with its 95 % interval. gain: (n,) of 1 where only the model is right, -1 where only the
    baseline is, else 0.

    Of single rows the interval is exact, given how many rows tell the two apart: it leaves out zero when, and only
    when, McNemar's exact two-sided test rejects at 5 %. Of clusters it is a bootstrap."""
    if clusters is None or count(len(gain), clusters) == len(gain):
        return _exact(gain)
    draws = np.array([weights @ gain / weights.sum() for weights in redraw(len(gain), clusters, seed)])
    n_clusters = count(len(gain), clusters)
    low, high = map(float, interval(draws, n_clusters))
    if n_clusters < _FEWEST_CLUSTERS:
        low, high = min(low, 0.0), max(high, 0.0)
    return Figure(float(gain.mean()), low, high)


def clopper_pearson(hits: int, trials: int) -> tuple[float, float]:
    """The exact 95 % interval of a share, of which `hits` in `trials` were seen; 0 to 1 without trials."""
    if trials == 0:
        return 0.0, 1.0
    # The tail of the misses is that of the hits with the share turned around.
    return _least(hits, trials), 1 - _least(trials - hits, trials)


def _exact(gain: Ints) -> Figure:
    wins, losses = int((gain > 0).sum()), int((gain < 0).sum())
    apart = wins + losses
    low, high = (((2 * share - 1) * apart / len(gain)) for share in clopper_pearson(wins, apart))
    return Figure((wins - losses) / len(gain), low, high)


def _least(hits: int, trials: int) -> float:
    """The share at which so many hits or more have a chance of 2.5 %. By bisection: scipy is not at hand here."""
    if hits == 0:
        return 0.0
    sums = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])  # log k!
    k = np.arange(hits, trials + 1)
    ways = sums[trials] - sums[k] - sums[trials - k]
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _tail(ways, k, trials, middle) > 0.025 else (middle, high)
    return low


def _tail(ways: Floats, k: Ints, trials: int, share: float) -> float:
    """The chance of k hits, summed. In logarithms, for `ways` overflows from some thousand trials on."""
    return float(np.exp(ways + k * np.log(share) + (trials - k) * np.log1p(-share)).sum())


def _sentence(outcome: Outcome, title: str, accuracies: tuple[float, float], difference: Figure, n: int) -> str:
    model, baseline = (f"{100 * value:.1f} %" for value in accuracies)
    value, low, high = (f"{100 * part + 0.0:+.1f}" for part in (difference.value, difference.low, difference.high))
    gap = f"a difference of {value} points (95 % interval {low} to {high})"
    seen = f"accuracy {model} against {baseline} on {n:,} rows, {gap}"
    if outcome == "better":
        return f"The model is better than {title}: {seen}."
    if outcome == "worse":
        return f"Do not use this model, take {title}: the model is worse, {seen}."
    return f"No gain over {title} is shown, so take that, which is simpler, or test on more rows: {seen}."
