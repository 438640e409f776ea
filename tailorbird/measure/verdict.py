"""Is the model better than its best baseline? A paired test over the same rows, and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Literal, TypeAlias

from tailorbird.lesson import Rival
from tailorbird.measure.metrics import Floats, Ints, Scores, Truth
from tailorbird.measure.names import decimals, higher_is_better, is_share, title
from tailorbird.measure.paired import paired
from tailorbird.types import Figure, Verdict

Outcome: TypeAlias = Literal["better", "not_distinguishable", "worse"]
ByRow: TypeAlias = Callable[[Truth, Scores], Floats]  # (n,) values, of which the metric is the mean


def verdict(
    metric: str,
    by_row: ByRow,
    y: Truth,
    model: Scores,
    rivals: Mapping[str, Rival],
    clusters: Ints | None,
    seed: int = 0,
) -> Verdict:
    """The model against the rival that is best by the metric. The difference is above 0 where the model is better."""
    assert rivals, "a verdict needs a baseline"
    sign = 1 if higher_is_better(metric) else -1
    theirs = {name: by_row(y, rival.scores) for name, rival in rivals.items()}
    best = max(theirs, key=lambda name: sign * float(theirs[name].mean()))
    ours = by_row(y, model)
    difference = paired(sign * (ours - theirs[best]), clusters, seed, most=1.0 if is_share(metric) else inf)
    outcome: Outcome = "better" if difference.low > 0 else "worse" if difference.high < 0 else "not_distinguishable"
    values = float(ours.mean()), float(theirs[best].mean())
    seen = _seen(metric, values, difference, len(y))
    return Verdict(outcome, best, difference, _sentence(outcome, rivals[best].title, seen), metric)


def _seen(metric: str, values: tuple[float, float], difference: Figure, n: int) -> str:
    """The figures in words: "accuracy 81.0 % against 79.5 % on 400 rows, a difference of +1.5 points (...)"."""
    ends = difference.value, difference.low, difference.high
    if metric == "accuracy":
        (model, baseline), unit = (f"{100 * value:.1f} %" for value in values), " points"
        value, low, high = (f"{100 * end + 0.0:+.1f}" for end in ends)
    else:
        places, finer, unit = decimals(metric, *values), decimals(metric, *ends), ""
        model, baseline = (f"{value:,.{places}f}" for value in values)
        value, low, high = (f"{end + 0.0:+,.{finer}f}" for end in ends)
    word = "difference" if higher_is_better(metric) else "gain"
    gap = f"a {word} of {value}{unit} (95 % interval {low} to {high})"
    return f"{title(metric)} {model} against {baseline} on {n:,} rows, {gap}"


def _sentence(outcome: Outcome, rival: str, seen: str) -> str:
    if outcome == "better":
        return f"The model is better than {rival}: {seen}."
    if outcome == "worse":
        return f"Do not use this model, take {rival}: the model is worse, {seen}."
    return f"No gain over {rival} is shown, so take that, which is simpler, or test on more rows: {seen}."
