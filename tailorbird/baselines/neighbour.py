"""The rival that learns nothing: the answers of the most alike rows, by the frozen features."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.kinds import Baseline
from tailorbird.lesson import Evidence, Link, Quiz, State
from tailorbird.plug import names

_VOTERS = 5
_MOST_ROWS = 10_000  # that are kept; 10,000 of width 1,280 are 26 MB
_CHUNK = 1024  # rows that are compared at once: 40 MB of likenesses


class Neighbour(Baseline):
    """The five nearest rows by cosine: of labels their votes, and one vote more that is shared out as the labels are;
    of a number their mean."""

    modalities: ClassVar[frozenset[str]] = frozenset(names("modality"))
    links: ClassVar[frozenset[str]] = frozenset({"softmax", "sigmoid", "identity"})
    reads_features: ClassVar[bool] = True

    def title(self, link: Link) -> str:
        return "nearest neighbours on the frozen features"

    def fit(self, evidence: Evidence, quiz: Quiz) -> State:
        n = len(quiz.y)
        kept = np.arange(n)
        if n > _MOST_ROWS:
            kept = np.sort(np.random.default_rng(quiz.seed).choice(n, _MOST_ROWS, replace=False))
        arrays = {"features": _unit(_features(evidence)[kept]).astype(np.float16)}
        note = {"voters": _VOTERS, "rows": len(kept), "of_rows": n, "most_rows": _MOST_ROWS, "link": quiz.link}
        return note, {**arrays, **_answers(quiz, kept)}

    def scores(self, state: State, evidence: Evidence) -> NDArray[np.float64]:
        note, arrays = state
        known, x = arrays["features"].astype(np.float32), _features(evidence)
        is_number = note.get("link") == "identity"
        n_columns = arrays["y"].shape[1] if is_number else len(arrays["shares"])
        chunks = [_nearest(x[i : i + _CHUNK], known) for i in range(0, len(x), _CHUNK)]
        answer = _mean if is_number else _votes
        return np.concatenate([np.zeros((0, n_columns)), *(answer(nearest, arrays) for nearest in chunks)])


def _answers(quiz: Quiz, kept: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """What the kept rows answer, and of labels the shares among all rows, each counted once more than seen."""
    if quiz.link == "identity":
        return {"y": quiz.y[kept]}
    if quiz.link == "sigmoid":
        return {"y": quiz.y[kept].astype(np.uint8), "shares": (quiz.y.sum(0, dtype=np.float64) + 1) / (len(quiz.y) + 2)}
    counts = np.bincount(quiz.y, minlength=quiz.n_labels) + 1.0
    return {"y": quiz.y[kept], "shares": counts / counts.sum()}


def _nearest(x: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.int64]:
    """Places of the most alike known rows: (b, voters)."""
    voters = min(_VOTERS, len(known))
    alike = x @ known.T  # (b, rows kept): the length of x changes no order
    return np.asarray(np.argpartition(alike, -voters, axis=1)[:, -voters:])


def _votes(nearest: NDArray[np.int64], arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    y, scores = arrays["y"], np.tile(arrays["shares"], (len(nearest), 1))
    if y.ndim == 2:  # the labels of a row, and not one number
        scores += y[nearest].sum(1, dtype=np.float64)
    else:
        np.add.at(scores, (np.arange(len(nearest))[:, None], y[nearest]), 1.0)
    return np.asarray(scores / (nearest.shape[1] + 1))


def _mean(nearest: NDArray[np.int64], arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    return np.asarray(arrays["y"][nearest].mean(1), np.float64)


def _features(evidence: Evidence) -> NDArray[np.float32]:
    assert evidence.features is not None, "who asks a baseline that reads features brings them"
    return evidence.features


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    return np.asarray(x / np.maximum(length, np.float32(1e-12)))
