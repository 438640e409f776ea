"""A linear head on the frozen body: the features stay facts, and only a logistic regression is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tailorbird.engine.solve import Problem, Solution, leave_one_out, log_loss, path, pose, temperature
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Head, Lesson, Method
from tailorbird.progress import Advance, stage
from tailorbird.types import JSON

# On features of unit variance. On film reviews and digits, of 40 to 8,600 rows, the best lay between 3 and 0.003.
_STRONGEST, _WEAKEST = 10.0, 1e-4
_PATIENCE = 2  # strengths in a row that are worse than the best before the path ends: the loss has one valley


@dataclass(frozen=True)
class _Try:
    """One candidate: its best head, the logits that this head gives to held-out rows, and how it went."""

    depths: tuple[str, ...]
    best: Solution
    logits: NDArray[np.floating[Any]]
    losses: tuple[tuple[float, float], ...]  # (strength, held-out log-loss), from strong to weak

    @property
    def loss(self) -> float:
        return min(loss for _, loss in self.losses)


class Probe(Method):
    """Frozen body, multinomial logistic head; depths and strength chosen on held-out rows, then the temperature."""

    main: ClassVar[str | None] = "depths"

    depths: Literal["auto", "last", "inner"] = "auto"  # the last depth, all of them together, or whichever does better
    strengths: Annotated[int, Field(ge=1, le=100)] = 10  # how many are tried, evenly in the logarithm

    def tailor(self, lesson: Lesson) -> Head:
        started = perf_counter()
        candidates = self._candidates(tuple(lesson.features))
        with stage("choosing a head", len(candidates) * self.strengths) as advance:
            tries = [self._try(lesson, depths, advance) for depths in candidates]
        chosen = min(tries, key=lambda one: one.loss)
        held = _held_out(lesson)
        t = temperature(chosen.logits, lesson.y[held], lesson.row_weights[held])
        solved = _with_held_out(lesson, chosen) if len(lesson.validation) else chosen.best
        notes = {**_notes(lesson, tries, chosen), "temperature": t, "seconds": round(perf_counter() - started, 3)}
        return Head(chosen.depths, solved.weight, solved.bias, t, notes)

    def _candidates(self, offered: tuple[str, ...]) -> list[tuple[str, ...]]:
        last = [("last",)] if self.depths != "inner" else []
        inner = [offered] if self.depths != "last" and len(offered) > 1 else []
        if not last + inner:
            raise BadSpelling(
                "method 'probe:inner' needs a body with inner depths, and this one has none", "--method probe"
            )
        return last + inner

    def _try(self, lesson: Lesson, depths: tuple[str, ...], advance: Advance) -> _Try:
        train, held = lesson.train, _held_out(lesson)
        problem = pose(_columns(lesson, depths, train), lesson.y[train], lesson.n_labels, lesson.row_weights[train])
        outside = _columns(lesson, depths, lesson.validation)
        losses: list[tuple[float, float]] = []
        for solution in path(problem, np.geomspace(_STRONGEST, _WEAKEST, self.strengths).tolist()):
            logits = _held_out_logits(problem, solution, outside)
            loss = log_loss(logits, lesson.y[held], lesson.row_weights[held])
            if all(loss < earlier for _, earlier in losses):
                best, best_logits, best_at = solution, logits, len(losses)
            losses.append((solution.strength, loss))
            advance(1)
            if len(losses) - 1 - best_at >= _PATIENCE:
                break
        advance(self.strengths - len(losses))
        return _Try(depths, best, best_logits, tuple(losses))


def _held_out(lesson: Lesson) -> NDArray[np.int64]:
    """Rows that choices are made on: the validation part, or the training rows, each as if it had been left out."""
    return lesson.validation if len(lesson.validation) else lesson.train


def _with_held_out(lesson: Lesson, chosen: _Try) -> Solution:
    """The chosen head, solved once more: what is settled on the validation rows is settled, and then they may teach."""
    rows = np.concatenate([lesson.train, lesson.validation])
    x = _columns(lesson, chosen.depths, rows)
    problem = pose(x, lesson.y[rows], lesson.n_labels, lesson.row_weights[rows])
    return next(path(problem, [chosen.best.strength]))


def _held_out_logits(problem: Problem, solution: Solution, outside: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    return outside @ solution.weight + solution.bias if len(outside) else leave_one_out(problem, solution)


def _columns(lesson: Lesson, depths: tuple[str, ...], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.concatenate([lesson.features[depth][rows] for depth in depths], axis=1)


def _notes(lesson: Lesson, tries: list[_Try], chosen: _Try) -> Mapping[str, JSON]:
    return {
        "held_out": "validation" if len(lesson.validation) else "leave-one-out",
        "candidates": [{"depths": list(one.depths), "losses": [list(pair) for pair in one.losses]} for one in tries],
        "strength": chosen.best.strength,
        "log_loss": chosen.loss,
    }
