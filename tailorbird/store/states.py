"""What was computed of a set of rows as a whole, each as long as it is: one file, mapped into memory.

It is a safetensors file with the tensors `rows` (sum of lengths, ...) float16, `starts` and `lengths` (n,) int64 and
`keys` (n, 32) uint8. The cache keeps it, by what it depends on, as long as it keeps features (store/cache.py).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from tailorbird.progress import tell
from tailorbird.store import cache, files
from tailorbird.types import JSON

_HEADER_BYTES = 1024  # kept free for it: the lengths are only known at the end
_MOST_SHARE = 0.25  # of the room that the cache has, that one set of rows may take
_KINDS = {"float16": "F16", "int64": "I64", "uint8": "U8"}


class States:
    """The states of n rows, by their places."""

    def __init__(self, path: Path) -> None:
        """path: of a whole file; it may be removed once it is mapped."""
        with safe_open(path, framework="numpy") as file:
            self._starts, self._lengths = file.get_tensor("starts"), file.get_tensor("lengths")
            shape = file.get_slice("rows").get_shape()
        self.rows = np.memmap(path, np.float16, "r", 8 + _HEADER_BYTES, tuple(shape))

    def of(self, place: int) -> NDArray[np.float16]:
        """(length, ...)."""
        start = self._starts[place]
        return self.rows[start : start + self._lengths[place]]


class Writer:
    """Writes such a file, row by row in any order."""

    def __init__(self, file: BinaryIO, keys: NDArray[np.uint8]) -> None:
        """keys: (n, 32), of the rows."""
        self._file, self._keys = file, keys
        self._starts, self._lengths = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        self._end = 0
        self._rest: tuple[int, ...] = ()
        file.write(bytes(8 + _HEADER_BYTES))

    def add(self, place: int, states: NDArray[np.floating[Any]]) -> None:
        """states: (length, ...) of the row at this place."""
        content = np.ascontiguousarray(states, np.float16)
        self._starts[place], self._lengths[place] = self._end, len(content)
        self._rest = content.shape[1:]
        self._end += len(content)
        self._file.write(content.data)

    def finish(self) -> None:
        """Write what is known at the end only."""
        told: dict[str, NDArray[Any]] = {"starts": self._starts, "lengths": self._lengths, "keys": self._keys}
        kinds = [("rows", "float16", (self._end, *self._rest)), *((k, str(x.dtype), x.shape) for k, x in told.items())]
        header, end = {}, 0
        for name, kind, shape in kinds:
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
            header[name] = {"dtype": _KINDS[kind], "shape": [*shape], "data_offsets": [end, end + size]}
            end += size
        for array in told.values():
            self._file.write(np.ascontiguousarray(array).data)
        plain = json.dumps(header).encode()
        assert len(plain) <= _HEADER_BYTES, "four tensors are told in a few hundred bytes"
        self._file.seek(0)
        self._file.write(_HEADER_BYTES.to_bytes(8, "little") + plain.ljust(_HEADER_BYTES))


def find(key: Mapping[str, JSON]) -> States | None:
    """What the cache keeps under `key`; what is damaged there is removed."""
    for path in sorted(cache.folder_of(key).glob(f"*{cache.SUFFIX}")):
        with suppress(OSError):  # another process made room, or it is not ours to read
            if files.sha256(path) == path.stem:
                with suppress(OSError):
                    os.utime(path)  # used now: what was not is the first to go
                return _mapped(path)
            tell(f"the cache file {path} is damaged; it was removed and its rows are computed again")
            path.unlink(missing_ok=True)
    return None


def keep(path: Path, key: Mapping[str, JSON], **about: JSON) -> None:
    """Move a whole file into the cache, if there is room for it and the store can be written to; else leave it."""
    if path.stat().st_size > _MOST_SHARE * cache.limit_bytes():
        return
    target = cache.Namespace.open(key, **about).folder / f"{files.sha256(path)}{cache.SUFFIX}"
    with cache.if_it_can_be_written(), files.writing(target):
        part = files.beside(target)
        try:
            _move(path, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        cache.evict()


def _mapped(path: Path) -> States | None:
    try:
        return States(path)
    except (SafetensorError, KeyError, ValueError):  # not of ours, although its name fits
        return None


def _move(path: Path, target: Path) -> None:
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(path, target)  # the store lies on another disk
