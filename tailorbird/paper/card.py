"""The card of a model: what it is, what it was measured to do, and what it should not be used for. Markdown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from tailorbird.measure.names import title
from tailorbird.paper.facts import facts
from tailorbird.paper.tables import columns, is_number, ordered
from tailorbird.paper.words import (
    explain,
    explain_more_labels,
    finding_title,
    measured_on,
    plain,
    show_figure,
)
from tailorbird.types import JSON, Finding, Report, Story

_MOST_LABELS = 20  # that are named


def card(report: Report, body: Mapping[str, JSON], environment: Mapping[str, JSON]) -> str:
    """The text of card.md. body: the card of the pretrained body; environment: versions and machine."""
    parts = [
        f"# {escaped(report.model)}",
        f"A model made by Tailorbird. {escaped(report.verdict.sentence)}",
        "## What it is\n\n" + _what(report, body),
        "## What it is for\n\n" + _use(report),
        "## Figures\n\n" + _measured(report),
        _figures(report),
        _explained(report),
        "## Data\n\n" + _data(report),
        "## The pretrained body\n\n" + _listed(body, "It came without a card."),
        "## How to use it\n\n" + _usage(report),
        "## Environment\n\n" + _listed(environment, "Not recorded."),
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: object, most: int = 600) -> str:
    """Any text as Markdown that shows it as it is: one line, no markup, no HTML, no table cell's end."""
    return re.sub(r"[\\`*_\[\]<>|~&$]", r"\\\g<0>", plain(text, most))


def _what(report: Report, body: Mapping[str, JSON]) -> str:
    answer = "a number" if is_number(report) else f"{len(report.labels):,} labels: {_some(report.labels)}"
    rows = report.rows
    learned = f"{rows['train']:,} to learn from, {rows['validation']:,} to choose settings on"
    return _lines(
        {
            "task": f"{escaped(report.task)}, {answer}",
            "body": f"{escaped(report.body)}, licence {escaped(body.get('licence', 'not stated'))}",
            "method": f"{escaped(report.method)} on {escaped(report.modality)}",
            "rows": f"{learned}, {rows['test']:,} tested on",
        }.items()
    )


def _some(labels: tuple[str, ...]) -> str:
    shown = ", ".join(escaped(label, 80) for label in labels[:_MOST_LABELS])
    return shown if len(labels) <= _MOST_LABELS else f"{shown} and {len(labels) - _MOST_LABELS:,} more"


def _use(report: Report) -> str:
    """What was measured bounds what it may be used for; nothing is claimed beyond that."""
    limits = {
        "better": "Use it on items like those it was measured on.",
        "not_distinguishable": "It was not shown to be better than its best baseline, which is simpler: take that one.",
        "worse": "Do not use it: its best baseline answers better.",
    }
    lines = [
        limits[report.verdict.outcome],
        "The figures hold for rows drawn as the tested ones were. On other sources, times, languages or cameras they "
        "may be worse: measure again with `tailorbird evaluate`.",
        "It answers whatever it is asked, also what is unlike anything that it learned from.",
        "It has not been tested for fairness between groups of people. Do not let it decide about people alone.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _measured(report: Report) -> str:
    return f"Measured on {report.rows['test']:,} rows, {measured_on(report)}; in brackets the 95 % interval."


def _figures(report: Report) -> str:
    shown = columns(report)
    head = "| | " + " | ".join(escaped(name, 80) for name, _ in shown) + " |\n|---|" + "---|" * len(shown)
    lines = [
        f"| {title(name)} | "
        + " | ".join(show_figure(name, one[name]) if name in one else "" for _, one in shown)
        + " |"
        for name in ordered(report)
    ]
    return "\n".join([head, *lines])


def _explained(report: Report) -> str:
    said = ((title(name), explain(name, report.test[name].value)) for name in ordered(report))
    return _lines((name, text) for name, text in said if text)


def _data(report: Report) -> str:
    found = "\n".join(map(_finding, report.findings)) or "Nothing was left out."
    more = explain_more_labels((report.story or Story()).more_labels)
    return f"{found}\n\n{escaped(more)}" if more else found


def _finding(finding: Finding) -> str:
    rows = "1 row" if finding.rows == 1 else f"{finding.rows:,} rows"
    return f"- {escaped(finding_title(finding.kind))}: {rows}, {escaped(finding.action)}"


def _listed(told: Mapping[str, JSON], empty: str) -> str:
    return _lines((escaped(name, 80), escaped(value)) for name, value in facts(told)) or empty


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- **{name}** {value}" for name, value in pairs)


def _usage(report: Report) -> str:
    model = plain(report.model)
    shell = f"tailorbird predict {shlex.quote(model)} ITEM"
    python = f"import tailorbird as tb\ntb.load({model!r}).predict([ITEM])"
    return f"{_block('sh', shell)}\n\n{_block('python', python)}"


def _block(language: str, text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
