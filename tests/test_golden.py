"""Models of every format that was ever released still open, verify and answer. Each was made from made sentences by
`tailorbird fit made.csv --target label --model toy:text --embed --out format-N`, and is never made again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import tailorbird as tb
from tailorbird.store.artifact import FORMAT

GOLDEN = Path(__file__).parent / "golden"
FORMATS = sorted(path.name for path in GOLDEN.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_a_model_of_this_format_still_answers_as_it_did(name: str) -> None:
    told = tb.verify(GOLDEN / name)
    assert told.ok, told.problems
    assert told.replayed == 20


@pytest.mark.parametrize("name", FORMATS)
def test_it_needs_no_store(name: str) -> None:
    assert [one.label for one in tb.load(GOLDEN / name).predict(["a road good", "a road bad"])] == ["pos", "neg"]
    assert not any(Path(os.environ["TAILORBIRD_HOME"]).iterdir())


def test_the_format_that_is_written_now_is_among_them() -> None:
    assert f"format-{FORMAT}" in FORMATS
