"""Files that are whole or not there: write beside, flush to disk, rename. Also digests and the store's place."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tailorbird.errors import BadOutput
from tailorbird.types import JSON

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADER_LIMIT_BYTES = 10_000_000  # a safetensors header beyond this is an attack, not a model (reliability: R4)
_ABANDONED_AFTER_S = 24 * 3600  # no pull or fit takes a day
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?|[KMG]I)B?", re.IGNORECASE)


def home() -> Path:
    """The store's folder: $TAILORBIRD_HOME, or a folder in the user's cache."""
    given = os.environ.get("TAILORBIRD_HOME")
    if given:
        try:
            return Path(given).expanduser().absolute()
        except RuntimeError as error:  # a user who does not exist
            raise BadOutput(f"TAILORBIRD_HOME is {given!r}: {error}", "export TAILORBIRD_HOME=DIR") from error
    from platformdirs import user_cache_path  # only needed here, and not free to import

    return user_cache_path("tailorbird", appauthor=False)


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical(value: JSON) -> bytes:
    """The one way to write a JSON value: sorted keys, one space of indent, UTF-8, a newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into an error that names the place and a way out."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        reason = "the disk is full or a file-size limit was reached" if full else (error.strerror or str(error))
        hint = "free some space, or name a folder on another disk" if full else "name a folder that you may write to"
        raise BadOutput(f"cannot write {str(path)!r}: {reason}", hint) from error


def write(path: Path, content: bytes) -> None:
    """Write a file whole: beside, flushed, renamed. Parents are made. Raises BadOutput."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = beside(path)
        try:
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            flush(path.parent)
        finally:
            part.unlink(missing_ok=True)


def bytes_of(size: str) -> int | None:
    """A size as people write it, "500MB", "1.5 G" or "2GiB", in bytes; None if it is none."""
    match = _SIZE.fullmatch(size.strip())
    return None if match is None else int(float(match[1]) * _UNITS[match[2].upper()])


def tensors(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as the bytes of a safetensors file."""
    import numpy as np
    from safetensors.numpy import save

    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})  # (), too, keeps its shape


def beside(path: Path) -> Path:
    """A new name in the same folder that readers pass over: hidden, and ending in .part."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


@contextmanager
def whole_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty folder to fill; at the end it becomes `target` by rename, or leaves no trace if anything was raised.

    Someone else may finish the same target first: without `replace` theirs stays and ours is dropped."""
    part = beside(target)
    with writing(target):
        part.mkdir(parents=True)
    try:
        with writing(target):
            yield part
            for path in (part, *part.rglob("*")):
                flush(path)
            _become(part, target, replace)
            flush(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _become(part: Path, target: Path, replace: bool) -> None:
    """Rename `part` to `target`. Others may do the same at this moment; whichever comes last, it is whole."""
    if replace and target.is_dir() and _swap(part, target):
        return  # what was there is now in `part`, which the caller removes
    old = beside(target)
    while True:
        if replace and target.is_dir():
            with suppress(FileNotFoundError):  # another one moved it away first
                target.rename(old)
        try:
            part.rename(target)
            break
        except BaseException as error:
            taken = isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST) and target.is_dir()
            if taken and not replace:
                return
            if not taken and old.exists():
                old.rename(target)
            if not taken:
                raise
            shutil.rmtree(old, ignore_errors=True)  # another one came first: theirs is replaced in the next round
    shutil.rmtree(old, ignore_errors=True)


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def _swap(part: Path, target: Path) -> bool:
    """Exchange two folders in one step, so that no kill can fall between. False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    places = (os.fsencode(part), os.fsencode(target))
    return bool(rename(_AT_FDCWD, places[0], _AT_FDCWD, places[1], _RENAME_EXCHANGE) == 0)


def sweep(folder: Path) -> None:
    """Remove what runs that were killed left unfinished in `folder`, once it is so old that nobody works on it."""
    for path in folder.glob(".*.part"):
        with suppress(OSError):  # it may be finished or removed by its owner at this moment
            if is_abandoned(path.lstat()):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_abandoned(unfinished: os.stat_result) -> bool:
    """Whether an unfinished file or folder is so old that it belongs to a process that was killed."""
    return unfinished.st_mtime < time.time() - _ABANDONED_AFTER_S


def flush(path: Path) -> None:
    """Make a file's content, or the names in a folder, survive a power cut."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def inside(root: Path, name: str) -> Path | None:
    """The path of the file `name` below root, or None if it would lie outside or pass through a link."""
    pure = PurePosixPath(name)
    strange = "\\" in name or "\0" in name or ":" in name or pure.is_absolute() or str(pure) != name
    if strange or ".." in pure.parts or not name:
        return None
    path = root
    for step in pure.parts:
        path = path / step
        if path.is_symlink():
            return None
    return path


def files_below(root: Path) -> list[str]:
    """Names of all files and links below root with forward slashes, sorted; unfinished *.part files are passed over."""
    found = (path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    relative = (path.relative_to(root) for path in found)
    return sorted(path.as_posix() for path in relative if not any(step.endswith(".part") for step in path.parts))


def check_writable(path: Path) -> None:
    """Raise BadOutput now if a file or folder cannot be made at `path` later."""
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        reason = "cannot be written to" if above.is_dir() else "is a file"
        raise BadOutput(f"cannot write {str(path)!r}: {str(above)!r} {reason}", "name a folder that you may write to")
