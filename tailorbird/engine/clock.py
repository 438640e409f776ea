"""Seconds by stage, for the report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Counts wall time from its making, and from entering to leaving each stage."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Count the time inside as `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._stages.pop(stage, None)  # of one that is entered again the last time counts, and its place
            self._stages[stage] = time.perf_counter() - start

    def seconds(self) -> dict[str, float]:
        """Seconds of every stage so far, and "total" from the beginning to now."""
        return {**self._stages, "total": time.perf_counter() - self._start}
