"""How fast to learn at each step, when to look at held-out rows, and how many steps fit before a deadline."""

from __future__ import annotations

import time
from collections.abc import Mapping
from math import ceil

from tailorbird.types import JSON

WARM_UP = 0.1  # share of the steps in which the rate rises
_TIMED_STEPS = 8  # after which their number is settled; the first one is not counted, for it is slower
_TIMED_SHARE = 0.1  # of the time that is left, at most, before it is settled all the same
_JUDGING_SHARE = 0.2  # of the time that is left, at most, goes into looking at held-out rows
_MARGIN = 0.9  # of the time that is left is planned with
_LAST_LOOKS = 3.0  # a look at the last weights, answers in full precision and the writing cost about so many looks


def rate_share(step: int, n_steps: int) -> float:
    """The share of the highest rate at a step, 0 to n_steps - 1: one cycle, a rise and then a straight fall."""
    rise = max(1, round(WARM_UP * n_steps))
    if step < rise:
        return (step + 1) / rise
    return (n_steps - step) / (n_steps - rise + 1)


def looks(n_steps: int, n_looks: int) -> frozenset[int]:
    """After which numbers of steps held-out rows are looked at: evenly spread, and at the end."""
    return frozenset(ceil(n_steps * i / n_looks) for i in range(1, n_looks + 1))


class Pace:
    """How many steps fit before a deadline: settled once, after the first few. Without one, no clock is looked at."""

    def __init__(self, deadline: float | None, n_steps: int, n_looks: int) -> None:
        self.n_steps, self.n_looks = n_steps, n_looks
        self._deadline = deadline
        self._look_s = self._began = 0.0
        self._from = 1  # the step after which the clock was started
        self._settled = deadline is None

    def plain(self) -> dict[str, JSON]:
        """What was settled, and the seconds that are left, as JSON."""
        told = {name: getattr(self, name) for name in ("n_steps", "n_looks", "_look_s", "_settled")}
        return {**told, "left_s": None if self._deadline is None else self._deadline - time.monotonic()}

    def resume(self, told: Mapping[str, JSON], done: int) -> None:
        """Go on as one that settled this before, with the seconds that it had left, or more: what an interruption costs
        must not end in mid-cycle what was settled. What was not is timed from the next step on."""
        for name in ("n_steps", "n_looks", "_look_s", "_settled"):
            setattr(self, name, told[name])
        left_s = told.get("left_s")
        if left_s is None or self._deadline is None:
            self._deadline = None
        else:
            self._deadline = max(self._deadline, time.monotonic() + left_s)
        self._from = done + 1

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed, or would before the answers are written."""
        return self._deadline is not None and time.monotonic() > self._deadline - _LAST_LOOKS * self._look_s

    def looked(self, seconds: float) -> None:
        """How long the first look at held-out rows took."""
        self._look_s = seconds

    def stepped(self, done: int) -> None:
        """So many steps are done: perhaps it is time to settle their number."""
        if self._settled or self._deadline is None:
            return
        now = time.monotonic()
        if done <= self._from:
            self._began = now
            return
        left = self._deadline - now
        if done - self._from < _TIMED_STEPS and now - self._began < _TIMED_SHARE * left:
            return
        self._settled = True
        self.n_looks = max(1, min(self.n_looks, int(_JUDGING_SHARE * left / max(self._look_s, 1e-9))))
        usable = _MARGIN * left - self._look_s * (self.n_looks + _LAST_LOOKS)
        fits = done + int(usable * (done - self._from) / max(now - self._began, 1e-9))
        self.n_steps = max(done, min(self.n_steps, fits))
