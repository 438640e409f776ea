"""Features and facts of real files, which may change while they are read."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tailorbird.data.check import check
from tailorbird.data.read import read
from tailorbird.engine import material
from tailorbird.engine.budget import budget
from tailorbird.engine.features import cores
from tailorbird.engine.material import Material, facts_memory, gather_features
from tailorbird.errors import BadData
from tailorbird.kinds import Modality, Source
from tailorbird.plug import parse

MODALITY = parse("modality", "image:size=32", Modality)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(8):
        path = tmp_path / "pets" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pets"


def gathered(pets: Path, **settings: Any) -> Material:
    body = parse("source", "toy:image", Source).open()
    checked = check(read(pets), MODALITY, memory=facts_memory(MODALITY))
    if (picture := settings.pop("then", None)) is not None:
        picture.save(pets / "cat/0.png")
    given = {"threads": 1, "limit": budget(None), **settings}
    return gather_features(checked, body, MODALITY, runtime="torch", device="cpu", **given)


def first(gathered: Material) -> NDArray[np.float32]:
    place = gathered.checked.dataset.rows.ids.index("cat/0.png")
    row: NDArray[np.float32] = gathered.features["last"][place]
    return row


def test_a_file_that_changes_after_its_digest_is_refused_and_its_old_content_keeps_its_own_features(
    pets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = (pets / "cat/0.png").read_bytes()
    with pytest.raises(BadData, match=r"'cat/0\.png' could be read a moment ago, and now not: it changed") as caught:
        gathered(pets, then=Image.new("RGB", (40, 40), "white"))
    assert caught.value.hint == "run again when nothing writes to the data"
    (pets / "cat/0.png").write_bytes(original)
    after = first(gathered(pets))
    monkeypatch.setenv("TAILORBIRD_HOME", str(tmp_path / "another"))
    assert np.array_equal(after, first(gathered(pets)))


def test_what_gave_the_features_is_let_go(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    choose = material.choose

    def noted(*args: Any, **named: Any) -> Any:
        choice = choose(*args, **named)
        opened.append(weakref.ref(choice.encoder))
        return choice

    monkeypatch.setattr(material, "choose", noted)
    found = gathered(pets)
    gc.collect()
    assert len(opened) == 1 and opened[0]() is None
    assert sum(width for _, width in found.choice.encoder.depths) == sum(x.shape[1] for x in found.features.values())
    with pytest.raises(AssertionError, match="was let go"):
        found.choice.encoder.encode({})


def test_facts_that_were_found_within_another_limit_or_by_another_reading_are_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def folder(spelling: str) -> Path:
        memory: Any = facts_memory(parse("modality", spelling, Modality))
        place: Path = memory.folder
        return place

    before = folder("image")
    assert folder("image") == before
    assert folder("image:max_pixels=1000") != before
    monkeypatch.setattr(type(MODALITY), "version", classmethod(lambda cls: "other"))
    assert folder("image") != before
    assert facts_memory(parse("modality", "text", Modality)) is None


def test_a_picture_beyond_the_limit_is_left_out_although_a_higher_limit_let_it_pass(pets: Path) -> None:
    Image.new("RGB", (100, 100)).save(pets / "cat/large.png")
    for limit, n_rows in ((1_000_000, 9), (5_000, 8)):
        modality = parse("modality", f"image:max_pixels={limit}", Modality)
        assert len(check(read(pets), modality, memory=facts_memory(modality)).values) == n_rows


def test_the_threads_that_were_asked_for_load_the_pictures(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    encode = material.encode
    monkeypatch.setattr(material, "encode", lambda *a, **k: asked.append(k["threads"]) or encode(*a, **k))
    assert gathered(pets, threads=3).choice.threads == 3
    assert gathered(pets, threads=0).choice.threads == cores()
    assert asked == [3, cores()]


def test_features_count_as_of_half_precision_only_where_they_are(pets: Path) -> None:
    assert not gathered(pets, half=True).half, "torch on a processor computes in float32 all the same"


def test_the_cache_is_opened_once_with_a_budget_too(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    opened = material.namespace_of
    monkeypatch.setattr(material, "namespace_of", lambda *a, **k: asked.append("opened") or opened(*a, **k))
    gathered(pets, limit=budget("1h"))
    assert asked == ["opened"]
