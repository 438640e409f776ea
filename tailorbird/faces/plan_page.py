"""The page of `plan`: for each body what it is worth, and for each way what it would cost."""

from __future__ import annotations

import shlex
from math import ceil

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tailorbird.costs import Estimate, Plan, Prospect, Span
from tailorbird.faces.paragraph import paragraph
from tailorbird.measure.names import title
from tailorbird.paper.words import show_figure


def plan_page(value: Plan, console: Console, seconds: float) -> None:
    """Print what was reckoned."""
    for prospect in value.prospects:
        console.print(Text(prospect.body, style="bold"), soft_wrap=True)
        paragraph(_worth(prospect), console, indent="  ")
        console.print(_table(prospect.ways))
    for line in _closing(value, seconds):
        paragraph(line, console)
    ways = value.prospects[0].ways
    if ways:
        minutes = ceil(max(way.seconds.high for way in ways) / 60)
        told = ["tailorbird", "fit", value.data, "--target", value.target, "--model", value.prospects[0].body]
        console.print(Text(f"next: {shlex.join(told)} --budget {minutes}m --out model"), soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds for a reader: "45 s", "3.2 min", "2.1 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _worth(prospect: Prospect) -> str:
    speed = f"{prospect.rows_per_second:,.0f} rows a second"
    if prospect.evidence is None:
        return f"{speed}; rows are too few to say what its frozen features are worth"
    figure = show_figure(prospect.metric, prospect.evidence)
    measured = f"on {prospect.sample:,} training rows, each answered by the others"
    return f"frozen: {title(prospect.metric)} {figure} {measured}; {speed}"


def _table(ways: tuple[Estimate, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("way", overflow="fold")
    table.add_column("time")
    for name in ("memory", "disk"):
        table.add_column(name, justify="right")
    has_price, has_power = (any(x is not None for x in one) for one in ([w.price for w in ways], [w.kwh for w in ways]))
    if has_price:
        table.add_column("money", justify="right")
    if has_power:
        table.add_column("kWh", justify="right")
    for way in ways:
        cells: list[Text | str] = [
            Text(way.method),
            _time(way.seconds),
            _memory(way.memory_bytes),
            f"{way.disk_bytes / 1e6:,.0f} MB",
        ]
        cells += [_plain(one) for one in (way.price, way.kwh) if one]
        table.add_row(*cells)
    return table


def _time(span: Span) -> str:
    return f"{duration(span.value)} ({duration(span.low)} to {duration(span.high)})"


def _memory(span: Span | None) -> str:
    if span is None:
        return "?"
    value, low, high = (one / 1e9 for one in (span.value, span.low, span.high))
    return f"{value:.1f} GB ({low:.1f} to {high:.1f})"


def _plain(span: Span) -> str:
    value, low, high = (f"{one:,.0f}" if one >= 100 else f"{one:.2g}" for one in (span.value, span.low, span.high))
    return f"{value} ({low} to {high})"


def _closing(value: Plan, seconds: float) -> list[str]:
    parts = ", ".join(f"{n:,} {name}" for name, n in value.rows.items() if n)
    lines = [f"{value.task} of {value.target!r}: {parts}; {value.threads} threads of {value.processor}"]
    known = (
        f"{value.real} real fits of this machine"
        if value.real
        else "guesses, for no planned fit has been made here yet"
    )
    lines.append(f"in brackets four of five fits; it rests on some seconds of trying and on {known}; {seconds:.0f} s")
    lines += [f"left out: {name}, for {why}" for name, why in value.left_out.items()]
    return lines
