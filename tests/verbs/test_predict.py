"""One item alone is one item, and a table that is there is not lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tailorbird as tb
from tailorbird.engine.predictor import Predictor
from tailorbird.errors import BadOutput


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A model for pictures, made once."""
    folder, noise = tmp_path_factory.mktemp("pets"), np.random.default_rng(0)
    for i in range(24):
        pixels = noise.integers(0, 80, (40, 40, 3), dtype=np.uint8) + np.array([150 * (i % 2), 0, 0], np.uint8)
        path = folder / "data" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILORBIRD_HOME", str(folder / "home"))
        named = {"model": "toy:image", "runtime": "torch", "method": "probe"}
        return tb.fit(folder / "data", out=folder / "model", **named)


def picture(p: Predictor) -> Path:
    assert p.path is not None
    return p.path.parent / "data" / "cat" / "0.png"


def test_one_picture_alone_is_one_item(pets: Predictor) -> None:
    path = picture(pets)
    colours = np.asarray(Image.open(path))
    grey = colours[..., 0]
    (expected,) = pets.predict([str(path)])
    assert pets.predict(path) == tb.predict(pets, path) == [expected]
    assert [one.label for one in pets.predict(colours)] == [expected.label]
    assert len(pets.predict(grey)) == 1 and pets.predict(grey)[0].error is None
    (odd,) = pets.predict(colours.astype(np.float32))
    assert odd.error is not None and "float32" in odd.error


@pytest.mark.parametrize("shape", [(4, 40, 40, 3), (4, 40, 40)])
def test_an_array_of_pictures_is_as_many_items(pets: Predictor, shape: tuple[int, ...]) -> None:
    answers = pets.predict(np.zeros(shape, np.uint8))
    assert len(answers) == 4 and not any(one.error for one in answers)


def test_a_table_that_is_there_is_only_replaced_by_force(pets: Predictor, tmp_path: Path) -> None:
    out = tmp_path / "scored.csv"
    out.write_text("a year's work\n")
    with pytest.raises(BadOutput, match=r"'.*scored\.csv' exists already") as caught:
        tb.predict(pets, str(picture(pets)), out=out)
    assert caught.value.hint == "choose another --out, or replace it with --force"
    assert out.read_text() == "a year's work\n"
    tb.predict(pets, str(picture(pets)), out=out, force=True)
    assert out.read_text().startswith("item,label,score")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("scored.xlsx", "its suffix is '.xlsx'"),
        ("folder.csv", "it is a folder"),
        ("rows.csv", "is read from"),
        (f"{'a' * 300}.csv", "cannot write"),
    ],
)
def test_a_place_for_no_table_is_refused_even_by_force(
    pets: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "rows.csv").write_text("image,id\na.png,1\nb.png,2\n")
    with pytest.raises(BadOutput, match=words) as caught:
        tb.predict(pets, ["a\0b", "rows.csv"], out=name, force=True)
    assert caught.value.hint
