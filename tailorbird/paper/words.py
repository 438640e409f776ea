"""How figures are said: titles, numbers, intervals, and a sentence for each that needs no statistics to be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tailorbird.measure.names import decimals, is_share, title
from tailorbird.types import JSON, Figure, Report


def finding_title(kind: str) -> str:
    """A finding's kind in words."""
    return kind.replace("_", " ").capitalize()


def measured_on(report: Report) -> str:
    """Where the figures come from, in words."""
    if report.notes.get("out_of_fold"):
        return "each in its turn, by a model that had not seen it"
    return "none of which it had seen"


def number(metric: str, value: float, *beside: float) -> str:
    """A value of a metric with as many decimals as it and the values beside it need."""
    return f"{value:,.{decimals(metric, value, *beside)}f}"


def show_interval(metric: str, figure: Figure) -> str:
    """The ends of a figure's interval: "0.777 to 0.812"."""
    return f"{number(metric, figure.low, figure.value)} to {number(metric, figure.high, figure.value)}"


def show_figure(metric: str, figure: Figure) -> str:
    """A figure with its interval: "0.795 (0.777 to 0.812)"."""
    return f"{number(metric, figure.value)} ({show_interval(metric, figure)})"


def explain(name: str, value: float) -> str:
    """What a figure of this metric says, for a reader who never met the metric; empty for a metric unknown here."""
    say = _EXPLANATIONS.get(name)
    return say(value) if say else ""


def explain_more_labels(told: Mapping[str, JSON]) -> str:
    """What twice as many labelled rows would bring. told: Story.more_labels; empty: an empty sentence."""
    if not told:
        return ""
    rows, name = f"{told['rows']:,}", title(told["metric"])
    if told.get("gain") is None:
        return f"What twice as many labelled rows ({rows}) would bring cannot be told: {told['reason']}."
    gain = Figure(**told["gain"])
    change = f"{_gain(told['metric'], gain.value)} (95 % interval {_ends(told['metric'], gain)})"
    if gain.low > 0:
        return f"With twice as many labelled rows ({rows}), expect {name} to get better by {change}."
    if gain.high < 0:
        return f"With twice as many labelled rows ({rows}), expect no better {name}: the trend is {change}."
    return f"Twice as many labelled rows ({rows}) may not help: the expected gain in {name} is {change}."


def printable(text: str) -> str:
    """A text without control characters and halves of characters."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def plain(text: object, most: int = 400) -> str:
    """Any printable text on one line, cut where it is too long."""
    line = re.sub(r"\s+", " ", printable(str(text))).strip()
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def unbroken(text: str) -> str:
    """A text in which no line may end between a number and its percent sign."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


# Controls other than white space, halves of UTF-16 pairs, and what no document may hold (HTML standard, 13.2.3.5).
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def _gain(metric: str, value: float) -> str:
    if is_share(metric):
        return f"{100 * value + 0.0:+.1f} points"
    return f"{'-' if value < 0 else '+'}{number(metric, abs(value))}"


def _ends(metric: str, gain: Figure) -> str:
    return " to ".join(_gain(metric, end).removesuffix(" points") for end in (gain.low, gain.high))


def _of_hundred(value: float) -> tuple[str, str]:
    """A share as a count of a round number, which is a hundred unless that would say all or none wrongly."""
    size = next((n for n in (100, 1_000, 10_000) if 0 < round(value * n) < n), 100)
    return f"{size:,}", f"{round(value * size):,}"


def _say_accuracy(value: float) -> str:
    return "Of {} answers, {} are right.".format(*_of_hundred(value))


def _say_balanced(value: float) -> str:
    return "Of {} rows of a label, {} get it; the mean over labels, the rare ones counting in full.".format(
        *_of_hundred(value)
    )


def _say_exact(value: float) -> str:
    return "Of {} rows, {} get all of their labels and no other.".format(*_of_hundred(value))


def _say_r2(value: float) -> str:
    if value <= 0:
        return "The answers explain nothing of how the target varies: its mean would do no worse."
    return f"{100 * value:.0f} % of how the target varies is explained."


_FOUND = "How well labels are found and how rarely wrongly given"
_EXPLANATIONS: Mapping[str, Callable[[float], str]] = {
    "accuracy": _say_accuracy,
    "balanced_accuracy": _say_balanced,
    "exact_match": _say_exact,
    "macro_f1": lambda _: f"{_FOUND}, the mean over labels; 1 is perfect.",
    "micro_f1": lambda _: f"{_FOUND}, over all labels together; 1 is perfect.",
    "average_precision": lambda _: (
        "Sorted by score, how far the right pairs of row and label come first; 1 is perfect."
    ),
    "macro_average_precision": lambda _: "The same label by label, and the mean over labels; 1 is perfect.",
    "hamming_loss": lambda value: f"Of all pairs of row and label, {100 * value:.1f} % are wrong; less is better.",
    "log_loss": lambda _: "How far the stated probabilities are from the truth; 0 is perfect, and less is better.",
    "ece": lambda value: f"Stated confidence is off by {100 * value:.1f} points on average; less is better.",
    "mae": lambda value: f"An answer is off by {number('mae', value)} on average; less is better.",
    "median_absolute_error": lambda value: f"Half of the answers are off by less than {number('mae', value)}.",
    "rmse": lambda _: "Like the mean absolute error, but large errors weigh more; less is better.",
    "r2": _say_r2,
}
