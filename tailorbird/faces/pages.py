"""The pages that people read in a terminal: verdict first, figures beside the baselines, then the times."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tailorbird.faces.check_page import examination_page
from tailorbird.faces.find_page import found_page
from tailorbird.faces.plan_page import plan_page
from tailorbird.faces.sweep_page import sweep_page
from tailorbird.measure.names import title
from tailorbird.paper.words import explain_more_labels, number
from tailorbird.types import Evaluation, Figure, Metrics, Prediction, Report, Verdict, Verification
from tailorbird.verbs.cache import CacheReport
from tailorbird.verbs.pull import Pulled

_COLOURS = {"better": "green", "not_distinguishable": "yellow", "worse": "red"}


@singledispatch
def page(value: object, console: Console, seconds: float) -> None:
    """Print a verb's value for a reader."""
    for name, one in vars(value).items():
        console.print(f"{name}: {one}", markup=False, highlight=False, soft_wrap=True)


page.register(found_page)
page.register(examination_page)
page.register(plan_page)
page.register(sweep_page)


@page.register
def _(value: Report, console: Console, seconds: float) -> None:
    _verdict(value.verdict, console)
    console.print(_figures(value.test, value.baselines))
    rows = value.rows
    measured = "pooled out-of-fold" if value.notes["out_of_fold"] else f"on {rows['test']:,} test rows"
    lines = [
        f"measured {measured}; learned from {rows['train']:,} rows, {rows['validation']:,} to choose settings on",
        f"body {value.body} ({value.modality}), method {value.method}, runtime {value.runtime}",
        *_choice(value),
        *_promise(value),
        "seconds: " + ", ".join(f"{name} {spent:.1f}" for name, spent in value.seconds.items()),
        f"model: {value.model}, and to read: {value.model}/report.html",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@page.register
def _(value: Evaluation, console: Console, seconds: float) -> None:
    _verdict(value.verdict, console)
    console.print(_figures(value.metrics, value.baselines))
    console.print(f"measured on {value.rows:,} rows in {seconds:.1f} s", highlight=False)


@page.register
def _(value: Verification, console: Console, seconds: float) -> None:
    if value.ok:
        text = f"ok: every byte is as it was sealed, and {value.replayed} golden examples are answered as before"
        console.print(Text(text, style="green"))
    for problem in value.problems:
        console.print(Text(f"problem: {problem}", style="red"), soft_wrap=True)


@page.register
def _(value: CacheReport, console: Console, seconds: float) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("what", "rows", "MB", "runtime"):
        table.add_column(column, justify="right" if column in ("rows", "MB") else "left", overflow="fold")
    for entry in value.entries:
        about = entry.about
        what = f"{about.get('body') or about.get('what')}\n{about.get('modality', '')}"
        runtime = str(about.get("runtime", "")).partition(":")[0]
        table.add_row(Text(what), f"{entry.rows:,}", f"{entry.size_bytes / 1e6:.1f}", runtime)
    if value.entries:
        console.print(table)
    held = f"{value.size_bytes / 1e6:,.1f} MB in {value.folder}, of {value.limit_bytes / 1e9:,.1f} GB at most"
    console.print(held, markup=False, highlight=False, soft_wrap=True)
    if value.cleared_bytes:
        console.print(f"{value.cleared_bytes / 1e6:,.1f} MB cleared")


@page.register
def _(value: Pulled, console: Console, seconds: float) -> None:
    done = "was there already" if value.already else f"pulled in {seconds:.1f} s"
    lines = [f"{value.spelling} {done}: {value.size_bytes / 1e6:,.1f} MB", f"  in {value.path}"]
    lines += [f"  {name.replace('_', ' ')}: {one}" for name, one in value.card.items()]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


@page.register(list)
def _(value: list[Prediction], console: Console, seconds: float) -> None:
    for one in value:
        console.print(f"{one.item}\t{_answer(one)}", markup=False, highlight=False, soft_wrap=True)


def _answer(one: Prediction) -> str:
    if one.error is not None:
        return f"error: {one.error}"
    if one.labels is not None:
        return "|".join(one.labels) or "(no label)"
    return f"{one.value:.6g}" if one.value is not None else f"{one.label}\t{one.score:.3f}"


def _verdict(verdict: Verdict, console: Console) -> None:
    console.print(Text(verdict.sentence, style=f"bold {_COLOURS[verdict.outcome]}"))


def _figures(metrics: Metrics, baselines: Mapping[str, Metrics]) -> Table:
    """Figures with their intervals below them: so narrow that a baseline more still fits into 80 columns."""
    caption = "below each figure its 95 % interval"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left")
    table.add_column("")
    table.add_column("this model", style="bold", justify="right")
    for name in baselines:
        table.add_column(name, justify="right")
    for name in metrics:
        table.add_row(title(name), *(_cell(name, measured[name]) for measured in (metrics, *baselines.values())))
    return table


def _cell(metric: str, figure: Figure) -> str:
    low, high = (number(metric, end, figure.value) for end in (figure.low, figure.high))
    return f"{number(metric, figure.value)}\n{low}–{high}"


def _choice(report: Report) -> list[str]:
    told = report.notes.get("head", {}).get("auto")
    return [f"auto chose: {told['reason']}"] if told else []


def _promise(report: Report) -> list[str]:
    return [explain_more_labels(report.story.more_labels)] if report.story and report.story.more_labels else []
