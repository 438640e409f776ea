"""States of rows of many lengths: what is written comes back, and the cache keeps it or does without."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from tailorbird.store import cache, states
from tailorbird.store.states import States, Writer

KEY = {"what": "states", "rows": "abc"}
LENGTHS = (3, 1, 0, 5)


def made() -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, 4)).astype(np.float32) for length in LENGTHS]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Four rows, the last one first."""
    path = tmp_path / "rows"
    keys = np.arange(4 * 32, dtype=np.uint8).reshape(4, 32)
    with path.open("wb") as file:
        writer = Writer(file, keys)
        for place in (3, 0, 2, 1):
            writer.add(place, made()[place])
        writer.finish()
    return path


def check(found: States) -> None:
    for place, rows in enumerate(made()):
        assert np.array_equal(found.of(place), rows.astype(np.float16))


def test_rows_come_back_by_their_places(written: Path) -> None:
    found = States(written)
    written.unlink()
    check(found)


def test_other_programs_can_read_it(written: Path) -> None:
    found = load_file(written)
    assert {name: x.shape for name, x in found.items()} == {
        "rows": (sum(LENGTHS), 4), "starts": (4,), "lengths": (4,), "keys": (4, 32),
    }  # fmt: skip
    assert found["lengths"].tolist() == list(LENGTHS) and found["keys"][1, 0] == 32


def test_the_cache_keeps_it_under_its_key(written: Path) -> None:
    assert states.find(KEY) is None
    states.keep(written, KEY, body="toy:text")
    assert not written.exists()
    found = states.find(KEY)
    assert found is not None
    check(found)
    assert states.find({**KEY, "rows": "abd"}) is None
    (entry,) = cache.entries()
    assert entry.rows == 4 and entry.about["body"] == "toy:text"
    assert cache.clear() > 0 and states.find(KEY) is None


def test_a_store_on_another_disk_gets_a_copy(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def other_disk(path: Path, target: Path) -> Path:
        if path == written:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", other_disk)
    states.keep(written, KEY)
    found = states.find(KEY)
    assert found is not None and written.exists()
    check(found)


def test_what_would_take_most_of_the_cache_is_left_where_it_is(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILORBIRD_CACHE_SIZE", str(written.stat().st_size * 3))
    states.keep(written, KEY)
    assert written.exists() and states.find(KEY) is None


def test_what_is_damaged_is_removed_and_told(written: Path, told: list[str]) -> None:
    states.keep(written, KEY)
    (kept,) = cache.folder_of(KEY).glob("*.safetensors")
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    assert states.find(KEY) is None and not kept.exists()
    assert any("is damaged" in line for line in told)


def test_a_store_that_refuses_is_told_once_and_costs_nothing(
    written: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    monkeypatch.setattr(cache, "_told", set())
    states.keep(written, KEY)
    assert written.exists() and states.find(KEY) is None and len(told) == 1
    assert list(cache.folder_of(KEY).glob(".*.part")) == []
