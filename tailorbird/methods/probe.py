"""A linear head on the frozen body: the features stay facts, and only a logistic or a ridge regression is learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from tailorbird.engine.descent import MAX_ROUNDS
from tailorbird.engine.linear import Problem, Solution
from tailorbird.engine.scoring import best_cut
from tailorbird.engine.solve import temperature
from tailorbird.engine.solvers import SOLVERS
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Method
from tailorbird.lesson import Head, Lesson, Tailored
from tailorbird.methods._held_out import HeldOut, held_out
from tailorbird.methods._numbers import mean_and_deviation
from tailorbird.progress import Advance, stage, tell
from tailorbird.types import JSON

_PATIENCE = 2  # strengths in a row that are worse than the best before the path ends: the loss has one valley

# From so many weights on (about 2,700 labels at width 384) the whole choice takes minutes per 10,000 rows. What is left
# then takes about a minute and 1.3 GB with 10,000 labels, 20,000 rows and width 384 on two cores. With a thousand
# labels and more the best strengths are weak, for a label's curvature is near one over their number; and two rounds
# from one strength to the next came as near to the best held-out loss as ten.
_MANY_WEIGHTS = 2**20
_FEW_STRENGTHS = (1e-2, 1e-3, 1e-4)
_FEW_ROUNDS = 2


@dataclass(frozen=True)
class _Search:
    """What is tried: which depths, and the strengths from strong to weak with the most rounds at each."""

    candidates: list[tuple[str, ...]]
    strengths: list[float]
    rounds: int


@dataclass(frozen=True)
class _Try:
    """One candidate at its best strength: a head, the outputs that held-out rows get there, and how it went."""

    depths: tuple[str, ...]
    best: Solution  # of the first fold where there are folds
    outputs: NDArray[np.floating[Any]]  # before the link
    losses: tuple[tuple[float, float], ...]  # (strength, held-out loss), from strong to weak

    @property
    def loss(self) -> float:
        return min(loss for _, loss in self.losses)


class Probe(Method):
    """Frozen body, linear head; depths and strength chosen on held-out rows, then the temperature and the cut."""

    main: ClassVar[str | None] = "depths"
    usual: ClassVar[tuple[str, ...]] = ("probe",)
    needs: ClassVar[tuple[str, ...]] = ("scipy",)

    depths: Literal["auto", "last", "inner"] = "auto"  # the last depth, all of them together, or whichever does better
    strengths: Annotated[int, Field(ge=1, le=100)] = 10  # how many are tried, evenly in the logarithm
    strength: PositiveFloat | None = None  # the only one to try, if given

    def tailor(self, lesson: Lesson) -> Tailored:
        if lesson.link != "identity":
            return Tailored(self._head(lesson))
        mean, scale = mean_and_deviation(lesson, _known(lesson))
        head = self._head(replace(lesson, y=(lesson.y - mean) / scale))
        # float64: float32 would round away what differs between numbers that are large, like points of time.
        bias = head.bias.astype(np.float64) * scale + mean
        return Tailored(replace(head, weight=head.weight * np.float32(scale), bias=bias, scale=scale))

    def _head(self, lesson: Lesson) -> Head:
        started = perf_counter()
        search, held = self._search(lesson), held_out(lesson)
        with stage("choosing a head", len(search.candidates) * len(search.strengths)) as advance:
            tries = [_try(lesson, held, depths, search, advance) for depths in search.candidates]
        chosen = min(tries, key=lambda one: one.loss)
        t = _temperature(lesson, held, chosen)
        solved = _solve_with_all(lesson, chosen, search.rounds)
        head = Head(chosen.depths, solved.weight, solved.bias, t, {}, lesson.link)
        cut = _cut(lesson, held, chosen, t)
        told = {"temperature": t, "cut": cut, "seconds": round(perf_counter() - started, 3)}
        return replace(head, cut=cut, notes={**_notes(lesson, held, search, tries, chosen), **told})

    def _search(self, lesson: Lesson) -> _Search:
        candidates = self._candidates(tuple(lesson.features))
        widest = max(sum(lesson.features[depth].shape[1] for depth in depths) for depths in candidates)
        if widest * lesson.n_labels <= _MANY_WEIGHTS:
            solver = SOLVERS[lesson.link]
            strengths = np.geomspace(solver.strongest, solver.weakest, self.strengths).tolist()
            return _Search(candidates, self._only(strengths), MAX_ROUNDS)
        strengths = self._only(list(_FEW_STRENGTHS[-self.strengths :]))
        depths = "the inner depths" if self.depths == "inner" else "the last depth"
        tell(f"{lesson.n_labels:,} labels: only {depths} and {len(strengths)} strengths are tried, in few rounds")
        return _Search(candidates[:1], strengths, _FEW_ROUNDS)

    def _only(self, strengths: list[float]) -> list[float]:
        return strengths if self.strength is None else [self.strength]

    def _candidates(self, offered: tuple[str, ...]) -> list[tuple[str, ...]]:
        last = [("last",)] if self.depths != "inner" else []
        inner = [offered] if self.depths != "last" and len(offered) > 1 else []
        if not last + inner:
            raise BadSpelling(
                "method 'probe:inner' needs a body with inner depths, and this one has none", "--method probe"
            )
        return last + inner


# ---- what is tried ------------------------------------------------------------------------------------------------


def _try(lesson: Lesson, held: HeldOut, depths: tuple[str, ...], search: _Search, advance: Advance) -> _Try:
    losses: list[tuple[float, float]] = []
    for solution, outputs in _answers(lesson, held, depths, search):
        loss = SOLVERS[lesson.link].loss(outputs, lesson.y[held.rows], lesson.row_weights[held.rows])
        if all(loss < earlier for _, earlier in losses):
            best, best_outputs, best_at = solution, outputs, len(losses)
        losses.append((solution.strength, loss))
        advance(1)
        if len(losses) - 1 - best_at >= _PATIENCE:
            break
    advance(len(search.strengths) - len(losses))
    return _Try(depths, best, best_outputs, tuple(losses))


def _answers(
    lesson: Lesson, held: HeldOut, depths: tuple[str, ...], search: _Search
) -> Iterator[tuple[Solution, NDArray[np.floating[Any]]]]:
    """A head at each strength and the outputs of the held-out rows, (h, c); of folds, the first one's head."""
    solver = SOLVERS[lesson.link]
    if not held.pairs:
        problem = _pose(lesson, depths, held.rows)
        for solution in solver.path(problem, search.strengths, search.rounds, None):
            yield solution, solver.leave_one_out(problem, solution)
        return
    outside = [_columns(lesson, depths, rows) for _, rows in held.pairs]
    problems = [_pose(lesson, depths, rows) for rows, _ in held.pairs]
    paths = [solver.path(problem, search.strengths, search.rounds, None) for problem in problems]
    for solutions in zip(*paths, strict=True):
        pairs = zip(outside, solutions, strict=True)
        yield solutions[0], np.concatenate([x @ solution.weight + solution.bias for x, solution in pairs])


def _solve_with_all(lesson: Lesson, chosen: _Try, rounds: int) -> Solution:
    """The chosen head, solved once more: what is settled on held-out rows is settled, and then they may teach."""
    problem = _pose(lesson, chosen.depths, _known(lesson))
    return next(SOLVERS[lesson.link].path(problem, [chosen.best.strength], rounds, chosen.best))


def _pose(lesson: Lesson, depths: tuple[str, ...], rows: NDArray[np.int64]) -> Problem:
    x = _columns(lesson, depths, rows)
    return SOLVERS[lesson.link].pose(x, lesson.y[rows], lesson.n_labels, lesson.row_weights[rows])


def _columns(lesson: Lesson, depths: tuple[str, ...], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.concatenate([lesson.features[depth][rows] for depth in depths], axis=1)


def _known(lesson: Lesson) -> NDArray[np.int64]:
    return np.concatenate([lesson.train, lesson.validation])


# ---- what is settled beside the weights ---------------------------------------------------------------------------


def _temperature(lesson: Lesson, held: HeldOut, chosen: _Try) -> float:
    if lesson.link == "identity":
        return 1.0
    y, weights = lesson.y[held.rows], lesson.row_weights[held.rows]
    return temperature(chosen.outputs, y, weights, SOLVERS[lesson.link].loss)


def _cut(lesson: Lesson, held: HeldOut, chosen: _Try, t: float) -> float:
    if lesson.link != "sigmoid":
        return 0.5
    scores = 0.5 * (1 + np.tanh(0.5 * chosen.outputs.astype(np.float64) / t))
    return best_cut(lesson.y[held.rows], scores)


def _notes(lesson: Lesson, held: HeldOut, search: _Search, tries: list[_Try], chosen: _Try) -> Mapping[str, JSON]:
    return {
        "held_out": held.name,
        "rows": len(lesson.train),
        "loss": SOLVERS[lesson.link].loss_name,
        "candidates": [{"depths": list(one.depths), "losses": [list(pair) for pair in one.losses]} for one in tries],
        "strength": chosen.best.strength,
        "most_rounds": search.rounds,
        "held_out_loss": chosen.loss,
    }
