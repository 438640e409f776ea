"""The folder of a fit that is not finished yet: whose it is, what must stay the same, and how far it is.

docs/resume.md tells what lies where."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from tailorbird.engine.environment import environment
from tailorbird.errors import BadOutput
from tailorbird.progress import tell
from tailorbird.store import files
from tailorbird.store.artifact import MANIFEST, is_artifact, told_digest
from tailorbird.store.checkpoints import Checkpoint, any_below, newest, write_checkpoint
from tailorbird.store.lock import held
from tailorbird.types import JSON

FORMAT = 1
RUN, LOCK, NOTES, LAPS, WORK, EARLY = "run.json", "lock", "notes", "laps", "work", "early"
_WORTH_KEEPING_S = 5.0  # what took longer to learn is not learned again
# Options that may be others when a fit goes on. Of the data not the name counts but the content.
_FREE = ("data", "out", "budget", "force", "resume", "checkpoint_every", "threads")


class Lap:
    """One learning of a body, and its checkpoints."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder, self._journal = folder, journal
        self._last = time.monotonic()
        self._has_kept = self._is_refused = False

    @property
    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._last >= self._journal.every_s

    def is_worth(self, seconds: float) -> bool:
        """Whether what took so long should be kept now that it is over."""
        return self._has_kept or seconds >= _WORTH_KEEPING_S

    def recall(self) -> Checkpoint | None:
        """The last one that is whole."""
        found = newest(self._folder)
        self._has_kept = found is not None
        return found

    def keep(self, checkpoint: Checkpoint) -> None:
        """Write it. Where that cannot be done it is told once, the one before it stays, and the work goes on."""
        try:
            write_checkpoint(self._folder, checkpoint)
            self._journal.note_spent()
            self._has_kept = True
        except BadOutput as error:
            if not self._is_refused:
                tell(f"no checkpoint at step {checkpoint.step}: {error.problem}; {error.hint}")
            self._is_refused = True
        self._last = time.monotonic()


class Journal:
    """What a fit notes while it runs."""

    def __init__(self, folder: Path, every_s: float) -> None:
        self.folder, self.work, self.early, self.every_s = folder, folder / WORK, folder / EARLY, every_s
        begun = _begun(folder)
        self.replaces = begun is not None and begun["replaces"] is not None  # a model that is there already
        self.has_learned = any_below(folder / LAPS)  # before an interruption
        self._began = time.monotonic() - float((self._noted("spent") or {"seconds": 0.0})["seconds"])

    @property
    def spent_s(self) -> float:
        """Seconds of work, in all sittings."""
        return time.monotonic() - self._began

    @property
    def has_early(self) -> bool:
        """Whether there is an early model, whatever else may lie in its folder."""
        return (self.early / MANIFEST).is_file()

    @property
    def keep(self) -> Path:
        """A place that outlives an interruption."""
        (self.folder / NOTES).mkdir(exist_ok=True)
        return self.folder / NOTES

    def lap(self, name: str) -> Lap:
        """One learning. name: says which, for there may be several in one fit."""
        return Lap(self.folder / LAPS / name, self)

    def note_spent(self) -> None:
        """Note the seconds of work so far, for a budget counts those of all sittings. Raises BadOutput."""
        self.note("spent", {"seconds": self.spent_s})

    def note(self, name: str, told: Mapping[str, JSON]) -> None:
        """Write it down. Raises BadOutput."""
        files.write(self.folder / NOTES / f"{name}.json", files.canonical(dict(told)))

    def differences(self, name: str, told: Mapping[str, JSON]) -> list[str]:
        """What differs from what was noted under this name; where nothing was, it is noted now. Raises BadOutput."""
        noted = self._noted(name)
        if noted is None:
            self.note(name, told)
        return _differences(told if noted is None else noted, told)

    def first(self, name: str, measure: Callable[[], JSON]) -> JSON:
        """What was noted first under this name; else what is measured now. Raises BadOutput."""
        noted = self._noted(name)
        if noted is None:
            noted = {"found": measure()}
            self.note(name, noted)
        return noted["found"]

    def array(self, name: str, now: NDArray[Any]) -> NDArray[Any]:
        """What was noted first under this name; this, if nothing was. Raises BadOutput."""
        path = self.folder / NOTES / f"{name}.safetensors"
        if path.is_file():
            return np.array(load(path.read_bytes())["array"])
        files.write(path, files.tensors({"array": now}))
        return now

    def _noted(self, name: str) -> dict[str, JSON] | None:
        path = self.folder / NOTES / f"{name}.json"
        return json.loads(path.read_bytes()) if path.is_file() else None


def part_of(out: Path) -> Path:
    """Where a fit lives until its model is there."""
    return out.with_name(f"{out.name}.part")


@contextmanager
def journal(
    out: Path, call: Mapping[str, JSON], *, resume: bool, force: bool, every_s: float, threads: int
) -> Iterator[Journal]:
    """The journal of the fit that will make `out`, begun or taken up again. It goes with the block, if nothing was
    raised or nothing would be lost. Raises BadOutput."""
    folder = part_of(out)
    _check_folder(out, folder, resume)
    with held(folder / LOCK) as is_ours:
        if not is_ours:
            problem = f"another process is making {str(out)!r} at this moment"
            raise BadOutput(problem, "wait for it, or choose another --out")
        _prepare(out, folder, {"call": dict(call), "environment": environment(threads)}, resume, force)
        one = Journal(folder, every_s)
        try:
            yield one
        except BaseException:
            with suppress(BadOutput):
                one.note_spent()
            _leave(one)
            raise
        _remove(folder)


def _leave(one: Journal) -> None:
    """What is worth keeping of a fit that was broken off stays."""
    if not (any_below(one.folder / LAPS) or one.has_early):
        _remove(one.folder)
        return
    shutil.rmtree(one.work, ignore_errors=True)
    if one.has_early:
        tell(f"{str(one.early)!r} is a model that was there early: move it away before you begin anew, if you want it")
    tell(f"{str(one.folder)!r} has what was done so far: the same command with --resume goes on")


def _remove(folder: Path) -> None:
    """All of it, and last what says whose it is: a kill may come in between."""
    for name in (WORK, LAPS, EARLY, NOTES):
        shutil.rmtree(folder / name, ignore_errors=True)
    with suppress(OSError):
        (folder / RUN).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _check_folder(out: Path, folder: Path, resume: bool) -> None:
    if folder.exists() and not _is_ours(folder):
        problem = f"{str(folder)!r} is in the way: it is no unfinished fit"
        raise BadOutput(problem, "move it away, or choose another --out")
    if resume and not folder.is_dir():
        if is_artifact(out):
            raise BadOutput(f"{str(out)!r} is finished: there is nothing to resume", f"tailorbird report {out}")
        raise BadOutput(f"there is nothing to resume: {str(folder)!r} does not exist", "leave out --resume")


def _is_ours(folder: Path) -> bool:
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {"a file"}
    known = {name for name in names if not name.endswith(".part")} <= {RUN, LOCK, NOTES, LAPS, WORK, EARLY}
    return known and (not names or bool(names & {RUN, LOCK}))  # a user's own folder may be called notes


def _prepare(out: Path, folder: Path, now: dict[str, JSON], resume: bool, force: bool) -> None:
    """Make the folder ready: as it was left, or empty but for who works in it and what at."""
    then = _begun(folder)
    if resume:
        _check_unfinished(out, folder, then, force)
    if resume and then is None and any_below(folder / LAPS):
        problem = f"{str(folder / RUN)!r} is damaged, so that it is not known what was learned there"
        raise BadOutput(problem, "begin anew with --force instead of --resume")
    with files.writing(out):
        _tidy(out, then["replaces"] if then else None)
    if resume and then is not None:
        _compare(folder, then, now)
    elif not resume and not force and any_below(folder / LAPS):
        problem = f"{str(folder)!r} has what an interrupted fit has learned"
        raise BadOutput(problem, "go on with --resume, or begin anew with --force")
    else:
        _empty(folder)
        files.write(folder / RUN, files.canonical({"format": FORMAT, "replaces": told_digest(out), **now}))
    for path in (folder / WORK, *folder.glob(f".{EARLY}.*.part")):
        shutil.rmtree(path, ignore_errors=True)
    with files.writing(folder):
        (folder / WORK).mkdir()


def _tidy(out: Path, replaced: str | None) -> None:
    """Remove what a process that was killed while it sealed left beside: nobody else makes this model now. replaced:
    the digest of the model that it was to replace; where folders cannot be exchanged in one step that may be all that
    is there, and it is put back."""
    name = re.compile(rf"\.{re.escape(out.name)}\.[0-9a-f]{{8}}\.part")
    for path in [path for path in out.absolute().parent.iterdir() if name.fullmatch(path.name)]:
        if replaced is not None and not out.exists() and told_digest(path) == replaced:
            path.rename(out)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _check_unfinished(out: Path, folder: Path, then: Mapping[str, JSON] | None, force: bool) -> None:
    """A process may have died between the model's last byte and the end of its journal."""
    there = told_digest(out)
    if there is None or (force and then is None):
        return
    if then is None or there != then["replaces"]:
        _empty(folder)
        raise BadOutput(f"{str(out)!r} is finished: there is nothing to resume", f"tailorbird report {out}")


def _compare(folder: Path, then: Mapping[str, JSON], now: Mapping[str, JSON]) -> None:
    anew = "say what you said then, or begin anew with --force instead of --resume"
    if then["format"] != FORMAT:
        raise BadOutput(f"{str(folder)!r} has format {then['format']}, and this version writes {FORMAT}", anew)
    calls = ({key: value for key, value in one["call"].items() if key not in _FREE} for one in (then, now))
    if options := _differences(*calls):
        raise BadOutput(f"the interrupted fit was another one: {'; '.join(options)}", anew)
    if others := _differences(then["environment"], now["environment"]):
        tell(f"since the fit was interrupted something changed, so last digits may differ: {'; '.join(others)}")


def _begun(folder: Path) -> dict[str, JSON] | None:
    try:
        told = json.loads((folder / RUN).read_bytes())
        return told if {"format", "call", "environment", "replaces"} <= set(told) else None
    except (OSError, ValueError, TypeError):  # it died before that was written
        return None


def _empty(folder: Path) -> None:
    (folder / RUN).unlink(missing_ok=True)  # or what is left after a kill here would be taken for that fit's
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)


def _differences(then: Mapping[str, JSON], now: Mapping[str, JSON]) -> list[str]:
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    return [f"{name} was {_short(then.get(name))} and is {_short(now.get(name))}" for name in names]


def _short(value: JSON) -> str:
    return f"{str(value)[:12]}..." if len(str(value)) > 40 else repr(value)
