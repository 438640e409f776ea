"""A loop that was interrupted goes on as if it had not been: the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tailorbird.engine.course import Course, Run
from tailorbird.engine.journal import Journal
from tailorbird.engine.loop import train
from tailorbird.engine.optimizers import Group
from tailorbird.store.checkpoints import newest

N_STEPS, EPOCH = 12, 5  # steps
COURSE = Course(rate=0.02, n_steps=N_STEPS, seed=3, n_looks=4)


class Killed(BaseException):
    """What ends a loop as a kill does: nothing is written on the way out."""


@dataclass
class Small:
    """Words through a table, and what the steps of an epoch draw: all that a loop must take up again."""

    killed_at: float = float("inf")  # the call of `step`, that is a batch, in which the process dies
    death: type[BaseException] = Killed
    lazy: bool = True

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.table = nn.Embedding(30, 8, sparse=self.lazy)
        self.rest = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.3), nn.Tanh(), nn.Linear(16, 2))
        self.calls = self.looks = 0

    def groups(self) -> list[Group]:
        return [Group([self.table.weight], 0.5, self.lazy), Group(list(self.rest.parameters()))]

    def step(self, batch: Tensor) -> tuple[Tensor, float]:
        self.calls += 1
        if self.calls > self.killed_at:
            raise self.death
        losses = F.cross_entropy(self.rest(self.table(batch)), batch % 2, reduction="none")
        return losses.sum(), float(len(batch))

    def halves(self, batch: Tensor) -> list[Tensor]:
        return [batch]

    def held_out(self) -> float:
        self.looks += 1
        self.rest.eval()
        with torch.no_grad():
            loss = F.cross_entropy(self.rest(self.table(torch.arange(30))), torch.arange(30) % 2)
        self.rest.train()
        return float(loss)

    def _named(self) -> list[tuple[str, Tensor]]:
        return [("table", self.table.weight), *((n, p) for n, p in self.rest.named_parameters())]

    def state(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self._named()}

    def restore(self, state: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, p in self._named():
                p.copy_(state[name])


def feed(done: int) -> Generator[list[Tensor], None, None]:
    """Each step has two batches; the order of an epoch follows from its number."""
    while True:
        epoch, place = divmod(done, EPOCH)
        order = torch.randperm(30, generator=torch.Generator().manual_seed(epoch))
        rows = order[place * 6 : place * 6 + 6]
        yield [rows[:2], rows[2:]]
        done += 1


def same(one: Small, other: Small) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state().values(), other.state().values(), strict=True))


def whole(course: Course = COURSE, **told: Any) -> tuple[Small, Run]:
    learner = Small(**told)
    return learner, train(learner, feed, course)


def interrupted(folder: Path, at: int, course: Course = COURSE, **told: Any) -> tuple[Small, Run]:
    """Die in that batch, and go on in what stands for another process."""
    death = told.get("death", Killed)
    with pytest.raises(death):
        train(Small(killed_at=at, **told), feed, course, Journal(folder, every_s=0.0).lap("whole"))
    told.pop("death", None)
    learner = Small(**told)
    return learner, train(learner, feed, course, Journal(folder, every_s=0.0).lap("whole"))


@pytest.mark.parametrize(
    "at", [0, 1, 2, 5, 6, 9, 10, 11, 17, 20, 21, 23]
)  # odd: mid-accumulation; 10, 20: epoch's edge
def test_a_killed_loop_goes_on_to_the_same_bits(at: int, tmp_path: Path) -> None:
    (one, run), (other, again) = whole(), interrupted(tmp_path, at)
    assert same(one, other)
    assert replace(run, seconds=0.0) == replace(again, seconds=0.0)
    assert other.calls <= 2 * N_STEPS - 2 * (at // 2), "what was done is not done again"


@pytest.mark.parametrize(
    "course",
    [replace(COURSE, optimizer="lamb"), replace(COURSE, precision=torch.bfloat16)],
    ids=["lamb", "bfloat16"],
)
def test_other_courses_do_so_too(course: Course, tmp_path: Path) -> None:
    assert same(whole(course, lazy=False)[0], interrupted(tmp_path, 13, course, lazy=False)[0])


def test_three_deaths_in_a_row(tmp_path: Path) -> None:
    for at in (3, 7, 4):
        with pytest.raises(Killed):
            train(Small(killed_at=at), feed, COURSE, Journal(tmp_path, every_s=0.0).lap("whole"))
    last = Small()
    train(last, feed, COURSE, Journal(tmp_path, every_s=0.0).lap("whole"))
    assert same(whole()[0], last)


def test_ctrl_c_leaves_a_checkpoint_of_the_last_whole_step(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        lap = Journal(tmp_path, every_s=1e9).lap("whole")
        train(Small(killed_at=15, death=KeyboardInterrupt), feed, COURSE, lap)
    found = newest(tmp_path / "laps" / "whole")
    assert found is not None and found.step == 7
    last = Small()
    train(last, feed, COURSE, Journal(tmp_path, every_s=1e9).lap("whole"))
    assert same(whole()[0], last)


def test_a_loop_that_is_over_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, again = Small(), Small()
    run = train(one, feed, COURSE, Journal(tmp_path, every_s=0.0).lap("whole"))
    assert train(again, feed, COURSE, Journal(tmp_path, every_s=0.0).lap("whole")) == run
    assert same(one, again) and again.calls == again.looks == 0
    short = Journal(tmp_path / "short", every_s=1e9)
    train(Small(), feed, COURSE, short.lap("whole"))
    assert not (tmp_path / "short" / "laps").exists(), "what took no time is not worth the disk"


def test_what_is_damaged_is_passed_over(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(Small(killed_at=15), feed, COURSE, Journal(tmp_path, every_s=0.0).lap("whole"))
    steps = sorted((tmp_path / "laps" / "whole").glob("step-*"))
    assert [step.name for step in steps] == ["step-000000006", "step-000000007"]
    weights = steps[1] / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    last = Small()
    train(last, feed, COURSE, Journal(tmp_path, every_s=0.0).lap("whole"))
    assert same(whole()[0], last)


def test_another_course_begins_anew(tmp_path: Path, told: list[str]) -> None:
    with pytest.raises(Killed):
        train(Small(killed_at=15), feed, COURSE, Journal(tmp_path, every_s=0.0).lap("whole"))
    other = replace(COURSE, rate=0.01)
    last = Small()
    train(last, feed, other, Journal(tmp_path, every_s=0.0).lap("whole"))
    assert "another course" in told[0] and same(whole(other)[0], last)


def test_a_full_disk_costs_a_checkpoint_and_not_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    journal = Journal(tmp_path, every_s=0.0)
    lap, learner = journal.lap("whole"), Small()
    true = os.fsync
    count = 0

    def full(number: int) -> None:
        nonlocal count
        count += 1
        if count > 30:
            raise OSError(28, "No space left on device")
        true(number)

    monkeypatch.setattr(os, "fsync", full)
    train(learner, feed, COURSE, lap)
    monkeypatch.undo()
    assert len(told) == 1 and "the disk is full" in told[0]
    assert same(whole()[0], learner)
    kept = newest(tmp_path / "laps" / "whole")
    assert kept is not None and kept.step >= 1
    assert not list(tmp_path.rglob("*.part")), "no torso"


WAITING = """
import os, signal
from tailorbird.engine.interrupts import put_off

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever runs the tests may have taken it away
try:
    with put_off():
        os.kill(os.getpid(), signal.SIGINT)
        print("the rest")
except KeyboardInterrupt:
    print("interrupted")
before = signal.getsignal(signal.SIGTERM)
with put_off():
    pass
assert signal.getsignal(signal.SIGTERM) is before
"""


def test_a_signal_waits_for_the_end_of_what_must_be_whole() -> None:
    """In a process of its own: one that runs tests has threads that may be given the signal, and ends."""
    done = subprocess.run([sys.executable, "-c", WAITING], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["the rest", "interrupted", ""]
