"""The one training loop. It knows neither bodies nor heads: a Learner takes steps, and the loop drives.

AdamW, one cycle of the rate, gradients of a whole step divided by its whole count and cut to a norm, the best weights
by held-out loss. What is random inside a step follows from the seed and the step's number, so nothing that went before
is needed to take it again."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from math import inf, isfinite
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tailorbird.engine.lamb import Lamb
from tailorbird.engine.schedule import Pace, looks, rate_share
from tailorbird.progress import Advance, stage, tell
from tailorbird.types import JSON

B = TypeVar("B")
State = dict[str, Tensor]

_MOST_LOST_STEPS = 20  # in a row that may be lost; half precision finds its scale in fewer
_LOOKS = 3  # at held-out rows, after the one before the first step


@dataclass(frozen=True)
class Group:
    """Parameters that learn at `share` of the rate. lazy: tables whose gradients are sparse: only the rows that a step
    looked up move, and do not decay."""

    parameters: Sequence[nn.Parameter]
    share: float = 1.0
    lazy: bool = False


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


@dataclass(frozen=True)
class Course:
    """How to learn. n_steps: as many as a deadline lets be; deadline: a time.monotonic()."""

    rate: float  # at its highest
    n_steps: int
    seed: int
    deadline: float | None = None
    device: str = "cpu"
    precision: torch.dtype = torch.float32  # of matrix products; weights and sums are always float32
    weight_decay: float = 0.01  # of matrices; biases and norms are let be
    most_norm: float = 1.0  # of the gradient; longer ones are cut to it
    n_looks: int = _LOOKS
    optimizer: Literal["adamw", "lamb"] = "adamw"


@dataclass(frozen=True)
class Run:
    """How the learning went."""

    losses: tuple[float, ...]  # of each step: the mean over its rows
    looked: tuple[tuple[int, float], ...]  # (steps done, held-out loss)
    best: int  # steps done by the weights that were kept
    n_planned: int
    n_steps: int
    lost: tuple[int, ...]  # numbers of the steps whose loss or gradient was not finite
    seconds: float
    n_halvings: int = 0  # of the batches, for memory was short

    def notes(self) -> Mapping[str, JSON]:
        """For a report."""
        looked = [[step, loss if isfinite(loss) else None] for step, loss in self.looked]
        told = {"steps": self.n_steps, "steps_planned": self.n_planned, "steps_skipped": len(self.lost)}
        told |= {"batches_halved": self.n_halvings} if self.n_halvings else {}
        return {**told, "held_out_losses": looked, "best_after_steps": self.best, "seconds": round(self.seconds, 3)}


class Diverged(Exception):
    """Step after step gave no finite loss or gradient."""


def train(learner: Learner[B], steps: Generator[Sequence[B], None, None], course: Course) -> Run:
    """Let the learner take the steps and leave it at its best. steps: the batches of each step, without end.

    Raises Diverged."""
    with _own_randomness(course.device), closing(steps), stage("tuning the body", course.n_steps) as advance:
        return _Loop(learner, course).run(steps, advance)


class _Loop(Generic[B]):
    def __init__(self, learner: Learner[B], course: Course) -> None:
        self._learner, self._course = learner, course
        self._pace = Pace(course.deadline, course.n_steps, course.n_looks)
        self._optimizers = _optimizers(learner.groups(), course)
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        self._groups = groups
        self._parameters = list(chain.from_iterable(group["params"] for group in groups))
        half = course.precision == torch.float16
        self._scaler = torch.amp.GradScaler(course.device, enabled=half)
        self._losses: list[float] = []
        self._looked: list[tuple[int, float]] = []
        self._lost: list[int] = []
        self._best: tuple[int, State] | None = None
        self._n_halvings = 0

    def run(self, steps: Iterator[Sequence[B]], advance: Advance) -> Run:
        began = time.monotonic()
        self._look(0)
        self._pace.looked(time.monotonic() - began)
        done = 0
        while done < self._pace.n_steps and not self._pace.is_over:
            self._step(next(steps), done)
            done += 1
            before = self._pace.n_steps
            self._pace.stepped(done)
            advance(1 + before - self._pace.n_steps)
            if done in looks(self._pace.n_steps, self._pace.n_looks):
                self._look(done)
        if self._looked and self._looked[-1][0] < done:  # the deadline came first
            self._look(done)
        best = done
        if self._best is not None:
            best, state = self._best
            self._learner.restore(state)
        looked, lost = tuple(self._looked), tuple(self._lost)
        seconds = time.monotonic() - began
        halvings = self._n_halvings
        return Run(tuple(self._losses), looked, best, self._course.n_steps, done, lost, seconds, halvings)

    def _step(self, batches: Sequence[B], number: int) -> None:
        """One step of the weights: the gradient of the mean over all rows of all batches."""
        loss, weight = self._gradient(self._halved(batches, self._n_halvings), number)
        for optimizer in self._optimizers:
            self._scaler.unscale_(optimizer)
        norm = _cut(self._parameters, weight, self._course.most_norm)
        if isfinite(loss) and isfinite(norm):
            for group in self._groups:
                group["lr"] = group["share"] * self._course.rate * rate_share(number, self._pace.n_steps)
            for optimizer in self._optimizers:
                self._scaler.step(optimizer)
        else:
            self._lose(number)
        self._scaler.update()
        for parameter in self._parameters:
            parameter.grad = None
        self._losses.append(loss / weight)

    def _gradient(self, batches: Sequence[B], number: int) -> tuple[float, float]:
        """The gradient of the sum over all rows, and that sum and its weight. Where memory is short, in smaller batches
        from then on: the sum stays the same."""
        _reseed(self._course, number)
        loss, weight = 0.0, 0.0
        try:
            for batch in batches:
                with torch.autocast(self._course.device, self._course.precision, self._half):
                    part, part_weight = self._learner.step(batch)
                self._scaler.scale(part).backward()  # type: ignore[no-untyped-call]
                loss, weight = loss + float(part.detach()), weight + part_weight
        except RuntimeError as error:
            smaller = self._halved(batches, 1)
            if not _is_out_of_memory(error) or len(smaller) == len(batches):
                raise
        else:
            return loss, weight
        # Outside of the handler, for what it knows of the failed batch is let go with it.
        tell("memory is short: batches are halved from here on, and the steps stay the same")
        self._n_halvings += 1
        for parameter in self._parameters:  # what part of the failed batch has added
            parameter.grad = None
        return self._gradient(smaller, number)

    def _halved(self, batches: Sequence[B], times: int) -> Sequence[B]:
        for _ in range(times):
            batches = [half for batch in batches for half in self._learner.halves(batch)]
        return batches

    def _lose(self, number: int) -> None:
        self._lost.append(number)
        if self._lost[-_MOST_LOST_STEPS:] == list(range(number + 1 - _MOST_LOST_STEPS, number + 1)):
            raise Diverged(f"{_MOST_LOST_STEPS} steps in a row gave no finite loss, from step {self._lost[0] + 1} on")

    def _look(self, done: int) -> None:
        """Judge the weights on held-out rows, and keep them if they are the best so far."""
        with torch.autocast(self._course.device, self._course.precision, self._half):
            loss = self._learner.held_out()
        if loss is None:
            return
        earlier = min((loss for _, loss in self._looked), default=inf)
        self._looked.append((done, loss))
        if self._best is None or loss < earlier:
            self._best = (done, self._learner.state())

    @property
    def _half(self) -> bool:
        return self._course.precision != torch.float32


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _cut(parameters: Sequence[nn.Parameter], weight: float, most: float) -> float:
    """Make the gradients of a sum those of the mean over `weight`, cut to a norm, in one pass. Gives the norm."""
    gradients = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()  # rows that were looked up twice are added up
            gradients.append(parameter.grad._values())
        elif parameter.grad is not None:
            gradients.append(parameter.grad)
    norm = float(nn.utils.get_total_norm(gradients)) / weight
    torch._foreach_mul_(gradients, min(1.0, most / (norm + 1e-6)) / weight)
    return norm


def _optimizers(groups: Sequence[Group], course: Course) -> list[torch.optim.Optimizer]:
    found: list[torch.optim.Optimizer] = []
    if dense := [group for group in groups if not group.lazy]:
        told = _settings(dense, course)
        found.append(Lamb(told, course.rate) if course.optimizer == "lamb" else torch.optim.AdamW(told, fused=True))
    if lazy := [group for group in groups if group.lazy]:
        tables = [{"params": list(group.parameters), "share": group.share} for group in lazy]
        found.append(torch.optim.SparseAdam(tables, lr=course.rate))
    return found


def _settings(groups: Sequence[Group], course: Course) -> list[dict[str, object]]:
    """What AdamW is told: matrices apart from the rest, which does not decay."""
    told: list[dict[str, object]] = []
    for group in groups:
        for decay, is_matrix in ((course.weight_decay, True), (0.0, False)):
            parameters = [p for p in group.parameters if (p.ndim > 1) == is_matrix]
            if parameters:
                told.append({"params": parameters, "share": group.share, "weight_decay": decay, "lr": course.rate})
    return told


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
