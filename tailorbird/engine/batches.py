"""Batches to learn from: rows of like cost side by side, every row once an epoch, made ready ahead of their use.

A step is what the weights move by; it has one or more batches, which are what is in memory at once."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import BadData, BadItem
from tailorbird.kinds import Reader
from tailorbird.types import Ready, Value

Rows = NDArray[np.int64]
T = TypeVar("T")

_STEP_SHARE = 0.5  # of the reader's budget: 1,024 tokens, with which film reviews were learned best
_FEWEST_ROWS, _MOST_ROWS = 16, 64  # of a step: long texts and large pictures need some, short and small ones not more
_POOL_ROWS = 1024  # that are sorted together: enough for batches of like length, few enough to mix
_CHUNK_ROWS = 64  # values that a thread loads at a time
_AHEAD_BATCHES = 3  # for each thread


@dataclass(frozen=True)
class Batch:
    """Rows as a body reads them. rows: (b,) places; arrays: what the reader's `stack` gives."""

    rows: Rows
    arrays: Mapping[str, NDArray[Any]]


class Shelf:
    """Values made ready for a body. What looks the same at each reading is read once and kept."""

    def __init__(self, reader: Reader, values: Sequence[Value], rows: Rows, threads: int) -> None:
        """rows: (n,) places of those that will be asked for."""
        self.reader, self.threads = reader, threads
        self._values = values
        self._kept: dict[int, Ready] = {}
        if reader.varies:
            self._cost = reader.cost(self._ready(int(rows[0]), reader.load([values[rows[0]]])[0]))
        else:
            self._keep(rows)

    def costs(self, rows: Rows) -> NDArray[np.int64]:
        """What each row costs in a batch, (n,); what varies is cut to one size, so that all of it costs the same."""
        if self.reader.varies:
            return np.full(len(rows), self._cost)
        return np.array([self.reader.cost(self._kept[row]) for row in rows.tolist()], np.int64)

    def plain(self, rows: Rows) -> Batch:
        """These rows as they are. Raises BadData for one that can no longer be read."""
        ready = self._loaded(rows) if self.reader.varies else [self._kept[row] for row in rows.tolist()]
        return Batch(rows, self.reader.stack(ready))

    def varied(self, rows: Rows, seeds: Iterable[tuple[int, ...]], flip: bool) -> Batch:
        """These rows as they might as well have been. seeds: one for each row, so that neighbours change nothing."""
        if not self.reader.varies:
            return self.plain(rows)
        vary = self.reader.vary
        seen = (
            vary([self._values[row]], np.random.default_rng(seed), flip=flip)[0]
            for row, seed in zip(rows.tolist(), seeds, strict=True)
        )
        ready = [self._ready(row, one) for row, one in zip(rows.tolist(), seen, strict=True)]
        return Batch(rows, self.reader.stack(ready))

    def parts(self, rows: Rows) -> list[Rows]:
        """These rows, of which none costs more than the first, in even batches within the reader's budget."""
        room = max(1, self.reader.budget // max(1, int(self.costs(rows[:1])[0])))
        return np.array_split(rows, -(-len(rows) // room))

    def once(self, rows: Rows) -> Iterator[Batch]:
        """Every row once and as it is, in batches of like cost."""
        groups = alike(self.costs(rows), self.reader.budget)
        parts = iter([part] for group in groups for part in self.parts(rows[group]))
        return (batch for (batch,) in _ahead(parts, self.plain, self.threads))

    def _keep(self, rows: Rows) -> None:
        chunks = [rows[i : i + _CHUNK_ROWS] for i in range(0, len(rows), _CHUNK_ROWS)]
        with ThreadPoolExecutor(self.threads) as pool:
            for chunk, loaded in zip(chunks, pool.map(self._loaded, chunks), strict=True):
                self._kept.update(zip(chunk.tolist(), loaded, strict=True))

    def _loaded(self, rows: Rows) -> list[Ready]:
        loaded = self.reader.load([self._values[row] for row in rows])
        return [self._ready(row, one) for row, one in zip(rows.tolist(), loaded, strict=True)]

    def _ready(self, row: int, loaded: Ready | BadItem) -> Ready:
        if isinstance(loaded, BadItem):
            value = str(self._values[row])[:80]
            problem = f"row {row} ({value!r}) could be read a moment ago, and now not: {loaded}"
            raise BadData(problem, "run again when nothing writes to the data")
        return loaded


@dataclass(frozen=True)
class Feed:
    """The rows to learn from, epoch after epoch. The order and every variation follow from the seed alone."""

    shelf: Shelf
    rows: Rows
    seed: int
    vary: bool = True  # whether pictures are cut, coloured and perhaps mirrored anew at each reading
    flip: bool = False  # whether a mirror image means the same

    @property
    def name(self) -> str:
        """A name for the learning of these rows: no other one in a fit has the same."""
        told = b"|".join((self.rows.tobytes(), str((self.seed, self.vary, self.flip)).encode()))
        return hashlib.sha256(told).hexdigest()[:16]

    def count(self, epochs: float) -> int:
        """How many steps so many epochs have, at least one."""
        whole, rest = divmod(epochs, 1)
        last = round(rest * len(self.plan(int(whole)))) if rest else 0
        return max(1, sum(len(self.plan(epoch)) for epoch in range(int(whole))) + last)

    def plan(self, epoch: int) -> list[list[Rows]]:
        """The steps of an epoch, each as the rows of its batches."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self.rows)
        pools = [order[i : i + _POOL_ROWS] for i in range(0, len(order), _POOL_ROWS)]
        steps = [pool[step] for pool in pools for step in alike(self.shelf.costs(pool), self._step_budget)]
        return [self.shelf.parts(steps[i]) for i in rng.permutation(len(steps))]

    def steps(self, done: int = 0) -> Generator[list[Batch], None, None]:
        """The batches of each step, without end. done: steps to pass over."""
        tasks = ([(epoch, rows) for rows in parts] for epoch in count() for parts in self.plan(epoch))
        return _ahead(islice(tasks, done, None), self._make, self.shelf.threads)

    @property
    def _step_budget(self) -> int:
        return int(_STEP_SHARE * self.shelf.reader.budget)

    def _make(self, task: tuple[int, Rows]) -> Batch:
        epoch, rows = task
        if not self.vary:
            return self.shelf.plain(rows)
        return self.shelf.varied(rows, ((self.seed, epoch, row) for row in rows.tolist()), self.flip)


def alike(costs: NDArray[np.int64], budget: int) -> list[NDArray[np.int64]]:
    """Places in groups of like cost, the dearest first: as many rows as `budget` allows when all are padded to the
    dearest one, and 16 to 64 of them whatever it allows."""
    order = np.argsort(-costs, kind="stable")
    groups: list[NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        room = int(np.clip(budget // max(1, costs[order[start]]), _FEWEST_ROWS, _MOST_ROWS))
        groups.append(order[start : start + room])
        start += room
    if len(groups) > 1 and 2 * len(groups[-1]) < len(groups[-2]):  # a step of few rows would be mostly noise
        groups[-2:] = [np.concatenate(groups[-2:])]
    return groups


def _ahead(tasks: Iterator[list[T]], make: Callable[[T], Batch], threads: int) -> Generator[list[Batch], None, None]:
    """What `make` gives for each task of each list, in order; threads make it before it is asked for."""
    # Half of the threads: those of the network wait for each other at every product, and for what takes their cores.
    pool = ThreadPoolExecutor(max(1, threads // 2))
    try:
        waiting: deque[list[Future[Batch]]] = deque()
        for some in tasks:
            waiting.append([pool.submit(make, task) for task in some])
            if len(waiting) > _AHEAD_BATCHES * threads:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)
