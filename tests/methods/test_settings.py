"""Other settings that are tried where time is left."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from tailorbird.kinds import Modality, Source
from tailorbird.lesson import Head, Lesson, Tailored, Workshop
from tailorbird.methods import _settings
from tailorbird.methods._halving import Entry
from tailorbird.methods._settings import search
from tailorbird.plug import parse
from tailorbird.types import BodyFolder

RATE = 2e-4
NUMBERS = count()


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    body, modality = parse("source", "toy:text", Source).open(), parse("modality", "text", Modality)
    (tmp_path / "study").mkdir()
    (tmp_path / "work").mkdir()
    shop = Workshop(body, modality, ["a"], ("no", "yes"), tmp_path / "work", 1, "cpu", study=tmp_path / "study")
    rows = np.arange(40)
    given = Lesson({}, rows % 2, 2, np.ones(40, np.float32), rows[10:], rows[:10], seed=0, workshop=shop)
    return replace(given, deadline=time.monotonic() + 600)


def learned(folder: Path, spelling: str, loss: float) -> Tailored:
    body = folder / f"body-{next(NUMBERS)}"
    body.mkdir()
    notes = {"rate": RATE, "epochs": 2.0, "seconds": 1.0, "held_out_losses": [[0, 1.0], [9, loss]], "way": spelling}
    head = Head(("last",), np.zeros((1, 2), np.float32), np.zeros(2, np.float32), 1.0, notes)
    return Tailored(head, BodyFolder(spelling, body, "toy", "text", "0"))


@pytest.fixture
def tried(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was learned; the loss is lowest at twice the rate."""
    spellings: list[str] = []

    def tuned(method: object, name: str, given: Lesson) -> tuple[Tailored | str, Entry]:
        spellings.append(name)
        rate = float(name.partition("rate=")[2].partition(",")[0])
        assert given.workshop is not None
        loss = 0.3 + abs(np.log(rate / (2 * RATE)))
        return learned(given.workshop.folder, name, float(loss)), Entry(name, 30, 1.0, None)

    monkeypatch.setattr(_settings, "tuned", tuned)
    monkeypatch.setattr(_settings, "_MOST_TRIALS", 12)
    return spellings


def test_settings_with_a_lower_loss_stay_and_the_bodies_of_the_others_go(lesson: Lesson, tried: list[str]) -> None:
    assert lesson.workshop is not None
    folder = lesson.workshop.folder
    first = learned(folder, "finetune", 0.3 + np.log(2))
    best, trail = search(first, "finetune", lesson, 1.0)
    assert len(tried) == 12 and len(set(tried)) == 12 and [one.method for one in trail] == tried
    losses = [one.loss for one in trail if one.loss is not None]
    assert best.head.notes["held_out_losses"][-1][1] == min(losses) < 0.3 + np.log(2)
    assert best.body is not None and list(folder.iterdir()) == [best.body.folder]
    assert all(RATE / 3 <= float(one.partition("rate=")[2].partition(",")[0]) <= 3.01 * RATE for one in tried)


def test_what_is_hardly_better_does_not_stay(lesson: Lesson, tried: list[str]) -> None:
    assert lesson.workshop is not None
    first = learned(lesson.workshop.folder, "finetune", 0.3 - _settings._LEAST_GAIN)
    assert search(first, "finetune", lesson, 1.0)[0] is first and first.body is not None
    assert first.body.folder.is_dir()


@pytest.mark.parametrize("case", ["no time", "no budget", "no study", "nothing held out"])
def test_without_time_or_rows_to_judge_on_nothing_is_tried(case: str, lesson: Lesson, tried: list[str]) -> None:
    assert lesson.workshop is not None
    first = learned(lesson.workshop.folder, "finetune", 0.5)
    given = {
        "no time": replace(lesson, deadline=time.monotonic() + 10),
        "no budget": replace(lesson, deadline=None),
        "no study": replace(lesson, workshop=replace(lesson.workshop, study=None)),
        "nothing held out": lesson,
    }[case]
    if case == "nothing held out":
        first = replace(first, head=replace(first.head, notes={**first.head.notes, "held_out_losses": []}))
    assert search(first, "finetune", given, 60.0) == (first, []) and tried == []


def test_after_an_interruption_the_trials_are_known_and_the_best_is_learned_once_more(
    lesson: Lesson, tried: list[str], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lesson.workshop is not None
    folder = lesson.workshop.folder
    before, _ = search(learned(folder, "finetune:last=2", 0.3 + np.log(2)), "finetune:last=2", lesson, 1.0)
    best = before.head.notes["way"]
    monkeypatch.setattr(_settings, "_MOST_TRIALS", 1)
    tried.clear()
    after, trail = search(learned(folder, "finetune:last=2", 0.3 + np.log(2)), "finetune:last=2", lesson, 1.0)
    assert tried[0] == best and any(f"{best} was best before the interruption" in line for line in told)
    assert len(trail) == 1 and after.head.notes["held_out_losses"][-1][1] <= before.head.notes["held_out_losses"][-1][1]


def test_settings_that_fail_are_passed_over(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(method: object, name: str, given: Lesson) -> tuple[str, Entry]:
        return "no finite loss", Entry(name, 30, 1.0, None)

    monkeypatch.setattr(_settings, "tuned", failing)
    monkeypatch.setattr(_settings, "_MOST_TRIALS", 3)
    assert lesson.workshop is not None
    first = learned(lesson.workshop.folder, "finetune", 0.5)
    best, trail = search(first, "finetune", lesson, 1.0)
    assert best is first and [one.loss for one in trail] == [None] * 3


def test_without_the_library_it_is_told_how_to_get_it(
    lesson: Lesson, tried: list[str], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain: Callable[..., object] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "optuna" else plain(name, *a))
    assert lesson.workshop is not None
    first = learned(lesson.workshop.folder, "finetune", 0.5)
    assert search(first, "finetune", lesson, 1.0) == (first, [])
    assert any("needs the package 'optuna'" in line and "pip install" in line for line in told)
