"""Rows that were computed once and are kept by content: features of a body, facts about pictures.

A namespace is a folder of immutable safetensors shards with the tensors `keys` (n, 32) uint8 and `rows` (n, ...), each
named by the sha256 of its own bytes. There are no locks: shards appear whole by rename, two processes may write at
once, and a shard that is damaged or gone only costs its rows. So does a store that cannot be written to: that is told
once, and the work goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load

from tailorbird.errors import BadOutput, BadSpelling
from tailorbird.progress import tell
from tailorbird.store import files
from tailorbird.types import JSON, CacheEntry

KEY_BYTES = 32
ABOUT, SUFFIX = "about.json", ".safetensors"
LIMIT_VARIABLE, LIMIT_DEFAULT = "TAILORBIRD_CACHE_SIZE", "10GB"
_told: set[Path] = set()  # the stores of which it was said that they cannot be written to


class Namespace:
    """Rows of one kind, found by 32-byte keys. What another process adds after the opening is not seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[bytes, tuple[Path, int]] = {}
        for shard in sorted(folder.glob(f"*{SUFFIX}")):
            self._note(shard)

    @classmethod
    def open(cls, key: Mapping[str, JSON], **about: JSON) -> Namespace:
        """The rows that belong to `key`: whatever changes them must be in it. about: what only listings tell."""
        folder = folder_of(key)
        if not (folder / ABOUT).is_file():
            with if_it_can_be_written():
                files.write(folder / ABOUT, files.canonical({**key, **about}))
        return cls(folder)

    def get(self, keys: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Which keys are known, and their rows in the order of the keys. keys: (n, 32) -> (n,), (m, ...)."""
        wanted: dict[Path, list[tuple[int, int]]] = {}  # shard -> (which key, which row)
        for i, key in enumerate(keys):
            if (place := self._places.get(key.tobytes())) is not None:
                wanted.setdefault(place[0], []).append((i, place[1]))
        mask, parts, order = np.zeros(len(keys), dtype=bool), [], []
        for shard, pairs in wanted.items():
            rows = self._rows(shard)
            if rows is not None:
                parts.append(rows[[row for _, row in pairs]])
                order += [i for i, _ in pairs]
        mask[order] = True
        if not parts:
            return mask, np.zeros((0, 0), dtype=np.float32)
        return mask, np.concatenate(parts)[np.argsort(order)]

    def put(self, keys: NDArray[np.uint8], rows: NDArray[Any]) -> None:
        """Keep rows under keys, as one shard, if the store can be written to. keys: (n, 32); rows: (n, ...)."""
        assert keys.shape == (len(rows), KEY_BYTES), f"keys {keys.shape} do not fit rows {rows.shape}"
        if not len(rows):
            return
        content = files.tensors({"keys": keys.astype(np.uint8, copy=False), "rows": rows})
        shard = self.folder / f"{hashlib.sha256(content).hexdigest()}{SUFFIX}"
        with if_it_can_be_written():
            files.write(shard, content)
            self._note(shard)
            evict()

    def _note(self, shard: Path) -> None:
        """Learn which keys a shard holds. Its digest is looked at when its rows are wanted."""
        try:
            with safe_open(shard, framework="numpy") as file:
                keys = file.get_tensor("keys")
        except SafetensorError:
            _content(shard)  # removes it, if it is damaged and not only unreadable at this moment
            return
        except OSError:  # gone, not ours to read, or too many files are open
            return
        self._places.update((key.tobytes(), (shard, row)) for row, key in enumerate(keys))

    def _rows(self, shard: Path) -> NDArray[Any] | None:
        content = _content(shard)
        if content is None:
            self._places = {key: place for key, place in self._places.items() if place[0] != shard}
            return None
        with suppress(OSError):  # where shards cannot be touched none are removed to make room either
            os.utime(shard)  # used now: the shards that were not are the first to go
        return np.asarray(load(content)["rows"])


def root() -> Path:
    """The folder of all namespaces."""
    return files.home() / "features"


def folder_of(key: Mapping[str, JSON]) -> Path:
    """Where the rows are that belong to `key`."""
    return root() / hashlib.sha256(files.canonical(dict(key))).hexdigest()[:32]


def entries() -> list[CacheEntry]:
    """Every namespace with rows, largest first."""
    return sorted(filter(None, map(_entry, _folders())), key=lambda entry: -entry.size_bytes)


def clear() -> int:
    """Remove all rows and give the bytes that became free. Raises BadOutput."""
    freed = 0
    for folder in _folders():
        for path in _paths(folder):
            with files.writing(path):
                freed += _unlink(path)
        with suppress(OSError):  # another process may be writing there, or was first
            folder.rmdir()
    return freed


def limit_bytes() -> int:
    """The size that all shards together may have: $TAILORBIRD_CACHE_SIZE, "10GB". Raises BadSpelling."""
    given = os.environ.get(LIMIT_VARIABLE, LIMIT_DEFAULT)
    limit = files.bytes_of(given)
    if limit is None:
        problem = f"{LIMIT_VARIABLE} is {given!r}, and must be a size"
        raise BadSpelling(problem, f"export {LIMIT_VARIABLE}={LIMIT_DEFAULT}")
    return limit


def evict() -> int:
    """Remove the shards that were used longest ago until the rest fits the limit; give the bytes that became free."""
    shards, total, freed, limit = [], 0, 0, limit_bytes()
    for path, status in _statuses(_folders()):
        if path.suffix == SUFFIX:
            shards.append((status.st_mtime_ns, path))
            total += status.st_size
        elif path.suffix == ".part" and files.is_abandoned(status):
            freed += _remove(path)
    for _, path in sorted(shards):
        if total <= limit:
            break
        size = _remove(path)
        total, freed = total - size, freed + size
    return freed


def _folders() -> list[Path]:
    return sorted(path for path in root().glob("*") if path.is_dir())


def _paths(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # another process cleared the cache, or it is not ours to read
        return []


def _statuses(folders: list[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for path in (path for folder in folders for path in _paths(folder)):
        try:
            status = path.stat()
        except OSError:  # another process made room, or it is not ours to see
            continue
        yield path, status


def _entry(folder: Path) -> CacheEntry | None:
    shards = list(folder.glob(f"*{SUFFIX}"))
    if not shards:
        return None
    try:
        about = json.loads((folder / ABOUT).read_bytes())
    except (OSError, ValueError):
        about = {}
    size = sum(status.st_size for path, status in _statuses([folder]) if path.suffix == SUFFIX)
    return CacheEntry(folder.name, len(Namespace(folder)._places), size, about)


def _remove(path: Path) -> int:
    """Remove a file if that can be done, and give the bytes that became free."""
    try:
        return _unlink(path)
    except OSError:
        return 0


def _unlink(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:  # another process was first
        return 0
    return size


@contextmanager
def if_it_can_be_written() -> Iterator[None]:
    """Keeping rows only saves time, so a store that refuses them is told once and is no error."""
    try:
        yield
    except BadOutput as error:
        if root() not in _told:
            _told.add(root())
            tell(f"what is computed now is not kept: {error.problem}")


def _content(shard: Path) -> bytes | None:
    """What a shard holds. One whose content is not that of its name is removed; one that cannot be read is left."""
    try:
        content = shard.read_bytes()
    except OSError:  # another process made room, too many files are open, or it is not ours to read
        return None
    if hashlib.sha256(content).hexdigest() == shard.stem:
        return content
    tell(f"the cache file {shard} is damaged; it was removed and its rows are computed again")
    _remove(shard)
    return None
