"""The page of `check`: a paragraph for each finding, the worst first, and what was looked at."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tailorbird.faces.paragraph import paragraph
from tailorbird.types import Examination, Finding

# How bad it is to leave it as it is: figures or the model would be wrong; the owner should look; only to be known.
_WRONG = frozenset(
    {
        "conflict",
        "label_error",
        "leaking_column",
        "missing_target",
        "odd_input",
        "revealing_input",
        "twins_flatter",
        "unreadable",
        "value_error",
    }
)
_KNOWN = frozenset({"few_rows", "other_file", "imbalance"})
_COLOURS = ("red", "yellow", "cyan")


def examination_page(value: Examination, console: Console, seconds: float) -> None:
    """Print what was found."""
    for finding in sorted(value.findings, key=_rank):
        _finding(finding, console)
    if not value.findings:
        console.print(Text("nothing was found", style="green"))
    for line in _closing(value):
        paragraph(line, console)


def _finding(finding: Finding, console: Console) -> None:
    rows = f"{finding.rows:,} row{'' if finding.rows == 1 else 's'}"
    head = Text(finding.kind.replace("_", " "), style=f"bold {_COLOURS[_rank(finding)]}")
    console.print(head.append(f"  {rows}", style="bold"))
    paragraph(finding.action, console, indent="  ")
    for example in finding.examples[:3]:
        paragraph(example, console, indent="    ", style="dim")
    console.print()


def _rank(finding: Finding) -> int:
    return 0 if finding.kind in _WRONG else 2 if finding.kind in _KNOWN else 1


def _closing(value: Examination) -> list[str]:
    parts = ", ".join(f"{n:,} {name}" for name, n in value.parts.items())
    what = f"{value.rows:,} rows of {value.data}: {value.task} of {value.target!r} from {value.input!r}"
    lines = [f"{what}; fit would take {parts}; {value.seconds:.1f} s"]
    if value.body is None:
        lines.append("looked at without a pretrained body: wrong labels and look-alikes were not looked for")
    else:
        lines.append(f"looked at with {value.body}")
    if value.out is not None:
        lines.append(f"to go through, {len(value.suspects):,} in all: {value.out}")
    elif value.suspects:
        lines.append("every row of these findings as a table: --out findings.csv")
    return lines
