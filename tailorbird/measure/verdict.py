"""Is the model better than its best baseline? A paired test over the same rows, and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np

from tailorbird.measure.bootstrap import count, interval, redraw
from tailorbird.measure.exact import clopper_pearson
from tailorbird.measure.metrics import METRICS, Floats, Ints, Scores
from tailorbird.types import Figure, Verdict

Outcome: TypeAlias = Literal["better", "not_distinguishable", "worse"]


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

    The interval is that of a bootstrap of rows, or of clusters, and it leaves out zero only where an exact test rejects
    at 5 % too: resampling knows nothing of losses that did not happen. Of single rows that is McNemar's test, and the
    interval holds what that test leaves possible; of clusters it is the sign test of their sums."""
    draws = np.array([weights @ gain / weights.sum() for weights in redraw(len(gain), clusters, seed)])
    low, high = map(float, interval(draws, count(len(gain), clusters)))
    if clusters is None or count(len(gain), clusters) == len(gain):
        exact = _exact(gain)
        return Figure(exact.value, min(low, exact.low), max(high, exact.high))
    if not _sides_differ(np.bincount(np.unique(clusters, return_inverse=True)[1], gain).astype(np.float64)):
        low, high = min(low, 0.0), max(high, 0.0)
    return Figure(float(gain.mean()), low, high)


def _sides_differ(sums: Floats) -> bool:
    """Whether the exact two-sided sign test rejects at 5 % that gains and losses are equally likely."""
    wins, losses = int((sums > 0).sum()), int((sums < 0).sum())
    low, high = clopper_pearson(wins, wins + losses)
    return low > 0.5 or high < 0.5


def _exact(gain: Ints) -> Figure:
    wins, losses = int((gain > 0).sum()), int((gain < 0).sum())
    apart = wins + losses
    low, high = (((2 * share - 1) * apart / len(gain)) for share in clopper_pearson(wins, apart))
    return Figure((wins - losses) / len(gain), low, high)


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
