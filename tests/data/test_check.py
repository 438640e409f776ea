from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tailorbird.data import check as module
from tailorbird.data.check import Checked, check
from tailorbird.data.read import read
from tailorbird.errors import BadData
from tailorbird.modalities.image import Picture
from tailorbird.modalities.text import Text
from tailorbird.progress import listening
from tailorbird.types import Dataset, Facts, Finding, Rows, Value


def texts(values: list[str], targets: list[str | None] | None = None) -> Dataset:
    ids = tuple(f"a.csv:{i + 2}" for i in range(len(values)))
    labels = tuple(targets or [("pos", "neg")[i % 2] for i in range(len(values))])
    return Dataset(Rows(ids, {"text": tuple(values)}, labels), "text", "text", "label", "a.csv")


def many(n: int) -> list[str]:
    return [f"sentence number {i}" for i in range(n)]


def found(checked: Checked, kind: str) -> Finding | None:
    return next((finding for finding in checked.dataset.findings if finding.kind == kind), None)


def test_good_rows_pass_in_their_order() -> None:
    checked = check(texts(many(200)), Text())
    assert checked.values == tuple(many(200))
    assert checked.dataset.findings == ()
    assert checked.digests.shape == checked.twins.shape == (200, 32)
    assert checked.digests[7].tobytes() == Text().digest("sentence number 7")
    assert checked.twins[7].tobytes() == Text().facts("sentence number 7").twin
    assert checked.sketches is None


def test_empty_texts_and_missing_targets_are_left_out_and_counted() -> None:
    targets: list[str | None] = ["pos", "neg"] * 10
    targets[3], targets[5] = None, "  "
    checked = check(texts(["", *many(19)], targets), Text())
    assert len(checked.values) == len(checked.dataset.rows) == 17
    assert found(checked, "empty") == Finding("empty", 1, "left out", ("a.csv:2: the text is empty (pos)",))
    missing = found(checked, "missing_target")
    assert missing is not None
    assert (missing.rows, missing.examples[0]) == (2, "a.csv:5: it has no target")


def test_more_than_a_fifth_left_out_is_fatal() -> None:
    assert len(check(texts([""] * 2 + many(8)), Text()).values) == 8
    with pytest.raises(BadData) as caught:
        check(texts([""] * 3 + many(7)), Text())
    assert caught.value.problem == (
        "3 of 10 rows of 'a.csv' cannot be used (3 empty), and the limit is 20%; "
        "the first is 'a.csv:2': the text is empty"
    )
    assert "a.csv:2" in caught.value.hint


def test_rows_to_measure_without_targets_are_no_gap() -> None:
    dataset = texts(many(5))
    plain = dataset.with_rows(Rows(dataset.rows.ids, dataset.rows.inputs))
    assert len(check(plain, Text()).values) == 5


def test_copies_and_near_copies_are_kept_and_told() -> None:
    checked = check(
        texts(["A warm film.", "dull", "a warm  FILM", "a warm film"], ["pos", "neg", "pos", "pos"]), Text()
    )
    duplicate = found(checked, "duplicate")
    assert duplicate is not None
    assert duplicate.rows == 2
    assert duplicate.examples == (
        "a.csv:4: a warm FILM, like a.csv:2: A warm film. (pos)",
        "a.csv:5: a warm film, like a.csv:2: A warm film. (pos)",
    )
    assert "kept on one side" in duplicate.action
    assert len(checked.values) == 4
    assert found(checked, "conflict") is None


def test_twins_with_different_labels_are_a_conflict() -> None:
    checked = check(texts(["good", "Good!", "other"], ["pos", "neg", "pos"]), Text())
    conflict = found(checked, "conflict")
    assert conflict is not None
    assert (conflict.rows, conflict.examples) == (2, ("a.csv:2: good (pos)", "a.csv:3: Good! (neg)"))


def test_texts_that_differ_by_a_word_are_near_and_told() -> None:
    values = [*many(50), "the acting alone is worth the price", "the music alone is worth the price"]
    checked = check(texts(values), Text())
    near = found(checked, "near_duplicate")
    assert near is not None
    assert (near.rows, checked.near.tolist()) == (1, [[50, 51]])
    assert near.examples[0].startswith("a.csv:53: the music alone is worth the price, like a.csv:52: the")


def test_pairs_across_the_given_parts_are_counted() -> None:
    dataset = texts(
        [
            "a warm film",
            "dull",
            "A warm film!",
            *(f"an endless and {word} {end} in the rain" for end, word in (("day", "dull"), ("night", "dull"))),
        ]
    )
    parts = replace(dataset.rows, parts=(None, None, "test", "test", None))
    checked = check(dataset.with_rows(parts), Text())
    for kind in ("duplicate", "near_duplicate"):
        finding = found(checked, kind)
        assert finding is not None
        assert "1 pairs lie across the given parts" in finding.action


def test_every_row_of_a_finding_can_be_reviewed() -> None:
    checked = check(texts(["", "same", *many(9), *["same"] * 5], ["pos"] * 16), Text())
    empty, duplicates = checked.cases
    assert [(one.id, one.shown) for one in empty.suspects] == [("a.csv:2", "the text is empty")]
    assert len(duplicates.suspects) == 5
    assert len(duplicates.finding.examples) == 3


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Twenty good pictures, and one of each kind of damage."""
    for i in range(20):
        folder = tmp_path / ("cat", "dog")[i % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), i * 10, np.uint8)).save(folder / f"{i}.png")
    cats = tmp_path / "cat"
    (cats / "text.png").write_text("no picture")
    (cats / "zero.png").write_bytes(b"")
    Image.effect_noise((60, 60), 50).save(cats / "short.jpg")
    (cats / "short.jpg").write_bytes((cats / "short.jpg").read_bytes()[:-400])
    Image.new("RGB", (200, 200)).save(cats / "large.png")
    return tmp_path


def test_damaged_pictures_are_left_out_and_counted(pets: Path) -> None:
    checked = check(read(pets), Picture(max_pixels=10_000))
    assert len(checked.values) == 20
    told = {"unreadable": ["cat/short.jpg", "cat/text.png"], "too_large": ["cat/large.png"], "empty": ["cat/zero.png"]}
    for kind, ids in told.items():
        finding = found(checked, kind)
        assert finding is not None
        assert [example.partition(":")[0] for example in finding.examples] == ids
    assert checked.sketches is not None
    assert checked.sketches.shape == (20, 192)


def test_a_picture_in_another_format_is_a_duplicate(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/1.bmp", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), int(name[2]), np.uint8)).save(tmp_path / name)
    duplicate = found(check(read(tmp_path), Picture()), "duplicate")
    assert duplicate is not None
    assert duplicate.examples == ("a/1.png: like a/1.bmp (a)",)


def test_the_readers_findings_stay(pets: Path) -> None:
    (pets / "cat/notes.md").write_text("x")
    checked = check(read(pets), Picture())
    assert found(checked, "other_file") == Finding("other_file", 1, "passed over", ("cat/notes.md",))


class Notebook:
    """A memory, as the engine's cache is one."""

    def __init__(self) -> None:
        self.rows: dict[bytes, NDArray[np.float32]] = {}

    def get(self, keys: NDArray[np.uint8], /) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        known = [key.tobytes() in self.rows for key in keys]
        rows = [self.rows[key.tobytes()] for key in keys if key.tobytes() in self.rows]
        return np.array(known, bool), np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def put(self, keys: NDArray[np.uint8], rows: NDArray[np.float32], /) -> None:
        assert rows.dtype == np.float32
        assert np.isfinite(rows).all()
        assert len({key.tobytes() for key in keys}) == len(keys) == len(rows)
        self.rows |= {key.tobytes(): row for key, row in zip(keys, rows, strict=True)}


def test_a_picture_is_decoded_once(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, picture, dataset = Notebook(), Picture(), read(pets)
    first = check(dataset, picture, memory=memory)
    assert len(memory.rows) == 21
    decoded: list[object] = []
    facts = Picture.facts
    monkeypatch.setattr(Picture, "facts", lambda self, value: decoded.append(value) or facts(self, value))
    Image.new("RGB", (9, 9), "red").save(pets / "dog/new.png")
    second = check(read(pets), picture, memory=memory)
    assert sorted(path.name for path in decoded) == ["new.png", "short.jpg", "text.png", "zero.png"]
    kept = [i for i, name in enumerate(second.dataset.rows.ids) if name != "dog/new.png"]
    assert np.array_equal(second.twins[kept], first.twins)
    assert np.array_equal(second.sketches[kept], first.sketches)


def test_texts_are_not_remembered_for_they_cost_nothing() -> None:
    memory = Notebook()
    check(texts(["a", "b", "a"], ["x", "y", "x"]), Text(), memory=memory)
    assert memory.rows == {}


def test_pictures_that_are_remembered_are_near_as_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "abcd":
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).resize((64, 64)).save(tmp_path / f"{name}.png")
    with Image.open(tmp_path / "a.png") as picture:
        picture.resize((50, 50)).save(tmp_path / "e.jpg")
    rows = Rows(tuple("abcde"), {"image": tuple(sorted(tmp_path.iterdir()))}, ("x", "y", "x", "y", "x"))
    memory = Notebook()
    for _ in range(2):
        assert check(Dataset(rows, "image", "image", "label", "."), Picture(), memory=memory).near.tolist() == [[0, 4]]
    assert len(memory.rows) == 5


class Watcher:
    def __init__(self) -> None:
        self.total, self.done, self.name = 0, 0, ""

    def start(self, name: str, total: int):
        self.name, self.total = name, total
        return self.advance

    def advance(self, n: int) -> None:
        self.done += n

    def stop(self) -> None:
        pass

    def tell(self, message: str) -> None:
        pass


@contextmanager
def watched() -> Iterator[Watcher]:
    watcher = Watcher()
    with listening(watcher):
        yield watcher


def test_progress_reaches_its_end_with_and_without_a_memory(pets: Path) -> None:
    memory = Notebook()
    for _ in range(2):
        with watched() as watcher:
            check(read(pets), Picture(), memory=memory)
        assert (watcher.name, watcher.done) == ("checking", watcher.total)


def test_facts_of_a_file_that_changed_meanwhile_are_left_out_and_not_remembered(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, victim = Notebook(), pets / "cat/0.png"
    original, facts = victim.read_bytes(), Picture.facts

    def late(self: Picture, value: Value) -> Facts:
        if value == victim:
            Image.new("RGB", (8, 8), "red").save(victim)
        return facts(self, value)

    digest = Picture().digest(victim)
    monkeypatch.setattr(Picture, "facts", late)
    checked = check(read(pets), Picture(), memory=memory)
    assert "cat/0.png" not in checked.dataset.rows.ids
    unreadable = found(checked, "unreadable")
    assert unreadable is not None
    assert unreadable.examples[0].startswith("cat/0.png: ")
    assert digest not in memory.rows
    victim.write_bytes(original)
    monkeypatch.setattr(Picture, "facts", facts)
    assert "cat/0.png" in check(read(pets), Picture(), memory=memory).dataset.rows.ids


def test_as_many_threads_look_as_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    pool = module.ThreadPoolExecutor
    monkeypatch.setattr(module, "ThreadPoolExecutor", lambda size: sizes.append(size) or pool(size))
    check(texts(many(5)), Text(), threads=7)
    check(texts(many(5)), Text())
    assert sizes == [7, 2]
