from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from tailorbird.data.read import read
from tailorbird.errors import BadData

RNG = np.random.default_rng(0)


def idx(path: Path, array: np.ndarray, magic: bytes | None = None) -> Path:
    head = (magic or bytes((0, 0, 8, array.ndim))) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def fashion(folder: Path, suffix: str = "", separator: str = "-") -> dict[str, np.ndarray]:
    pictures = {}
    for part, n in (("train", 12), ("t10k", 4)):
        pictures[part] = RNG.integers(0, 256, (n, 5, 3))
        idx(folder / f"{part}-images{separator}idx3-ubyte{suffix}", pictures[part])
        idx(folder / f"{part}-labels{separator}idx1-ubyte{suffix}", np.arange(n) % 3)
    return pictures


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("separator", ["-", "."])
def test_a_folder_of_idx_pairs_is_train_and_test(tmp_path: Path, suffix: str, separator: str) -> None:
    pictures = fashion(tmp_path, suffix, separator)
    found = read(tmp_path)
    assert found.modality == "image"
    assert found.rows.parts == ("test",) * 4 + ("train",) * 12
    assert found.rows.targets == ("0", "1", "2", "0") + ("0", "1", "2") * 4
    values = found.rows.inputs["image"]
    assert np.array_equal(values[0], pictures["t10k"][0])
    assert np.array_equal(values[-1], pictures["train"][-1])
    assert values[0].dtype == np.uint8
    assert found.rows.ids[0] == f"t10k-images{separator}idx3-ubyte{suffix}:0"
    assert "12 in train-images" in found.told[0]


def test_one_file_of_pictures_finds_its_labels_packed_or_not(tmp_path: Path) -> None:
    fashion(tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte"
    idx(tmp_path / "train-labels-idx1-ubyte.gz", np.arange(12) % 3)
    labels.unlink()
    found = read(tmp_path / "train-images-idx3-ubyte")
    assert len(found.rows) == 12
    assert found.rows.parts is None


def test_a_pair_kept_twice_is_read_once(tmp_path: Path) -> None:
    fashion(tmp_path)
    fashion(tmp_path, ".gz")
    assert len(read(tmp_path).rows) == 16


def test_pictures_to_answer_need_no_labels(tmp_path: Path) -> None:
    path = idx(tmp_path / "new-images-idx3-ubyte", RNG.integers(0, 256, (3, 4, 4)))
    found = read(path, needs_target=False)
    assert (len(found.rows), found.rows.targets) == (3, None)
    with pytest.raises(BadData, match="no labels file") as caught:
        read(path)
    assert str(tmp_path / "new-labels-idx1-ubyte") in caught.value.hint


def test_only_the_test_part_is_measured(tmp_path: Path) -> None:
    fashion(tmp_path)
    found = read(tmp_path, expected=("image", "label"))
    assert len(found.rows) == 4
    assert found.rows.parts is None
    assert "4 rows of its test part are taken" in found.told[-1]


@pytest.mark.parametrize("damage", ["short", "long", "magic", "empty", "torn", "giant"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    fashion(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    content = path.read_bytes()
    broken = {
        "short": content[:-1],
        "long": content + b"0",
        "magic": b"\0\0\x0d\3" + content[4:],
        "empty": b"",
        "torn": content[:7],
        "giant": content[:4] + b"\xff" * 12 + content[16:],
    }
    path.write_bytes(broken[damage])
    with pytest.raises(BadData, match="no whole IDX file of 3 axes") as caught:
        read(tmp_path)
    assert str(path) in caught.value.problem
    assert caught.value.hint


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    fashion(tmp_path, ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    for broken in (path.read_bytes()[:-20], b"no gzip"):
        path.write_bytes(broken)
        with pytest.raises(BadData, match="no whole IDX file"):
            read(tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    fashion(tmp_path)
    idx(tmp_path / "train-labels-idx1-ubyte", np.arange(11))
    with pytest.raises(BadData, match="12 pictures, and its labels file 11 labels"):
        read(tmp_path)
