"""Listed files out of a wheel or a source archive: streamed, bounded, each checked against its digest.

Nothing else in the archive is touched, no name of the archive becomes a path, and extractall is never called."""

from __future__ import annotations

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tailorbird.errors import FetchFailed
from tailorbird.store.catalogue import Member

_CHUNK_BYTES = 1 << 18
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, KeyError, NotImplementedError, RuntimeError)
_HINT = "ask another index: export PIP_INDEX_URL=https://HOST/simple"


def read_out(archive: Path, members: Iterable[Member], folder: Path) -> None:
    """Write these members into `folder` under their names. Raises FetchFailed for one that is not as listed."""
    for member in members:
        with _opened(archive, member) as stream:
            _copy(stream, member, folder / member.name)


@contextmanager
def _opened(archive: Path, member: Member) -> Iterator[IO[bytes]]:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped, zipped.open(member.path) as stream:
                yield stream
        else:
            with tarfile.open(archive, "r:*") as tar, _regular(tar, member) as stream:
                yield stream
    except _BROKEN as error:
        raise FetchFailed(f"cannot read {member.path!r} out of the archive: {error}", _HINT) from error


def _regular(tar: tarfile.TarFile, member: Member) -> IO[bytes]:
    info = tar.getmember(member.path)
    stream = tar.extractfile(info) if info.isreg() else None  # a link would lead to another member
    if stream is None:
        raise FetchFailed(f"{member.path!r} in the archive is no plain file", _HINT)
    return stream


def _copy(stream: IO[bytes], member: Member, target: Path) -> None:
    digest, left = hashlib.sha256(), member.size_bytes
    with target.open("xb") as file:
        while chunk := stream.read(min(_CHUNK_BYTES, left + 1)):  # one more byte than listed is enough to know
            left -= len(chunk)
            if left < 0:
                raise _wrong(member, f"more than {member.size_bytes} bytes")
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != member.sha256:
        raise _wrong(member, digest.hexdigest())


def _wrong(member: Member, got: str) -> FetchFailed:
    return FetchFailed(
        f"{member.path!r} has the wrong content: wanted {member.sha256}, got {got}; nothing was kept", _HINT
    )
