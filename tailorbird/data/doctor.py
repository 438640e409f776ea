"""What is odd about a data set beyond its single rows: columns and words that tell the target, inputs of no use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tailorbird.data.cases import Case, case, overall
from tailorbird.data.check import Checked
from tailorbird.data.leaks import as_date, as_number, telling_words, tells, tokens
from tailorbird.types import Dataset

_SAMPLE_ROWS = 1000  # to see what kind of input it is
_NEARLY_ALL = 0.9
_WORDS = 5  # that a finding names
_ID = re.compile(r"(?=.*\d)[\w./:@-]+")


def cases(checked: Checked) -> list[Case]:
    """What its owner should know of the columns and of the input, with the rows. Needs no body and no task."""
    dataset = checked.dataset
    if dataset.rows.targets is None or not len(dataset.rows):
        return []
    targets = [str(target) for target in dataset.rows.targets]
    return [*_columns(dataset, targets), *_features(dataset, targets), *_words(dataset, targets), *_odd_input(dataset)]


def _columns(dataset: Dataset, targets: Sequence[str]) -> Iterator[Case]:
    """Other columns of the table that give the target away."""
    for name, column in dataset.rows.others.items():
        how = tells(column, targets)
        if how is not None:
            there = [i for i, value in enumerate(column) if value is not None]
            notes = {i: f"{name}={column[i]}" for i in there}
            action = f"column {name!r} {how}; it is not used, and must not become part of the input"
            yield overall(case(dataset, "leaking_column", there, action, notes=notes))


def _features(dataset: Dataset, targets: Sequence[str]) -> Iterator[Case]:
    """What is not meant to say anything: the length of a text, the format of a file."""
    values = dataset.rows.inputs[dataset.input]
    suffixes = [value.suffix.lower() if isinstance(value, Path) else None for value in values]
    lengths = [str(len(value)) if isinstance(value, str) else None for value in values]
    for what, cells in (("the format of the file", suffixes), ("the length of the text", lengths)):
        if len(set(cells)) > 1 and tells(cells, targets) is not None:
            notes = {i: f"{cell}" for i, cell in enumerate(cells)}
            action = f"{what} tells the target: a model may learn that alone; give all labels inputs of one make"
            yield overall(case(dataset, "revealing_input", range(len(cells)), action, notes=notes))


def _words(dataset: Dataset, targets: Sequence[str]) -> Iterator[Case]:
    """Words that give a label away by themselves."""
    values = dataset.rows.inputs[dataset.input]
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values):
        return
    found = telling_words(texts, targets)
    if found:
        words = {word for word, _ in found}
        rows = [i for i, text in enumerate(texts) if not words.isdisjoint(tokens(text))]
        named = ", ".join(f"{word!r} ({label})" for word, label in found[:_WORDS])
        more = f" and {len(found) - _WORDS:,} more" if len(found) > _WORDS else ""
        action = f"words that tell the label alone: {named}{more}; kept: take them out if they will not be there in use"
        yield overall(case(dataset, "revealing_input", rows, action))


def _odd_input(dataset: Dataset) -> Iterator[Case]:
    """An input of dates, numbers or names of rows: a body has nothing to read there."""
    values = dataset.rows.inputs[dataset.input]
    sample = [value.strip() for value in values[:_SAMPLE_ROWS] if isinstance(value, str)]
    what = _kind(sample) if len(sample) == len(values[:_SAMPLE_ROWS]) else None
    if what is not None:
        action = f"the input {dataset.input!r} holds {what}, which a pretrained body cannot read: --input NAME"
        yield overall(case(dataset, "odd_input", range(len(values)), action))


def _kind(texts: Sequence[str]) -> str | None:
    n_some = _NEARLY_ALL * len(texts)
    if sum(as_date(text) is not None and not text.isdigit() for text in texts) >= n_some:
        return "dates"
    if sum(as_number(text) is not None for text in texts) >= n_some:
        return "numbers"
    all_differ = len(set(texts)) >= n_some
    return "names of rows" if all_differ and sum(bool(_ID.fullmatch(text)) for text in texts) >= n_some else None
