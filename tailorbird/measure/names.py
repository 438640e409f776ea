"""What a reader needs to know of each metric: its name in words, which way is better, how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, isfinite, log10

_DIGITS = 3  # that count, of a number whose size is not known before
_MOST_DECIMALS = 6


@dataclass(frozen=True)
class _About:
    title: str
    higher_is_better: bool = True
    is_share: bool = True  # between 0 and 1


_KNOWN = {
    "accuracy": _About("accuracy"),
    "balanced_accuracy": _About("balanced accuracy"),
    "macro_f1": _About("macro-F1"),
    "log_loss": _About("log-loss", higher_is_better=False, is_share=False),
    "ece": _About("calibration error", higher_is_better=False),
    "average_precision": _About("average precision"),
    "macro_average_precision": _About("macro average precision"),
    "micro_f1": _About("micro-F1"),
    "exact_match": _About("exact match"),
    "hamming_loss": _About("Hamming loss", higher_is_better=False),
    "mae": _About("mean absolute error", higher_is_better=False, is_share=False),
    "median_absolute_error": _About("median absolute error", higher_is_better=False, is_share=False),
    "rmse": _About("root mean squared error", higher_is_better=False, is_share=False),
    "r2": _About("R²", is_share=False),
}


def title(metric: str) -> str:
    """A metric's name in words; of one that is not known here, the name itself."""
    return _KNOWN[metric].title if metric in _KNOWN else metric


def higher_is_better(metric: str) -> bool:
    """Whether more of it is better. A metric that is not known here is taken for a merit."""
    return metric not in _KNOWN or _KNOWN[metric].higher_is_better


def is_share(metric: str) -> bool:
    """Whether it lies between 0 and 1 whatever the data are. Other metrics may need a scale of their own."""
    return metric in _KNOWN and _KNOWN[metric].is_share


def decimals(metric: str, *values: float) -> int:
    """How many decimals to write values of a metric with, all of them alike: three of a share, a log-loss and R²; of
    a number in the target's unit, so many that the largest has three digits: `f"{12.345:,.{decimals(...)}f}"`."""
    if metric not in ("mae", "median_absolute_error", "rmse"):
        return _DIGITS
    largest = max((abs(value) for value in values if isfinite(value)), default=0.0)
    if largest == 0:
        return 0
    return min(max(_DIGITS - 1 - floor(log10(largest)), 0), _MOST_DECIMALS)
