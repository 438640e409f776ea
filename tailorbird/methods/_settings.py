"""Other settings for what was learned, while time is left: Optuna proposes, held-out loss judges."""

from __future__ import annotations

import hashlib
import shutil
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailorbird.errors import MissingExtra
from tailorbird.kinds import Method
from tailorbird.lesson import Lesson, Tailored
from tailorbird.methods._halving import Entry, tuned
from tailorbird.plug import needs, parse
from tailorbird.progress import tell

if TYPE_CHECKING:
    import optuna

_SPARE = 1.2  # times what the last learning took must be left for another one
_RATES, _EPOCHS = (1 / 3, 3.0), (2 / 3, 2.0)  # times what was taken, from and to
_MOST_TRIALS = 20
_LEAST_GAIN = 0.002  # of the loss, by which other settings must be better


@dataclass(frozen=True)
class _Found:
    tailored: Tailored
    loss: float


def search(found: Tailored, way: str, lesson: Lesson, seconds: float) -> tuple[Tailored, list[Entry]]:
    """The best of what was found and of what other rates and epochs give, as many as the time lets be, and what was
    tried. way: the method's spelling; seconds: that it took."""
    loss, shop = held_out_loss(found), lesson.workshop
    if loss is None or lesson.deadline is None or shop is None or shop.study is None:
        return found, []
    try:
        needs("trying other settings in the time that is left", "optuna")
    except MissingExtra as error:
        tell(f"{error.problem}; {error.hint}")
        return found, []
    seconds = max(seconds, float(found.head.notes["seconds"]))  # before an interruption it may have learned already
    lesson = replace(lesson, workshop=replace(shop, laps=None))  # trials are noted, and not how far each came
    search_ = _Search(way, lesson, _Found(found, loss), [])
    try:
        search_.go(seconds)
    except _faults() as error:  # a full disk: what was found is worth more
        tell(f"no other settings are tried: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    return search_.best.tailored, search_.trail


@dataclass
class _Search:
    """A search on its way: the best so far, and what was tried."""

    way: str
    lesson: Lesson
    best: _Found
    trail: list[Entry]

    def go(self, seconds: float) -> None:
        """Try as many settings as the time lets be."""
        lesson, first = self.lesson, self.best
        study = _study(lesson, self.way, first) if _place(lesson).is_file() else None
        if study is not None:
            self._recall(study, seconds)
        while len(self.trail) < _MOST_TRIALS and (lesson.deadline or 0.0) - time.monotonic() > _SPARE * seconds:
            if study is None:
                study = _study(lesson, self.way, first)
            trial = study.ask(_space(first.tailored))
            spelling = _spelled(self.way, trial.params)
            tell(f"method auto: time is left, so {spelling} is tried")
            loss, entry = self._learn(spelling, lesson)
            self.trail.append(entry)
            seconds = max(seconds, entry.seconds)
            _quietly(study.tell, trial, loss, state=None if loss is not None else _failed())

    def _recall(self, study: optuna.Study, seconds: float) -> None:
        """Before an interruption better settings may have been found, whose body is gone: it learns once more, in the
        time that this takes, for it was found within the budget."""
        known = _quietly(lambda: study.best_trial)
        if known.value is not None and known.value < self.best.loss - _LEAST_GAIN:
            spelling = _spelled(self.way, known.params)
            tell(f"method auto: {spelling} was best before the interruption, and is learned once more")
            until = max(self.lesson.deadline or 0.0, time.monotonic() + _SPARE * _EPOCHS[1] * seconds)
            self._learn(spelling, replace(self.lesson, deadline=until))

    def _learn(self, spelling: str, lesson: Lesson) -> tuple[float | None, Entry]:
        """The held-out loss with these settings, None where there is none; the better one stays."""
        other, entry = tuned(parse("method", spelling, Method), spelling, lesson)
        loss = None if isinstance(other, str) else held_out_loss(other)
        if not isinstance(other, str) and loss is not None:
            self.best = _better(self.best, _Found(other, loss))
        return loss, replace(entry, loss=loss)


def held_out_loss(tailored: Tailored) -> float | None:
    """The least loss on held-out rows that a body which learned had; None where no rows were held out."""
    looked = tailored.head.notes.get("held_out_losses") or ()
    losses = [loss for _, loss in looked if loss is not None]
    return min(losses, default=None)


def _better(best: _Found, other: _Found) -> _Found:
    """The one that stays; the other's body is removed."""
    stays, goes = (other, best) if other.loss < best.loss - _LEAST_GAIN else (best, other)
    if goes.tailored.body is not None:
        shutil.rmtree(goes.tailored.body.folder)
    return stays


def _place(lesson: Lesson) -> Path:
    shop = lesson.workshop
    assert shop is not None and shop.study is not None, "without a place nothing is searched"
    return shop.study / "settings.sqlite"


def _study(lesson: Lesson, way: str, first: _Found) -> optuna.Study:
    """What was tried so far, in a SQLite file that outlives an interruption."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    told = hashlib.sha256(lesson.train.tobytes() + way.encode()).hexdigest()[:16]
    study = _quietly(
        optuna.create_study,
        storage=f"sqlite:///{_place(lesson)}",
        study_name=told,
        load_if_exists=True,
    )
    study.sampler = optuna.samplers.TPESampler(seed=lesson.seed + len(study.trials))  # or it would propose the same
    if not study.trials:
        notes = first.tailored.head.notes
        known = {"rate": float(notes["rate"]), "epochs": float(notes["epochs"])}
        space = _space(first.tailored)
        study.add_trial(optuna.trial.create_trial(params=known, distributions=space, value=first.loss))
    return study


def _faults() -> tuple[type[Exception], ...]:
    """What the library, its database and a disk raise."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    return OSError, optuna.exceptions.OptunaError, SQLAlchemyError


def _space(found: Tailored) -> dict[str, Any]:  # Any: Optuna's distributions
    import optuna

    rate, epochs = (float(found.head.notes[name]) for name in ("rate", "epochs"))
    return {
        "rate": optuna.distributions.FloatDistribution(rate * _RATES[0], rate * _RATES[1], log=True),
        "epochs": optuna.distributions.FloatDistribution(epochs * _EPOCHS[0], epochs * _EPOCHS[1]),
    }


def _spelled(way: str, params: dict[str, Any]) -> str:
    told = f"rate={params['rate']:.3g},epochs={params['epochs']:.3g}"
    return f"{way}{',' if ':' in way else ':'}{told}"


def _failed() -> Any:
    import optuna

    return optuna.trial.TrialState.FAIL


def _quietly(do: Any, *args: Any, **named: Any) -> Any:
    """Without the warnings of what is new in the library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return do(*args, **named)
