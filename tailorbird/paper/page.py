"""The report as one file that needs nothing else: HTML with its style, its plots and its pictures inside.

It holds no script and no link to anywhere, and a Content-Security-Policy that would stop them if it did.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from tailorbird.measure.names import title
from tailorbird.paper import plots, tables
from tailorbird.paper.command import command
from tailorbird.paper.facts import facts
from tailorbird.paper.words import (
    explain,
    explain_more_labels,
    finding_title,
    measured_on,
    number,
    plain,
    printable,
    show_interval,
    unbroken,
)
from tailorbird.types import JSON, Finding, Mistake, Report, Story

if TYPE_CHECKING:
    from jinja2 import Template

_THUMBS_LIMIT_BYTES = 1_800_000  # of all pictures; base64 makes a third more of it, and the page stays below 3 MB
_KINDS = {".jpg": "jpeg", ".jpeg": "jpeg", ".jfif": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif"}
_STEPS = ("read", "features", "check", "fit", "evaluate", "total")  # in order; JSON keeps none
_OUTCOMES = {
    "better": "Better than the baselines",
    "not_distinguishable": "No gain is shown",
    "worse": "Worse than a baseline",
}


@dataclass(frozen=True)
class Picture:
    """A picture inside the page. width, height: pixels."""

    source: str  # a data: URI
    width: int
    height: int


def html(
    report: Report,
    *,
    call: Mapping[str, JSON],
    card: Mapping[str, JSON],
    environment: Mapping[str, JSON],
    thumbs: Mapping[str, bytes],
) -> str:
    """The whole page. call: the recorded call of fit; card: the body's; thumbs: content of pictures by Mistake.shown.

    Raises MissingExtra without jinja2, which the extra `train` brings."""
    story = report.story or Story()
    style = (files(__package__) / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(
        report=report,
        story=story,
        style=style,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        is_number=tables.is_number(report),
        verdict=_verdict(report),
        tiles=_tiles(report),
        panels=_panels(report),
        figures=tables.figure_lines(report),
        columns=[name for name, _ in tables.columns(report)],
        heat=tables.heat(report),
        confused=tables.confused(report),
        label_lines=tables.label_lines(report),
        tried=tables.tried(report),
        residuals=plots.residuals(story.residuals) if story.residuals else "",
        reliability=plots.reliability(story.reliability) if story.reliability else "",
        curve=_curve(report, story),
        more_labels=explain_more_labels(story.more_labels),
        mistakes=_mistakes(story.mistakes, thumbs),
        findings=[(finding_title(one.kind), one, _examples(one)) for one in report.findings],
        command=command(call),
        seconds=_seconds(report.seconds),
        card=dict(facts(card)),
        environment=dict(facts(environment)),
    )


@cache
def _template() -> Template:
    from tailorbird.plug import needs

    needs("an HTML report", "jinja2")
    from jinja2 import Environment, PackageLoader, StrictUndefined  # answering does without it

    environment = Environment(
        loader=PackageLoader("tailorbird", "paper"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(plain=plain, unbroken=unbroken)
    return environment.get_template("report.html.jinja")


def _clean(value: object) -> object:
    """What the template prints: texts without the characters that no page may hold."""
    return printable(value) if type(value) is str else value


# ---- what is said -------------------------------------------------------------------------------------------------


def _verdict(report: Report) -> dict[str, str]:
    """The sentence in two: the judgement, and the figures that it rests on."""
    judged, _, rest = report.verdict.sentence.partition(": ")
    return {
        "look": report.verdict.outcome.replace("_", "-"),
        "word": _OUTCOMES[report.verdict.outcome],
        "judged": judged if not rest else f"{judged.rstrip('.')}.",
        "rest": f"{rest[:1].upper()}{rest[1:]}",
    }


def _tiles(report: Report) -> list[tuple[str, str, str]]:
    """The first things that anyone asks for: a name, a figure, a note."""
    metric, rows = report.verdict.metric, report.rows
    tiles = []
    if metric in report.test:
        own = report.test[metric]
        tiles.append((title(metric), number(metric, own.value), f"95 % interval {show_interval(metric, own)}"))
    if metric in report.baselines.get(report.verdict.baseline, {}):
        rival = report.baselines[report.verdict.baseline][metric]
        tiles.append(
            ("best baseline", number(metric, rival.value), tables.baseline_title(report, report.verdict.baseline))
        )
    tiles.append(("rows tested on", f"{rows['test']:,}", measured_on(report)))
    learned = f"and {rows['validation']:,} to choose on" if rows["validation"] else "settings were chosen on them too"
    return [*tiles, ("rows learned from", f"{rows['train']:,}", learned)]


def _panels(report: Report) -> list[tuple[str, str, str]]:
    """A plot of each metric: its title, what the figure says, and the drawing."""
    panels = []
    for metric in tables.ordered(report):
        rows = [(name, figures[metric]) for name, figures in tables.columns(report) if metric in figures]
        panels.append((title(metric), explain(metric, report.test[metric].value), plots.intervals(metric, rows)))
    return panels


def _curve(report: Report, story: Story) -> str:
    metric = str(story.more_labels.get("metric", report.verdict.metric))
    return plots.curve(story.curve, metric, story.more_labels) if len(story.curve) > 1 else ""


def _examples(finding: Finding) -> list[str]:
    return [plain(example, 240) for example in finding.examples[:5]]


def _seconds(seconds: Mapping[str, float]) -> list[tuple[str, str]]:
    steps = sorted(seconds.items(), key=lambda pair: _STEPS.index(pair[0]) if pair[0] in _STEPS else len(_STEPS) - 1.5)
    return [(name, f"{spent:,.1f}") for name, spent in steps]


# ---- mistakes -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """A mistake as the page shows it: with a picture, or a text, or neither."""

    mistake: Mistake
    sure: str  # the score of the answer in percent
    picture: Picture | None
    text: str


def _mistakes(mistakes: Iterable[Mistake], thumbs: Mapping[str, bytes]) -> list[Shown]:
    """Every mistake, with pictures as long as there is room for them."""
    found, used = [], 0
    for mistake in mistakes:
        content = thumbs.get(mistake.shown, b"")
        used += len(content)
        picture = _picture(mistake.shown, content) if content and used <= _THUMBS_LIMIT_BYTES else None
        sure = "" if mistake.score is None else f"{100 * mistake.score:.0f} %"
        is_file = mistake.shown in thumbs or mistake.shown.startswith(("thumbs/", "golden/"))
        found.append(Shown(mistake, sure, picture, "" if is_file else mistake.shown))
    return found


def _picture(name: str, content: bytes) -> Picture | None:
    from PIL import Image, UnidentifiedImageError

    kind = _KINDS.get(f".{name.rpartition('.')[2].lower()}")
    try:
        with Image.open(io.BytesIO(content)) as opened:
            width, height = opened.size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None  # the page says that there is none
    return Picture(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", width, height) if kind else None
