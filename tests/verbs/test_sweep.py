"""sweep from Python and the command line, on toy bodies and made data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import tailorbird as tb
from tailorbird.engine.budget import Budget
from tailorbird.errors import BadData, BadOutput
from tailorbird.lesson import Effort
from tailorbird.methods._tuning import Tuning
from tailorbird.store.lock import held

TOY: dict[str, Any] = {"target": "mood", "model": "toy:text", "threads": 1, "device": "cpu"}
BODIES = ["toy:text", "toy:text,width=4"]
Table = Callable[[Path, int], Path]


@pytest.fixture
def rows(tmp_path: Path, moods: Table) -> Path:
    return moods(tmp_path / "rows.csv", 600)


def test_each_body_by_each_method_is_a_whole_model_and_a_line(rows: Path, tmp_path: Path) -> None:
    named = {**TOY, "model": BODIES, "method": ["probe:last", "finetune:epochs=2"]}
    told = tb.sweep(rows, **named, out=tmp_path / "sweep")
    assert len(told.contenders) == 4 and all(one.problem is None for one in told.contenders)
    values = [one.test["accuracy"].value for one in told.contenders]
    assert values == sorted(values, reverse=True)
    best, *others = told.contenders
    assert best.behind is None and best.level and all(one.behind is not None for one in others)
    for one in told.contenders:
        assert one.model is not None and tb.verify(one.model).ok
    level = [one for one in told.contenders if one.level]
    assert told.chosen == min(level, key=lambda one: one.planned.value).model
    assert json.loads((tmp_path / "sweep" / "sweep.json").read_text())["chosen"] == told.chosen


def test_what_is_there_is_kept_and_what_is_missing_is_fitted_when_it_goes_on(rows: Path, tmp_path: Path) -> None:
    named = {**TOY, "method": ["probe:last", "probe"], "out": tmp_path / "sweep"}
    first = tb.sweep(rows, **named)
    kept, lost = (Path(str(one.model)) for one in first.contenders)
    before = (kept / "manifest.json").stat().st_mtime_ns
    shutil.rmtree(lost)
    with pytest.raises(BadOutput, match="exists already"):
        tb.sweep(rows, **named)
    again = tb.sweep(rows, **named, resume=True)
    assert {one.model for one in again.contenders} == {str(kept), str(lost)} and lost.is_dir()
    assert (kept / "manifest.json").stat().st_mtime_ns == before


def test_what_does_not_fit_into_the_budget_is_not_begun(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Budget, "left_s", property(lambda _: 30.0))
    named = {**TOY, "method": ["probe:last", "finetune:epochs=100,rate=1e-5"], "budget": "30s"}
    monkeypatch.setattr(Tuning, "effort", lambda *_: Effort(1e4, 9))
    first, second = tb.sweep(rows, **named, out=tmp_path / "sweep").contenders
    assert first.method == "probe:last" and first.problem is None
    assert second.model is None and str(second.problem).endswith("and 30 s are left")
    assert len([path for path in (tmp_path / "sweep").iterdir() if path.is_dir()]) == 1


def test_a_way_that_fails_is_a_line_and_the_others_go_on(rows: Path, tmp_path: Path) -> None:
    named = {**TOY, "method": ["probe:last", "finetune:epochs=20,rate=1e38"]}
    told = tb.sweep(rows, **named, out=tmp_path / "sweep")
    assert [one.problem is None for one in told.contenders] == [True, False]
    assert "no finite loss" in str(told.contenders[1].problem)


def test_few_rows_are_compared_by_their_intervals(tmp_path: Path, moods: Table) -> None:
    few = moods(tmp_path / "few.csv", 90)
    told = tb.sweep(few, **TOY, method=["probe:last", "probe"], out=tmp_path / "sweep")
    assert all(one.behind is None for one in told.contenders) and told.contenders[0].level


def test_models_of_other_rows_are_no_part_of_it(rows: Path, tmp_path: Path, moods: Table) -> None:
    named = {**TOY, "method": "probe:last", "out": tmp_path / "sweep"}
    tb.sweep(rows, **named)
    moods(rows, 610)
    with pytest.raises(BadData, match="made from other rows or options: input, parts, rows, target differ"):
        tb.sweep(rows, **named, resume=True)
    again = tb.sweep(rows, **named, force=True)
    assert again.rows["train"] > 0 and len(again.contenders) == 1


def test_models_that_no_sweep_made_are_never_removed(rows: Path, tmp_path: Path) -> None:
    tb.fit(rows, **TOY, method="probe:last", out=tmp_path / "models" / "mine")
    with pytest.raises(BadOutput, match="is no sweep"):
        tb.sweep(rows, **TOY, method="probe:last", out=tmp_path / "models", force=True)
    tb.sweep(rows, **TOY, method="probe:last", out=tmp_path / "sweep")
    (tmp_path / "models" / "mine").rename(tmp_path / "sweep" / "mine")
    with pytest.raises(BadOutput, match="is no sweep"):
        tb.sweep(rows, **TOY, method="probe:last", out=tmp_path / "sweep", force=True)
    assert tb.verify(tmp_path / "sweep" / "mine").ok


def test_what_another_process_works_in_is_left_alone(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    with held(out / "lock") as is_ours:
        assert is_ours
        for wish in ({"force": True}, {"resume": True}):
            with pytest.raises(BadOutput, match="another process is making"):
                tb.sweep(rows, **TOY, method="probe:last", out=out, **wish)
    assert len(tb.sweep(rows, **TOY, method="probe:last", out=out, resume=True).contenders) == 1
    assert not (out / "lock").exists()


@pytest.mark.parametrize("there", ["a file", "another folder"])
def test_what_is_no_sweep_is_never_replaced(there: str, rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if there == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "my--notes").write_text("mine")
    for wish in ({"force": True}, {"resume": True}, {}):
        with pytest.raises(BadOutput, match="is no sweep"):
            tb.sweep(rows, **TOY, method="probe", out=out, **wish)
    assert (out if out.is_file() else out / "my--notes").read_text() == "mine"


def test_there_is_nothing_to_resume_where_nothing_was_begun(rows: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOutput, match="nothing to resume"):
        tb.sweep(rows, **TOY, method="probe", out=tmp_path / "sweep", resume=True)


def test_the_page_is_a_table_with_a_next_step(rows: Path, run_cli: Callable[..., CompletedProcess[str]]) -> None:
    options = ["--target", "mood", "--model", "toy:text", "--method", "probe:last", "--threads", "1"]
    done = run_cli("sweep", rows, *options, "--out", "sweep")
    assert "the best" in done.stdout and "next: tailorbird report sweep/toy-text--probe-last-" in done.stdout
