"""What the tables of the page hold: who was taken for whom, labels one by one, figures beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from tailorbird.measure.names import higher_is_better, title
from tailorbird.paper.words import number, plain, show_interval
from tailorbird.types import JSON, Figure, Metrics, Report

MOST_HEAT_LABELS = 30  # of a heat table; above, only the most confused pairs can be read
MOST_PAIRS = 20
MOST_LINES = 60  # of the table of labels
_HEATS = 9  # shades of a cell, 0 is none
_TOO_SHORT = " (too short to tell)"


@dataclass(frozen=True)
class Cell:
    """A cell of the heat table: a count, and the class that colours it by its share of the row."""

    count: int
    look: str


@dataclass(frozen=True)
class Heat:
    """Rows are true labels, columns the labels that were given."""

    labels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class Line:
    """A metric beside the baselines: the figure of the model, then of each baseline."""

    title: str
    note: str  # "less is better", or nothing
    figures: tuple[tuple[str, str], ...]  # value and interval, as they are shown


def is_number(report: Report) -> bool:
    """Whether the task asks for a number, so that there are no labels to tell of."""
    return report.labels == ("value",) and not report.per_class


def heat(report: Report) -> Heat | None:
    """The confusion of up to MOST_HEAT_LABELS labels."""
    if not report.confusion or len(report.labels) > MOST_HEAT_LABELS:
        return None
    rows = (
        (label, tuple(Cell(count, _look(count, sum(counts), i == j)) for j, count in enumerate(counts)))
        for i, (label, counts) in enumerate(zip(report.labels, report.confusion, strict=True))
    )
    return Heat(report.labels, tuple(rows))


def _look(count: int, of: int, right: bool) -> str:
    shade = -(-_HEATS * count // of) if of else 0  # rounded up: a single mistake is seen
    return f"{'right' if right else 'wrong'} heat{shade}"


def confused(report: Report) -> tuple[tuple[str, str, int, str], ...]:
    """The pairs of labels that are taken for each other most: true, given, rows, and their share of the true one's."""
    pairs = [
        (count, i, j) for i, counts in enumerate(report.confusion) for j, count in enumerate(counts) if count and i != j
    ]
    return tuple(
        (report.labels[i], report.labels[j], count, f"{100 * count / sum(report.confusion[i]):.0f} %")
        for count, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:MOST_PAIRS]
    )


def label_lines(report: Report) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Headings, and a line for each label; of many labels those with the lowest F1."""
    lines = report.per_class
    if not lines:
        return (), ()
    if len(lines) > MOST_LINES:
        lines = tuple(sorted(lines, key=lambda line: line.get("f1", 0.0))[:MOST_LINES])
    columns = [name for name in lines[0] if name != "label"]
    # JSON keeps no order of columns that a reader would choose.
    known = list(_COLUMNS)
    columns.sort(key=lambda name: known.index(name) if name in _COLUMNS else len(known))
    shown = tuple((str(line["label"]), tuple(_shown(line.get(name)) for name in columns)) for line in lines)
    return tuple(_COLUMNS.get(name, title(name).replace("_", " ")) for name in columns), shown


_COLUMNS = {"support": "rows", "precision": "precision", "recall": "recall", "f1": "F1"}


def _shown(value: JSON) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return plain("" if value is None else value, 60)
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def figure_lines(report: Report) -> tuple[Line, ...]:
    """Every metric, that of the verdict first."""
    return tuple(_line(name, [figures for _, figures in columns(report)]) for name in ordered(report))


def columns(report: Report) -> list[tuple[str, Metrics]]:
    """What is measured: this model, then the baselines by their titles, the best by the verdict's metric first."""
    metric = report.verdict.metric
    sign = -1 if higher_is_better(metric) else 1
    rivals = [(baseline_title(report, name), figures) for name, figures in report.baselines.items()]
    rivals.sort(key=lambda rival: sign * rival[1][metric].value if metric in rival[1] else 0.0)
    return [("this model", report.test), *rivals]


def baseline_title(report: Report, name: str) -> str:
    """A baseline as readers know it; reports of before know its name only."""
    titles: Mapping[str, str] = report.notes.get("titles", {})
    return titles.get(name, name)


def ordered(report: Report) -> list[str]:
    """The names of the metrics, that of the verdict first, then shares before losses."""
    return sorted(report.test, key=lambda name: (name != report.verdict.metric, not higher_is_better(name)))


def _line(name: str, columns: Sequence[Metrics]) -> Line:
    figures: list[Figure | None] = [one.get(name) for one in columns]
    values = [figure.value for figure in figures if figure]
    shown = ((number(name, one.value, *values), show_interval(name, one)) if one else ("", "") for one in figures)
    note = "" if higher_is_better(name) else "less is better"
    return Line(title(name), note, tuple(shown))


def tried(report: Report) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """Why method auto chose as it did; and what it tried, the best first: way, round, rows, seconds and loss."""
    told = (report.notes.get("head") or {}).get("auto") or {}
    ways = [*report.notes.get("bodies", ()), *told.get("tried", ())]
    ways.sort(key=lambda one: inf if one.get("loss") is None else one["loss"])
    lines = tuple(
        (
            str(one["method"]),
            "" if one.get("round") is None else str(one["round"]),
            f"{one['rows']:,}",
            f"{one['seconds']:.1f}",
            "" if one.get("loss") is None else f"{one['loss']:.3f}{_TOO_SHORT if one.get('is_short') else ''}",
        )
        for one in ways
    )
    return str(told.get("reason", "")), lines
