"""plan from Python and the command line, on toy bodies and made data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import tailorbird as tb
from tailorbird.costs import Plan
from tailorbird.errors import BadBody, BadSpelling
from tailorbird.store import history

Table = Callable[[Path, int], Path]
TOY: dict[str, Any] = {"target": "mood", "model": "toy:text", "threads": 1, "device": "cpu"}


@pytest.fixture
def rows(tmp_path: Path, moods: Table) -> Path:
    return moods(tmp_path / "rows.csv", 700)


def ways(plan: Plan) -> dict[str, float]:
    return {way.method: way.seconds.value for one in plan.prospects for way in one.ways}


def test_every_way_has_a_time_with_its_interval_memory_and_disk(rows: Path) -> None:
    (prospect,) = tb.plan(rows, **TOY, price=3600.0, watts=1000.0).prospects
    assert prospect.evidence is not None and prospect.metric == "accuracy" and prospect.evidence.value > 0.7
    assert {way.method for way in prospect.ways} >= {"probe", "finetune"}
    for way in prospect.ways:
        assert 0 < way.seconds.low < way.seconds.value < way.seconds.high < 600
        assert way.price is not None and way.price.value == pytest.approx(way.seconds.value)
        assert way.kwh is not None and way.kwh.value == pytest.approx(way.seconds.value / 3600)
        assert way.memory_bytes is None or way.memory_bytes.value > 50e6
        assert sum(way.shares.values()) > 0 and way.disk_bytes > 0
        assert (way.steps > 0) == (way.operations is not None) == (way.method != "probe")


def test_the_steps_that_are_planned_are_those_that_the_fit_makes(rows: Path, tmp_path: Path) -> None:
    (way,) = tb.plan(rows, **TOY, method="finetune:epochs=3").prospects[0].ways
    report = tb.fit(rows, **TOY, method="finetune:epochs=3", out=tmp_path / "m").report
    assert way.steps == pytest.approx(report.notes["head"]["steps"], rel=0.1, abs=2)


def test_a_planned_fit_is_put_beside_what_was_said_and_another_one_is_not(rows: Path, tmp_path: Path) -> None:
    tb.fit(rows, **TOY, method="probe", out=tmp_path / "unplanned")
    assert history.lines() == []
    told = tb.plan(rows, **TOY, method="probe")
    assert told.real == 0
    tb.fit(rows, **TOY, method="probe:last", out=tmp_path / "other")
    tb.fit(rows, **TOY, method="probe", out=tmp_path / "planned")
    (line,) = history.lines()
    assert line["method"] == "probe" and line["rows"] == 700
    assert line["said"]["seconds"] > 0 and line["real"]["seconds"] > 0
    assert tb.plan(rows, **TOY, method="probe").real == 1
    history.add({**line, "processor": "another"})
    history.add({**line, "threads": 64})
    assert tb.plan(rows, **TOY, method="probe").real == 1, "what another machine took tells nothing of this one"


def test_few_rows_are_planned_fold_by_fold(tmp_path: Path, moods: Table) -> None:
    few = tb.plan(moods(tmp_path / "few.csv", 100), **TOY, method=["probe"])
    assert few.rows == {"train": 100, "validation": 0, "test": 0}
    assert few.prospects[0].ways[0].seconds.value > 0


def test_bodies_are_ranked_by_what_they_are_worth_and_pictures_are_no_rivals(rows: Path) -> None:
    named = {**TOY, "model": ["toy:text,width=8", "toy:text"]}
    told = tb.plan(rows, **named, method="probe")
    worth = [one.evidence.value for one in told.prospects if one.evidence]
    assert len(worth) == 2 and worth == sorted(worth, reverse=True)
    with pytest.raises(BadBody, match="reads images and"):
        tb.plan(rows, **{**TOY, "model": ["toy:text", "toy:image"]}, method="probe")


@pytest.mark.parametrize(
    ("given", "problem", "hint"),
    [
        ({"method": "auto"}, "'auto' takes is what its budget lets it", "--method probe"),
        ({"method": "prob"}, "'prob'", "probe"),
        ({"price": -1.0}, "--price is -1", "--price 0.40"),
        ({"watts": float("nan")}, "--watts is nan", "--watts 0.40"),
        ({"method": ["probe", "finetune:last=99"]}, "names 99 layers, and toy:text", "finetune:2"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told(rows: Path, given: dict[str, Any], problem: str, hint: str) -> None:
    with pytest.raises(BadSpelling) as caught:
        tb.plan(rows, **{**TOY, **given})
    assert problem in caught.value.problem and hint in caught.value.hint


def test_the_command_line_takes_several_ways_and_prints_one_page(
    rows: Path, run_cli: Callable[..., CompletedProcess[str]]
) -> None:
    options = ["--target", "mood", "--model", "toy:text", "--method", "probe", "--method", "finetune", "--threads", "1"]
    told = json.loads(run_cli("plan", str(rows), *options, "--json").stdout)
    assert sorted(way["method"] for way in told["prospects"][0]["ways"]) == ["finetune", "probe"]
    page = run_cli("plan", str(rows), *options, "--price", "0.4").stdout
    assert "finetune" in page and "money" in page and "next: tailorbird fit" in page
    assert max(map(len, page.splitlines())) <= 120 or "next:" in max(page.splitlines(), key=len)
