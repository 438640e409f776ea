"""The encoding engine, with a reader of numbers and an encoder that counts."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tailorbird import progress
from tailorbird.engine import features
from tailorbird.engine.features import columns, cores, cut, encode, namespace_of
from tailorbird.engine.journal import Journal
from tailorbird.errors import BadItem, BadSpelling
from tailorbird.kinds import Modality, Source
from tailorbird.plug import parse
from tailorbird.store import graphs
from tailorbird.store.cache import Namespace
from tailorbird.types import Ready, Value


class Words:
    """A text of k letters becomes k tokens; "bad" cannot be read."""

    budget = 40

    def load(self, values: Sequence[Value]) -> list[Ready | BadItem]:
        return [BadItem("bad") if value == "bad" else np.array([ord(c) for c in str(value)]) for value in values]

    def cost(self, ready: Ready) -> int:
        return len(ready)

    def stack(self, ready: Sequence[Ready]) -> dict[str, NDArray[Any]]:
        ids = np.zeros((len(ready), max(map(len, ready))), dtype=np.int64)
        for i, row in enumerate(ready):
            ids[i, : len(row)] = row
        return {"ids": ids}


class Counter:
    """Features: the sum of the tokens, and how many there are. Notes the shape of every batch."""

    depths = (("sum", 1), ("last", 1))

    def __init__(self, lanes: int = 1, fail_after: int | None = None) -> None:
        self.lanes, self.batches, self.fail_after = lanes, [], fail_after
        self._lock = threading.Lock()
        self.batches: list[tuple[int, ...]]

    def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        ids = arrays["ids"]
        with self._lock:
            self.batches.append(ids.shape)
            if self.fail_after is not None and len(self.batches) > self.fail_after:
                raise RuntimeError("the power is gone")
        return np.stack([ids.sum(1), (ids > 0).sum(1)], 1).astype(np.float32)

    @property
    def n_rows(self) -> int:
        return sum(shape[0] for shape in self.batches)


def digests(values: Sequence[str]) -> NDArray[np.uint8]:
    return np.stack([np.frombuffer(hashlib.sha256(value.encode()).digest(), np.uint8) for value in values])


def expected(values: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[sum(map(ord, value)), len(value)] for value in values], dtype=np.float32)


def words(n: int) -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(chr(97 + c) for c in rng.integers(0, 26, rng.integers(1, 20))) + str(i) for i in range(n)]


@pytest.fixture
def space() -> Namespace:
    return Namespace.open({"what": "features"})


@pytest.mark.parametrize("lanes", [1, 3])
def test_rows_come_back_in_their_order(lanes: int) -> None:
    values = words(300)
    found, errors = encode(Counter(lanes), Words(), values)
    assert np.array_equal(found, expected(values))
    assert errors == {}


def test_an_item_is_encoded_once(space: Namespace) -> None:
    values, encoder = ["same", "other", "same", "same"], Counter()
    found, _ = encode(encoder, Words(), values, digests(values), space)
    assert np.array_equal(found, expected(values))
    assert encoder.n_rows == 2
    again = Counter()
    repeated, _ = encode(again, Words(), values, digests(values), Namespace(space.folder))
    assert np.array_equal(repeated, found)
    assert again.n_rows == 0


class Neighbours(Counter):
    """Features that hang on the whole batch, as last digits do."""

    def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        return super().encode(arrays) + np.float32(arrays["ids"].sum() % 97)


def test_a_pass_that_was_broken_off_goes_on_in_the_same_batches(
    space: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_SHARD_ROWS", 1)
    monkeypatch.setattr(features, "_WINDOW_BYTES", 2000)  # three windows; it breaks off in the second
    values = words(60)
    whole, _ = encode(Neighbours(), Words(), values, digests(values), Namespace.open({"what": "other"}))
    notes, n = Journal(tmp_path, 60), 10
    with pytest.raises(RuntimeError, match="power"):
        planned = partial(notes.array, "features")
        encode(Neighbours(fail_after=n), Words(), values, digests(values), space, planned=planned, threads=1)
    known = Namespace(space.folder)
    n_known = int(known.get(digests(values))[0].sum())
    assert 0 < n_known < 60
    again, planned = Neighbours(), partial(Journal(tmp_path, 60).array, "features")
    found, _ = encode(again, Words(), values, digests(values), known, planned=planned)
    assert np.array_equal(found, whole) and again.n_rows == 60 - n_known
    other, _ = encode(Neighbours(), Words(), values, digests(values), Namespace(space.folder))
    assert np.array_equal(other, whole), "all of it is known now"


def test_only_what_the_cache_lacks_is_encoded(space: Namespace) -> None:
    values = words(40)
    encode(Counter(), Words(), values[10:30], digests(values[10:30]), space)
    encoder = Counter()
    found, _ = encode(encoder, Words(), values, digests(values), space)
    assert encoder.n_rows == 20
    assert np.array_equal(found, expected(values))


def test_an_item_that_cannot_be_read_does_not_stop_the_others(space: Namespace) -> None:
    values = ["one", "bad", "two", "bad"]
    found, errors = encode(Counter(), Words(), values, digests(values), space)
    assert sorted(errors) == [1, 3]
    assert np.isnan(found[[1, 3]]).all()
    assert np.array_equal(found[[0, 2]], expected(["one", "two"]))
    assert not space.get(digests(["bad"]))[0].any()


def test_nothing_gives_nothing() -> None:
    found, errors = encode(Counter(), Words(), [])
    assert found.shape == (0, 2)
    assert errors == {}
    assert encode(Counter(), Words(), ["bad"])[1].keys() == {0}


def test_batches_are_of_like_length() -> None:
    values, encoder = words(500), Counter()
    encode(encoder, Words(), values)
    real = sum(map(len, values))
    padded = sum(n * longest for n, longest in encoder.batches)
    assert padded < 1.05 * real
    assert max(n * longest for n, longest in encoder.batches) <= Words.budget


def test_a_crash_loses_at_most_one_shard(space: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_SHARD_ROWS", 50)
    values = words(400)
    with pytest.raises(RuntimeError, match="power"):
        encode(Counter(fail_after=100), Words(), values, digests(values), space)
    kept = int(Namespace(space.folder).get(digests(values))[0].sum())
    after = Counter()
    encode(after, Words(), values, digests(values), Namespace(space.folder))
    assert kept >= 100
    assert after.n_rows == 400 - kept


def test_no_more_than_a_few_windows_are_loaded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_WINDOW_BYTES", 2_000)
    held, most, lock, done = 0, 0, threading.Lock(), threading.Event()

    class Slow(Counter):
        def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
            if not self.batches:
                done.wait(0.3)  # never set: as long as this takes, loading must come to a halt
            return super().encode(arrays)

    class Watched(Words):
        def load(self, values: Sequence[Value]) -> list[Ready | BadItem]:
            nonlocal held, most
            with lock:
                held += len(values)
                most = max(most, held)
            return super().load(values)

        def stack(self, ready: Sequence[Ready]) -> dict[str, NDArray[Any]]:
            nonlocal held
            with lock:
                held -= len(ready)
            return super().stack(ready)

    encode(Slow(), Watched(), words(5000))
    assert most < 1000


def test_progress_is_told_in_rows() -> None:
    told: list[Any] = []

    class Listener:
        def start(self, name: str, total: int) -> progress.Advance:
            told.append((name, total))
            return told.append

        def stop(self) -> None:
            told.append("stop")

        def tell(self, message: str) -> None:
            raise AssertionError(message)

    with progress.listening(Listener()):
        encode(Counter(), Words(), [*words(50), "bad"])
    assert told[0] == ("encoding", 51)
    assert sum(told[1:-1]) == 51
    assert told[-1] == "stop"


def test_columns_are_those_of_the_named_depths_in_their_order() -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    picked = columns((("a", 2), ("b", 1), ("last", 3)), ("last", "a"), x)
    assert np.array_equal(picked, x[:, [3, 4, 5, 0, 1]])


@given(st.lists(st.integers(0, 100)), st.integers(1, 300), st.integers(1, 5))
def test_every_row_is_in_one_batch_and_no_batch_of_two_passes_the_budget(
    costs: list[int], budget: int, lanes: int
) -> None:
    batches = cut(costs, budget, lanes)
    assert sorted(i for batch in batches for i in batch) == list(range(len(costs)))
    assert all(
        len(batch) == 1 or len(batch) * max(costs[i] for i in batch) <= max(budget, len(batch)) for batch in batches
    )


def test_a_small_window_is_shared_out_over_the_lanes() -> None:
    assert len(cut([1] * 8, 100, 4)) == 4


class Letters(Words):
    """Words that lie in files."""

    def load(self, values: Sequence[Value]) -> list[Ready | BadItem]:
        return super().load([Path(str(value)).read_text() for value in values])


@pytest.mark.parametrize("after", ["other", None])
def test_features_of_a_file_that_changed_meanwhile_are_an_error_and_not_kept(
    tmp_path: Path, space: Namespace, after: str | None
) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file, word in zip(files, ("one", "two"), strict=True):
        file.write_text(word)

    class Rewriting(Counter):
        def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
            files[0].unlink() if after is None else files[0].write_text(after)
            return super().encode(arrays)

    def digest(value: Value) -> bytes:
        try:
            return hashlib.sha256(Path(str(value)).read_bytes()).digest()
        except OSError as error:
            raise BadItem("gone") from error

    known = digests(["one", "two"])
    found, errors = encode(Rewriting(), Letters(), files, known, space, digest=digest)
    assert {place: str(error) for place, error in errors.items()} == {0: "it changed while it was being read"}
    assert np.isnan(found[0]).all() and np.array_equal(found[1:], expected(["two"]))
    assert space.get(known)[0].tolist() == [False, True]


def test_no_more_threads_load_than_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    pool = features.ThreadPoolExecutor
    monkeypatch.setattr(features, "ThreadPoolExecutor", lambda size: sizes.append(size) or pool(size))
    encode(Counter(lanes=3), Words(), words(5), threads=7)
    encode(Counter(lanes=3), Words(), words(5))
    assert sizes == [7, 3, cores(), 3]


def test_a_number_of_threads_below_zero_is_refused() -> None:
    assert (cores(5), cores(0)) == (5, cores())
    with pytest.raises(BadSpelling, match="--threads is -1, and must be 0 or more") as caught:
        cores(-1)
    assert caught.value.hint == "--threads 2"


def test_a_number_of_threads_is_heeded_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # macOS and Windows have none
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert (cores(5), cores(0)) == (5, 64)


@pytest.mark.parametrize("changed", ["graph", "reading", "tailorbird"])
def test_whatever_changes_a_feature_changes_the_namespace(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, modality = parse("source", "toy:text", Source).open(), parse("modality", "text", Modality)
    graph = graphs.Graph((("last", 1),), ("ids",), 20, "2", "a" * 64, body.fingerprint, "text")
    graphs.files.write(tmp_path / graphs.ABOUT, graphs.files.canonical(vars(graph)))
    before = namespace_of(body, modality, "torch", Counter(), tmp_path).folder
    assert namespace_of(body, modality, "torch", Counter(), tmp_path).folder == before
    assert namespace_of(body, modality, "torch", Counter(), tmp_path, "cuda").folder != before
    if changed == "graph":
        graph = replace(graph, digest="b" * 64)
        graphs.files.write(tmp_path / graphs.ABOUT, graphs.files.canonical(vars(graph)))
    elif changed == "reading":
        monkeypatch.setattr(type(modality), "version", classmethod(lambda cls: "other"))
    else:
        monkeypatch.setattr(features, "__version__", "9.9")
    assert namespace_of(body, modality, "torch", Counter(), tmp_path).folder != before
