"""Features of many values: each distinct content once, from the cache where it is known, in batches of like length.

Values flow through in windows: chunks are loaded by a pool of threads, a window of loaded items is sorted by cost and
cut into batches, and the batches go to the encoder's lanes while the next window is being loaded.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailorbird import __version__
from tailorbird.errors import BadItem, BadSpelling
from tailorbird.kinds import Encoder, Modality, Reader, Runtime
from tailorbird.plug import parse
from tailorbird.progress import stage
from tailorbird.store import graphs
from tailorbird.store.cache import Namespace
from tailorbird.types import BodyFolder, Device, Ready, Value

_CHUNK_ROWS = 16  # values that a thread loads at a time
_AHEAD_CHUNKS = 4  # for each thread: enough that no thread waits, few enough to be small beside a window
_WINDOW_BYTES = 32_000_000  # of loaded items that are sorted together: 200 pictures, or all sentences of a data set
_SHARD_ROWS, _SHARD_SECONDS = 4096, 20.0  # what a crash may cost

Item = tuple[int, Ready]  # the place of a row, and what was loaded for it
Batch = tuple[NDArray[np.int64], NDArray[np.float32]]  # places of rows (b,), and their features (b, d)
Errors = dict[int, BadItem]
Digest = Callable[[Value], bytes]
Planned = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def encode(
    encoder: Encoder,
    reader: Reader,
    values: Sequence[Value],
    digests: NDArray[np.uint8] | None = None,
    known: Namespace | None = None,
    *,
    digest: Digest | None = None,
    planned: Planned | None = None,
    threads: int = 0,
) -> tuple[NDArray[np.float32], Errors]:
    """Features of all depths side by side, (n, d), and by its place what could not be loaded; such a row is NaN.

    digests: (n, 32) of the contents, so that equal ones are encoded once; None: all are taken as distinct. known: rows
    found there are not encoded, and new ones are added in shards as the work goes on. digest: gives the digests; a file
    that has another one once it was loaded is an error, so that no features are kept for a content that they are not
    of. planned: unknown keys -> those that were unknown when an interrupted work began, for the same batches. threads:
    that load values; 0 takes all cores."""
    first, place = _distinct(digests, len(values))
    rows = np.full((len(first), sum(width for _, width in encoder.depths)), np.nan, dtype=np.float32)
    keeper = None if known is None or digests is None else _Keeper(known, digests[first])
    todo = np.arange(len(first)) if keeper is None else keeper.recall(rows)
    errors: Errors = {}
    if len(todo):
        again = [] if keeper is None or planned is None else keeper.again(todo, planned)
        chosen = {k: values[first[k]] for k in sorted([*todo.tolist(), *again])}
        batches = flow(encoder, reader, list(chosen.items()), errors, threads, frozenset(again))
        if digest is not None and digests is not None:
            batches = _unchanged(batches, chosen, digests[first], digest, errors)
        _fill(rows, batches, keeper, len(todo), errors)
    if len(first) == len(values):
        return rows, errors
    return rows[place], {i: errors[k] for i, k in enumerate(place) if k in errors}


def _fill(
    rows: NDArray[np.float32], batches: Iterable[Batch], keeper: _Keeper | None, n_todo: int, errors: Errors
) -> None:
    with stage("encoding", n_todo) as advance:
        for places, features in batches:
            rows[places] = features
            if keeper is not None:
                keeper.add(places, features)
            advance(len(places))
        if keeper is not None:
            keeper.flush()
        advance(len(errors))


def columns(
    depths: Sequence[tuple[str, int]], names: Sequence[str], features: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The columns of the named depths, side by side in the order of the names: (n, d) -> (n, sum of their widths)."""
    starts = np.cumsum([0, *(width for _, width in depths)])
    spans = {name: slice(starts[i], starts[i + 1]) for i, (name, _) in enumerate(depths)}
    return np.concatenate([features[:, spans[name]] for name in names], axis=1)


def namespace_of(
    body: BodyFolder,
    modality: Modality,
    runtime: str,
    encoder: Encoder,
    graph: Path | None = None,
    device: Device = "cpu",
) -> Namespace:
    """The cache of this body's features: whatever changes a feature is in its key.

    runtime: a plug-in's spelling; graph: the folder of the graph that it runs, if it runs one; device: never "auto"."""
    ran = parse("runtime", runtime, Runtime)
    key = {
        "what": "features",
        "fingerprint": body.fingerprint,
        "graph": None if graph is None else graphs.read(graph).digest,
        "modality": modality.spelling(full=True),
        "reading": modality.version(),
        "tailorbird": __version__,  # bodies/ is in no other key
        "depths": [list(depth) for depth in encoder.depths],
        "runtime": ran.spelling(full=True),
        "version": ran.version(),
        "device": device,  # a GPU adds up in another order
        "view": "plain",
    }
    return Namespace.open(key, body=body.spelling)


def cores(threads: int = 0) -> int:
    """How many threads to use: as many as were asked for, or for 0 all cores that this process may use."""
    if threads < 0:
        raise BadSpelling(f"--threads is {threads}, and must be 0 or more", "--threads 2")
    if threads:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Keeper:
    """Rows on their way into the cache."""

    def __init__(self, known: Namespace, keys: NDArray[np.uint8]) -> None:
        self._known, self._keys = known, keys
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        self._since = time.monotonic()

    def recall(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        """Fill in the rows that are known and give the places of the others."""
        mask, found = self._known.get(self._keys)
        if mask.any():
            rows[mask] = found
        return np.flatnonzero(~mask)

    def again(self, todo: NDArray[np.int64], planned: Planned) -> list[int]:
        """Places that are known, and stood in batches with those that are not when the work was planned."""
        keys = {key.tobytes() for key in planned(self._keys[todo])}
        missing = set(todo.tolist())
        return [k for k, key in enumerate(self._keys) if k not in missing and key.tobytes() in keys]

    def add(self, places: NDArray[np.int64], features: NDArray[np.float32]) -> None:
        self._waiting.append((places, features))
        many = sum(len(waiting) for waiting, _ in self._waiting) >= _SHARD_ROWS
        if many or time.monotonic() - self._since > _SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            places, features = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
            self._known.put(self._keys[places], features)
        self._waiting, self._since = [], time.monotonic()


def _distinct(digests: NDArray[np.uint8] | None, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each distinct content is seen first, and for each of the n rows which of these it is."""
    if digests is None:
        return np.arange(n), np.arange(n)
    assert digests.shape == (n, 32), f"digests {digests.shape} do not fit {n} values"
    contents = np.ascontiguousarray(digests).view("V32").ravel()
    _, first, place = np.unique(contents, return_index=True, return_inverse=True)
    order = np.argsort(first)  # in the order of the rows, so that files are read as they lie
    return first[order], np.argsort(order)[place]


def _unchanged(
    batches: Iterable[Batch], values: Mapping[int, Value], digests: NDArray[np.uint8], digest: Digest, errors: Errors
) -> Iterator[Batch]:
    """The batches without the rows whose file is another than its digest says; those go into `errors`."""
    for places, features in batches:
        same = np.array([is_same(digests[k].tobytes(), values[int(k)], digest) for k in places], dtype=bool)
        errors.update((int(k), BadItem("it changed while it was being read")) for k in places[~same])
        yield places[same], features[same]


def is_same(told: bytes, value: Value, digest: Digest) -> bool:
    """Whether a value still has the digest that was told of it."""
    try:
        return not isinstance(value, Path) or digest(value) == told  # only what lies in a file can change
    except BadItem:  # it is gone
        return False


def flow(
    encoder: Encoder,
    reader: Reader,
    values: Sequence[tuple[int, Value]],
    errors: Errors,
    threads: int = 0,
    known: frozenset[int] = frozenset(),
) -> Iterator[Batch]:
    """Places and features, batch by batch as they are done. What could not be loaded goes into `errors`.

    threads: that load values; 0 takes all cores. The encoder has lanes of its own. known: places that only give their
    batch its shape; a batch of nothing else is left out."""
    n_loaders = cores(threads)
    loaders, lanes = ThreadPoolExecutor(n_loaders), ThreadPoolExecutor(encoder.lanes)
    running: deque[list[Future[Batch]]] = deque()

    def run(batch: list[Item]) -> Batch:
        return np.array([k for k, _ in batch]), encoder.encode(reader.stack([ready for _, ready in batch]))

    try:
        for window in _windows(_loaded(loaders, reader, values, errors, _AHEAD_CHUNKS * n_loaders)):
            batches = cut([reader.cost(ready) for _, ready in window], reader.budget, encoder.lanes)
            items = ([window[i] for i in batch] for batch in batches)
            wanted = [batch for batch in items if any(k not in known for k, _ in batch)]
            running.append([lanes.submit(run, batch) for batch in wanted])
            while len(running) > 1:  # one window is loaded while one is encoded; no more are held
                yield from (future.result() for future in running.popleft())
        for futures in running:
            yield from (future.result() for future in futures)
    finally:
        for pool in (loaders, lanes):
            pool.shutdown(cancel_futures=True)


def _loaded(
    pool: ThreadPoolExecutor, reader: Reader, values: Sequence[tuple[int, Value]], errors: Errors, ahead: int
) -> Iterator[Item]:
    """What was loaded, in order; so many chunks are loaded ahead of what was asked for."""
    chunks = (values[i : i + _CHUNK_ROWS] for i in range(0, len(values), _CHUNK_ROWS))
    tasks = ((chunk, pool.submit(reader.load, [value for _, value in chunk])) for chunk in chunks)
    waiting = deque(islice(tasks, ahead))
    while waiting:
        chunk, task = waiting.popleft()
        for (k, _), ready in zip(chunk, task.result(), strict=True):
            if isinstance(ready, BadItem):
                errors[k] = ready
            else:
                yield k, ready
        waiting.extend(islice(tasks, 1))


def _windows(items: Iterator[Item]) -> Iterator[list[Item]]:
    window: list[Item] = []
    size_bytes = 0
    for item in items:
        window.append(item)
        size_bytes += item[1].nbytes
        if size_bytes >= _WINDOW_BYTES:
            yield window
            window, size_bytes = [], 0
    if window:
        yield window


def cut(costs: Sequence[int], budget: int, lanes: int) -> list[list[int]]:
    """Places in batches of like cost, the dearest first. A batch costs its rows times its dearest row, since the rest
    is padded to that, and at most `budget`; a window that is small is shared out over all lanes."""
    share = min(budget, -(-sum(costs) // lanes))
    batches: list[list[int]] = []
    room = 0
    for i in sorted(range(len(costs)), key=lambda i: -costs[i]):
        if room == 0:
            batches.append([])
            room = max(1, share // max(1, costs[i]))
        batches[-1].append(i)
        room -= 1
    return batches
