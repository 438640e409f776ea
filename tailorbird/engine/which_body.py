"""Which of several bodies to tailor: successive halving by what their frozen features are worth, on nested rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from tailorbird.engine.choose import Choice, choose
from tailorbird.engine.cross import cross_scores, folds_of
from tailorbird.engine.scoring import row_losses
from tailorbird.engine.shop import Shop
from tailorbird.engine.sounding import features_of
from tailorbird.errors import BadBody, MissingExtra
from tailorbird.progress import tell
from tailorbird.store import graphs
from tailorbird.store.bodies import weights_bytes
from tailorbird.types import JSON, Device

_ROUNDS = (200, 800, 3200)  # rows that are looked at, each among the next
_SHARE = 0.2  # of the time that is left, at most
_READING_SHARE = 0.4  # of it, that reading all rows with a body may take
_OPEN_S, _OPEN_S_A_MB = 8.0, 0.1  # 17 s were measured of MiniLM with 90 MB, imports included
_TOLD_APART = 1.0  # standard errors by which a loss must be lower


@dataclass(frozen=True)
class _Runner:
    shop: Shop
    choice: Choice

    @property
    def name(self) -> str:
        return self.shop.body.spelling

    @property
    def a_row_s(self) -> float:
        return 1 / max(self.choice.speeds.get(self.choice.runtime, 50.0), 1e-3)


def best_body(
    shops: Sequence[Shop], runtime: str | None, left_s: float, threads: int, device: Device, seed: int
) -> tuple[Shop, list[dict[str, JSON]]]:
    """The one whose features tell most, and what was tried; of those that cannot be told apart the quickest. shops:
    the same rows with each body, the usual one first; runtime: the only one to consider. No test row is looked at."""
    began, trail = time.monotonic(), list[dict[str, JSON]]()
    if not _can_be_told(shops[0]):
        return shops[0], []
    runners = _opened(shops, runtime, _SHARE * left_s, threads, device)
    n_all = len(shops[0].checked.values)
    runners = [one for one in runners if one.shop is shops[0] or one.a_row_s * n_all <= _READING_SHARE * left_s]
    order = np.random.default_rng(seed).permutation(shops[0].parts.train)
    for number, n_rows in enumerate(_ROUNDS, 1):
        rows = np.sort(order[:n_rows])
        spent = time.monotonic() - began
        if len(runners) == 1 or spent + sum(one.a_row_s for one in runners) * len(rows) > _SHARE * left_s:
            break
        losses = []
        for one in runners:
            start = time.monotonic()
            losses.append(_losses(one, rows, threads, seed))
            told = {"method": f"frozen {one.name}", "round": number, "rows": len(rows)}
            trail.append({**told, "seconds": time.monotonic() - start, "loss": float(losses[-1].mean())})
        runners = _better(runners, losses, max(2, ceil(len(runners) / 2)))  # one alone only if it is told apart
        if n_rows >= len(order):
            break
    if not trail:
        return shops[0], []
    best = min(runners, key=lambda one: one.a_row_s)
    tell(f"the body to tailor is {best.name}")
    return best.shop, trail


def _can_be_told(shop: Shop) -> bool:
    """Whether rows can be answered by others: there are two clusters, and two targets."""
    rows = shop.parts.train
    return len(np.unique(shop.parts.clusters[rows])) > 1 and len(np.unique(shop.y[rows])) > 1


def _opened(shops: Sequence[Shop], runtime: str | None, seconds: float, threads: int, device: Device) -> list[_Runner]:
    """Those that can be run here, smaller ones first, as far as the time goes; the usual one is always among them."""
    first, *others = shops
    began, runners = time.monotonic(), list[_Runner]()
    for shop in [first, *sorted(others, key=lambda one: weights_bytes(one.body.folder))]:
        if runners and time.monotonic() - began + _opening_s(shop) > seconds / 2:
            tell(f"no time to look at {shop.body.spelling}")
            continue
        try:
            values = shop.checked.values
            runners.append(
                _Runner(shop, choose(shop.body, shop.modality, values, runtime=runtime, threads=threads, device=device))
            )
        except (BadBody, MissingExtra) as error:
            if shop is first:
                raise
            tell(f"{shop.body.spelling} is passed over: {error.problem}")
    return runners


def _opening_s(shop: Shop) -> float:
    """Seconds until a body can be run: its graph, if there is none yet, and a comparison with torch."""
    if graphs.find(shop.body, shop.modality) is not None:
        return _OPEN_S
    return _OPEN_S + _OPEN_S_A_MB * weights_bytes(shop.body.folder) / 1e6


def _losses(one: _Runner, rows: NDArray[np.int64], threads: int, seed: int) -> NDArray[np.float64]:
    """What a linear head loses on each of these rows, learned from the others."""
    shop = one.shop
    x, rows = features_of(shop, one.choice, rows)
    together = np.unique(shop.parts.clusters[rows], return_inverse=True)[1]
    folds = folds_of(shop.task.strata(shop.y[rows]), together, seed)
    scores = cross_scores(x["last"], shop.y[rows], len(shop.labels), shop.task.link, folds, seed)
    return row_losses(shop.task.link, shop.y[rows], scores)


def _better(runners: Sequence[_Runner], losses: Sequence[NDArray[np.float64]], n: int) -> list[_Runner]:
    """So many at most of those that cannot be told from the best: that one, and the quickest."""
    means = [float(one.mean()) for one in losses]
    best = losses[int(np.argmin(means))]
    level = []
    for place in np.argsort(means, kind="stable").tolist():
        behind = losses[place] - best
        if behind.mean() <= _TOLD_APART * behind.std() / sqrt(len(behind)):
            level.append(runners[place])
    quickest = sorted(level[1:], key=lambda one: one.a_row_s)
    return [level[0], *quickest][:n]
