"""Probe first; the body learns too if a trial on some rows says that it helps, and time is left for it."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from math import sqrt
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tailorbird.engine.learn import answers
from tailorbird.engine.scoring import row_losses
from tailorbird.errors import BadSpelling, MissingExtra
from tailorbird.kinds import Method
from tailorbird.lesson import Lesson, Tailored
from tailorbird.plug import needs, parse
from tailorbird.progress import tell
from tailorbird.types import JSON

_TRIAL_SHARE = 0.25  # of the time that is left
_LEAST_SECONDS = 10.0  # below that not even a trial learns anything
_LEAST_ROWS = 30  # to learn from, and to hold out
_HELD_SHARE = 5  # one cluster in so many is held out where there is no validation part
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")  # what torch says of an accelerator and of a machine
_HELPS = 1.0  # standard errors by which the trial's loss must be lower: a hint is enough, the figures come later


@dataclass(frozen=True)
class _Entry:
    """One thing that was tried. loss: on the rows that the trial held out."""

    method: str
    rows: int
    seconds: float
    loss: float | None


class Auto(Method):
    """The cheapest method that does as well: probe, or finetune where a trial on a subset shows a lower loss."""

    main: ClassVar[str | None] = "rows"
    tunes: ClassVar[bool] = True

    # That the trial learns from, at most. Of 1,000 film reviews a body learned nothing in 20 s, though of all of them
    # its loss fell from 0.47 to 0.37 in 30 s: new rows show sooner than known ones seen again.
    rows: Annotated[int, Field(ge=_LEAST_ROWS)] = 4000

    def tailor(self, lesson: Lesson) -> Tailored:
        began = time.monotonic()
        probed = _method("probe").tailor(lesson)
        trail = [_entry("probe", lesson, began)]
        reason = _reason_against(lesson)
        if reason is None:
            reason, tried = self._trial(lesson)
            trail += tried
        if reason is None:
            tell("method auto: finetune, for a trial on some rows lowered the loss")
            tuned, entry = _tuned(lesson)
            trail.append(entry)
            if not isinstance(tuned, str):
                return _noted(tuned, trail, "finetune: the trial lowered the loss")
            reason = tuned
        tell(f"method auto: probe, for {reason}")
        return _noted(probed, trail, reason)

    def _trial(self, lesson: Lesson) -> tuple[str | None, list[_Entry]]:
        """What speaks against a body that learns: it cannot, or learns from some rows and does not beat a probe of the
        same rows, on rows that neither saw."""
        train, held = _trial_rows(lesson, self.rows)
        part = replace(lesson, train=train, validation=np.zeros(0, np.int64), deadline=_trial_deadline(lesson))
        began = time.monotonic()
        without = _losses(_method("probe:last").tailor(part), part, held)
        first = replace(_entry("probe:last", part, began), loss=float(without.mean()))
        tuned, entry = _tuned(part)
        if isinstance(tuned, str):
            return tuned, [first, entry]
        losses = _losses(tuned, part, held)
        gain = without - losses
        helps = gain.mean() > _HELPS * gain.std() / sqrt(len(gain))
        trail = [first, replace(entry, loss=float(losses.mean()))]
        return None if helps else "a trial on some rows did not lower the loss", trail


def _tuned(lesson: Lesson) -> tuple[Tailored | str, _Entry]:
    """What finetune makes of a lesson; or why nothing, where that is no reason to lose the probe: its loss was no
    number any more, or memory is too short."""
    began = time.monotonic()
    try:
        return _method("finetune").tailor(lesson), _entry("finetune", lesson, began)
    except BadSpelling as error:
        reason = error.problem
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(said in str(error) for said in _OUT_OF_MEMORY):
            raise
        reason = "memory is too short for the body to learn"
    return reason, _entry("finetune", lesson, began)


def _entry(name: str, lesson: Lesson, began: float) -> _Entry:
    return _Entry(name, len(lesson.train), time.monotonic() - began, None)


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
    if lesson.deadline is not None and lesson.deadline - time.monotonic() < _LEAST_SECONDS:
        return "the budget leaves no time for more"
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
    return np.sort(rng.permutation(train)[:most]), np.sort(rng.permutation(held)[:most])


def _trial_deadline(lesson: Lesson) -> float | None:
    if lesson.deadline is None:
        return None
    now = time.monotonic()
    return now + _TRIAL_SHARE * (lesson.deadline - now)


def _losses(tailored: Tailored, lesson: Lesson, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    losses = row_losses(lesson.link, lesson.y[rows], answers(tailored, lesson, rows))
    if tailored.body is not None:
        shutil.rmtree(tailored.body.folder)
    return losses * lesson.row_weights[rows]


def _noted(tailored: Tailored, trail: list[_Entry], reason: str) -> Tailored:
    tried: JSON = [vars(entry) for entry in trail]
    head = replace(tailored.head, notes={**tailored.head.notes, "auto": {"reason": reason, "tried": tried}})
    return replace(tailored, head=head)
