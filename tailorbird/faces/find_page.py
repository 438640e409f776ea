"""The page of `find`: for each body a spelling that can be typed, a sentence, and the facts that decide."""

from __future__ import annotations

from functools import partial

from rich.console import Console
from rich.text import Text

from tailorbird.engine.finding import FINETUNE_FACTOR, PROBE_FACTOR, Candidate
from tailorbird.faces.paragraph import paragraph
from tailorbird.verbs.find import Found

_FITS = {"finetune": "fits to finetune", "probe": "fits to probe only", "no": "does not fit in memory"}
_paragraph = partial(paragraph, whole_words=True)  # of spellings that can be copied


def found_page(value: Found, console: Console, seconds: float) -> None:
    """Print what was found; where it is one body alone, its whole card."""
    for entry in value.entries:
        _body(entry, console)
    if len(value.entries) == 1:
        _card(value.entries[0], console)
    for line in _closing(value):
        _paragraph(line, console)
    if value.entries and ("words" in value.excluded or len(value.entries) == 1):  # else the first is only the smallest
        _whole(f"next: {_next_step(value.entries[0])}", console)


def size(entry: Candidate) -> str:
    """The size of the download for a reader: "471 MB", or "about 471 MB" where it was reckoned from the parameters."""
    number = f"{entry.size_bytes / 1e9:,.1f} GB" if entry.size_bytes >= 10**9 else f"{entry.size_bytes / 1e6:,.0f} MB"
    return number if entry.size_known else f"about {number}"


def _body(entry: Candidate, console: Console) -> None:
    _whole(entry.spelling, console, style="bold")
    _paragraph(entry.what, console, indent="  ")
    unit = "tokens" if entry.modality == "text" else "pixels"
    state = "pulled" if entry.pulled else f"needs {entry.needs}"
    facts = [
        f"{entry.modality}, {entry.input:,} {unit}",
        size(entry),
        entry.licence,
        state,
        _FITS.get(entry.fits or ""),
    ]
    _paragraph("; ".join(filter(None, facts)), console, indent="  ", style="green" if entry.pulled else "dim")


def _card(entry: Candidate, console: Console) -> None:
    lines = [
        f"{entry.title}: {entry.family}, {entry.parameters:,} parameters, width {entry.width:,}",
        f"suits: {', '.join(entry.tasks)}",
        f"training data: {entry.training_data}",
        f"limits: {entry.limits}",
    ]
    for line in lines:
        _paragraph(line, console, indent="  ")
    _whole(f"  {entry.source}", console)


def _closing(value: Found) -> list[str]:
    if not value.entries:
        return [_why_nothing(value)]
    order = "best" if "words" in value.excluded else "smallest"
    lines = [f"{len(value.entries)} of {value.known} bodies in the catalogue, {order} first"]
    if value.strangers:
        lines.append(f"also in the store: {', '.join(value.strangers)}")
    if value.memory_bytes is not None:
        lines.append(
            f"fits: {PROBE_FACTOR} times the weights to probe and {FINETUNE_FACTOR} times to finetune, "
            f"of {value.memory_bytes / 1e9:,.1f} GB of free memory; a rough measure"
        )
    return lines


def _next_step(best: Candidate) -> str:
    return f"tailorbird fit DATA --model {best.spelling}" if best.pulled else f"tailorbird pull {best.spelling}"


def _why_nothing(value: Found) -> str:
    if not value.excluded:
        return "the catalogue is empty"
    name, most = next(iter(value.excluded.items()))
    filtered = "the words" if name == "words" else f"--{name.replace('_', '-')}"
    return f"nothing suits: {filtered} alone would leave out {most} of the {value.known} bodies in the catalogue"


def _whole(text: str, console: Console, style: str = "") -> None:
    """A line that is never broken, or nobody could copy it."""
    console.print(Text(text, style=style), soft_wrap=True)
