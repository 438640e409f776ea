"""A fit whose costly part is over: what comes after must not lose it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tailorbird as tb
from tailorbird.engine import choose, fitting, material, opening
from tailorbird.errors import BadBody, BadOutput, BadSpelling
from tailorbird.methods import _settings, auto
from tailorbird.types import BodyFolder

TUNED = {"target": "label", "model": "toy:text", "method": "finetune:epochs=1", "runtime": "onnx"}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """So few that none is held out: what was learned last stays, better or not."""
    words = [f"a {('good', 'bad')[i % 2]} film number {i},{('pos', 'neg')[i % 2]}\n" for i in range(40)]
    (tmp_path / "rows.csv").write_text("".join(["text,label\n", *words]))
    return tmp_path / "rows.csv"


@pytest.mark.parametrize("fault", ["features differ", "no export"])
def test_a_tuned_body_that_only_torch_can_run_becomes_a_model(
    rows: Path, told: list[str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    fastest, export = choose._fastest, choose._export

    def apart(where: Any, parity: dict[str, float], speeds: dict[str, float]) -> Any:
        learned = "learned" in where.body.card
        return fastest(where, {n: 0.5 if learned and n != "torch" else c for n, c in parity.items()}, speeds)

    def refused(body: BodyFolder, modality: Any) -> Path:
        if "learned" in body.card:
            raise BadBody("it cannot be exported", "use torch")
        return export(body, modality)

    if fault == "features differ":
        monkeypatch.setattr(choose, "_fastest", apart)
    else:
        monkeypatch.setattr(choose, "_export", refused)
        monkeypatch.setattr("tailorbird.bodies.regraft.regraft", lambda *given: None)
    p = tb.fit(rows, out=rows.parent / "model", **TUNED)
    assert p.tuned and p.runtime == "torch" and p.report is not None and p.report.runtime == "torch"
    assert [line for line in told if "so torch runs it" in line]
    assert not (rows.parent / "model" / "graph").exists(), "a graph that disagrees answers nobody"
    assert tb.verify(rows.parent / "model").ok


def test_a_budget_in_which_no_body_learns_is_refused_with_one_in_which_it_does(
    rows: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "_REST_S", 0.0)  # or the features alone would be refused, where a machine is slow
    with pytest.raises(BadSpelling, match=r"--budget 14s is too small for anything: the first steps") as caught:
        tb.fit(rows, out=rows.parent / "model", **TUNED, budget="14s")
    assert not (rows.parent / "model").exists()
    p = tb.fit(rows, out=rows.parent / "model", **TUNED, budget=caught.value.hint.removeprefix("--budget "))
    assert p.report is not None and p.report.notes["head"]["steps"] > 0
    assert not [line for line in told if "steps" in line]


def test_auto_takes_what_a_small_budget_allows(
    tmp_path: Path, moods: Callable[[Path, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_settings, "_MOST_TRIALS", 0)
    order = {**TUNED, "target": "mood", "method": "auto:rows=100"}
    rows = moods(tmp_path / "rows.csv", 600)
    report = tb.fit(rows, out=tmp_path / "ample", **order, budget="10m").report
    assert report is not None and report.notes["head"]["auto"]["reason"] != "the budget leaves no time for more"
    monkeypatch.setattr(fitting, "_SEAL_SECONDS", 1e4)
    report = tb.fit(rows, out=tmp_path / "tight", **order, budget="10m").report
    assert report is not None and report.notes["head"]["auto"]["reason"] == "the budget leaves no time for more"


def test_a_body_that_took_no_step_is_told(rows: Path, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting._Fit, "_spare_s", lambda *given: 1e6)  # more than was foreseen
    monkeypatch.setattr(fitting.Budget, "check", lambda *given: None)
    tb.fit(rows, out=rows.parent / "model", **TUNED, budget="1h")
    assert [line for line in told if "the body learned in 0 of 1 steps" in line and "--budget" in line]


@pytest.mark.parametrize(("steps", "is_told"), [(0, True), (4, True), (300, False), (418, False)])
def test_few_of_the_steps_that_were_planned_are_told(steps: int, is_told: bool, told: list[str]) -> None:
    opening._tell_steps({"steps": steps, "steps_planned": 418})
    assert bool(told) == is_told


class Interrupted(Exception):
    """What ends a fit in the middle of its race."""


@pytest.mark.parametrize("n", [60, 600])  # fold by fold, and with test rows
def test_an_early_model_is_there_before_the_race(
    n: int, tmp_path: Path, told: list[str], moods: Callable[[Path, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers, its figures are its own, and it goes when the fit is over."""
    order: dict[str, Any] = {"target": "mood", "model": "toy:text", "out": tmp_path / "model", "threads": 1}
    rows, early = moods(tmp_path / "rows.csv", n), tmp_path / "model.part" / "early"
    monkeypatch.setattr(auto, "_LEAST_ROWS", 5)
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(auto.Auto, "_raced", _interrupted)
        tb.fit(rows, **order)
    assert not (tmp_path / "model").exists() and tb.verify(early).ok
    p = tb.load(early)
    assert p.predict("warm, and kind")[0].label in {"pos", "neg"}
    assert p.report is not None and p.report.model == str(early) and p.report.rows["test"] > 0
    assert p.report.verdict.sentence in told and any("there early" in line for line in told)
    assert p.report.method == "probe" and "evaluate" in p.report.seconds
    del told[:]
    report = tb.fit(rows, **order, resume=True).report
    assert report is not None and not [line for line in told if "an early model" in line]
    tried = report.notes["head"]["auto"]["tried"]
    assert n < 500 or [one["loss"] for one in tried if one["loss"] is None or not -1e-9 < one["loss"] < 1] == []
    assert tb.verify(tmp_path / "model").ok and not early.parent.exists()


def test_a_full_disk_costs_the_early_model_and_no_more(
    tmp_path: Path, told: list[str], moods: Callable[[Path, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = fitting.write_artifact

    def full(sealing: Any, out: Path, **how: Any) -> Any:
        if out.name == "early":
            raise BadOutput("the disk is full", "make room")
        return written(sealing, out, **how)

    monkeypatch.setattr(fitting, "write_artifact", full)
    tb.fit(moods(tmp_path / "rows.csv", 600), out=tmp_path / "model", target="mood", model="toy:text", threads=1)
    assert "no early model: the disk is full" in told and tb.verify(tmp_path / "model").ok


def _interrupted(*given: object) -> None:
    raise Interrupted
