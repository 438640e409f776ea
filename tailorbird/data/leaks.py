"""What gives the target away: another column of the table, or something in the input that is no part of the question.

All of it is told and nothing is changed: only the owner of the data knows what will be there when the model is used.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Cells = Sequence[str | None]

_LEAST_ROWS = 20  # with a value and a target, before anything is said
_EQUAL_SHARE = 0.99
# Of the mistakes of who always says the commonest label, so many may be left when the column is known.
_LEFT_SHARE, _LEFT_ROWS = 0.1, 0.02
_CHANGES_SHARE = 0.05  # changes of label along a column of numbers, as a share of those along a shuffled one
_DIFFERENT = 20  # numbers, before a target is taken for a number and not for labels
_RANKS = 0.999  # correlation of ranks between two columns of numbers
_VARIANCE_LEFT = 0.01


def tells(values: Cells, targets: Sequence[str]) -> str | None:
    """How a column gives the target away, in a few words; None if it does not. Both have n cells."""
    rows = [(value, target) for value, target in zip(values, targets, strict=True) if value is not None]
    if len(targets) < _LEAST_ROWS:
        return None
    if len(rows) >= _LEAST_ROWS and len({target for _, target in rows}) > 1:
        there, theirs = [value for value, _ in rows], [target for _, target in rows]
        how = _in_values(there, theirs)
        if how is not None:
            return how
    presence = ["missing" if value is None else "there" for value in values]
    if len(rows) < len(targets) and _by_value(presence, targets, _many_numbers(targets)):
        return "tells the target by being empty or not"
    return None


def _in_values(values: Sequence[str], targets: Sequence[str]) -> str | None:
    same = sum(value.strip().casefold() == target.casefold() for value, target in zip(values, targets, strict=True))
    if same >= _EQUAL_SHARE * len(values):
        return "equals the target"
    numbers, goals = _numbers(values), _many_numbers(targets)
    if goals is not None and numbers is not None and abs(_rank_correlation(numbers, goals)) >= _RANKS:
        return "goes up or down with the target"
    if _by_value(values, targets, goals):
        return "tells the target by its value"
    by_order = goals is None and numbers is not None and _by_order(numbers, targets)
    return "tells the target by its order" if by_order else None


def _many_numbers(targets: Sequence[str]) -> NDArray[np.float64] | None:
    """Targets as numbers; None if they are no numbers, or so few that they are labels."""
    goals = _numbers(targets)
    return goals if goals is not None and len(np.unique(goals)) > _DIFFERENT else None


def _by_value(values: Sequence[str], targets: Sequence[str], goals: NDArray[np.float64] | None) -> bool:
    """Whether other rows with its value tell each row's target: the label, or where there are goals the number."""
    return _labels(values, targets) if goals is None else _explains(values, goals)


def _labels(values: Sequence[str], targets: Sequence[str]) -> bool:
    """Whether each row's label is that of most other rows with its value, but for a few."""
    counts: dict[str, Counter[str]] = {}
    for value, target in zip(values, targets, strict=True):
        counts.setdefault(value, Counter())[target] += 1
    commonest, n_commonest = Counter(targets).most_common(1)[0]
    wrong = sum(_mistakes(labels, commonest) for labels in counts.values())
    return wrong <= min(_LEFT_SHARE * (len(targets) - n_commonest), _LEFT_ROWS * len(targets))


def _mistakes(labels: Counter[str], commonest: str) -> int:
    """Of rows with one value, those whose label is not that of most others; the commonest of all is said of a lone row.

    A row does not vote on itself: numbers of orders are all different, and tell nothing."""
    (first, n), (_, next_n) = [*labels.most_common(2), ("", 0)][:2]
    total = labels.total()
    if total == 1:
        return int(first != commonest)
    return total - n if n - 1 > next_n else total


def _by_order(numbers: NDArray[np.float64], targets: Sequence[str]) -> bool:
    """Whether rows in the order of a number have long runs of one label."""
    if len(np.unique(numbers)) < _DIFFERENT / 2:
        return False
    labels = np.unique(np.array(targets), return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(len(numbers))  # so that equal numbers stand as they might have
    order = order[np.argsort(numbers[order], kind="stable")]
    changes = int((np.diff(labels[order]) != 0).sum())
    shares = np.bincount(labels) / len(labels)
    return changes <= max(_CHANGES_SHARE * len(labels) * (1 - float(shares @ shares)), len(shares) - 1)


def _explains(values: Sequence[str], goals: NDArray[np.float64]) -> bool:
    """Whether the mean of the other rows with its value leaves next to nothing of each row's number."""
    numbers: dict[str, int] = {}  # an array of texts would give each the room of the longest
    place = np.array([numbers.setdefault(value, len(numbers)) for value in values])
    others = np.bincount(place)[place] - 1
    sums = np.bincount(place, goals)[place] - goals
    said = np.where(others > 0, sums / np.maximum(others, 1), goals.mean())
    return float(((goals - said) ** 2).sum()) <= _VARIANCE_LEFT * float(((goals - goals.mean()) ** 2).sum())


def _rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The place of each number in their order; equal ones share the middle of theirs. (n,)"""
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - counts / 2)[place], np.float64)


def _numbers(values: Sequence[str]) -> NDArray[np.float64] | None:
    """All cells as numbers, dates as points of time; None if one is neither."""
    found = [as_number(value) for value in values]
    numbers = [number for number in found if number is not None]
    return np.array(numbers) if len(numbers) == len(found) else None


def as_number(value: str) -> float | None:
    """A number, or a date in ISO 8601 as seconds; None for anything else."""
    try:
        number = float(value)
    except ValueError:
        return as_date(value)
    return number if math.isfinite(number) else None


def as_date(value: str) -> float | None:
    """A date in ISO 8601 as seconds since year 1; None for anything else."""
    try:
        date = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (date.replace(tzinfo=None) - datetime.min).total_seconds()


# ---- the input ----------------------------------------------------------------------------------------------------

_IN_SHARE, _OUT_SHARE = 0.9, 0.02  # of a label's texts that have a word, and of all others
_MANY_SHARE, _MANY_ROWS, _PURE_SHARE = 0.05, 30, 0.99  # of texts with a word; and of those the ones of one label
_FEW_ROWS = 10  # of a label
_EDGES = re.compile(r"^\W+|\W+$")


def telling_words(texts: Sequence[str], targets: Sequence[str]) -> list[tuple[str, str]]:
    """Words that give a label away by themselves, each with its label: nearly all texts of it have the word and hardly
    any other; or very many texts have it, and they are of one label. On film reviews none is."""
    per_label: dict[str, Counter[str]] = {}
    sizes = Counter(targets)
    for text, target in zip(texts, targets, strict=True):
        per_label.setdefault(target, Counter()).update(tokens(text))
    everywhere: Counter[str] = Counter()
    for counts in per_label.values():
        everywhere.update(counts)
    found = [
        (word, label)
        for label, counts in per_label.items()
        if _FEW_ROWS <= sizes[label] < len(texts)
        for word, n in counts.items()
        if _decides(n, everywhere[word] - n, sizes[label], len(texts))
    ]
    return sorted(found, key=lambda pair: (-everywhere[pair[0]], pair))


def _decides(n_in: int, n_out: int, n_label: int, n_texts: int) -> bool:
    if n_in >= _IN_SHARE * n_label and n_out <= _OUT_SHARE * (n_texts - n_label):
        return True
    many = n_in + n_out >= max(_MANY_SHARE * n_texts, _MANY_ROWS)
    return many and n_in >= _PURE_SHARE * (n_in + n_out) and n_label <= _IN_SHARE * n_texts


def tokens(text: str) -> set[str]:
    """The words as they stand, with and without the punctuation around them."""
    words = text.casefold().split()
    return {*words, *(_EDGES.sub("", word) for word in words)} - {""}
