"""Probe first; then the body learns too, in whichever way a race on some rows says, if that helps and time is left."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from math import inf
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tailorbird.engine.memory import is_out_of_memory
from tailorbird.errors import BadSpelling, MissingExtra
from tailorbird.kinds import Method
from tailorbird.lesson import Lesson, Tailored
from tailorbird.methods._halving import Entrant, Entry, Race, entry, halve, helps, loss_of, tuned
from tailorbird.methods._settings import held_out_loss, search
from tailorbird.plug import needs, parse
from tailorbird.progress import tell
from tailorbird.types import JSON

# What may let the body learn, in the order of what was best on film reviews: where time is short the last ones go.
# lora was there both slower and worse than finetune (68 s and 83.8 %, 57 s and 84.4 %): it saves memory, not time.
_ENTRANTS = ("finetune", "finetune:last=2", "bitfit")
_LEAST_SECONDS = 10.0  # below that not even a trial learns anything
_LEAST_ROWS = 30  # to learn from, and to hold out
_HELD_SHARE = 5  # one cluster in so many is held out where there is no validation part
_RACE_SECONDS = 90.0  # of less time all goes to the first entrant, for what is tried of several would be too little
_SAMPLE_ROWS, _TRYING_SECONDS = 512, 4.0  # from which it is told what an entrant takes
_SPARE = 1.3  # times what the dearest entrant takes is kept for the whole; what is left may be raced with
# Who has no time for so much of its learning stays out. With less than all of it finetune was still the best, and on a
# busy machine what is measured in some seconds may be twice too much.
_LEAST_PART = 0.5
_MANY_ROWS, _PROBE_SHARE = 20_000, 0.5  # from which on it is asked whether a probe takes more than so much of the time
_LEAST_RACE, _MOST_RACE = 0.25, 0.5  # share of the time that is left
_NO_TIME = "the budget leaves no time for more"


class _NoTime(Exception):
    """There is no time for a race."""


class Auto(Method):
    """The cheapest method that does as well: probe, or what won a race of ways to let the body learn, on some rows."""

    main: ClassVar[str | None] = "rows"
    tunes: ClassVar[bool] = True
    foreseeable: ClassVar[bool] = False

    # That the race's last round learns from, at most. Of 1,000 film reviews a body learned nothing in 20 s, though of
    # all of them its loss fell from 0.47 to 0.37 in 30 s: new rows show sooner than known ones seen again.
    rows: Annotated[int, Field(ge=_LEAST_ROWS)] = 4000

    def early(self, lesson: Lesson) -> tuple[Method, Lesson] | None:
        return None if _reason_against(lesson) else (_method("probe"), _affordable(lesson))

    def tailor(self, lesson: Lesson) -> Tailored:
        began, part = time.monotonic(), _affordable(lesson)
        probed = _method("probe").tailor(part) if lesson.early is None else lesson.early
        first = entry("probe", part, began)
        seconds = first.seconds if lesson.early is None else probed.head.notes["seconds"]
        trail = [replace(first, seconds=seconds, loss=loss_of(probed, lesson, lesson.validation))]
        reason = _reason_against(lesson)
        if reason is None:
            winner, reason, tried = self._once(lesson)
            trail += tried
        if reason is None:
            why = _why(winner, trail)
            tell(f"method auto: {winner}, for {why}")
            found, last = tuned(_method(winner), winner, lesson)
            if isinstance(found, str):
                reason, trail = found, [*trail, last]
            else:
                trail.append(replace(last, loss=held_out_loss(found)))
                if _is_better(found, trail[0].loss):
                    found, others = search(found, winner, lesson, last.seconds)
                    return _noted(found, [*trail, *others], f"{winner}, for {why}")
                reason = f"{winner} did not lower its loss when it had learned from all rows"
        tell(f"method auto: probe, for {reason}")
        return _noted(probed, trail, reason)

    def _once(self, lesson: Lesson) -> tuple[str, str | None, list[Entry]]:
        """The race, or what it gave before an interruption: it went by the clock, and would go otherwise now."""
        shop = lesson.workshop
        assert shop is not None, "what has no workshop was turned away"
        if shop.noted is None:
            return self._raced(lesson)

        def race() -> JSON:
            if _left(lesson) < _LEAST_SECONDS:
                raise _NoTime
            winner, reason, trail = self._raced(lesson)
            return [winner, reason, [vars(one) for one in trail]]

        try:
            winner, reason, trail = shop.noted(f"race-{_name(lesson)}", race)
        except _NoTime:  # other folds have learned, and this one has not begun
            return "", _NO_TIME, []
        return winner, reason, [Entry(**one) for one in trail]

    def _raced(self, lesson: Lesson) -> tuple[str, str | None, list[Entry]]:
        """Who won; what speaks against it: it cannot, or learns from some rows and does not beat a probe of the same
        rows, on rows that neither saw; and all that was tried."""
        train, held = _trial_rows(lesson, self.rows)
        entrants = _entrants(lesson)
        left = _left(lesson)
        most = max(one.seconds for one in entrants)
        share = _LEAST_RACE if most <= 0 or left == inf else np.clip(1 - _SPARE * most / left, _LEAST_RACE, _MOST_RACE)
        # The choice may cost no more than what is chosen, however much time there is.
        seconds = min(left * float(share), most or inf)
        winner, tailored, trail = halve(entrants, Race(lesson, train, held, seconds))
        if isinstance(tailored, str):
            return winner, tailored, trail
        reason, trail = helps(_method("probe:last"), tailored, lesson, (train, held), trail)
        # Where nobody had time to show anything, that is no reason to leave the rest of the time unused: in the end the
        # body's loss is compared with the probe's all the same.
        return winner, None if _is_untold(trail, winner) else reason, trail


def _affordable(lesson: Lesson) -> Lesson:
    """The lesson with as many rows as a probe can learn from in its share of the time: mostly all."""
    shop, n = lesson.workshop, len(lesson.train)
    if n < _MANY_ROWS or _left(lesson) == inf:
        return lesson

    def measure() -> JSON:
        most_s, seconds = _PROBE_SHARE * _left(lesson), _effort("probe", lesson)
        if seconds is None or seconds <= most_s:
            return n
        k = min(n, max(_SAMPLE_ROWS, int(n * max(most_s, 0.0) / seconds)))
        tell(f"method auto: a probe of all {n:,} rows takes too long, so it learns from {k:,} of them")
        return k

    noted = None if shop is None else shop.noted
    k = noted(f"probe-{_name(lesson)}", measure) if noted else measure()
    if k == n:
        return lesson
    return replace(lesson, train=np.sort(np.random.default_rng(lesson.seed).permutation(lesson.train)[:k]))


def _why(winner: str, trail: list[Entry]) -> str:
    """What speaks for who won."""
    if _is_untold(trail, winner):
        return "no trial had time enough to tell"
    own = next(one for one in reversed(trail) if one.method == winner)
    others = [one.loss for one in trail if one.round == own.round and one.method != winner and one.loss is not None]
    if own.is_short and own.loss is not None and min(others, default=inf) < own.loss:
        return "its own trial was too short to tell, and another way's lowered the loss"
    return "a trial on some rows lowered the loss"


def _is_untold(trail: list[Entry], winner: str) -> bool:
    """Whether nobody in the winner's last round had time to show anything."""
    number = next(one.round for one in reversed(trail) if one.method == winner)
    return all(one.is_short for one in trail if one.round == number)


def _is_better(found: Tailored, loss: float | None) -> bool:
    """Whether a body that learned has a lower loss on the validation part than this, the probe's: where time was short
    it may have learned next to nothing."""
    its = held_out_loss(found)
    return its is None or loss is None or found.head.notes.get("held_out") != "validation" or its < loss


def _name(lesson: Lesson) -> str:
    """Of the rows that are learned from."""
    return hashlib.sha256(lesson.train.tobytes()).hexdigest()[:16]


def _left(lesson: Lesson) -> float:
    return inf if lesson.deadline is None else lesson.deadline - time.monotonic()


def _entrants(lesson: Lesson) -> list[Entrant]:
    """Who can tailor this body, with what each takes of all rows: those that fit into the time, or the quickest."""
    able = [one for one in _ENTRANTS if _can(one, lesson)]
    if _left(lesson) < _RACE_SECONDS or len(able) == 1:
        return [Entrant(able[0], _method(able[0]), 0.0)]
    efforts = [(one, _effort(one, lesson)) for one in able]
    found = [Entrant(one, _method(one), seconds) for one, seconds in efforts if seconds is not None]
    if not found:
        return [Entrant(able[0], _method(able[0]), 0.0)]
    fitting = [one for one in found if _LEAST_PART * one.seconds <= (1 - _LEAST_RACE) * _left(lesson)]
    return fitting or [min(found, key=lambda one: one.seconds)]


def _can(spelling: str, lesson: Lesson) -> bool:
    method, shop = _method(spelling), lesson.workshop
    assert shop is not None, "what has no workshop was turned away"
    if spelling == _ENTRANTS[0]:
        return True
    try:
        needs(spelling, *method.needs)
        method.check(shop.body)
    except (BadSpelling, MissingExtra):
        return False
    return True


def _effort(spelling: str, lesson: Lesson) -> float | None:
    """Seconds that it takes of all rows; None where memory is too short for it."""
    rng = np.random.default_rng(lesson.seed)
    some = np.sort(rng.permutation(lesson.train)[:_SAMPLE_ROWS])
    held = np.sort(rng.permutation(lesson.validation)[: _SAMPLE_ROWS // 4])
    part = replace(lesson, train=some, validation=held, deadline=time.monotonic() + _TRYING_SECONDS)
    tell(f"method auto: trying {spelling} for some seconds")
    try:
        return _method(spelling).effort(part, len(lesson.train), len(lesson.validation)).seconds
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None


def _method(name: str) -> Method:
    return parse("method", name, Method)


def _reason_against(lesson: Lesson) -> str | None:
    """Why the body cannot learn here, if anything."""
    if lesson.workshop is None:
        return "there are only features"
    try:
        needs("finetune", *_method("finetune").needs)
    except MissingExtra as error:
        return f"{error.problem}; {error.hint}"
    train, held = _trial_rows(lesson, _LEAST_ROWS)
    if len(train) < _LEAST_ROWS or len(held) < _LEAST_ROWS:
        return "rows are too few for a trial"
    if _left(lesson) < _LEAST_SECONDS and not lesson.workshop.is_begun:  # what has begun may end
        return _NO_TIME
    return None


def _trial_rows(lesson: Lesson, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows to compare on: the validation part, or whole clusters of the training rows."""
    rng = np.random.default_rng(lesson.seed)
    train, held = lesson.train, lesson.validation
    if not len(held):
        together = train if lesson.clusters is None else lesson.clusters[train]
        numbers = rng.permutation(np.unique(together))
        is_held = np.isin(together, numbers[: max(1, len(numbers) // _HELD_SHARE)])
        train, held = train[~is_held], train[is_held]
    return rng.permutation(train)[:most], np.sort(rng.permutation(held)[:most])


def _noted(tailored: Tailored, trail: list[Entry], reason: str) -> Tailored:
    tried: JSON = [vars(one) for one in trail]
    head = replace(tailored.head, notes={**tailored.head.notes, "auto": {"reason": reason, "tried": tried}})
    return replace(tailored, head=head)
