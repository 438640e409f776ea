"""Graphs in the store: found only if they are whole and fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tailorbird.errors import BadBody
from tailorbird.kinds import Modality
from tailorbird.plug import parse
from tailorbird.store import files, graphs
from tailorbird.types import BodyFolder

MODALITY = parse("modality", "text:max_tokens=8", Modality)


@pytest.fixture
def body(tmp_path: Path) -> BodyFolder:
    return BodyFolder("toy:text", tmp_path / "body", "toy", "text", "f" * 64)


def written(body: BodyFolder) -> Path:
    def fill(folder: Path) -> graphs.Graph:
        (folder / graphs.MODEL).write_bytes(b"graph")
        digest = files.sha256(folder / graphs.MODEL)
        full = MODALITY.spelling(full=True)
        return graphs.Graph((("last", 4),), ("input_ids",), 20, "2.13", digest, body.fingerprint, full)

    return graphs.write(body, MODALITY, fill)


def test_a_graph_that_was_written_is_found_and_read(body: BodyFolder) -> None:
    place = written(body)
    assert graphs.find(body, MODALITY) == place
    assert graphs.read(place).depths == (("last", 4),)


def test_another_body_or_modality_has_another_graph(body: BodyFolder) -> None:
    written(body)
    assert graphs.find(replace(body, fingerprint="e" * 64), MODALITY) is None
    assert graphs.find(body, parse("modality", "text:max_tokens=9", Modality)) is None


def test_a_graph_with_a_flipped_bit_is_not_found_and_is_replaced(body: BodyFolder) -> None:
    place = written(body)
    (place / graphs.MODEL).write_bytes(b"grapi")
    assert graphs.find(body, MODALITY) is None
    written(body)
    assert graphs.find(body, MODALITY) == place


def test_a_graph_beside_the_body_is_found_without_the_store(
    body: BodyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(body)
    graphs.copy_graph(body, MODALITY, tmp_path / "graph")
    monkeypatch.setenv("TAILORBIRD_HOME", str(tmp_path / "empty"))
    assert graphs.find(body, MODALITY) == tmp_path / "graph"


def test_copying_a_graph_that_is_not_there_copies_nothing(body: BodyFolder, tmp_path: Path) -> None:
    graphs.copy_graph(body, MODALITY, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"depths": 1}', json.dumps({"depths": [], "inputs": [], "x": 1})])
def test_a_description_that_is_none_is_a_bad_body(tmp_path: Path, content: str) -> None:
    (tmp_path / graphs.ABOUT).write_text(content)
    with pytest.raises(BadBody, match="holds no graph"):
        graphs.read(tmp_path)
