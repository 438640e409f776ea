"""Bars appear for stages that last, and a request to stop that a library swallowed is heard at the next step."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from tailorbird.faces import bars
from tailorbird.faces.bars import Bars


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_stage_that_lasts_shows_a_bar_even_if_it_never_advances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "PATIENCE_S", 0.05)
    console = terminal()
    listener = Bars(console)
    listener.start("exporting", 1)
    time.sleep(0.4)
    listener.stop()
    assert "exporting" in shown(console) and "left" in shown(console)


def test_a_short_stage_shows_nothing() -> None:
    console = terminal()
    listener = Bars(console)
    listener.start("reading", 3)(3)
    listener.stop()
    assert shown(console) == ""


def test_where_there_is_no_terminal_there_are_no_bars_but_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "PATIENCE_S", 0.01)
    console = Console(file=io.StringIO(), width=100)
    listener = Bars(console)
    listener.start("exporting", 1)
    time.sleep(0.1)
    listener.stop()
    listener.tell("the delimiter is a comma")
    assert shown(console) == "· the delimiter is a comma\n"


def test_a_swallowed_request_to_stop_is_heard_at_the_next_step() -> None:
    listener = Bars(terminal())
    advance = listener.start("encoding", 3)
    bars.asked_to_stop.set()
    try:
        with pytest.raises(KeyboardInterrupt):
            advance(1)
        with pytest.raises(KeyboardInterrupt):
            listener.start("fitting", 1)
    finally:
        bars.asked_to_stop.clear()
        listener.stop()
