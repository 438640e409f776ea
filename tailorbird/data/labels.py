"""What the cells of a target column hold: nothing, labels, numbers. Told early, before anything is decoded."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

from tailorbird.errors import BadData
from tailorbird.types import JSON, Dataset, Finding

MOST_LABELS = 10_000
SOME = 10  # labels, before anything is said of a likeness to numbers or names: ten digits are ten labels
_MOST_DECIMALS = 100  # labels: half stars and the like are fewer
_SHOWN = 3  # examples of one label in several spellings
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)  # longer ones are identifiers, not numbers
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_PADDED = re.compile(r"0\d", re.ASCII)  # as post codes are


def missing(value: JSON) -> bool:
    """Is there nothing in this cell?"""
    if isinstance(value, float):
        return math.isnan(value)  # Parquet from pandas has NaN for nothing
    return value is None or (isinstance(value, str) and not value.strip())


def check_present(dataset: Dataset) -> None:
    """Raise BadData if no row has a target."""
    targets = dataset.rows.targets
    if targets is not None and all(map(missing, targets)):
        problem = f"column {dataset.target!r} of {dataset.origin!r} is empty in all {len(targets):,} rows"
        raise BadData(problem, "name another column: --target NAME")


def present(dataset: Dataset) -> list[tuple[str, str]]:
    """The id and the target of each row that has one."""
    rows = dataset.rows
    pairs = zip(rows.ids, rows.targets or (None,) * len(rows), strict=True)
    return [(row, target) for row, target in pairs if target is not None and not missing(target)]


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels, sorted; whole numbers by their value."""
    found = set(labels)
    if all(_INTEGER.fullmatch(label) for label in found):
        return tuple(sorted(found, key=lambda label: (int(label), label)))  # "10" after "9"; "01" and "1" both stay
    return tuple(sorted(found))


def similar_labels(pairs: Sequence[tuple[str, str]]) -> tuple[Finding, ...]:
    """A finding for labels that differ by letter case or spaces alone: nearly always one, typed in two ways.
    pairs: row id and label; a row may have several."""
    first = {label: row for row, label in reversed(pairs)}
    spellings: dict[str, list[str]] = {}
    for label in first:
        spellings.setdefault(_letters(label), []).append(label)
    alike = [sorted(labels) for _, labels in sorted(spellings.items()) if len(labels) > 1]
    if not alike:
        return ()
    several = {label for labels in alike for label in labels}
    shown = "; ".join(" and ".join(map(repr, labels)) for labels in alike[:SOME])
    action = f"kept apart, though they differ by letter case or spaces alone: {shown}"
    examples = tuple(f"{first[label]} {label!r}" for label in [one for labels in alike for one in labels][:_SHOWN])
    return (Finding("similar_labels", len({row for row, label in pairs if label in several}), action, examples),)


def _letters(label: str) -> str:
    return unicodedata.normalize("NFC", "".join(label.casefold().split()))


def number(text: str) -> float | None:
    """The number that a cell holds, written with a point and without separators; None if it is no finite number."""
    found = float(text) if _NUMBER.fullmatch(text) else math.inf
    return found if math.isfinite(found) else None


def are_numbers(targets: Sequence[str]) -> bool:
    """Whether these are numbers that nobody would call labels: nearly all different; or many decimals; or many whole
    numbers with gaps between them, as prices have and the numbers of classes have not."""
    found = set(targets)
    if len(found) < SOME or any(_PADDED.match(text) for text in found):
        return False
    values = [number(text) for text in found]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(found):
        return False
    if len(found) > 0.8 * len(targets):
        return True
    whole = all(value.is_integer() for value in numbers)
    gaps = max(numbers) - min(numbers) > 2 * len(found) and len(found) > 0.1 * len(targets)
    return len(found) > _MOST_DECIMALS and (gaps or not whole)
