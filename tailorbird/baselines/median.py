"""The rival that looks at nothing, where a number is asked for: the median of those that it saw."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.kinds import Baseline
from tailorbird.lesson import Evidence, Link, Quiz, State
from tailorbird.plug import names


class Median(Baseline):
    """One number for every row. Of all such answers it has the least absolute error."""

    modalities: ClassVar[frozenset[str]] = frozenset(names("modality"))
    links: ClassVar[frozenset[str]] = frozenset({"identity"})

    def title(self, link: Link) -> str:
        return "median"

    def fit(self, evidence: Evidence, quiz: Quiz) -> State:
        return {"link": quiz.link}, {"median": np.median(quiz.y, axis=0)}

    def scores(self, state: State, evidence: Evidence) -> NDArray[np.float64]:
        median: NDArray[Any] = state[1]["median"]
        return np.tile(median, (len(evidence.values), 1))
