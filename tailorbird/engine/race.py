"""Encoders side by side on the same rows: how fast each is, and how far their features agree."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tailorbird.engine.features import flow
from tailorbird.errors import BadItem
from tailorbird.kinds import Encoder, Modality, Reader
from tailorbird.progress import stage
from tailorbird.types import Value

_SAMPLE_ROWS = 32
_RUNS, _ENOUGH_SECONDS = 4, 4.0  # the first warms up; a round that begins after so many seconds is left out


def sample(modality: Modality, reader: Reader, values: Sequence[Value]) -> list[Value]:
    """A few dozen of the values, evenly spread, that can be read; the modality's example where none can."""
    step = max(1, len(values) // _SAMPLE_ROWS)
    return _loadable(reader, values[::step][:_SAMPLE_ROWS]) or [modality.example()]


def _loadable(reader: Reader, values: Sequence[Value]) -> list[Value]:
    loaded = reader.load(values)
    return [value for value, ready in zip(values, loaded, strict=True) if not isinstance(ready, BadItem)]


def race(
    encoders: Mapping[str, Encoder], reader: Reader, rows: Sequence[Value], threads: int
) -> tuple[dict[str, NDArray[np.float32]], dict[str, float]]:
    """Each encoder's features of the rows, and its best run in rows a second, loading included."""
    features: dict[str, NDArray[np.float32]] = {}
    best = dict.fromkeys(encoders, float("inf"))
    begun = time.perf_counter()
    with stage("comparing runtimes", _RUNS * len(encoders)) as advance:
        for _ in range(_RUNS):  # in turns, so that whatever else the machine does slows all of them alike
            for name, encoder in encoders.items():
                features[name], seconds = _timed(encoder, reader, rows, threads)
                best[name] = min(best[name], seconds)
                advance(1)
            if time.perf_counter() - begun > _ENOUGH_SECONDS:
                break
    return features, {name: len(rows) / seconds for name, seconds in best.items()}


def _timed(encoder: Encoder, reader: Reader, rows: Sequence[Value], threads: int) -> tuple[NDArray[np.float32], float]:
    features = np.empty((len(rows), sum(width for _, width in encoder.depths)), dtype=np.float32)
    start = time.perf_counter()
    for places, found in flow(encoder, reader, list(enumerate(rows)), {}, threads):
        features[places] = found
    return features, time.perf_counter() - start


def least_cosine(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    """The lowest cosine of any row of x with its row of y: (n, d) each."""
    a, b = x.astype(np.float64), y.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.where((a == b).all(1), 1.0, (a * b).sum(1) / np.maximum(lengths, 1e-30))
    return float(cosines.min()) if np.isfinite(cosines).all() else -1.0
