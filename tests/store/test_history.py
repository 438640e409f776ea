"""What is kept of plans and fits: lost or damaged it costs nothing but knowledge."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailorbird.store import files, history


def test_what_was_said_is_found_by_its_key_alone() -> None:
    history.say("a", {"seconds": 3.5})
    assert history.said("a") == {"seconds": 3.5} and history.said("b") is None


def test_fits_are_kept_in_their_order_and_a_damaged_line_is_none() -> None:
    history.add({"n": 1})
    with (files.home() / "history.jsonl").open("ab") as file:
        file.write(b'{"n": \n[2]\n')
    history.add({"n": 3})
    assert [line["n"] for line in history.lines()] == [1, 3]


def test_a_damaged_plan_says_nothing() -> None:
    (files.home() / "plans").mkdir(parents=True)
    (files.home() / "plans" / "a.json").write_bytes(b"{")
    assert history.said("a") is None and history.lines() == []


def test_a_store_that_cannot_be_written_to_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_bytes(b"a file")
    monkeypatch.setenv("TAILORBIRD_HOME", str(tmp_path / "home"))
    history.say("a", {"seconds": 1})
    history.add({"n": 1})
    assert history.said("a") is None and history.lines() == []
