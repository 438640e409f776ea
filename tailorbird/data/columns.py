"""Which column of a table is read, which is to be predicted: as the user says, or inferred and told."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tailorbird.data.folders import modality_of, opened, suffixes
from tailorbird.data.labels import MOST_LABELS, missing
from tailorbird.data.tables import Table
from tailorbird.errors import BadData
from tailorbird.types import JSON, Dataset, Rows, Value

_SAMPLE_ROWS = 200  # to tell texts from paths, and long from short


@dataclass(frozen=True)
class Wish:
    """What is known of the columns before the table is read.

    expected: the input and the target of what the rows will be used with; taken if the table has such columns."""

    target: str | None = None
    input: str | None = None
    group: str | None = None
    needs_target: bool = True
    expected: tuple[str, str | None] | None = None


def dataset_from(table: Table, wish: Wish, origin: str) -> Dataset:
    """The rows of a table, with the columns that are read, predicted and kept together."""
    for option, name in (("--target", wish.target), ("--input", wish.input), ("--group", wish.group)):
        _check_column(table, option, name if option != "--target" or wish.needs_target else None)
    target, input_ = _choose(table, wish)
    modality, values = _values(table, input_)
    rows = Rows(
        table.ids,
        {input_: values},
        None if target is None else tuple(map(as_text, table.columns[target])),
        None if wish.group is None else tuple(map(as_text, table.columns[wish.group])),
        others={} if wish.expected or not wish.needs_target else _others(table, (target, input_, wish.group)),
    )
    told = [table.told, f"{input_!r} is read as {modality}"]
    told += [f"{target!r} is the target"] if target is not None and wish.target is None else []
    return Dataset(rows, modality, input_, target, origin, tuple(told))


def _others(table: Table, used: tuple[str | None, ...]) -> dict[str, tuple[str | None, ...]]:
    """The columns that are not used, for whoever asks whether one of them tells the target."""
    return {name: tuple(map(as_text, column)) for name, column in table.columns.items() if name not in used}


def as_text(value: JSON) -> str | None:
    """A cell as text, written as JSON writes it; None if nothing is in it."""
    if missing(value):
        return None
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str).strip('"')


def _check_column(table: Table, option: str, name: str | None) -> None:
    if name is None or name in table.columns:
        return
    near = difflib.get_close_matches(name, table.names, n=1, cutoff=0.5)
    listed = f"columns: {', '.join(table.names)}"
    hint = f"did you mean {option} {near[0]}? {listed}" if near else listed
    raise BadData(f"{str(table.path)!r} has no column {name!r}", hint)


def _choose(table: Table, wish: Wish) -> tuple[str | None, str]:
    """The target (None: not needed) and the input."""
    if wish.target is not None and wish.target == wish.input:
        problem = f"{wish.target!r} is named as the target and as the input: it would be learned from itself"
        raise BadData(problem, "name another column: --input NAME")
    expected_input, expected_target = wish.expected or (None, None)
    input_ = wish.input or (expected_input if expected_input in table.columns else None)
    target = wish.target if wish.target in table.columns else None
    if target is None and expected_target in table.columns:
        target = expected_target
    free = [name for name in table.names if name not in (target, input_, wish.group)]
    if target is None and wish.needs_target and expected_target is not None:
        problem = f"{str(table.path)!r} has no column {expected_target!r}, the target that was learned"
        raise BadData(problem, f"name it: --target NAME; columns: {', '.join(table.names)}")
    if target is None and wish.needs_target:
        likely = input_ or _likely_input(table, free)
        target = _only_target(table, [name for name in free if name != likely])
        free = [name for name in free if name != target]
    return target, input_ or _only_input(table, free)


def _only_target(table: Table, free: list[str]) -> str:
    """The one column whose values repeat as labels do."""
    if len(free) == 1:  # whatever is wrong with it, the check of its labels says better
        return free[0]
    possible = [name for name in free if _repeats(table.columns[name])]
    if len(possible) == 1:
        return possible[0]
    listed = ", ".join(possible or free) or "none"
    if possible:
        problem = f"{str(table.path)!r} has {len(possible)} columns that could be the target: {listed}"
        raise BadData(problem, f"name one: --target {possible[-1]}")
    problem = f"{str(table.path)!r} has no column that could be the target: no values repeat in {listed}"
    raise BadData(problem, f"name one: --target NAME; columns: {', '.join(table.names)}")


def _repeats(values: Sequence[JSON]) -> bool:
    there = [text for text in map(as_text, values) if text is not None]
    n_labels = len(set(there))
    # Each twice on the average; a text column with some duplicates is no column of labels.
    return 2 <= n_labels <= MOST_LABELS and n_labels < len(there) and n_labels <= max(2, len(there) / 2)


def _only_input(table: Table, free: list[str]) -> str:
    if not free:
        problem = f"{str(table.path)!r} has no column left to read; columns: {', '.join(table.names)}"
        raise BadData(problem, "name a table with texts or paths of pictures, or another --target")
    likely = free[0] if len(free) == 1 else _likely_input(table, free)
    if likely is None:
        problem = f"{str(table.path)!r} has {len(free)} columns that could be read: {', '.join(free)}"
        raise BadData(problem, f"name one: --input {free[0]}")
    return likely


def _likely_input(table: Table, free: list[str]) -> str | None:
    """A column of paths; else the texts that are clearly the longest."""
    paths = [name for name in free if _names_files(table, name)]
    if paths:
        return paths[0] if len(paths) == 1 else None
    lengths = {name: _length(table.columns[name]) for name in free}
    ordered = sorted(free, key=lambda name: -lengths[name])
    if len(ordered) > 1 and lengths[ordered[0]] < 2 * lengths[ordered[1]]:
        return None
    return ordered[0] if ordered and lengths[ordered[0]] else None


def _length(values: Sequence[JSON]) -> float:
    """Mean number of characters of texts; 0 for a column whose values are mostly single words, as ids are."""
    there = _some(values)
    worded = sum(len(text.split()) > 1 for text in there)
    return sum(map(len, there)) / len(there) if 2 * worded > len(there) else 0.0


def _some(values: Sequence[JSON]) -> list[str]:
    there = (text for text in map(as_text, values[:_SAMPLE_ROWS]) if text is not None)
    return list(there)


def _names_files(table: Table, name: str) -> str | None:
    """The modality of the files that most values of a column name; None if they are no paths."""
    known, there = suffixes(), _some(table.columns[name])
    kinds = [known.get(Path(text).suffix.lower()) for text in there if len(text) < 1024 and "\0" not in text]
    kind = max(set(kinds), key=kinds.count, default=None)
    if kind is None or 2 * kinds.count(kind) < len(there):
        return None
    found = (_place(table, text) for text in there)
    if any(isinstance(path, Path) and path.is_file() for path in found):
        return kind
    return None


def _place(table: Table, text: str) -> Path | str:
    """The file that a cell names, or the cell itself if it leads out of the table's folder.

    Only the spelling is judged: links that the owner of the folder made inside it may lead where they like."""
    folder = Path(os.path.abspath(table.path.parent))  # noqa: PTH100  # resolve() would follow those links
    path = Path(os.path.normpath(folder / text.replace("\\", "/")))
    return path if path.is_relative_to(folder) and path != folder and "\0" not in text else text


def _values(table: Table, name: str) -> tuple[str, tuple[Value, ...]]:
    """The modality and the values of a column."""
    column = table.columns[name]
    odd = next((value for value in column if isinstance(value, (bytes, dict, list))), None)
    if odd is not None:
        problem = f"column {name!r} of {str(table.path)!r} holds {type(odd).__name__} values such as {str(odd)[:40]!r}"
        raise BadData(problem, "name a column of texts or of paths: --input NAME")
    texts = [as_text(value) or "" for value in column]
    kind = _names_files(table, name)
    if kind is None:
        _check_paths(table, name)
        return "text", tuple(texts)
    modality = modality_of(kind)
    places = (_place(table, text) if text else "" for text in texts)
    return kind, tuple(opened(modality, place) if isinstance(place, Path) else place for place in places)


def _check_paths(table: Table, name: str) -> None:
    """A column of nothing but picture names, none of which is there, is a table that lost its pictures."""
    known, there = suffixes(), _some(table.columns[name])
    kinds = {known.get(Path(text).suffix.lower()) if len(text.split()) == 1 else None for text in there}
    if kinds and None not in kinds:
        problem = f"column {name!r} of {str(table.path)!r} names files, and none is there; the first: {there[0]!r}"
        raise BadData(problem, f"paths are relative to the table's folder, and inside it: ls {table.path.parent}")
