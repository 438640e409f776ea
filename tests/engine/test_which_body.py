"""Which body is tailored, where the store has several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tailorbird as tb
from tailorbird.engine import which_body
from tailorbird.engine.planning import Wish, order_of
from tailorbird.engine.shop import Shop, open_shop, other_bodies, plugs_of, with_body
from tailorbird.engine.which_body import _Runner, best_body
from tailorbird.errors import BadBody
from tailorbird.methods import _settings

Table = Callable[[Path, int], Path]
NAMED: dict[str, Any] = {"target": "mood", "threads": 1, "device": "cpu"}


@pytest.fixture
def shops(tmp_path: Path, moods: Table) -> list[Shop]:
    """The same rows with three bodies."""
    empty = dict.fromkeys(("input", "group", "test", "validation", "modality", "task", "price", "watts"))
    wish = Wish(**empty, **NAMED, data=moods(tmp_path / "rows.csv", 900), model=("toy:text",), method=(), seed=0)  # type: ignore[arg-type]
    order = order_of(wish)
    first = open_shop(order, plugs_of(order))
    return [first, *(with_body(first, f"toy:text,seed={i}", None, None) for i in (1, 2))]


def losing(monkeypatch: pytest.MonkeyPatch, **mean: float) -> list[tuple[str, int]]:
    """Bodies that lose so much in the mean, with little noise; gives what was asked."""
    asked: list[tuple[str, int]] = []

    def losses(one: _Runner, rows: np.ndarray, threads: int, seed: int) -> np.ndarray:
        asked.append((one.name, len(rows)))
        noise = np.random.default_rng(ord(one.name[-1])).normal(0, 0.3, len(rows))
        noise -= noise.mean()  # or chance alone would tell them apart
        return mean[f"b{one.shop.body.spelling[-1]}"] + noise

    monkeypatch.setattr(which_body, "_losses", losses)
    return asked


def test_what_is_clearly_worse_is_not_looked_at_again(shops: list[Shop], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = losing(monkeypatch, bt=0.9, b1=0.5, b2=0.1)
    best, trail = best_body(shops, None, 6000.0, 1, "cpu", 0)
    assert best is shops[2] and [n for _, n in asked] == [200, 200, 200]
    assert [one["rows"] for one in trail] == [200] * 3 and {one["round"] for one in trail} == {1}


def test_of_what_cannot_be_told_apart_the_quickest_is_taken(shops: list[Shop], monkeypatch: pytest.MonkeyPatch) -> None:
    losing(monkeypatch, bt=0.5, b1=0.5, b2=0.5)
    speeds = {"t": 10.0, "1": 10.0, "2": 99.0}
    monkeypatch.setattr(_Runner, "a_row_s", property(lambda one: 1 / speeds[one.name[-1]]))
    best, trail = best_body(shops, None, 6000.0, 1, "cpu", 0)
    assert best is shops[2] and {one["round"] for one in trail} == {1, 2}


def test_without_time_it_is_the_usual_one(shops: list[Shop], told: list[str]) -> None:
    best, trail = best_body(shops, None, 10.0, 1, "cpu", 0)
    assert best is shops[0] and trail == []
    assert sum("no time to look at" in line for line in told) == 2


def test_one_that_cannot_be_run_is_passed_over(
    shops: list[Shop], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = which_body.choose

    def failing(body: Any, *args: Any, **named: Any) -> Any:
        if body.spelling.endswith("1"):
            raise BadBody("it has no end", "take another")
        return choose(body, *args, **named)

    monkeypatch.setattr(which_body, "choose", failing)
    losing(monkeypatch, bt=0.5, b2=0.1)
    assert best_body(shops, None, 6000.0, 1, "cpu", 0)[0] is shops[2]
    assert any("is passed over: it has no end" in line for line in told)


def test_toys_and_bodies_of_another_kind_are_no_rivals(shops: list[Shop]) -> None:
    tb.pull("toy:image")
    assert other_bodies(shops[0]) == []


def test_auto_looks_at_what_the_store_has_unless_a_body_was_named(
    tmp_path: Path, moods: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tailorbird.engine import fitting, shop

    rows = moods(tmp_path / "rows.csv", 900)
    monkeypatch.setitem(shop.DEFAULT_BODY, "text", "toy:text")
    monkeypatch.setattr(fitting, "other_bodies", lambda given: ["toy:text,width=64"])
    losing(monkeypatch, bt=0.9, b4=0.1)
    monkeypatch.setattr(which_body, "_OPEN_S", 0.0)
    monkeypatch.setattr(_settings, "_MOST_TRIALS", 0)
    report = tb.fit(rows, out=tmp_path / "a", **NAMED, budget="2m").report
    assert report is not None and report.body.endswith("width=64")
    assert [one["method"] for one in report.notes["bodies"]] == [f"frozen toy:text{w}" for w in ("", ",width=64")]
    named = tb.fit(rows, out=tmp_path / "b", **NAMED, model="toy:text", budget="2m").report
    assert named is not None and named.body == "toy:text" and "bodies" not in named.notes
    few = tb.fit(moods(tmp_path / "few.csv", 100), out=tmp_path / "c", **NAMED, budget="2m").report
    assert few is not None and few.body == "toy:text", "fold by fold there are no rows to choose a body on"
