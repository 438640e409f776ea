"""How long a fit may take, as a user types it, and what is left of it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from math import ceil

from tailorbird.errors import BadSpelling

DEFAULT = "10m"
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SPELLED = re.compile(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([smh]?)\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """Wall time from the first line to the written model. seconds: None is all the time that it takes."""

    start: float  # time.monotonic()
    seconds: float | None
    typed: str | None

    def after(self, seconds: float) -> Budget:
        """The same with so many seconds spent before it began."""
        return replace(self, start=self.start - seconds)

    @property
    def left_s(self) -> float:
        """Seconds until it is used up; below 0 once it is."""
        return float("inf") if self.seconds is None else self.start + self.seconds - time.monotonic()

    def deadline(self, spare_s: float) -> float | None:
        """The time.monotonic() at which so many seconds are left; None where there is no budget."""
        return None if self.seconds is None else self.start + self.seconds - spare_s

    def check(self, needed_s: float, why: str) -> None:
        """Raise BadSpelling, with the smallest budget that works, if less is left than what is needed."""
        if self.left_s < needed_s:
            spent = time.monotonic() - self.start
            least = _round_up(1.1 * (spent + needed_s))
            raise BadSpelling(f"--budget {self.typed} is too small for anything: {why}", f"--budget {least}")


def budget(typed: str | None) -> Budget:
    """The budget that begins now: "240", "90s", "10m" or "1.5h". Raises BadSpelling."""
    if typed is None:
        return Budget(time.monotonic(), None, None)
    return Budget(time.monotonic(), seconds_of(typed, "--budget"), typed)


def seconds_of(typed: str, option: str) -> float:
    """Seconds as a user types them after an option: "240", "90s", "10m" or "1.5h". Raises BadSpelling."""
    match = _SPELLED.fullmatch(str(typed))
    seconds = float(match[1]) * _UNITS_S[match[2].lower() or "s"] if match else 0.0
    if seconds <= 0:
        raise BadSpelling(f"{option} {typed!r} is no time", f"{option} 90s, {option} 10m or {option} 1h")
    return seconds


def _round_up(seconds: float) -> str:
    return f"{ceil(seconds / 10) * 10}s" if seconds < 180 else f"{ceil(seconds / 60)}m"
