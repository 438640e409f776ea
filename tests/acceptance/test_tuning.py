"""Bodies that learn, and every kind of target, on real input through the command line."""

from __future__ import annotations

import csv
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("tuning")]


@pytest.fixture
def reviews(real_home: Path, tmp_path: Path) -> Path:
    """1,500 of the film reviews: long enough to learn from, short enough for a test."""
    source = next((real_home / "data" / "film-reviews").glob("*.csv"))
    with source.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = random.Random(0).sample(rows, 1500)
    return write(tmp_path / "reviews.csv", chosen)


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_body_that_learned_travels_in_the_model_and_answers_without_the_store(
    reviews: Path, real_home: Path, run_cli: Any, tmp_path: Path
) -> None:
    home = tmp_path / "home"  # of its own: what other fits work in at this moment lies in the shared one
    shutil.copytree(real_home / "bodies" / "wheel", home / "bodies" / "wheel")
    options = ["--target", "sentiment", "--method", "finetune:last=2,epochs=1", "--out", "model", "--json"]
    told = json.loads(run_cli("fit", reviews, *options, home=home).stdout)
    assert told["test"]["accuracy"]["value"] > 0.65 and told["notes"]["head"]["steps"] > 0
    assert (tmp_path / "model/body/model.safetensors").is_file() and (tmp_path / "model/graph/body.onnx").is_file()
    texts = ["a warm and funny film, wonderfully acted", "a dull, lifeless and utterly pointless mess"]
    empty = tmp_path / "empty-store"
    done = run_cli("predict", "model", *texts, "--json", home=empty)
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == ["pos", "neg"]
    assert json.loads(run_cli("verify", "model", "--json", home=empty).stdout)["ok"] is True
    assert not (tmp_path / "model.part").exists(), "what the fit worked in is gone"


def test_a_number_is_predicted_from_texts(reviews: Path, real_home: Path, run_cli: Any) -> None:
    options = ["--target", "rating", "--method", "probe", "--out", "model", "--json"]
    told = json.loads(run_cli("fit", reviews, *options, home=real_home).stdout)
    assert told["task"] == "regress" and {"mae", "rmse", "r2"} <= set(told["test"])
    assert told["verdict"]["outcome"] in ("better", "not_distinguishable") and told["test"]["r2"]["value"] > 0.1
    assert {"median", "tfidf"} <= set(told["baselines"])
    done = run_cli("predict", "model", "a warm and funny film, wonderfully acted", "--json", home=real_home)
    assert json.loads(done.stdout)["value"] > 0
    assert json.loads(run_cli("verify", "model", "--json", home=real_home).stdout)["replayed"] > 0


def test_many_labels_are_predicted_from_texts(reviews: Path, real_home: Path, run_cli: Any, tmp_path: Path) -> None:
    """The tags are made from the real ratings and texts: nothing here is anyone's real tag."""
    with reviews.open(newline="", encoding="utf-8") as file:
        rows = [{"text": row["text"], "tags": tags(row)} for row in csv.DictReader(file)]
    data = write(tmp_path / "tickets.csv", rows)
    options = ["--target", "tags", "--method", "probe", "--out", "model", "--json"]
    told = json.loads(run_cli("fit", data, *options, home=real_home).stdout)
    assert told["task"] == "multilabel" and {"micro_f1", "macro_f1", "average_precision"} <= set(told["test"])
    assert "frequency" in told["baselines"] and len(told["per_class"]) == len(told["labels"])
    run_cli("predict", "model", "tickets.csv", "--out", "scored.csv", home=real_home)
    with (tmp_path / "scored.csv").open(newline="", encoding="utf-8") as file:
        scored = list(csv.DictReader(file))
    assert set(scored[0]) == {"text", "tags", "labels"} and any("|" in row["labels"] for row in scored)


def tags(row: dict[str, str]) -> str:
    rating, text = float(row["rating"]), row["text"].lower()
    told = {"liked": rating > 0, "disliked": rating <= 0, "strong": abs(rating) > 2, "story": "story" in text}
    return "|".join(name for name, holds in told.items() if holds)
