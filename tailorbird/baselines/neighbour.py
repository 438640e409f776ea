"""The rival that learns nothing: the labels of the most alike rows, by the frozen features."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.kinds import Baseline, Evidence, State
from tailorbird.plug import names

_VOTERS = 5
_MOST_ROWS = 10_000  # that are kept; 10,000 of width 1,280 are 26 MB
_CHUNK = 1024  # rows that are compared at once: 40 MB of likenesses


class Neighbour(Baseline):
    """Votes of the five nearest rows by cosine, and one vote more that is shared out as the labels are."""

    modalities: ClassVar[frozenset[str]] = frozenset(names("modality"))
    title: ClassVar[str] = "nearest neighbours on the frozen features"

    def fit(self, evidence: Evidence, y: NDArray[np.int64], n_labels: int, seed: int) -> State:
        kept = np.arange(len(y))
        if len(y) > _MOST_ROWS:
            kept = np.sort(np.random.default_rng(seed).choice(len(y), _MOST_ROWS, replace=False))
        counts = np.bincount(y, minlength=n_labels) + 1.0
        arrays = {"features": _unit(evidence.features[kept]).astype(np.float16), "y": y[kept]}
        note = {"voters": _VOTERS, "rows": len(kept), "of_rows": len(y), "most_rows": _MOST_ROWS}
        return note, {**arrays, "shares": counts / counts.sum()}

    def scores(self, state: State, evidence: Evidence) -> NDArray[np.float64]:
        _, arrays = state
        known, x = arrays["features"].astype(np.float32), evidence.features
        chunks = [_votes(x[i : i + _CHUNK], known, arrays) for i in range(0, len(x), _CHUNK)]
        return np.concatenate([np.zeros((0, len(arrays["shares"]))), *chunks])


def _votes(x: NDArray[np.float32], known: NDArray[np.float32], arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    voters = min(_VOTERS, len(known))
    alike = x @ known.T  # (b, rows kept): the length of x changes no order
    nearest = np.argpartition(alike, -voters, axis=1)[:, -voters:]  # (b, voters)
    scores = np.tile(arrays["shares"], (len(x), 1))
    np.add.at(scores, (np.arange(len(x))[:, None], arrays["y"][nearest]), 1.0)
    return scores / (voters + 1)


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    return np.asarray(x / np.maximum(length, np.float32(1e-12)))
