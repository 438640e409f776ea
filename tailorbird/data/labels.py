"""What a classifier can learn from: told early, before anything is decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tailorbird.errors import BadData
from tailorbird.types import JSON, Dataset, Finding

MOST_LABELS = 10_000
_SOME = 10  # labels, before anything is said of a likeness to numbers or names: ten digits are ten labels
_MOST_DECIMALS = 100  # labels: half stars and the like are fewer


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


def check_labels(dataset: Dataset) -> None:
    """Raise BadData if the targets are nothing that a classifier could learn."""
    there = [target for target in dataset.rows.targets or () if target is not None]
    labels, origin = set(there), f"{dataset.origin!r}"
    hint = "name the right column: --target NAME"
    if len(labels) == 1:
        one = f"{origin} has 1 label, {there[0]!r}, and a classifier needs two or more"
        raise BadData(one, hint if dataset.target != "label" else "one folder or value for each label; two or more")
    if _numbers(there, labels):
        problem = f"column {dataset.target!r} of {origin} holds {len(labels):,} different numbers such as {there[0]!r}"
        raise BadData(f"{problem}: a number to predict, and this version classifies", hint)
    if len(labels) > MOST_LABELS:
        raise BadData(f"{origin} has {len(labels):,} labels, and the limit is {MOST_LABELS:,}", hint)
    if len(labels) == len(there) >= _SOME:
        problem = f"column {dataset.target!r} of {origin} has another value in each of its {len(there):,} rows"
        raise BadData(problem, hint)


def similar_labels(dataset: Dataset) -> list[Finding]:
    """A finding for labels that differ by letter case alone: nearly always one label, typed in two ways."""
    targets = dataset.rows.targets or ()
    spellings: dict[str, set[str]] = {}
    for target in filter(None, targets):
        spellings.setdefault(target.casefold(), set()).add(target)
    several = {one for alike in spellings.values() if len(alike) > 1 for one in alike}
    rows = sum(target in several for target in targets)
    action = f"kept apart, though they differ by letter case alone: {', '.join(sorted(several)[:_SOME])}"
    return [Finding("similar_labels", rows, action)] if several else []


def _numbers(there: Sequence[str], labels: set[str]) -> bool:
    """Nearly all different, or so many with decimals that they are no names of anything."""
    if len(labels) < _SOME or not all(map(_number, labels)):
        return False
    decimals = any(not float(label).is_integer() for label in labels)
    return len(labels) > 0.8 * len(there) or (decimals and len(labels) > _MOST_DECIMALS)


def _number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
