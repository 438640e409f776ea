"""How much memory this process holds, and held at most while something was done."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_EVERY_S = 0.02  # a batch lives longer
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")  # what torch says of an accelerator and of a machine
_STATM = Path("/proc/self/statm")


class Peak:
    """The most resident bytes that were seen; None where the system does not tell."""

    def __init__(self) -> None:
        self.size_bytes = resident_bytes()

    def look(self) -> None:
        """Look once more."""
        now = resident_bytes()
        if now is not None:
            self.size_bytes = max(now, self.size_bytes or 0)


def resident_bytes() -> int | None:
    """What this process holds now; where only its peak is told, that."""
    with suppress(ModuleNotFoundError, OSError, IndexError, ValueError):
        import resource  # not on every system, like the file

        return int(_STATM.read_text("ascii").split()[1]) * resource.getpagesize()
    return most_resident_bytes()


def most_resident_bytes() -> int | None:
    """What this process ever held at once."""
    with suppress(ModuleNotFoundError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(peak) if sys.platform == "darwin" else int(peak) * 1024
    return None


@contextmanager
def watched() -> Iterator[Peak]:
    """The peak while inside."""
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY_S):
            peak.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()
        peak.look()


def give_back() -> None:
    """Hand what was let go back to the system, for whatever comes next. The allocator of glibc keeps it otherwise: 600
    MB of the tensors of a small body."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # other allocators have no such call, Windows no such library
        ctypes.CDLL(None).malloc_trim(0)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory was too short, of this machine or of an accelerator."""
    return isinstance(error, MemoryError) or any(said in str(error) for said in _OUT_OF_MEMORY)
