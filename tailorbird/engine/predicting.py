"""predict: answers for pictures, texts, or every row of a table or folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tailorbird.data.idx import is_idx
from tailorbird.data.read import read
from tailorbird.data.tables import SUFFIXES, Table, table, write_table
from tailorbird.engine.outputs import check_table
from tailorbird.engine.predictor import Predictor, load
from tailorbird.errors import BadData, BadItem, BadOutput
from tailorbird.progress import tell
from tailorbird.types import JSON, Device, Prediction, Value


def predict(
    model: str | Path | Predictor,
    items: str | Path | list[str],
    *,
    out: str | Path | None,
    force: bool,
    input: str | None,
    threads: int,
    device: Device,
) -> list[Prediction]:
    """Answer for each item, or for each row of a table or folder."""
    items = [str(items)] if isinstance(items, (str, Path)) else items
    if out is not None:
        check_table(Path(out), map(str, items), "scored", force=force)
    p = model if isinstance(model, Predictor) else load(model, threads=threads, device=device)
    batches = [_batch(p, str(item), input) for item in items]
    ids = [name for batch in batches for name in batch.ids]
    answers = p.answer(ids, [value for batch in batches for value in batch.values])
    if out is not None:
        _write(Path(out), batches, answers, p.task.told)
    return answers


@dataclass(frozen=True)
class _Batch:
    ids: tuple[str, ...]
    values: tuple[Value | BadItem, ...]
    table: Table | None  # the user's own columns, where there are any


def _batch(p: Predictor, item: str, column: str | None) -> _Batch:
    path = Path(item)
    if _is_table(path) or _is_folder(path) or (_is_there(path) and is_idx(path)) or re.fullmatch(r"data:[\w.-]+", item):
        return _rows(p, item, column)
    if path.suffix.lower() in SUFFIXES and " " not in item:
        raise BadData(f"there is no file {item!r}", "name a table that exists")
    return _Batch((item,), (p.value(item),), None)


def _rows(p: Predictor, item: str, column: str | None) -> _Batch:
    whole = table(item) if _is_table(Path(item)) or re.fullmatch(r"data:[\w.-]+", item) else None
    wanted = column or (p.input if whole is not None and p.input in whole.names else None)
    dataset = read(item, input=wanted, needs_target=False)
    if dataset.modality != p.modality.name:
        problem = f"{item!r} holds {dataset.modality}s, and this model reads {p.modality.name}s"
        raise BadData(problem, f"give it {p.modality.name}s, or name their column: --input COLUMN")
    for line in dataset.told:
        tell(line)
    return _Batch(dataset.rows.ids, tuple(dataset.rows.inputs[dataset.input]), whole)


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _is_folder(path: Path) -> bool:
    return _is_there(path) and path.is_dir()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text may be too long for a path, or hold a NUL
        return False


def _write(out: Path, batches: list[_Batch], answers: list[Prediction], told: tuple[str, ...]) -> None:
    columns = _columns_of(batches)
    added: dict[str, Sequence[JSON]] = {name: [_cell(getattr(one, name)) for one in answers] for name in told}
    if any(one.error for one in answers):
        added["error"] = [one.error for one in answers]
    for name, column in added.items():
        free = name if name not in columns else f"predicted_{name}"
        if free in columns:
            raise BadOutput(f"the table has columns {name!r} and {free!r} already", "rename one of them")
        if free != name:
            tell(f"the table has a column {name!r} already: the answer's is called {free!r}")
        columns[free] = column
    write_table(out, columns)


def _cell(value: JSON) -> JSON:
    return "|".join(value) if isinstance(value, tuple) else value  # as many labels are written in a table to learn from


def _columns_of(batches: list[_Batch]) -> dict[str, Sequence[JSON]]:
    """The user's columns; where an argument was no table, one column with the item's name."""
    tables = [batch.table for batch in batches]
    first = tables[0]
    if len(batches) == 1 and first is not None:
        return dict(first.columns)
    if any(one is not None for one in tables):
        raise BadOutput("--out takes one table, or items that are no tables", "give one table at a time")
    return {"item": [name for batch in batches for name in batch.ids]}
