"""Progress without a face: work tells how far it is, and whoever listens may show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from tailorbird.types import Finding

Advance = Callable[[int], None]


class Listener(Protocol):
    """Someone who shows progress: the command line's bars, a server's log."""

    def start(self, name: str, total: int) -> Advance:
        """A stage of `total` steps begins; the result is called with the steps done since the last call."""

    def stop(self) -> None:
        """The stage that was started last has ended."""

    def tell(self, message: str) -> None:
        """One line that the user should read: what was inferred, what was left out."""


class _Silent:
    def start(self, name: str, total: int) -> Advance:
        return lambda n: None

    def stop(self) -> None:
        pass

    def tell(self, message: str) -> None:
        pass


_SILENT = _Silent()  # it has no state, so sharing it is safe
_listener: ContextVar[Listener] = ContextVar("listener", default=_SILENT)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send the progress of everything inside to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def stage(name: str, total: int) -> Iterator[Advance]:
    """A stage of `total` steps: call the value with the number of steps just done."""
    listener = _listener.get()
    advance = listener.start(name, total)
    try:
        yield advance
    finally:
        listener.stop()


def tell(message: str) -> None:
    """One line for the user's eyes."""
    _listener.get().tell(message)


def tell_finding(finding: Finding) -> None:
    """A finding as one line, with the names of its first rows."""
    shown = f" ({', '.join(finding.examples[:3])})" if finding.examples else ""
    tell(f"{finding.kind}: {finding.rows:,} rows, {finding.action}{shown}")
