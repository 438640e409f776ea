"""Folders of pictures or texts: one folder for each label, perhaps under train/, validation/ and test/."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from tailorbird.errors import BadData, BadItem
from tailorbird.kinds import Modality
from tailorbird.plug import load, names
from tailorbird.store.artifact import MANIFEST
from tailorbird.types import Dataset, Finding, Part, Rows, Value

PARTS: dict[str, Part] = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})  # what systems leave beside pictures, unhidden
_RUN = "run.json"  # in NAME.part, where the fit of the model NAME keeps how far it is


@dataclass(frozen=True)
class _Item:
    path: Path
    label: str | None
    part: Part | None


@cache
def suffixes() -> dict[str, str]:
    """Which modality reads files of which suffix. The modalities are asked, so a new one is known here at once."""
    return {suffix: name for name in names("modality") for suffix in modality_of(name).suffixes}


@cache
def modality_of(name: str) -> Modality:
    """The modality of this name, with its defaults: whether a file can be opened depends on no field."""
    return cast(type[Modality], load("modality", name))()


def opened(modality: Modality, path: Path) -> Value:
    """The value in a file. What cannot be opened stays a path, and counts as unreadable when it is used."""
    try:
        return modality.open(path)
    except BadItem:
        return path


def read_folder(root: Path, origin: str, needs_target: bool) -> Dataset:
    """Class folders as rows with targets; without needs_target every item below the folder. Raises BadData."""
    items = list(_labelled(root) if needs_target else _all(root))
    known = [item for item in items if item.path.suffix.lower() in suffixes()]
    if not known:
        raise _nothing(root, origin)
    name = _one_modality(origin, known)
    modality = modality_of(name)
    rows = Rows(
        tuple(_shown(item.path.relative_to(root).as_posix()) for item in known),
        {name: tuple(opened(modality, item.path) for item in known)},
        tuple(None if item.label is None else _shown(item.label) for item in known) if needs_target else None,
        parts=tuple(item.part for item in known) if any(item.part for item in known) else None,
    )
    others = [
        _shown(item.path.relative_to(root).as_posix()) for item in items if item.path.suffix.lower() not in suffixes()
    ]
    findings = (Finding("other_file", len(others), "passed over", tuple(others[:5])),) if others else ()
    told = [f"{origin}: {len(known):,} files, read as {name}", *_empty(root, known)]
    models = (_shown(path.name) for path in sorted(root.iterdir()) if _is_model(path))
    told += [f"{model!r} is passed over: it is a model" for model in models]
    return Dataset(rows, name, name, "label" if needs_target else None, origin, tuple(told), findings)


def _shown(name: str) -> str:
    """A name that can be written anywhere: bytes that are no UTF-8 become question marks."""
    return name.encode(errors="replace").decode()


def read_file(path: Path, origin: str) -> Dataset:
    """One picture or text, as one row without a target. Raises BadData."""
    name = suffixes().get(path.suffix.lower())
    if name is None:
        problem = f"{origin!r} is of no known kind: its suffix is {path.suffix!r}"
        raise BadData(problem, f"known are {', '.join(sorted(suffixes()))}, and tables")
    return Dataset(Rows((origin,), {name: (opened(modality_of(name), path),)}), name, name, None, origin)


def visible(folder: Path) -> list[Path]:
    """What lies in a folder, sorted by name, without what is hidden, left by an operating system or made by fit."""
    return sorted(path for path in folder.iterdir() if not _hidden(path.name) and not _made(path))


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER


def _made(path: Path) -> bool:
    """Whether this is a model, or a fit that is not over: the pictures and texts in it are no data."""
    return _is_model(path) or (path.name.endswith(".part") and (path / _RUN).is_file())


def _is_model(path: Path) -> bool:
    """Whether it was sealed as one; its owner may have put more into it since."""
    place = path / MANIFEST
    try:
        manifest = json.loads(place.read_bytes()) if place.is_file() else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and manifest.keys() >= {"tailorbird", "files", "digest"}


def _files(folder: Path) -> Iterator[Path]:
    """Every visible file below a folder, sorted."""
    for place, folders, found in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _hidden(name) and not _made(Path(place, name)))
        # Plain files alone: who opens a pipe waits for ever.
        yield from (path for name in sorted(found) if not _hidden(name) and (path := Path(place, name)).is_file())


def _all(root: Path) -> Iterator[_Item]:
    return (_Item(path, None, None) for path in _files(root))


def _labelled(root: Path) -> Iterator[_Item]:
    for part, folder in _parts(root):
        for path in visible(folder):
            inside = _files(path) if path.is_dir() else ()
            yield from (_Item(file, path.name, part) for file in inside)
            if path.is_file() and path.suffix.lower() not in suffixes():
                yield _Item(path, None, part)
    _check_loose(root)


def _parts(root: Path) -> list[tuple[Part | None, Path]]:
    """The folder itself; or its train/, validation/ and test/, if train/ holds the class folders."""
    folders = [path for path in visible(root) if path.is_dir()]
    named = {path: PARTS[path.name.lower()] for path in folders if path.name.lower() in PARTS}
    train = [path for path, part in named.items() if part == "train"]
    if not train or not any(path.is_dir() for path in visible(train[0])):
        return [(None, root)]
    odd = [path.name for path in folders if path not in named]
    if odd:
        problem = f"{str(root)!r} has train/ with class folders, and beside it {odd[0]!r}, which is no part"
        raise BadData(problem, f"move it away: mv {root / odd[0]} {root.parent}")
    return [(part, path) for path, part in named.items()]


def _check_loose(root: Path) -> None:
    """Items beside the class folders have no label, and nobody would miss them in the figures."""
    for _, folder in _parts(root):
        loose = [path for path in visible(folder) if path.is_file() and path.suffix.lower() in suffixes()]
        if loose:
            problem = f"{str(folder)!r} holds {len(loose):,} files in no class folder; the first: {loose[0].name!r}"
            raise BadData(problem, f"put each in a folder named by its label: {folder}/LABEL/{loose[0].name}")


def _one_modality(origin: str, items: list[_Item]) -> str:
    counts = Counter(suffixes()[item.path.suffix.lower()] for item in items)
    (name, _), *rest = counts.most_common()
    if not rest:
        return name
    odd = next(item.path for item in items if suffixes()[item.path.suffix.lower()] == rest[-1][0])
    shown = " and ".join(f"{count:,} of {kind}" for kind, count in counts.most_common())
    raise BadData(f"{origin!r} mixes kinds of files: {shown}", f"keep one kind: move away such as {odd}")


def _nothing(root: Path, origin: str) -> BadData:
    found = visible(root)
    if not found:
        return BadData(f"{origin!r} is an empty folder", "put items in folders named by label: FOLDER/LABEL/1.jpg")
    tables = [path for path in found if path.suffix.lower() in (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")]
    hint = f"name the table itself: {tables[0]}" if tables else f"known are {', '.join(sorted(suffixes()))}"
    return BadData(f"{origin!r} holds no pictures and no texts, but such as {found[0].name!r}", hint)


def _empty(root: Path, items: list[_Item]) -> list[str]:
    """A line for each class folder without an item: perhaps its files have a suffix that is not known."""
    labels = {item.label for item in items}
    if None in labels:
        return []
    folders = [path for _, folder in _parts(root) for path in visible(folder) if path.is_dir()]
    return [f"{path.name!r} is passed over: it holds no items" for path in folders if path.name not in labels]
