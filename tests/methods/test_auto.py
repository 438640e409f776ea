"""Which method `auto` takes, and what it says of its choice."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tailorbird.errors import BadSpelling
from tailorbird.kinds import Method, Modality, Source
from tailorbird.lesson import Head, Lesson, Tailored, Workshop
from tailorbird.methods import auto
from tailorbird.plug import parse


class Fixed(Method):
    """A method that always gives the same head, and remembers what it was asked to learn from."""

    sharpness: float  # of the one weight: the truth is in the sign of the one feature

    def tailor(self, lesson: Lesson) -> Tailored:
        self.__dict__.setdefault("lessons", []).append(lesson)
        weight = np.array([[-self.sharpness, self.sharpness]], np.float32)
        return Tailored(Head(("last",), weight, np.zeros(2, np.float32), 1.0, {}))


def made(tmp_path: Path, n: int = 400) -> Lesson:
    """Rows whose one feature tells the label by its sign."""
    x = np.random.default_rng(0).standard_normal((n, 1)).astype(np.float32)
    y, places = (x[:, 0] > 0).astype(np.int64), np.arange(n)
    body, modality = parse("source", "toy:text", Source).open(), parse("modality", "text", Modality)
    shop = Workshop(body, modality, [f"word {i}" for i in range(n)], ("no", "yes"), tmp_path, 1, "cpu")
    weights, train, held = np.ones(n, np.float32), places[: 3 * n // 4], places[3 * n // 4 :]
    return Lesson({"last": x}, y, 2, weights, train, held, 0, np.arange(n), workshop=shop)


@pytest.fixture
def rivals(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fixed]:
    """A weak probe and a strong finetune; a test may exchange them."""
    methods = {"probe": Fixed(sharpness=0.5), "probe:last": Fixed(sharpness=0.5), "finetune": Fixed(sharpness=3.0)}
    monkeypatch.setattr(auto, "_method", methods.__getitem__)
    return methods


def test_the_body_learns_if_a_trial_lowers_the_loss_on_rows_that_neither_saw(
    tmp_path: Path, rivals: dict[str, Fixed]
) -> None:
    lesson = made(tmp_path)
    tailored = auto.Auto(rows=100).tailor(lesson)
    assert tailored.head.weight[0, 1] == 3.0
    trial, whole = rivals["finetune"].__dict__["lessons"]
    assert len(trial.train) == 100 and not len(trial.validation) and len(whole.train) == 300
    told = tailored.head.notes["auto"]["tried"]
    assert [one["method"] for one in told] == ["probe", "probe:last", "finetune", "finetune"]
    assert told[1]["loss"] > told[2]["loss"]


def test_a_trial_that_does_not_help_keeps_the_probe(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    rivals["finetune"] = Fixed(sharpness=0.1)
    tailored = auto.Auto().tailor(made(tmp_path))
    assert tailored.head.weight[0, 1] == 0.5
    assert "did not lower" in tailored.head.notes["auto"]["reason"]


def test_where_nothing_can_be_told_apart_the_cheaper_method_is_taken(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    rivals["finetune"] = Fixed(sharpness=0.5)
    assert len(auto.Auto().tailor(made(tmp_path)).head.notes["auto"]["tried"]) == 3


class Failing(Fixed):
    """A method that learns as often as it may, and then ends with an error."""

    error: Any
    after: int  # learnings

    def tailor(self, lesson: Lesson) -> Tailored:
        tailored = super().tailor(lesson)
        if len(self.__dict__["lessons"]) > self.after:
            raise self.error
        return tailored


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            BadSpelling("method 'finetune': 20 steps in a row gave no finite loss", "--method finetune:rate=1e-05"),
            "20 st",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "memory"),
        (MemoryError(), "memory"),
    ],
)
def test_a_body_that_cannot_learn_to_the_end_leaves_the_probe(
    error: Exception,
    reason: str,
    after: int,
    tmp_path: Path,
    rivals: dict[str, Fixed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(auto, "tell", said.append)
    rivals["finetune"] = Failing(sharpness=3.0, error=error, after=after)
    tailored = auto.Auto().tailor(made(tmp_path))
    notes = tailored.head.notes["auto"]
    assert tailored.head.weight[0, 1] == 0.5
    assert reason in notes["reason"] and said[-1] == f"method auto: probe, for {notes['reason']}"
    assert [one["method"] for one in notes["tried"]] == ["probe", "probe:last", "finetune", "finetune"][: 3 + after]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("expected scalar type Float but found Half")])
def test_what_is_no_fault_of_the_data_or_the_machine_is_not_swallowed(
    error: BaseException, tmp_path: Path, rivals: dict[str, Fixed]
) -> None:
    rivals["finetune"] = Failing(sharpness=3.0, error=error, after=1)
    with pytest.raises(type(error)):
        auto.Auto().tailor(made(tmp_path))


@pytest.mark.parametrize("case", ["features", "rows", "time"])
def test_without_a_chance_for_the_body_no_trial_is_made(case: str, tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    lesson = {
        "features": lambda: replace(made(tmp_path), workshop=None),
        "rows": lambda: made(tmp_path, n=40),
        "time": lambda: replace(made(tmp_path), deadline=time.monotonic() + 1),
    }[case]()
    tailored = auto.Auto().tailor(lesson)
    assert tailored.head.weight[0, 1] == 0.5 and "lessons" not in rivals["finetune"].__dict__


def test_the_trial_has_a_quarter_of_the_time_and_the_whole_the_rest(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    now = time.monotonic()
    auto.Auto().tailor(replace(made(tmp_path), deadline=now + 1000))
    trial, whole = rivals["finetune"].__dict__["lessons"]
    assert trial.deadline - now == pytest.approx(250, abs=10) and whole.deadline == now + 1000


def test_few_rows_without_a_validation_part_hold_out_whole_clusters(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    lesson = made(tmp_path)
    lesson = replace(lesson, train=np.arange(400), validation=np.zeros(0, np.int64), clusters=np.arange(400) // 4)
    auto.Auto().tailor(lesson)
    seen = set(rivals["finetune"].__dict__["lessons"][0].train // 4)
    assert len(seen) == 80 and len(rivals["finetune"].__dict__["lessons"][0].train) == 320
