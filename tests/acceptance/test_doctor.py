"""Faults that were planted into real data, and whether the doctor finds them: through the command line."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("doctor")]
Row = dict[str, str]
N_TEST = 2000  # of the 10,605 film reviews
SHARE = 0.05  # of the test rows that have a planted twin in training


def _check(home: Path, *arguments: str | Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tailorbird", "check", *map(str, arguments), "--json"],
        env={**os.environ, "TAILORBIRD_HOME": str(home)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def reviews(real_home: Path) -> list[Row]:
    with (real_home / "data" / "film-reviews" / "film-reviews.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(0).shuffle(rows)
    return rows


def _planted(
    reviews: list[Row], folder: Path, home: Path, change: Callable[[str, random.Random], str]
) -> tuple[float, int]:
    """The share of planted twins that are found to repeat test rows, and how many others are."""
    rng = random.Random(1)
    test, train = reviews[:N_TEST], reviews[N_TEST:]
    twins = [{**row, "text": change(row["text"], rng)} for row in rng.sample(test, int(SHARE * N_TEST))]
    _write(folder / "test.csv", test)
    _write(folder / "train.csv", [*train, *twins])
    told = _check(home, folder / "train.csv", "--target", "sentiment", "--test", folder / "test.csv", "--quick")
    found = {one["id"] for one in told["suspects"] if one["kind"] == "twin_of_test"}
    planted = {f"train.csv:{len(train) + 2 + i}" for i in range(len(twins))}
    return len(found & planted) / len(planted), len(found - planted)


def test_copies_across_the_split_are_found(reviews: list[Row], tmp_path: Path, real_home: Path) -> None:
    recall, others = _planted(reviews, tmp_path, real_home, lambda text, rng: text.upper() + " ...")
    print(f"copies: recall {recall:.3f}, {others} others")
    assert recall >= 0.95
    assert others <= 20


def _edited(text: str, rng: random.Random) -> str:
    """A word left out, doubled or put in, two words exchanged for others, or a letter mistyped."""
    words = text.split()
    i = rng.randrange(len(words))
    kind = rng.randrange(4)
    if kind == 0 and len(words) > 1:
        del words[i]
    elif kind == 1:
        words.insert(i, rng.choice(("rather", "quite", "perhaps", "truly")))
    elif kind == 2:
        words[i] = rng.choice(("picture", "movie", "story", "director", "always", "never"))
    else:
        letter = rng.randrange(len(words[i]))
        words[i] = words[i][:letter] + rng.choice("aeiorstn") + words[i][letter + 1 :]
    return " ".join(words).replace(",", "")


def test_light_edits_across_the_split_are_found(reviews: list[Row], tmp_path: Path, real_home: Path) -> None:
    recall, others = _planted(reviews, tmp_path, real_home, _edited)
    print(f"light edits: recall {recall:.3f}, {others} others")
    assert recall >= 0.8
    assert others <= 20


def test_a_column_that_tells_the_target_is_named_and_no_other(
    reviews: list[Row], tmp_path: Path, real_home: Path
) -> None:
    rng = random.Random(2)
    codes = {"pos": "4f", "neg": "a1"}
    rows = [
        {
            **row,
            "number": str(i),
            "code": codes[row["sentiment"]],
            "stars": str(rng.randrange(5)),
            "words": str(len(row["text"].split())),
        }
        for i, row in enumerate(reviews)
    ]
    _write(tmp_path / "reviews.csv", rows)
    told = _check(real_home, tmp_path / "reviews.csv", "--target", "sentiment", "--quick")
    leaks = [one["action"] for one in told["findings"] if one["kind"] == "leaking_column"]
    assert len(leaks) == 2, "the sentiment was made from the rating, so that one leaks by nature"
    assert "'rating'" in leaks[0] and "'code'" in leaks[1]
    assert not [one for one in told["findings"] if one["kind"] == "revealing_input"]


def _digits(folder: Path, labels: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    for number, (pixels, label) in enumerate(zip(load_digits().images, labels, strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype("uint8")).save(place / f"{number}.png")


def test_turned_labels_of_digits_are_found(real_home: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    true = load_digits().target
    turned = rng.choice(len(true), len(true) // 10, replace=False)
    given = true.copy()
    given[turned] = (true[turned] + rng.integers(1, 10, len(turned))) % 10
    _digits(tmp_path / "digits", given)
    out = tmp_path / "found.csv"
    told = _check(real_home, tmp_path / "digits", "--modality", "image:size=64", "--out", out)
    named = {int(Path(one["id"]).stem): one for one in told["suspects"] if one["kind"] == "label_error"}
    hits = named.keys() & set(turned.tolist())
    precision, recall = len(hits) / len(named), len(hits) / len(turned)
    right = sum(named[number]["suggested"] == str(true[number]) for number in hits) / len(hits)
    print(f"turned labels: precision {precision:.3f}, recall {recall:.3f}, of those {right:.3f} with the true label")
    assert precision >= 0.6 and recall >= 0.6 and right >= 0.8
    with out.open(newline="") as file:
        assert sum(line["kind"] == "label_error" for line in csv.DictReader(file)) == len(named)


def test_pictures_that_were_edited_lightly_are_found(real_home: Path, tmp_path: Path) -> None:
    _digits(tmp_path / "digits", load_digits().target)
    paths = sorted((tmp_path / "digits").rglob("*.png"))[::20]
    for i, path in enumerate(paths):
        with Image.open(path) as picture:
            edited = (
                picture.resize((24, 24), Image.Resampling.BICUBIC)
                if i % 2
                else ImageEnhance.Brightness(picture).enhance(0.9)
            )
        edited.save(path.with_name(f"edit{path.stem}.{('png', 'jpg')[i % 2]}"), quality=90)
    told = _check(real_home, tmp_path / "digits", "--quick")
    found = {Path(one["id"]).stem for one in told["suspects"] if one["kind"] == "near_duplicate"}
    planted = {f"edit{path.stem}" for path in paths}
    likes = {one["shown"] for one in told["suspects"] if one["kind"] == "near_duplicate"}
    hits = sum(f"edit{path.stem}" in found or any(f"edit{path.stem}." in like for like in likes) for path in paths)
    print(f"edited pictures: recall {hits / len(planted):.3f}, {len(found) - hits} others")
    assert hits >= 0.8 * len(planted)
    assert len(found) - hits <= 20
