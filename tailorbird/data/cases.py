"""A finding together with every row that it is about, and how a row is shown to a reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailorbird.types import Dataset, Finding, Suspect

_EXAMPLES = 3
_SHOWN = 60  # characters of a text


@dataclass(frozen=True)
class Case:
    """A finding, and its rows for whoever wants to go through all of them."""

    finding: Finding
    suspects: tuple[Suspect, ...] = ()


def findings_of(cases: Iterable[Case]) -> tuple[Finding, ...]:
    """The findings alone."""
    return tuple(case.finding for case in cases)


def suspects_of(cases: Iterable[Case]) -> tuple[Suspect, ...]:
    """Every row of every case."""
    return tuple(suspect for case in cases for suspect in case.suspects)


def case(
    dataset: Dataset,
    kind: str,
    places: Iterable[int],
    action: str,
    *,
    notes: Mapping[int, str] | None = None,
    suggested: Mapping[int, str] | None = None,
    scores: Mapping[int, float] | None = None,
) -> Case:
    """The case of these rows, in this order. notes: what is to be said of a row, instead of showing it."""
    rows, targets = [int(place) for place in places], dataset.rows.targets
    suspects = tuple(
        Suspect(
            dataset.rows.ids[i],
            kind,
            None if targets is None else targets[i],
            (suggested or {}).get(i),
            (scores or {}).get(i),
            (notes or {}).get(i) or shown(dataset, i),
        )
        for i in rows
    )
    examples = tuple(_example(one) for one in suspects[:_EXAMPLES])
    return Case(Finding(kind, len(rows), action, examples), suspects)


def overall(found: Case) -> Case:
    """The case without its rows: where a finding is about the whole data set, none of them is to be gone through."""
    return Case(found.finding)


def shown(dataset: Dataset, place: int) -> str:
    """What is to be seen in a row: its text, cut, or the name of its file unless its id says it."""
    value = dataset.rows.inputs[dataset.input][place]
    if isinstance(value, str):
        words = " ".join(value[: 4 * _SHOWN].split())
        return words if len(words) <= _SHOWN else f"{words[: _SHOWN - 3]}..."
    return value.name if isinstance(value, Path) and value.name not in dataset.rows.ids[place] else ""


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _example(one: Suspect) -> str:
    """The row's name, what is to be seen there and its target, as one line."""
    text = f": {one.shown}" if one.shown else ""
    target = "" if one.given is None else f" ({one.given})"
    return f"{one.id}{text}{target}" if one.suggested is None else f"{one.id}{text} ({one.given}, or {one.suggested}?)"
