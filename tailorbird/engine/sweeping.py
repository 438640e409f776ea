"""sweep: several bodies and methods on the same rows, and one table. docs/sweep.md tells the flow."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tailorbird.costs import Contender, Estimate, Plan, Sweep
from tailorbird.engine import planning
from tailorbird.engine.budget import Budget, budget
from tailorbird.engine.features import columns
from tailorbird.engine.fitting import run as fit
from tailorbird.engine.journal import RUN, part_of
from tailorbird.engine.memory import is_out_of_memory
from tailorbird.engine.planning import Wish
from tailorbird.engine.predictor import Predictor, load
from tailorbird.engine.resuming import identity
from tailorbird.engine.shop import Order, Shop
from tailorbird.errors import BadData, BadOutput, TailorbirdError
from tailorbird.lesson import Rival, Scores
from tailorbird.measure.names import higher_is_better
from tailorbird.progress import tell
from tailorbird.store import files
from tailorbird.store.artifact import is_artifact
from tailorbird.store.lock import held
from tailorbird.types import JSON, Figure, Report

TABLE, ROWS, LOCK = "sweep.json", "rows.json", "lock"
_MODEL = re.compile(r".+--.+-[0-9a-f]{6}")  # the name of a folder, as _Place gives it
_ODD = re.compile(r"[^A-Za-z0-9.=-]+")  # in the name of a folder


def run(wish: Wish, out: Path, typed_budget: str | None, *, resume: bool, force: bool) -> Sweep:
    """Plan, fit each that fits into the time, compare, write the table. Raises TailorbirdError before anything costly
    is done; what fails later is a line of the table."""
    began, limit = time.perf_counter(), budget(typed_budget)
    _check_place(out, resume=resume, force=force)
    with _alone(out):
        _check_place(out, resume=resume, force=force, mine=True)  # another process may have had it until now
        opened = planning.opened(wish)
        shop = opened.shop
        if resume:
            _check_same(out, shop, wish)
        plan = planning.planned(wish, opened)
        ways = sorted((way for one in plan.prospects for way in one.ways), key=lambda way: way.seconds.value)
        if force and not resume:
            _empty(out)
        files.write(out / ROWS, files.canonical(_told(shop, wish)))
        found = _table(shop, [_fitted(way, _Place(wish, out, limit), shop) for way in ways])
        sweep = _sweep(plan, shop, out, found, time.perf_counter() - began)
        files.write(out / TABLE, files.canonical(asdict(sweep)))
    return sweep


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """No other sweep works in the folder meanwhile; one that stays empty goes. Raises BadOutput."""
    with held(out / LOCK) as is_ours:
        if not is_ours:
            problem = f"another process is making {str(out)!r} at this moment"
            raise BadOutput(problem, "wait for it, or choose another --out")
        try:
            yield
        finally:
            (out / LOCK).unlink(missing_ok=True)
            with suppress(OSError):
                out.rmdir()


def _sweep(plan: Plan, shop: Shop, out: Path, found: tuple[Contender, ...], seconds: float) -> Sweep:
    return Sweep(
        out=str(out),
        data=plan.data,
        target=plan.target,
        task=plan.task,
        metric=shop.task.metric,
        rows=plan.rows,
        contenders=found,
        chosen=_chosen(found),
        seconds=seconds,
    )


def _empty(out: Path) -> None:
    with files.writing(out):
        for path in out.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink(missing_ok=True)


def _check_place(out: Path, *, resume: bool, force: bool, mine: bool = False) -> None:
    """mine: whether the lock that lies there is this process's own."""
    if not out.exists():
        if resume:
            raise BadOutput(f"there is nothing to resume: {str(out)!r} does not exist", "leave out --resume")
        return
    there = [path for path in out.iterdir() if not (mine and path.name == LOCK)] if out.is_dir() else []
    is_begun = not there or any(path.name in (TABLE, ROWS, LOCK) for path in there)
    if not out.is_dir() or not is_begun or not all(map(_is_ours, there)):
        raise BadOutput(f"{str(out)!r} exists and is no sweep", "choose another --out")
    if not resume and not force and there:
        hint = "go on with --resume, replace it with --force, or choose another --out"
        raise BadOutput(f"{str(out)!r} exists already", hint)


def _is_ours(path: Path) -> bool:
    """Whether a sweep wrote this: a model, one that is not finished, the table, or a beginning of one of them."""
    if path.name in (TABLE, ROWS, LOCK) or (path.name.startswith(".") and path.name.endswith(".part")):
        return True
    if not _MODEL.fullmatch(path.name.removesuffix(".part")):
        return False
    return is_artifact(path) or (path.name.endswith(".part") and any((path / name).is_file() for name in (RUN, LOCK)))


def _told(shop: Shop, wish: Wish) -> dict[str, JSON]:
    """What the models of a sweep have in common."""
    rows = {name: told for name, told in identity(shop).items() if name not in ("body", "modality")}
    return {**rows, "task": shop.task.spelling(full=True), "modality": wish.modality, "seed": wish.seed}


def _check_same(out: Path, shop: Shop, wish: Wish) -> None:
    """Raise BadData if the models that are there are of other rows."""
    then: Mapping[str, JSON] = {}
    with suppress(OSError, ValueError):
        then = json.loads((out / ROWS).read_bytes())
    now = _told(shop, wish)
    if others := sorted(name for name in now if name in then and then[name] != now[name]):
        problem = f"{str(out)!r} was made from other rows or options: {', '.join(others)} differ"
        raise BadData(problem, "say what you said then, or begin anew with --force instead of --resume")


@dataclass(frozen=True)
class _Place:
    """What all fits of a sweep share."""

    wish: Wish
    out: Path
    limit: Budget

    def folder(self, way: Estimate) -> Path:
        """Where a way's model is. Names that look alike are told apart by their digests."""
        digest = hashlib.sha256(f"{way.body}|{way.method}".encode()).hexdigest()[:6]
        return self.out / f"{_ODD.sub('-', f'{way.body}--{way.method}')}-{digest}"

    def order(self, way: Estimate) -> Order:
        """The fit of a way, in the time that is left."""
        folder = self.folder(way)
        order = replace(planning.order_of(self.wish), model=way.body, method=way.method, out=folder)
        left = self.limit.left_s + _spent_s(folder)  # a fit that goes on counts what it took before
        typed = None if self.limit.seconds is None else f"{max(1, int(left))}s"
        return replace(order, budget=typed, resume=part_of(folder).is_dir())


def _spent_s(folder: Path) -> float:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads((part_of(folder) / "notes" / "spent.json").read_bytes())["seconds"])
    return 0.0


@dataclass(frozen=True)
class _Fitted:
    """A way and what came of it, or why nothing did. scores: of the test rows; None where rows are few and each model
    was measured by folds."""

    way: Estimate
    path: str | None = None
    report: Report | None = None
    scores: Scores | None = None
    cut: float = 0.5
    problem: str | None = None


def _fitted(way: Estimate, place: _Place, shop: Shop) -> _Fitted:
    folder, is_there = place.folder(way), is_artifact(place.folder(way))
    if not is_there and (left := place.limit.left_s + _spent_s(folder)) < way.seconds.low:
        left = max(0.0, left)
        return _Fitted(way, problem=f"it would take about {way.seconds.value:.0f} s, and {left:.0f} s are left")
    tell(f"{folder.name} is there already" if is_there else f"fitting {way.body} by {way.method}")
    try:
        if is_there:
            model = load(folder, threads=place.wish.threads, device=place.wish.device)
        else:
            model = fit(place.order(way))
        return _Fitted(way, str(folder), model.report, _test_scores(model, shop), model.head.cut)
    except TailorbirdError as error:
        problem = error.problem
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        problem = "memory was too short"
    tell(f"{way.method} failed: {problem}")
    return _Fitted(way, problem=problem)


def _test_scores(model: Predictor, shop: Shop) -> Scores | None:
    if shop.parts.folds is not None:
        return None
    features, errors = model.features([shop.checked.values[i] for i in shop.parts.test])
    if errors:
        problem = f"{len(errors)} test rows could be read a moment ago, and now not"
        raise BadData(problem, "run again when nothing writes to the data")
    return model.head.scores(columns(model.choice.encoder.depths, model.head.depths, features))


def _table(shop: Shop, fitted: Sequence[_Fitted]) -> tuple[Contender, ...]:
    """The best by the task's metric first; each beside the best on the same test rows."""
    metric = shop.task.metric
    sign = 1 if higher_is_better(metric) else -1
    able = sorted((one for one in fitted if one.report), key=lambda one: -sign * _figure(one, metric).value)
    lines = [_contender(one, able[0], shop) for one in able]
    return (*lines, *(_contender(one, None, shop) for one in fitted if not one.report))


def _chosen(table: Sequence[Contender]) -> str | None:
    """Of those that cannot be told from the best the one that took least, by what was reckoned of all alike: of what
    was measured, the first one paid for the features of the others too."""
    best = min((one for one in table if one.level), key=lambda one: one.planned.value, default=None)
    return None if best is None else best.model


def _figure(one: _Fitted, metric: str) -> Figure:
    assert one.report is not None, "a model from a sweep has its report"
    return one.report.test[metric]


def _contender(one: _Fitted, best: _Fitted | None, shop: Shop) -> Contender:
    behind = None if best is None or one is best else _behind(one, best, shop)
    report = one.report
    return Contender(
        body=one.way.body,
        method=one.way.method,
        model=one.path,
        planned=one.way.seconds,
        seconds=None if report is None else report.seconds["total"],
        test={} if report is None else report.test,
        outcome=None if report is None else report.verdict.outcome,
        behind=behind,
        level=best is not None and _is_level(one, best, behind, shop.task.metric),
        problem=one.problem,
    )


def _behind(one: _Fitted, best: _Fitted, shop: Shop) -> Figure | None:
    if one.scores is None or best.scores is None:
        return None
    rows = shop.parts.test
    clusters = shop.parts.clusters[rows]
    together = None if len(np.unique(clusters)) == len(clusters) else clusters
    rival = {"other": Rival("other", one.scores, one.cut)}
    return shop.task.compare(shop.y[rows], best.scores, rival, together, 0).difference


def _is_level(one: _Fitted, best: _Fitted, behind: Figure | None, metric: str) -> bool:
    """Whether it cannot be told from the best: where rows were measured by folds, whether their intervals meet."""
    if one is best:
        return True
    if behind is not None:
        return behind.low <= 0
    a, b = _figure(one, metric), _figure(best, metric)
    return a.low <= b.high and b.low <= a.high
