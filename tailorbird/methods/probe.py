"""A linear head on the frozen body: the features stay facts, and only a logistic regression is learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tailorbird.engine.solve import MAX_ROUNDS, Problem, Solution, leave_one_out, log_loss, path, pose, temperature
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Head, Lesson, Method
from tailorbird.progress import Advance, stage, tell
from tailorbird.types import JSON

# On features of unit variance. On film reviews and digits, of 40 to 8,600 rows, the best lay between 3 and 0.003.
_STRONGEST, _WEAKEST = 10.0, 1e-4
_PATIENCE = 2  # strengths in a row that are worse than the best before the path ends: the loss has one valley
_FOLDS = 5

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
    """One candidate at its best strength: a head, the logits that held-out rows get there, and how it went."""

    depths: tuple[str, ...]
    best: Solution  # of the first fold where there are folds
    logits: NDArray[np.floating[Any]]
    losses: tuple[tuple[float, float], ...]  # (strength, held-out log-loss), from strong to weak

    @property
    def loss(self) -> float:
        return min(loss for _, loss in self.losses)


@dataclass(frozen=True)
class _HeldOut:
    """The rows that choices are made on. pairs: (rows to learn from, rows to answer); none: leave-one-out."""

    name: str
    rows: NDArray[np.int64]
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]]


class Probe(Method):
    """Frozen body, multinomial logistic head; depths and strength chosen on held-out rows, then the temperature."""

    main: ClassVar[str | None] = "depths"

    depths: Literal["auto", "last", "inner"] = "auto"  # the last depth, all of them together, or whichever does better
    strengths: Annotated[int, Field(ge=1, le=100)] = 10  # how many are tried, evenly in the logarithm

    def tailor(self, lesson: Lesson) -> Head:
        started = perf_counter()
        search, held = self._search(lesson), _held_out(lesson)
        with stage("choosing a head", len(search.candidates) * len(search.strengths)) as advance:
            tries = [_try(lesson, held, depths, search, advance) for depths in search.candidates]
        chosen = min(tries, key=lambda one: one.loss)
        t = temperature(chosen.logits, lesson.y[held.rows], lesson.row_weights[held.rows])
        solved = _solve_with_all(lesson, chosen, search.rounds)
        notes = {**_notes(held, search, tries, chosen), "temperature": t, "seconds": round(perf_counter() - started, 3)}
        return Head(chosen.depths, solved.weight, solved.bias, t, notes)

    def _search(self, lesson: Lesson) -> _Search:
        candidates = self._candidates(tuple(lesson.features))
        widest = max(sum(lesson.features[depth].shape[1] for depth in depths) for depths in candidates)
        if widest * lesson.n_labels <= _MANY_WEIGHTS:
            return _Search(candidates, np.geomspace(_STRONGEST, _WEAKEST, self.strengths).tolist(), MAX_ROUNDS)
        strengths = list(_FEW_STRENGTHS[-self.strengths :])
        depths = "the inner depths" if self.depths == "inner" else "the last depth"
        tell(f"{lesson.n_labels:,} labels: only {depths} and {len(strengths)} strengths are tried, in few rounds")
        return _Search(candidates[:1], strengths, _FEW_ROUNDS)

    def _candidates(self, offered: tuple[str, ...]) -> list[tuple[str, ...]]:
        last = [("last",)] if self.depths != "inner" else []
        inner = [offered] if self.depths != "last" and len(offered) > 1 else []
        if not last + inner:
            raise BadSpelling(
                "method 'probe:inner' needs a body with inner depths, and this one has none", "--method probe"
            )
        return last + inner


# ---- what is held out ---------------------------------------------------------------------------------------------


def _held_out(lesson: Lesson) -> _HeldOut:
    """The validation part; else the training rows, each answered as if its cluster had been left out."""
    train, clusters = lesson.train, lesson.clusters
    if len(lesson.validation):
        return _HeldOut("validation", lesson.validation, [(train, lesson.validation)])
    n_clusters = len(train) if clusters is None else len(np.unique(clusters[train]))
    if clusters is None or n_clusters in (1, len(train)):  # one cluster cannot be told from what is left: nothing is
        return _HeldOut("leave-one-out", train, [])
    folds = _folds(lesson.y[train], clusters[train], min(_FOLDS, n_clusters))
    pairs = [(train[folds != fold], train[folds == fold]) for fold in range(folds.max() + 1)]
    return _HeldOut("cluster folds", np.concatenate([rows for _, rows in pairs]), pairs)


def _folds(y: NDArray[np.int64], clusters: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """A fold for each row: clusters are dealt out label by label (that of their first row), the largest first. (n,)"""
    _, first, member, size = np.unique(clusters, return_index=True, return_inverse=True, return_counts=True)
    folds = np.empty(len(first), np.int64)
    folds[np.lexsort((-size, y[first]))] = np.arange(len(first)) % n_folds
    return folds[member]


# ---- what is tried ------------------------------------------------------------------------------------------------


def _try(lesson: Lesson, held: _HeldOut, depths: tuple[str, ...], search: _Search, advance: Advance) -> _Try:
    losses: list[tuple[float, float]] = []
    for solution, logits in _answers(lesson, held, depths, search):
        loss = log_loss(logits, lesson.y[held.rows], lesson.row_weights[held.rows])
        if all(loss < earlier for _, earlier in losses):
            best, best_logits, best_at = solution, logits, len(losses)
        losses.append((solution.strength, loss))
        advance(1)
        if len(losses) - 1 - best_at >= _PATIENCE:
            break
    advance(len(search.strengths) - len(losses))
    return _Try(depths, best, best_logits, tuple(losses))


def _answers(
    lesson: Lesson, held: _HeldOut, depths: tuple[str, ...], search: _Search
) -> Iterator[tuple[Solution, NDArray[np.floating[Any]]]]:
    """A head at each strength and the logits of the held-out rows, (h, c); of folds, the first one's head."""
    if not held.pairs:
        problem = _pose(lesson, depths, held.rows)
        for solution in path(problem, search.strengths, search.rounds):
            yield solution, leave_one_out(problem, solution)
        return
    outside = [_columns(lesson, depths, rows) for _, rows in held.pairs]
    paths = [path(_pose(lesson, depths, rows), search.strengths, search.rounds) for rows, _ in held.pairs]
    for solutions in zip(*paths, strict=True):
        pairs = zip(outside, solutions, strict=True)
        yield solutions[0], np.concatenate([x @ solution.weight + solution.bias for x, solution in pairs])


def _solve_with_all(lesson: Lesson, chosen: _Try, rounds: int) -> Solution:
    """The chosen head, solved once more: what is settled on held-out rows is settled, and then they may teach."""
    problem = _pose(lesson, chosen.depths, np.concatenate([lesson.train, lesson.validation]))
    return next(path(problem, [chosen.best.strength], rounds, near=chosen.best))


def _pose(lesson: Lesson, depths: tuple[str, ...], rows: NDArray[np.int64]) -> Problem:
    return pose(_columns(lesson, depths, rows), lesson.y[rows], lesson.n_labels, lesson.row_weights[rows])


def _columns(lesson: Lesson, depths: tuple[str, ...], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.concatenate([lesson.features[depth][rows] for depth in depths], axis=1)


def _notes(held: _HeldOut, search: _Search, tries: list[_Try], chosen: _Try) -> Mapping[str, JSON]:
    return {
        "held_out": held.name,
        "candidates": [{"depths": list(one.depths), "losses": [list(pair) for pair in one.losses]} for one in tries],
        "strength": chosen.best.strength,
        "most_rounds": search.rounds,
        "log_loss": chosen.loss,
    }
