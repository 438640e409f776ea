"""What plans said that fits would take, and what they took: $TAILORBIRD_HOME/plans/KEY.json and history.jsonl.

All that is lost with them is how well the next plan knows this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tailorbird.errors import BadOutput
from tailorbird.store import files
from tailorbird.types import JSON

_MOST_LINES = 1000  # that are read, the last ones


def say(key: str, told: Mapping[str, JSON]) -> None:
    """Keep what a plan said of a fit, if the store can be written to."""
    with suppress(BadOutput):
        files.write(_plan(key), files.canonical(dict(told)))


def said(key: str) -> Mapping[str, JSON] | None:
    """What was said last of this fit; None if nothing was."""
    with suppress(OSError, ValueError):
        told = json.loads(_plan(key).read_bytes())
        return told if isinstance(told, dict) else None
    return None


def add(line: Mapping[str, JSON]) -> None:
    """One fit more, if the store can be written to."""
    with suppress(OSError):
        _history().parent.mkdir(parents=True, exist_ok=True)
        with _history().open("ab") as file:  # one write of one line: two processes do not mix theirs
            file.write(json.dumps(dict(line), sort_keys=True, allow_nan=False).encode() + b"\n")


def lines() -> list[Mapping[str, JSON]]:
    """The fits so far, the oldest first; a damaged line is none."""
    with suppress(OSError):
        return [told for told in map(_line, _history().read_bytes().splitlines()[-_MOST_LINES:]) if told]
    return []


def _line(content: bytes) -> Mapping[str, JSON] | None:
    with suppress(ValueError):
        told = json.loads(content)
        return told if isinstance(told, dict) else None
    return None


def _plan(key: str) -> Path:
    return files.home() / "plans" / f"{key}.json"


def _history() -> Path:
    return files.home() / "history.jsonl"
