"""Ctrl-C and SIGTERM wait while something must be done whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def put_off() -> Iterator[None]:
    """A signal that comes inside the block is dealt with at its end. Signals reach the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    ours = [number for number in _SIGNALS if signal.getsignal(number) is not None]  # else it is no affair of Python's
    before = {number: signal.signal(number, lambda *told: came.append(told)) for number in ours}
    try:
        yield
    finally:
        for one, earlier in before.items():
            signal.signal(one, earlier)
        for number, frame in came[:1]:
            handler = before[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)
            else:
                signal.raise_signal(number)
