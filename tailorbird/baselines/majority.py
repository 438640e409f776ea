"""The rival that looks at nothing: every label with its share."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.kinds import Baseline
from tailorbird.lesson import Evidence, Link, Quiz, State
from tailorbird.plug import names


class Majority(Baseline):
    """Shares of the labels, each counted once more than seen, so that no label is impossible."""

    modalities: ClassVar[frozenset[str]] = frozenset(names("modality"))
    links: ClassVar[frozenset[str]] = frozenset({"softmax"})

    def title(self, link: Link) -> str:
        return "majority label"

    def fit(self, evidence: Evidence, quiz: Quiz) -> State:
        counts = np.bincount(quiz.y, minlength=quiz.n_labels) + 1.0
        return {"link": quiz.link}, {"shares": counts / counts.sum()}

    def scores(self, state: State, evidence: Evidence) -> NDArray[np.float64]:
        shares: NDArray[Any] = state[1]["shares"]
        return np.tile(shares, (len(evidence.values), 1))
