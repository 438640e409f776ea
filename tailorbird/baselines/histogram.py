"""The rival that sees only colours and rough shapes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.baselines._logistic import fit_logistic, logistic_scores
from tailorbird.kinds import Baseline, Evidence, State

_INVERSE_STRENGTH = 0.1  # scikit-learn's C, on features of unit variance


class Histogram(Baseline):
    """Logistic regression on the sketches that modalities/image.py draws."""

    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    title: ClassVar[str] = "colour-and-shape histogram + logistic regression"

    def fit(self, evidence: Evidence, y: NDArray[np.int64], n_labels: int, seed: int) -> State:
        sketches = _sketches(evidence)
        mean, deviation = sketches.mean(0), sketches.std(0)
        scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
        note, arrays = fit_logistic((sketches - mean) * scale, y, n_labels, _INVERSE_STRENGTH)
        return note, {**arrays, "mean": mean, "scale": scale}

    def scores(self, state: State, evidence: Evidence) -> NDArray[np.float64]:
        _, arrays = state
        x = (_sketches(evidence) - arrays["mean"]) * arrays["scale"]
        return logistic_scores(state, x @ arrays["coef"] + arrays["intercept"])


def _sketches(evidence: Evidence) -> NDArray[np.float32]:
    assert evidence.sketches is not None, "a picture's facts hold a sketch"
    return evidence.sketches
