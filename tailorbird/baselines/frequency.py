"""The rival that looks at nothing, where a row may have any number of labels: each label with its frequency."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.kinds import Baseline
from tailorbird.lesson import Evidence, Link, Quiz, State
from tailorbird.plug import names


class Frequency(Baseline):
    """The share of the rows that have each label, as if one row more had it, and one not."""

    modalities: ClassVar[frozenset[str]] = frozenset(names("modality"))
    links: ClassVar[frozenset[str]] = frozenset({"sigmoid"})

    def title(self, link: Link) -> str:
        return "label frequencies"

    def fit(self, evidence: Evidence, quiz: Quiz) -> State:
        shares = (quiz.y.sum(0, dtype=np.float64) + 1) / (len(quiz.y) + 2)
        return {"link": quiz.link}, {"shares": shares}

    def scores(self, state: State, evidence: Evidence) -> NDArray[np.float64]:
        shares: NDArray[Any] = state[1]["shares"]
        return np.tile(shares, (len(evidence.values), 1))
