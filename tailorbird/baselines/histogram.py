"""The rival that sees only colours and rough shapes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.baselines._linear import LEARNERS, fit_linear, linear_scores
from tailorbird.kinds import Baseline
from tailorbird.lesson import Evidence, Link, Quiz, State

_INVERSE_STRENGTH = 0.1  # scikit-learn's C, on features of unit variance


class Histogram(Baseline):
    """Logistic or ridge regression on the sketches that modalities/image.py draws."""

    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    links: ClassVar[frozenset[str]] = frozenset(LEARNERS)

    def title(self, link: Link) -> str:
        return f"colour-and-shape histogram + {LEARNERS[link]}"

    def fit(self, evidence: Evidence, quiz: Quiz) -> State:
        sketches = _sketches(evidence)
        mean, deviation = sketches.mean(0), sketches.std(0)
        scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
        note, arrays = fit_linear((sketches - mean) * scale, quiz, _INVERSE_STRENGTH)
        return note, {**arrays, "mean": mean, "scale": scale}

    def scores(self, state: State, evidence: Evidence) -> NDArray[np.float64]:
        _, arrays = state
        x = (_sketches(evidence) - arrays["mean"]) * arrays["scale"]
        return linear_scores(state, x @ arrays["coef"] + arrays["intercept"])


def _sketches(evidence: Evidence) -> NDArray[np.float32]:
    assert evidence.sketches is not None, "a picture's facts hold a sketch"
    return evidence.sketches
