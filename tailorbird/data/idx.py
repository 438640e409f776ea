"""IDX pairs: pictures and labels in two files, plain or .gz, as MNIST and Fashion-MNIST come."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.data.folders import PARTS
from tailorbird.errors import BadData
from tailorbird.types import Dataset, Part, Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IMAGES = re.compile(r"^(.*?)images([-.])idx3-ubyte(\.gz)?$", re.IGNORECASE)
_PARTS: dict[str, Part] = {"t10k": "test", **PARTS}


def is_idx(path: Path) -> bool:
    """Is this a file of IDX pictures, or a folder with one?"""
    return any(_IMAGES.match(file.name) for file in (path.iterdir() if path.is_dir() else (path,)))


def read_idx(path: Path, origin: str, needs_target: bool) -> Dataset:
    """The pictures of one pair, or of all pairs in a folder: train-* is to learn from, t10k-* is to test. BadData."""
    found = sorted(file for file in path.iterdir() if _IMAGES.match(file.name)) if path.is_dir() else [path]
    files = list({file.name.removesuffix(".gz"): file for file in found}.values())  # some keep both, packed and plain
    pairs = [(file, *_pair(file, needs_target)) for file in files]
    rows = Rows(
        tuple(f"{file.name}:{i}" for file, images, _ in pairs for i in range(len(images))),
        {"image": tuple(image for _, images, _ in pairs for image in images)},
        tuple(str(label) for _, _, labels in pairs for label in labels) if needs_target else None,
        parts=tuple(_part(file) for file, images, _ in pairs for _ in images) if path.is_dir() else None,
    )
    if not len(rows):
        raise BadData(f"{origin!r} holds no pictures", "name a pair of files with pictures")
    shown = ", ".join(f"{len(images):,} in {file.name}" for file, images, _ in pairs)
    return Dataset(rows, "image", "image", "label" if needs_target else None, origin, (f"IDX pictures: {shown}",))


def _part(file: Path) -> Part | None:
    match = _IMAGES.match(file.name)
    return _PARTS.get(match[1].strip("-._").lower()) if match else None


def _pair(images: Path, needs_target: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(n, h, w) and (n,)."""
    pictures = _array(images, 3)
    if not needs_target:
        return pictures, np.zeros(0, np.uint8)
    labels = _array(_labels_of(images), 1)
    if len(labels) != len(pictures):
        problem = f"{str(images)!r} holds {len(pictures):,} pictures, and its labels file {len(labels):,} labels"
        raise BadData(problem, "name files that belong together")
    return pictures, labels


def _labels_of(images: Path) -> Path:
    match = _IMAGES.match(images.name)
    assert match, "only files with such names are asked for"
    name = f"{match[1]}labels{match[2]}idx1-ubyte"
    for path in (images.with_name(name), images.with_name(name + ".gz")):
        if path.is_file():
            return path
    raise BadData(f"{str(images)!r} has no labels file beside it", f"put it there: {images.with_name(name)}[.gz]")


def _array(path: Path, n_axes: int) -> NDArray[np.uint8]:
    try:
        return _parse(path, n_axes)
    except (OSError, EOFError, ValueError, zlib.error, struct.error) as error:
        problem = f"{str(path)!r} is no whole IDX file of {n_axes} axes: {error}"
        raise BadData(problem, f"fetch it again; see what it is: file {path}") from error


def _parse(path: Path, n_axes: int) -> NDArray[np.uint8]:
    """The header: two zeros, 8 for bytes, the number of axes, their lengths as big-endian 32 bits."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        magic = file.read(4)
        if magic != bytes((0, 0, 8, n_axes)):
            raise ValueError(f"it begins with {magic.hex() or 'nothing'}")
        shape = struct.unpack(f">{n_axes}I", file.read(4 * n_axes))
        return np.frombuffer(file.read(), np.uint8).reshape(shape)
