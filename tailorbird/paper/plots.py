"""Plots as SVG elements for the page: each has a title and a description, and takes its colours from the page's CSS.

Dots and intervals have no viewBox: across they are placed in percent, so letters keep their size at every width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from tailorbird.measure.names import title as title_of
from tailorbird.paper.words import number, plain, show_figure
from tailorbird.types import JSON, Figure

_ROW, _TOP, _AXIS = 40, 4, 26  # of a plot of intervals: pixels for a row, above the first, below the last


@dataclass(frozen=True)
class Span:
    """A stretch of values, and where it lies on paper: `start` to `stop` in pixels or percent."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value, kept within the stretch."""
        low, high, value = (math.log(one) if self.log else one for one in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + min(max(share, 0), 1) * (self.stop - self.start), 2)


def intervals(metric: str, rows: Sequence[tuple[str, Figure]]) -> str:
    """Dots with their intervals, one below the other; the first row is the model, and its interval a band behind all.

    rows: a name, of which 46 letters are shown, and its figure."""
    low, high = min(figure.low for _, figure in rows), max(figure.high for _, figure in rows)
    pad = 0.06 * (high - low) or 0.05 * (abs(high) or 1)
    x = Span(low - pad, high + pad, 1, 85)  # percent; the values stand to the right of it
    bottom = _TOP + _ROW * len(rows)
    told = "; ".join(f"{name} {show_figure(metric, one)}" for name, one in rows)
    title = f"{title_of(metric)} of this model and of the baselines"
    svg = _svg(title, f"Values with 95 % intervals: {told}.", width="100%", height=str(bottom + _AXIS))
    model = rows[0][1]
    _add(svg, "rect", "band", x=f"{x(model.low)}%", y=_TOP, width=f"{x(model.high) - x(model.low):.2f}%", height=bottom)
    for tick in ticks(x.low, x.high, 4):
        _add(svg, "line", "grid", x1=f"{x(tick)}%", x2=f"{x(tick)}%", y1=_TOP, y2=bottom + 4)
        _add(svg, "text", "tick", number_text(tick), x=f"{x(tick)}%", y=bottom + 19)
    for place, (name, figure) in enumerate(rows):
        shown = plain(name, 46), number(metric, figure.value)
        _interval(svg, x, _TOP + _ROW * place, shown, figure, "ours" if place == 0 else "theirs")
    return _written(svg)


def _interval(svg: Element, x: Span, top: float, shown: tuple[str, str], figure: Figure, look: str) -> None:
    middle = top + 28
    _add(svg, "text", f"name {look}", shown[0], x="0", y=top + 15)
    _add(svg, "text", f"value {look}", shown[1], x="100%", y=top + 15)
    _add(svg, "line", f"whisker {look}", x1=f"{x(figure.low)}%", x2=f"{x(figure.high)}%", y1=middle, y2=middle)
    _add(svg, "circle", f"dot {look}", cx=f"{x(figure.value)}%", cy=middle, r=5)


def reliability(bins: Sequence[Mapping[str, float]]) -> str:
    """Stated confidence across, share of right answers up; larger dots stand for more rows."""
    told = "; ".join(
        f"confidence {one['confidence']:.2f}: {one['share_right']:.2f} right of {one['rows']:,.0f}" for one in bins
    )
    svg = _square("Stated confidence against how often it is right", f"{told}.")
    x, y = _axes(svg, Span(0, 1, 46, 350), Span(0, 1, 300, 12), "stated confidence", "share that is right")
    _diagonal(svg, x, y)
    most = max(one["rows"] for one in bins)
    for one in bins:
        across = x(one["confidence"])
        if "low" in one:
            _add(svg, "line", "whisker ours", x1=across, x2=across, y1=y(one["low"]), y2=y(one["high"]))
        radius = 3 + 5 * math.sqrt(one["rows"] / most)
        _add(svg, "circle", "dot ours", cx=across, cy=y(one["share_right"]), r=round(radius, 1))
    return _written(svg)


def residuals(points: Sequence[tuple[float, float]]) -> str:
    """Target across, answer up, a dot for each row; on the diagonal an answer is right."""
    values = [value for point in points for value in point]
    low, high = min(values), max(values)
    pad = 0.04 * (high - low) or 0.5 * (abs(high) or 1)
    described = (
        f"{len(points):,} rows, from {number_text(low)} to {number_text(high)}; on the diagonal an answer is right."
    )
    svg = _square("Target against answer", described)
    spans = Span(low - pad, high + pad, 58, 350), Span(low - pad, high + pad, 300, 12)
    x, y = _axes(svg, *spans, "target", "answer")
    _diagonal(svg, x, y)
    for target, answer in points:
        _add(svg, "circle", "point", cx=x(target), cy=y(answer), r=2.5)
    return _written(svg)


def curve(points: Sequence[Mapping[str, JSON]], metric: str, more: Mapping[str, JSON]) -> str:
    """Rows across in steps of the same ratio, the metric up; a dashed line goes on to what twice as many may bring."""
    figures = [(float(one["rows"]), Figure(**one["figure"])) for one in points]
    told = "; ".join(f"{rows:,.0f} rows: {show_figure(metric, one)}" for rows, one in figures)
    svg = _square(f"Learning curve: {title_of(metric)} by rows learned from", f"{told}.")
    x, y = _curve_axes(svg, figures, title_of(metric), more)
    _add(svg, "polyline", "trend", points=" ".join(f"{x(rows)},{y(one.value)}" for rows, one in figures))
    for rows, one in figures:
        _add(svg, "line", "whisker ours", x1=x(rows), x2=x(rows), y1=y(one.low), y2=y(one.high))
        _add(svg, "circle", "dot ours", cx=x(rows), cy=y(one.value), r=4)
    if more.get("expected"):
        _expected(svg, x, y, figures[-1], float(more["rows"]), Figure(**more["expected"]))
    return _written(svg)


def _expected(svg: Element, x: Span, y: Span, last: tuple[float, Figure], rows: float, expected: Figure) -> None:
    ends = f"{x(last[0])},{y(last[1].value)} {x(rows)},{y(expected.value)}"
    _add(svg, "polyline", "trend guess", points=ends)
    _add(svg, "line", "whisker guess", x1=x(rows), x2=x(rows), y1=y(expected.low), y2=y(expected.high))
    _add(svg, "circle", "dot guess", cx=x(rows), cy=y(expected.value), r=4)


def _curve_axes(
    svg: Element, figures: Sequence[tuple[float, Figure]], name: str, more: Mapping[str, JSON]
) -> tuple[Span, Span]:
    seen = [one for _, one in figures] + ([Figure(**more["expected"])] if more.get("expected") else [])
    low, high = min(one.low for one in seen), max(one.high for one in seen)
    pad = 0.06 * (high - low) or 0.05 * (abs(high) or 1)
    last = max(figures[-1][0], float(more["rows"]) if more.get("expected") else 0)
    x = Span(figures[0][0] / 1.15, last * 1.1, 58, 350, log=True)
    y = Span(low - pad, high + pad, 300, 12)
    _up(svg, x, y, name)
    sizes = [rows for rows, _ in reversed(figures)][:: 1 if len(figures) < 4 else 2]  # all of them would touch
    _across(svg, x, y, "rows learned from (each step doubles)", [(rows, f"{rows:,.0f}") for rows in sizes])
    return x, y


# ---- axes ---------------------------------------------------------------------------------------------------------


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values within a stretch, `most` of them or fewer."""
    rough = (high - low) / most
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * size for size in (1, 2, 2.5, 5, 10, 20) if (high - low) / (unit * size) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 12) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def number_text(value: float) -> str:
    """A round value in few letters: "0.75", "2,000", "250k", "1.5M"."""
    size = abs(value)
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= unit and size >= 10_000:
            return f"{value / unit:.4g}{letter}"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.4g}"


def _axes(svg: Element, x: Span, y: Span, across: str, up: str) -> tuple[Span, Span]:
    _up(svg, x, y, up)
    _across(svg, x, y, across, [(tick, number_text(tick)) for tick in ticks(x.low, x.high, 5)])
    return x, y


def _up(svg: Element, x: Span, y: Span, name: str) -> None:
    for tick in ticks(y.low, y.high, 5):
        _add(svg, "line", "grid", x1=x.start, x2=x.stop, y1=y(tick), y2=y(tick))
        _add(svg, "text", "tick end", number_text(tick), x=x.start - 7, y=y(tick) + 4)
    middle = (y.start + y.stop) / 2
    _add(svg, "text", "axis", name, x=0, y=0, transform=f"translate(11 {middle}) rotate(-90)")


def _across(svg: Element, x: Span, y: Span, name: str, marks: Sequence[tuple[float, str]]) -> None:
    _add(svg, "line", "base", x1=x.start, x2=x.stop, y1=y.start, y2=y.start)
    for value, text in marks:
        _add(svg, "line", "base", x1=x(value), x2=x(value), y1=y.start, y2=y.start + 4)
        _add(svg, "text", "tick", text, x=x(value), y=y.start + 18)
    _add(svg, "text", "axis", name, x=(x.start + x.stop) / 2, y=y.start + 38)


def _diagonal(svg: Element, x: Span, y: Span) -> None:
    _add(svg, "line", "diagonal", x1=x(x.low), y1=y(x.low), x2=x(x.high), y2=y(x.high))


# ---- elements -----------------------------------------------------------------------------------------------------


def _square(title: str, described: str) -> Element:
    return _svg(title, described, viewBox="0 0 360 345")


def _svg(title: str, described: str, **attributes: str) -> Element:
    # The title is its name and the description its text, for whoever hears the page.
    svg = Element("svg", {"role": "img", "aria-label": plain(title), **attributes})
    SubElement(svg, "title").text = plain(title)
    SubElement(svg, "desc").text = plain(described, 2_000)
    return svg


def _add(parent: Element, tag: str, look: str, text: str = "", **attributes: float | str) -> None:
    named = {name: str(value) for name, value in attributes.items()}
    SubElement(parent, tag, {"class": look, **named}).text = text


def _written(svg: Element) -> str:
    return tostring(svg, encoding="unicode")
