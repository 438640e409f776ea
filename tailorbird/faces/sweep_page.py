"""The page of `sweep`: one line for each model, the best first."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tailorbird.costs import Contender, Sweep
from tailorbird.faces.paragraph import paragraph
from tailorbird.faces.plan_page import duration
from tailorbird.measure.names import title
from tailorbird.paper.words import show_figure


def sweep_page(value: Sweep, console: Console, seconds: float) -> None:
    """Print the table and what to take."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("body", "way", title(value.metric), "time", "beside the best"):
        table.add_column(name, overflow="fold")
    for i, one in enumerate(value.contenders):
        table.add_row(*map(Text, _cells(one, value.metric, is_best=i == 0)))
    console.print(table)
    paragraph(_said(value), console)
    if value.chosen:
        console.print(Text(f"next: tailorbird report {value.chosen} --open"), soft_wrap=True)


def _cells(one: Contender, metric: str, *, is_best: bool) -> tuple[str, ...]:
    if one.problem is not None or one.seconds is None:
        return one.body, one.method, "-", "-", one.problem or "-"
    took = f"{duration(one.seconds)}, planned {duration(one.planned.value)}"
    beside = "the best" if is_best else "not told apart" if one.level else "behind"
    if one.behind is not None and not one.level:
        beside += f" by {show_figure(metric, one.behind)}"
    return one.body, one.method, show_figure(metric, one.test[metric]), took, beside


def _said(value: Sweep) -> str:
    if value.chosen is None:
        return "no model could be fitted"
    n_level = sum(one.level for one in value.contenders)
    what = f"{value.chosen} is the one to take"
    if n_level > 1:
        what += f": {n_level} cannot be told apart, and it should take least"
    return (
        f"{what}. All were measured on the same rows, so the best of many flatters a little; {duration(value.seconds)}"
    )
