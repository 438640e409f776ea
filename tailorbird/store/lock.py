"""One process at a time: a lock that the system lets go of when its owner dies, however that comes about."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tailorbird.store.files import writing


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Whether the lock in this file is ours inside the block; another process may hold it. Its folder is made.

    Its owner may remove the file before the block ends. Raises BadOutput."""
    with writing(path):
        number = _opened(path)
    try:
        yield number is not None
    finally:
        if number is not None:
            os.close(number)


def _opened(path: Path) -> int | None:
    import fcntl  # not on Windows, where nothing else of this is needed

    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # its owner finished at this moment, and took the folder along
            number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(number)
                return None
            if os.fstat(number).st_nlink:  # else its owner removed it before it let go
                return number
            os.close(number)
