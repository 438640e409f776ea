"""A first look at some of the rows with one body: how fast it reads, and what its frozen features are worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailorbird.engine.choose import Choice, choose
from tailorbird.engine.cross import cross_scores, folds_of
from tailorbird.engine.features import columns, encode
from tailorbird.engine.material import space_of
from tailorbird.engine.shop import Shop
from tailorbird.lesson import Lesson, Truth, Workshop
from tailorbird.types import Device, Figure

_MOST_ROWS, _FEWEST_ROWS, _SECONDS = 600, 60, 6.0  # that are encoded for it: as many as go into so many seconds
_HELD_SHARE = 6  # one of so many is to choose on
_FEWEST_TO_MEASURE = 30
_GRAPH_FACTOR = 2  # a sealed body is its weights and its graph
_HEAD_BYTES = 2_000_000  # a model folder without a body: golden examples, report, head


@dataclass(frozen=True)
class Sounding:
    """What was seen. rows: (k,) places of the sample, all of them to be learned from."""

    shop: Shop
    rows: NDArray[np.int64]
    features: Mapping[str, NDArray[np.float32]]  # depth -> (k, d)
    evidence: Figure | None
    choice: Choice
    halved: Choice  # for a body that learns; the same where half precision is of no use
    threads: int
    device: Device
    seed: int

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    @property
    def rows_per_second(self) -> float:
        """Of the frozen body, in full precision."""
        return self.speed(half=False)

    def speed(self, *, half: bool) -> float:
        """Rows a second, of what encodes the rows."""
        choice = self.halved if half else self.choice
        return max(choice.speeds.get(choice.runtime, 50.0), 1e-3)

    def n_unknown(self, *, half: bool) -> int:
        """How many of all rows the cache does not have."""
        choice = self.halved if half else self.choice
        known, _ = space_of(choice, self.shop.body, self.shop.modality).get(self.shop.checked.digests)
        return int((~known).sum())

    def disk_bytes(self, n_rows: int, body_bytes: int) -> int:
        """Of a model with such a body in it, and of all features in the cache."""
        width = sum(width for _, width in self.choice.encoder.depths)
        return _HEAD_BYTES + _GRAPH_FACTOR * body_bytes + n_rows * (4 * width + 32)

    def lesson(self, folder: Path, deadline: float) -> Lesson:
        """The sample as something to learn from. folder: for what a body leaves; deadline: a time.monotonic()."""
        shop, k = self.shop, len(self.rows)
        values = [shop.checked.values[i] for i in self.rows]
        is_held = np.arange(k) % _HELD_SHARE == 0
        train, held = np.flatnonzero(~is_held), np.flatnonzero(is_held)
        if shop.parts.folds is not None:
            train, held = np.arange(k), np.zeros(0, np.int64)
        workshop = Workshop(shop.body, shop.modality, values, shop.labels, folder, self.threads, self.device)
        return Lesson(
            self.features, shop.y[self.rows], len(shop.labels), np.ones(k, np.float32), train, held, self.seed,
            shop.parts.clusters[self.rows], shop.task.link, workshop, deadline,
        )  # fmt: skip


def sound(shop: Shop, threads: int, device: Device, seed: int) -> Sounding:
    """Encode some of the rows to learn from, and measure a quick head on them. No test row is looked at."""
    values = shop.checked.values
    choice = choose(shop.body, shop.modality, values, threads=threads, device=device)
    halved = choose(shop.body, shop.modality, values, threads=threads, device=device, half=True)
    fits = int(_SECONDS * choice.speeds.get(choice.runtime, float("inf"))) if choice.speeds else _MOST_ROWS
    most = int(np.clip(fits, _FEWEST_ROWS, _MOST_ROWS))
    rows = np.sort(np.random.default_rng(seed).permutation(shop.parts.train)[:most])
    features, rows = features_of(shop, choice, rows)
    evidence = _evidence(shop, rows, features["last"], seed)
    return Sounding(shop, rows, features, evidence, choice.closed(), halved.closed(), threads, device, seed)


def features_of(
    shop: Shop, choice: Choice, rows: NDArray[np.int64]
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int64]]:
    """Features of these rows by depth, (k, d) each, out of the cache where it has them; and the rows that could still
    be read."""
    found, errors = encode(
        choice.encoder,
        shop.modality.reader(shop.body),
        [shop.checked.values[i] for i in rows],
        shop.checked.digests[rows],
        space_of(choice, shop.body, shop.modality),
        digest=shop.modality.digest,
        threads=choice.threads,
    )
    kept = np.array([i not in errors for i in range(len(rows))])
    depths = choice.encoder.depths
    return {name: columns(depths, (name,), found[kept]) for name, _ in depths}, rows[kept]


def _evidence(shop: Shop, rows: NDArray[np.int64], x: NDArray[np.float32], seed: int) -> Figure | None:
    """The task's metric of a linear head that answers each of these rows by the others. x: (k, d)."""
    y: Truth = shop.y[rows]
    together = np.unique(shop.parts.clusters[rows], return_inverse=True)[1]
    if len(rows) < _FEWEST_TO_MEASURE or together.max() < 1 or len(np.unique(y)) < 2:
        return None
    folds = folds_of(shop.task.strata(y), together, seed)
    scores = cross_scores(x, y, len(shop.labels), shop.task.link, folds, seed)
    return shop.task.measure(y, scores, 0.5, together, seed)[shop.task.metric]
