"""Any data that a user names, as a Dataset: folders, tables, IDX pairs, samples."""

from __future__ import annotations

import difflib
import os
from dataclasses import replace
from pathlib import Path

from tailorbird.data.columns import Wish, dataset_from
from tailorbird.data.folders import read_file, read_folder
from tailorbird.data.idx import is_idx, read_idx
from tailorbird.data.labels import check_present
from tailorbird.data.tables import SUFFIXES, located, table
from tailorbird.errors import BadData
from tailorbird.types import Dataset, Part, Rows


def read(
    path: str | Path,
    *,
    target: str | None = None,
    input: str | None = None,
    group: str | None = None,
    needs_target: bool = True,
    expected: tuple[str, str | None] | None = None,
) -> Dataset:
    """The rows at a path or `data:NAME`. Raises BadData for what holds no rows, or no targets; whether targets can be
    learned from, the task knows.

    needs_target: False for rows that are to be answered; then one file, or a folder without labels, will do too.
    expected: for rows that are only measured, the input and target of what they are measured with: those columns are
    taken where the user names no others, one label is enough, and of several parts only the test part is taken."""
    if needs_target:
        learned = expected or (None, None)
        _check_apart(target or learned[1], input or learned[0], group)
    wish = Wish(target, input, group, needs_target, expected)
    dataset = _read(located(path), wish, str(path))
    if needs_target:
        check_present(dataset)
    return dataset if expected is None else _only_test(dataset)


def read_like(first: Dataset, path: str | Path, group: str | None = None) -> Dataset:
    """Rows to test or validate with: the same columns as those of `first`. Raises BadData if it is another kind."""
    place = located(path)
    shared = group if place.suffix.lower() not in SUFFIXES or group is None or group in table(place).names else None
    dataset = read(path, group=shared, expected=(first.input, first.target))
    if dataset.modality != first.modality:
        problem = f"{dataset.origin!r} holds {dataset.modality}s, and {first.origin!r} holds {first.modality}s"
        raise BadData(problem, f"name a path with {first.modality}s")
    return dataset


def join(train: Dataset, test: Dataset | None = None, validation: Dataset | None = None) -> Dataset:
    """One data set of all rows, each with the part that it was given for. Raises BadData if a part is given twice."""
    if test is None and validation is None:
        return train
    own = train.rows.parts or (None,) * len(train.rows)
    given: tuple[tuple[Part, Dataset | None], ...] = (("test", test), ("validation", validation))
    others: list[tuple[Part, Dataset]] = []
    for part, dataset in given:
        if dataset is None:
            continue
        if part in own:
            raise BadData(
                f"{train.origin!r} has a {part} part, and --{part} {dataset.origin!r} is a second",
                f"leave out --{part}",
            )
        others.append((part, dataset))
    parts: tuple[Part | None, ...] = own + tuple(part for part, dataset in others for _ in dataset.rows.ids)
    datasets = [train, *(dataset for _, dataset in others)]
    return replace(
        train,
        rows=_stacked([dataset.rows for dataset in datasets], train.input, parts),
        told=tuple(line for dataset in datasets for line in dataset.told),
        findings=tuple(finding for dataset in datasets for finding in dataset.findings),
    )


def _stacked(rows: list[Rows], name: str, parts: tuple[Part | None, ...]) -> Rows:
    """The rows of all, below each other. Every one has one input, whatever it is called."""
    groups = [one.groups or (None,) * len(one) for one in rows]
    return Rows(
        tuple(id for one in rows for id in one.ids),
        {name: tuple(value for one in rows for column in one.inputs.values() for value in column)},
        tuple(target for one in rows for target in one.targets or (None,) * len(one)),
        tuple(group for column in groups for group in column) if any(one.groups for one in rows) else None,
        parts,
        {name: column + (None,) * (len(parts) - len(column)) for name, column in rows[0].others.items()},
    )


def _read(place: Path, wish: Wish, origin: str) -> Dataset:
    if not os.path.exists(place):  # noqa: PTH110 (it is False where pathlib raises: for names too long to be)
        raise _not_there(place, origin)
    if place.suffix.lower() in SUFFIXES and place.is_file():
        return dataset_from(table(place), wish, origin)
    dataset = _without_columns(place, wish, origin)
    for option, name, column in (
        ("--target", wish.target, "label"),
        ("--input", wish.input, dataset.input),
        ("--group", wish.group, None),
    ):
        if name is not None and name != column:
            raise BadData(f"{origin!r} is no table, so {option} {name!r} names no column", f"leave out {option}")
    return dataset


def _without_columns(place: Path, wish: Wish, origin: str) -> Dataset:
    if is_idx(place):
        return read_idx(place, origin, wish.needs_target)
    if place.is_dir():
        return read_folder(place, origin, wish.needs_target)
    if wish.needs_target:
        problem = f"{origin!r} is no table and no folder, so it has no labels"
        raise BadData(problem, f"name a folder of class folders, or a table: {', '.join(sorted(SUFFIXES))}")
    return read_file(place, origin)


def _check_apart(target: str | None, column: str | None, group: str | None) -> None:
    if target is None:
        return
    if target == column:
        problem = f"{target!r} is named as the target and as the input: it would be learned from itself"
        raise BadData(problem, "name another column: --input NAME, or --target NAME")
    if target == group:
        problem = f"{target!r} is the target and the group: each label would be learned from whole, or measured whole"
        raise BadData(problem, "name another column: --group NAME, or leave it out")


def _not_there(place: Path, origin: str) -> BadData:
    beside = [path.name for path in place.parent.iterdir()] if place.parent.is_dir() else []
    near = difflib.get_close_matches(place.name, beside, n=1)
    hint = f"did you mean {place.with_name(near[0])}?" if near else f"look there: ls {place.parent}"
    return BadData(f"there is no file or folder {origin!r}", hint)


def _only_test(dataset: Dataset) -> Dataset:
    """Of a folder with train and test parts, the rows to measure with."""
    parts = dataset.rows.parts
    if parts is None or "test" not in parts:
        return replace(dataset, rows=replace(dataset.rows, parts=None))
    rows = dataset.rows.take([i for i, part in enumerate(parts) if part == "test"])
    told = (*dataset.told, f"{dataset.origin}: {len(rows):,} rows of its test part are taken")
    return replace(dataset, rows=replace(rows, parts=None), told=told)
