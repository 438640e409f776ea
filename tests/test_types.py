"""The nouns that travel between floors, and the promise that they are typed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tailorbird.types import Dataset, Finding, Rows

ROOT = Path(__file__).parent.parent


@pytest.fixture
def rows() -> Rows:
    return Rows(("a", "b", "c"), {"text": ("x", "y", "z")}, ("1", None, "2"), None, ("train", "test", None))


def test_rows_are_taken_from_every_column_in_the_order_asked(rows: Rows) -> None:
    taken = rows.take([2, 0])
    assert taken == Rows(("c", "a"), {"text": ("z", "x")}, ("2", "1"), None, (None, "train"))
    assert len(taken) == 2
    assert len(rows) == 3


def test_a_data_set_keeps_its_findings_when_its_rows_change(rows: Rows) -> None:
    first, second = Finding("empty", 1, "left out"), Finding("duplicate", 2, "kept on one side")
    before = Dataset(rows, "text", "text", "mood", "x.csv", findings=(first,))
    after = before.with_rows(rows.take([0]), second)
    assert after.findings == (first, second)
    assert before.findings == (first,)
    assert len(after.rows) == 1


def test_users_get_the_types_too() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert (ROOT / "tailorbird" / "py.typed").exists()
    assert "py.typed" in settings["tool"]["setuptools"]["package-data"]["tailorbird"]
    assert settings["tool"]["mypy"]["strict"] is True
