"""The cache of rows: immutable shards, found by content."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import SafetensorError

from tailorbird import progress
from tailorbird.errors import BadOutput, BadSpelling
from tailorbird.store import cache
from tailorbird.store.cache import Namespace

KEY = {"what": "features", "body": "made"}


def keys(*numbers: int) -> NDArray[np.uint8]:
    return np.stack([np.full(32, number, dtype=np.uint8) for number in numbers])


def rows(*numbers: float) -> NDArray[np.float32]:
    return np.array([[number, -number] for number in numbers], dtype=np.float32)


def test_what_was_put_is_found_in_the_order_of_the_keys() -> None:
    Namespace.open(KEY).put(keys(1, 2), rows(1, 2))
    space = Namespace.open(KEY)
    space.put(keys(3), rows(3))
    mask, found = space.get(keys(3, 9, 2, 1))
    assert mask.tolist() == [True, False, True, True]
    assert np.array_equal(found, rows(3, 2, 1))


def test_rows_keep_their_type_and_shape() -> None:
    space, given = Namespace.open(KEY), np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    space.put(keys(1, 2), given)
    found = space.get(keys(1, 2))[1]
    assert found.dtype == np.uint8
    assert np.array_equal(found, given)


def test_another_key_is_another_namespace() -> None:
    Namespace.open(KEY).put(keys(1), rows(1))
    assert not Namespace.open({**KEY, "version": "2"}).get(keys(1))[0].any()


def test_about_is_told_and_is_no_part_of_the_key() -> None:
    Namespace.open(KEY, spelling="wheel:a").put(keys(1, 2), rows(1, 2))
    assert Namespace.open(KEY, spelling="folder:b").get(keys(1))[0].all()
    (entry,) = cache.entries()
    assert (entry.rows, entry.about) == (2, {**KEY, "spelling": "wheel:a"})


@pytest.mark.parametrize("place", [3, 100, -33, -1])  # in the length, the header, the row and its key
def test_a_shard_with_one_flipped_bit_never_answers_and_the_others_do(place: int) -> None:
    first = Namespace.open(KEY)
    first.put(keys(1), rows(1))
    (damaged,) = first.folder.glob("*.safetensors")
    first.put(keys(2), rows(2))
    content = bytearray(damaged.read_bytes())
    content[place] ^= 1
    damaged.write_bytes(content)
    mask, found = Namespace.open(KEY).get(keys(1, 2))
    assert mask.tolist() == [False, True]
    assert np.array_equal(found, rows(2))


def test_a_dropped_shard_can_be_put_again() -> None:
    space = Namespace.open(KEY)
    space.put(keys(1), rows(1))
    (shard,) = space.folder.glob("*.safetensors")
    shard.write_bytes(b"")
    assert not space.get(keys(1))[0].any()
    assert not shard.exists()
    space.put(keys(1), rows(1))
    assert space.get(keys(1))[0].all()


def test_a_shard_that_another_process_removed_only_costs_its_rows() -> None:
    space = Namespace.open(KEY)
    space.put(keys(1), rows(1))
    cache.clear()
    assert not space.get(keys(1))[0].any()


def test_the_shards_that_were_used_longest_ago_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    space = Namespace.open(KEY)
    for number in (1, 2, 3):
        space.put(keys(number), rows(number))
    for age, path in enumerate(sorted(space.folder.glob("*.safetensors"))):
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    Namespace.open(KEY).get(keys(1))  # used now
    size = next(space.folder.glob("*.safetensors")).stat().st_size
    monkeypatch.setenv("TAILORBIRD_CACHE_SIZE", str(2 * size))
    space.put(keys(4), rows(4))
    assert Namespace.open(KEY).get(keys(1, 2, 3, 4))[0].tolist() == [True, False, False, True]


def test_unfinished_files_of_killed_processes_are_swept_and_young_ones_left() -> None:
    space = Namespace.open(KEY)
    old, young = space.folder / ".a.part", space.folder / ".b.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 200_000,) * 2)
    space.put(keys(1), rows(1))
    assert not old.exists()
    assert young.exists()


def test_clearing_leaves_nothing_and_counts_the_bytes() -> None:
    space = Namespace.open(KEY)
    space.put(keys(1), rows(1))
    size = sum(path.stat().st_size for path in space.folder.iterdir())
    assert cache.clear() == size
    assert cache.entries() == []
    assert list(cache.root().iterdir()) == []


@pytest.mark.parametrize(
    ("given", "size"),
    [("10GB", 10**10), ("500mb", 5 * 10**8), ("1.5 T", 15 * 10**11), ("7", 7), ("3kB", 3000), ("2GiB", 2**31)],
)
def test_a_limit_is_read_as_people_write_it(monkeypatch: pytest.MonkeyPatch, given: str, size: int) -> None:
    monkeypatch.setenv("TAILORBIRD_CACHE_SIZE", given)
    assert cache.limit_bytes() == size


@pytest.mark.parametrize("given", ["", "much", "-1GB", "10 PB"])
def test_a_limit_that_is_no_size_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("TAILORBIRD_CACHE_SIZE", given)
    with pytest.raises(BadSpelling, match="must be a size"):
        cache.limit_bytes()


class Ears:
    """Hears what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def start(self, name: str, total: int) -> progress.Advance:
        raise AssertionError(name)

    def stop(self) -> None:
        raise AssertionError

    def tell(self, message: str) -> None:
        self.told.append(message)


@pytest.fixture
def ears() -> Iterator[Ears]:
    listener = Ears()
    with progress.listening(listener):
        yield listener


def refuse(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store on a disk that is read-only. For the superuser no folder is, so the calls refuse instead."""
    for place, name in ((Path, "mkdir"), (Path, "unlink"), (Path, "rmdir"), (Path, "replace"), (os, "utime")):
        monkeypatch.setattr(place, name, refuse)


@pytest.mark.usefixtures("read_only")
def test_a_store_that_cannot_be_written_to_is_told_once_and_keeps_nothing(ears: Ears) -> None:
    for number in (1, 2):
        space = Namespace.open({**KEY, "number": number})
        space.put(keys(1), rows(1))
        assert not space.get(keys(1))[0].any()
    assert len(ears.told) == 1
    assert "not kept" in ears.told[0] and "Read-only file system" in ears.told[0]


def test_a_store_that_cannot_be_written_to_still_answers(ears: Ears, request: pytest.FixtureRequest) -> None:
    Namespace.open(KEY).put(keys(1), rows(1))
    request.getfixturevalue("read_only")
    assert np.array_equal(Namespace.open(KEY).get(keys(1))[1], rows(1))
    assert ears.told == []


def test_a_damaged_shard_of_a_store_that_cannot_be_written_to_only_costs_its_rows(
    request: pytest.FixtureRequest,
) -> None:
    space = Namespace.open(KEY)
    space.put(keys(1), rows(1))
    (shard,) = space.folder.glob("*.safetensors")
    shard.write_bytes(b"damaged")
    request.getfixturevalue("read_only")
    assert not Namespace.open(KEY).get(keys(1))[0].any()
    with pytest.raises(BadOutput, match="Read-only"):
        cache.clear()


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), SafetensorError("I/O error")])
def test_a_good_shard_that_cannot_be_opened_at_this_moment_is_left(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    Namespace.open(KEY).put(keys(1), rows(1))

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(cache, "safe_open", fail)
        assert not Namespace.open(KEY).get(keys(1))[0].any()
    space = Namespace.open(KEY)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        assert not space.get(keys(1))[0].any()
    assert Namespace.open(KEY).get(keys(1))[0].all()


def test_clearing_while_another_process_clears_or_writes_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        Namespace.open({**KEY, "number": number}).put(keys(1), rows(1))
    folders = sorted(cache.root().iterdir())
    unlink = cache._unlink

    def others(path: Path) -> int:
        freed = unlink(path)
        if path.parent == folders[0]:
            (folders[0] / "new").write_bytes(b"")  # written after the folder was listed
        elif not any(path.parent.iterdir()):
            path.parent.rmdir()
        return freed

    monkeypatch.setattr(cache, "_unlink", others)
    cache.clear()
    assert [path.name for path in cache.root().rglob("*")] == [folders[0].name, "new"]
