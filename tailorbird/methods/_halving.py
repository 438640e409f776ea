"""Successive halving of ways to let a body learn (Jamieson and Talwalkar 2016, arXiv:1502.07943): in each round those
that are left learn from twice as many rows for twice as long, and the better half goes on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, log2, sqrt

import numpy as np
from numpy.typing import NDArray

from tailorbird.engine.learn import answers
from tailorbird.engine.memory import give_back, is_out_of_memory
from tailorbird.engine.scoring import row_losses
from tailorbird.errors import BadBody, BadOutput, BadSpelling
from tailorbird.kinds import Method
from tailorbird.lesson import Lesson, Tailored
from tailorbird.progress import tell

_LEAST_SHARE = 0.12  # of what an entrant takes for all rows; one that gets less in the first round shows nothing
_LEAST_STEPS = 40  # in fewer a body does not get beyond the head that it began with, though more of them would help
_HELPS = 1.0  # standard errors by which a loss must be lower: a hint is enough, the figures come later


@dataclass(frozen=True)
class Entrant:
    """A way to let the body learn. seconds: what it takes for all rows; 0 where that was not measured."""

    name: str
    method: Method
    seconds: float


@dataclass(frozen=True)
class Entry:
    """One thing that was tried. loss: on rows that were held out, of numbers as a share of their variance; is_short:
    time was too short to show anything."""

    method: str
    rows: int
    seconds: float
    loss: float | None
    round: int | None = None
    is_short: bool = False


@dataclass(frozen=True)
class Race:
    """What is raced with. rows: (n,) those of the last round, in an order whose beginnings are the earlier rounds';
    held: those that are compared on; seconds: for all rounds together, or infinite."""

    lesson: Lesson
    rows: NDArray[np.int64]
    held: NDArray[np.int64]
    seconds: float

    def round(self, number: int, n_rounds: int) -> Lesson:
        """The rows of a round, to be learned from whole."""
        some = np.sort(self.rows[: max(1, len(self.rows) >> (n_rounds - 1 - number))])
        shop = self.lesson.workshop
        if shop is not None:  # who won is noted, and not what the others learned
            shop = replace(shop, laps=None, noted=None, digests=None)
        return replace(self.lesson, train=some, validation=np.zeros(0, np.int64), deadline=None, workshop=shop)


def halve(entrants: Sequence[Entrant], race: Race) -> tuple[str, NDArray[np.float64] | str, list[Entry]]:
    """Who won, the lowest losses on the held rows or why none could learn, and all that was tried. Who had too little
    time to show anything is not beaten by one that comes after it in the list."""
    left, trail = _started(entrants, race.seconds), list[Entry]()
    n_rounds = max(1, ceil(log2(len(left))))
    began, losses = time.monotonic(), dict[str, NDArray[np.float64] | str]()
    for number in range(n_rounds):
        part = race.round(number, n_rounds)
        for i, entrant in enumerate(left):
            over_s = race.seconds * (number + 1) / n_rounds - (time.monotonic() - began)
            given = replace(part, deadline=_deadline(over_s, left[i:]))
            losses[entrant.name], one = _tried(entrant, given, race.held)
            trail.append(replace(one, round=number + 1))
        short = {one.method for one in trail if one.round == number + 1 and one.is_short}
        ranked = _ranked(left, losses, short)
        untold = [one for one in left[: left.index(ranked[0])] if one.name in short]
        is_last = number == n_rounds - 1
        n_left = 1 if is_last else ceil(len(left) / 2)
        if not is_last:  # the best one goes on whatever the others may still show
            untold = untold[: n_left - 1]
        chosen = [*untold, *(one for one in ranked if one not in untold)][:n_left]
        left = [one for one in left if one in chosen]
    return left[0].name, losses[ranked[0].name], trail


def tuned(method: Method, name: str, lesson: Lesson) -> tuple[Tailored | str, Entry]:
    """What a method makes of a lesson; or why nothing, where that is no reason to lose the probe: its loss was no
    number any more, or memory or the disk is too short."""
    began = time.monotonic()
    try:
        return method.tailor(lesson), entry(name, lesson, began)
    except (BadSpelling, BadBody, BadOutput) as error:
        reason = error.problem
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = "memory is too short for the body to learn"
    return reason, entry(name, lesson, began)


def helps(
    probe: Method, losses: NDArray[np.float64], lesson: Lesson, rows: tuple[NDArray[np.int64], NDArray[np.int64]],
    trail: list[Entry],
) -> tuple[str | None, list[Entry]]:  # fmt: skip
    """What speaks against a way that left such losses on held rows: a probe of the same rows does as well. rows: those
    learned from, and the held ones."""
    train, held = np.sort(rows[0]), rows[1]
    part = replace(lesson, train=train, validation=np.zeros(0, np.int64))
    began = time.monotonic()
    probed = probe.tailor(part)
    without = _losses(probed, part, held)
    first = replace(entry("probe:last", part, began), loss=_mean(without, probed))
    reason = None if _is_lower(losses, without) else "a trial on some rows did not lower the loss"
    return reason, [first, *trail]


def entry(name: str, lesson: Lesson, began: float) -> Entry:
    """What was tried from `began` on, a time.monotonic()."""
    return Entry(name, len(lesson.train), time.monotonic() - began, None)


def _started(entrants: Sequence[Entrant], seconds: float) -> list[Entrant]:
    """Those for whom the first round is long enough to show something; the last ones go first."""
    left = list(entrants)
    while len(left) > 1:
        a_round = seconds / max(1, ceil(log2(len(left))))
        if seconds == inf or a_round >= _LEAST_SHARE * sum(one.seconds for one in left):
            break
        tell(f"method auto: no time to try {left.pop().name}")
    return left


def _deadline(over_s: float, waiting: Sequence[Entrant]) -> float | None:
    """When the first of those that wait in this round must be over: each has its share by what all rows take."""
    if over_s == inf:
        return None
    whole = sum(one.seconds for one in waiting)
    return time.monotonic() + over_s * (waiting[0].seconds / whole if whole > 0 else 1 / len(waiting))


def _tried(entrant: Entrant, part: Lesson, held: NDArray[np.int64]) -> tuple[NDArray[np.float64] | str, Entry]:
    found, one = tuned(entrant.method, entrant.name, part)
    if isinstance(found, str):
        return found, one
    losses, notes = _losses(found, part, held), found.head.notes
    give_back()  # or what each trial leaves behind adds up
    is_short = notes.get("steps", inf) < min(_LEAST_STEPS, notes.get("steps_planned", 0))
    return losses, replace(one, loss=_mean(losses, found), is_short=is_short)


def _ranked(left: Sequence[Entrant], losses: dict[str, NDArray[np.float64] | str], short: set[str]) -> list[Entrant]:
    """Those that could learn: of what cannot be told from the best the cheapest first that had time enough, then by
    their losses. Where nobody could, the first one."""
    able = [(one, found) for one in left if not isinstance(found := losses[one.name], str)]
    if not able:
        return list(left[:1])
    best = min((found for _, found in able), key=lambda found: float(found.mean()))

    def place(pair: tuple[Entrant, NDArray[np.float64]]) -> tuple[bool, float, float]:
        one, found = pair
        if _is_lower(best, found):
            return True, float(found.mean()), one.seconds
        return False, float(one.name in short), one.seconds

    return [one for one, _ in sorted(able, key=place)]


def _is_lower(these: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    """Whether losses are lower than others of the same rows by more than chance alone would often make them."""
    gain = others - these
    return bool(gain.mean() > _HELPS * gain.std() / sqrt(len(gain)))


def loss_of(tailored: Tailored, lesson: Lesson, rows: NDArray[np.int64]) -> float | None:
    """The loss of a head on rows of the lesson; None where there are none."""
    return _mean(_losses(tailored, lesson, rows), tailored) if len(rows) else None


def _mean(losses: NDArray[np.float64], tailored: Tailored) -> float:
    """The unit of all that is listed: what a method tells of its own looks is in it too."""
    return float(losses.mean()) / tailored.head.scale**2


def _losses(tailored: Tailored, lesson: Lesson, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    losses = row_losses(lesson.link, lesson.y[rows], answers(tailored, lesson, rows))
    if tailored.body is not None:
        shutil.rmtree(tailored.body.folder)
    return losses * lesson.row_weights[rows]
