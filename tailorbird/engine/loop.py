"""The one training loop. It knows neither bodies nor heads: a Learner takes steps, and the loop drives.

AdamW or LAMB, one cycle of the rate, gradients of a whole step divided by its whole count and cut to a norm, the best
weights by held-out loss. What is random inside a step follows from the seed and the step's number, so nothing that went
before is needed to take it again."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from math import inf, isfinite
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from tailorbird.engine.course import Course, Run
from tailorbird.engine.interrupts import put_off
from tailorbird.engine.journal import Lap
from tailorbird.engine.keeping import Progress, State, kept, moments, restore_moments, weights_of
from tailorbird.engine.memory import is_out_of_memory
from tailorbird.engine.optimizers import Group, cut, optimizers
from tailorbird.engine.schedule import Pace, looks, rate_share
from tailorbird.progress import Advance, stage, tell
from tailorbird.types import JSON

B = TypeVar("B")
Feed = Callable[[int], Generator[Sequence[B], None, None]]
_MOST_LOST_STEPS = 20  # in a row that may be lost; half precision finds its scale in fewer


class Learner(Protocol[B]):
    """What learns."""

    def groups(self) -> Sequence[Group]:
        """The parameters that learn."""

    def step(self, batch: B) -> tuple[Tensor, float]:
        """The sum of the losses of a batch's rows, each times its weight, (), and the sum of those weights."""

    def halves(self, batch: B) -> Sequence[B]:
        """The rows of a batch as two batches; a batch of one row stays whole."""

    def held_out(self) -> float | None:
        """The loss on rows that are not learned from; None where there are none."""

    def state(self) -> State:
        """A copy of what learns."""

    def restore(self, state: State) -> None:
        """Become what `state` was a copy of."""


class Diverged(Exception):
    """Step after step gave no finite loss or gradient."""


def train(learner: Learner[B], feed: Feed[B], course: Course, lap: Lap | None = None) -> Run:
    """Let the learner take the steps and leave it at its best. feed: the batches of each step from a number on, without
    end; lap: where it is kept how far it is, and found again. Raises Diverged."""
    with _own_randomness(course.device), stage("tuning the body", course.n_steps) as advance:
        return _Loop(learner, course, lap).run(feed, advance)


class _Loop(Generic[B]):
    def __init__(self, learner: Learner[B], course: Course, lap: Lap | None) -> None:
        self._learner, self._course, self._lap = learner, course, lap
        self._pace = Pace(course.deadline, course.n_steps, course.n_looks)
        self._optimizers = optimizers(learner.groups(), course.optimizer, course.rate, course.weight_decay)
        self._parameters = list(chain.from_iterable(group["params"] for group in self._groups()))
        self._scaler = torch.amp.GradScaler(course.device, enabled=course.precision == torch.float16)
        self._half = course.precision != torch.float32
        self._progress = Progress()
        self._best: State | None = None
        self._began = time.monotonic()
        self._step_s: list[float] = []
        self._look_s: list[float] = []

    def run(self, feed: Feed[B], advance: Advance) -> Run:
        if not self._recalled(advance):
            with closing(feed(self._progress.done)) as steps:
                try:
                    self._learn(steps, advance)
                except KeyboardInterrupt:
                    self._keep()
                    raise
            self._finish()
        return self._run()

    def _learn(self, steps: Iterator[Sequence[B]], advance: Advance) -> None:
        self._look_in_time()
        while self._progress.done < self._pace.n_steps and not self._pace.is_over:
            before = self._pace.n_steps
            self._step(next(steps))
            advance(1 + before - self._pace.n_steps)
            self._look_in_time()
            if self._lap is not None and self._lap.is_due:
                self._keep()
        if self._progress.looked and self._progress.looked[-1][0] < self._progress.done:  # the deadline came first
            self._look()

    def _finish(self) -> None:
        """Become the best weights."""
        self._progress.best = self._progress.done if self._best is None else self._progress.best
        if self._best is not None:
            self._learner.restore(self._best)
        seconds = self._progress.seconds = self._seconds()
        if self._lap is not None and self._lap.is_worth(seconds):
            self._progress.is_over = True
            self._lap.keep(kept(self._progress, self._signature(), {"weights": self._learner.state()}))

    def _run(self) -> Run:
        told, planned = self._progress, self._course.n_steps
        looked, lost = tuple(told.looked), tuple(told.lost)
        # The first steps are slower: products of each new shape are prepared.
        paces = (float(np.median(s[len(s) // 2 :])) if s else 0.0 for s in (self._step_s, self._look_s))
        return Run(
            tuple(told.losses), looked, told.best, planned, told.done, lost, told.seconds, told.n_halvings, *paces
        )

    def _seconds(self) -> float:
        """Of learning, in all sittings."""
        return self._progress.seconds_before + time.monotonic() - self._began

    def _step(self, batches: Sequence[B]) -> None:
        """One step of the weights: the gradient of the mean over all rows of all batches."""
        began = time.monotonic()
        loss, weight = self._gradient(self._halved(batches, self._progress.n_halvings))
        with put_off():
            self._move(loss, weight)
            self._progress.losses.append(loss / weight)
            self._progress.done += 1
            self._pace.stepped(self._progress.done)
        self._step_s.append(time.monotonic() - began)

    def _move(self, loss: float, weight: float) -> None:
        number = self._progress.done
        for optimizer in self._optimizers:
            self._scaler.unscale_(optimizer)
        norm = cut(self._parameters, weight, self._course.most_norm)
        if isfinite(loss) and isfinite(norm):
            for group in self._groups():
                group["lr"] = group["share"] * self._course.rate * rate_share(number, self._pace.n_steps)
            for optimizer in self._optimizers:
                self._scaler.step(optimizer)
        else:
            self._lose(number)
        self._scaler.update()
        for parameter in self._parameters:
            parameter.grad = None

    def _gradient(self, batches: Sequence[B]) -> tuple[float, float]:
        """The gradient of the sum over all rows, and that sum and its weight. Where memory is short, in smaller batches
        from then on: the sum stays the same."""
        _reseed(self._course, self._progress.done)
        loss, weight = 0.0, 0.0
        try:
            for batch in batches:
                with torch.autocast(self._course.device, self._course.precision, self._half):
                    part, part_weight = self._learner.step(batch)
                self._scaler.scale(part).backward()  # type: ignore[no-untyped-call]
                loss, weight = loss + float(part.detach()), weight + part_weight
        except RuntimeError as error:
            smaller = self._halved(batches, 1)
            if not is_out_of_memory(error) or len(smaller) == len(batches):
                raise
        else:
            return loss, weight
        # Outside of the handler, for what it knows of the failed batch is let go with it.
        tell("memory is short: batches are halved from here on, and the steps stay the same")
        self._progress.n_halvings += 1
        for parameter in self._parameters:  # what part of the failed batch has added
            parameter.grad = None
        return self._gradient(smaller)

    def _halved(self, batches: Sequence[B], times: int) -> Sequence[B]:
        for _ in range(times):
            batches = [half for batch in batches for half in self._learner.halves(batch)]
        return batches

    def _groups(self) -> Iterator[dict[str, Any]]:  # as torch keeps them; a restored optimizer has others
        return (group for optimizer in self._optimizers for group in optimizer.param_groups)

    def _lose(self, number: int) -> None:
        lost = self._progress.lost
        lost.append(number)
        if lost[-_MOST_LOST_STEPS:] == list(range(number + 1 - _MOST_LOST_STEPS, number + 1)):
            raise Diverged(f"{_MOST_LOST_STEPS} steps in a row gave no finite loss, from step {lost[0] + 1} on")

    def _look_in_time(self) -> None:
        done, looked = self._progress.done, self._progress.looked
        if (looked and looked[-1][0] == done) or done not in {0, *looks(self._pace.n_steps, self._pace.n_looks)}:
            return
        self._look()
        if done == 0:
            self._pace.looked(self._look_s[-1])

    def _look(self) -> None:
        """Judge the weights on held-out rows, and keep them if they are the best so far."""
        began = time.monotonic()
        with torch.autocast(self._course.device, self._course.precision, self._half):
            loss = self._learner.held_out()
        self._look_s.append(time.monotonic() - began)
        if loss is None:
            return
        with put_off():
            earlier = min((loss for _, loss in self._progress.looked), default=inf)
            self._progress.looked.append((self._progress.done, loss))
            if self._best is None or loss < earlier:
                self._progress.best, self._best = self._progress.done, self._learner.state()

    def _keep(self) -> None:
        """All that the next step depends on."""
        if self._lap is None:
            return
        told = self._progress
        told.seconds, told.pace, told.scaler = self._seconds(), self._pace.plain(), self._scaler.state_dict()
        told.counts, arrays = moments(self._optimizers)
        parts = {"weights": self._learner.state(), "best": self._best or {}, **arrays}
        self._lap.keep(kept(self._progress, self._signature(), parts))

    def _recalled(self, advance: Advance) -> bool:
        """Become what was kept, if anything was. Whether that was the end."""
        found = None if self._lap is None else self._lap.recall()
        if found is None:
            return False
        if found.facts["course"] != self._signature():
            tell("what was learned before the interruption was another course: it is learned anew")
            return False
        self._progress = Progress.of(found)
        self._learner.restore(weights_of(found, "weights"))
        advance(self._progress.done)
        if self._progress.is_over:
            return True
        self._best = weights_of(found, "best") or None
        restore_moments(self._optimizers, found)
        self._pace.resume(self._progress.pace, self._progress.done)
        if self._progress.scaler:
            self._scaler.load_state_dict(dict(self._progress.scaler))
        tell(f"learning goes on after step {self._progress.done:,} of {self._pace.n_steps:,}")
        return False

    def _signature(self) -> dict[str, JSON]:
        """What must be the same for a checkpoint to be of this course."""
        course = self._course
        told = {"rate": course.rate, "n_steps": course.n_steps, "seed": course.seed, "optimizer": course.optimizer}
        shapes = [[*parameter.shape] for parameter in self._parameters]
        return {**told, "precision": str(course.precision), "shapes": shapes}


@contextmanager
def _own_randomness(device: str) -> Iterator[None]:
    """What is drawn inside leaves the process's generators as they were."""
    with torch.random.fork_rng([torch.cuda.current_device()] if device == "cuda" else []):
        yield


def _reseed(course: Course, number: int) -> None:
    """Dropout draws from torch's own generators; at each step they begin anew."""
    seed = int(np.random.SeedSequence((course.seed, number)).generate_state(1)[0])
    torch.default_generator.manual_seed(seed)
    if course.device == "cuda":
        torch.cuda.manual_seed(seed)
