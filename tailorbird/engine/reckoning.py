"""From what was measured to what a whole fit would take, and how far such sums were off before: docs/plan.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from tailorbird.costs import Span
from tailorbird.lesson import Effort
from tailorbird.types import JSON

# Rates of film reviews and of clothes on two cores of an Intel Xeon, November 2026; history mends them elsewhere.
_CHECK_S_A_ROW = 0.0002  # the doctor
_RIVALS_S, _RIVALS_S_A_ROW = 0.5, 0.00025  # baselines, the learning curve, the figures
_SEAL_S = 3.5  # the report, and a fresh process that answers the golden examples
_GRAPH_S, _GRAPH_S_A_MB = 1.0, 0.03  # of a body that learned: its weights in the graph, and a comparison with torch
_OPEN_S = 2.0  # the runtime opened, libraries loaded
# The factors by which reckoned figures are thought to be off, before real ones have taken their places.
_MADE_FACTORS = (0.70, 0.86, 1.0, 1.16, 1.49)
_FEATURES_OFF = (0.85, 1.25)
_ENOUGH_FITS = 20
_SHARE_INSIDE = 0.8


@dataclass(frozen=True)
class Case:
    """All that the sum depends on beside the way's own effort."""

    read_s: float
    n_rows: int
    n_unknown: int  # whose features the cache does not have
    rows_per_second: float  # of what encodes them
    n_turns: int  # times that is learned: once, or once for each fold and once more
    n_test: int  # of a part of its own, which a body that learned encodes anew
    full_per_second: float  # rows a second in full precision
    weights_mb: float
    may_learn: bool  # the body


def shares_of(case: Case, effort: Effort) -> dict[str, float]:
    """Seconds by what they are for, before any correction."""
    seal = _SEAL_S
    if case.may_learn:
        seal += _GRAPH_S + _GRAPH_S_A_MB * case.weights_mb + case.n_test / case.full_per_second
    return {
        "read": case.read_s,
        "features": _OPEN_S + case.n_unknown / case.rows_per_second,
        "check": _CHECK_S_A_ROW * case.n_rows,
        "learn": case.n_turns * effort.seconds + _RIVALS_S + case.n_turns * _RIVALS_S_A_ROW * case.n_rows,
        "seal": seal,
    }


def factors(history: Sequence[Mapping[str, JSON]], what: str, method: str) -> list[float]:
    """By how much plans were off here: real over said, the newest fits of this method first. what: "seconds" or
    "memory_bytes"."""
    found = []
    for line in reversed(history):
        said, real = line.get("said"), line.get("real")
        if line.get("method") == method and isinstance(said, Mapping) and isinstance(real, Mapping):
            pair = (said.get(what), real.get(what))
            if all(isinstance(one, int | float) and one > 0 for one in pair):
                found.append(float(pair[1] / pair[0]))  # type: ignore[operator]  # both are numbers
    return found[:_ENOUGH_FITS]


def span(value: float, known: Sequence[float]) -> Span:
    """The value corrected by the factors that are known, with the middle 80 % of them."""
    logs = [log(one) for one in (*known, *(_MADE_FACTORS if len(known) < _ENOUGH_FITS else ()))]
    outside = (1 - _SHARE_INSIDE) / 2
    # Of few values the outermost are the best guess at the ends; "weibull" leaves room for the next one beyond.
    low, middle, high = np.exp(np.quantile(logs, (outside, 0.5, 1 - outside), method="weibull"))
    return Span(value * float(middle), value * float(low), value * float(high))


def whole(shares: Mapping[str, float], known: Sequence[float]) -> Span:
    """All shares together. The features are measured, and not corrected."""
    features = shares["features"]
    rest = span(sum(shares.values()) - features, known)
    low, high = _FEATURES_OFF
    return Span(rest.value + features, rest.low + low * features, rest.high + high * features)


def times(of: Span, factor: float) -> Span:
    """The span in another unit."""
    return Span(of.value * factor, of.low * factor, of.high * factor)
