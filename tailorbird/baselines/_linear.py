"""The linear model that suits a link, on features that are not the body's: fitted by scikit-learn, used with numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.baselines._logistic import fit_multinomial, fit_one_vs_rest, multinomial_scores, one_vs_rest_scores
from tailorbird.baselines._ridge import fit_ridge
from tailorbird.lesson import Link, Quiz, State

LEARNERS: dict[Link, str] = {
    "softmax": "logistic regression",
    "sigmoid": "one-vs-rest logistic regression",
    "identity": "ridge regression",
}


def fit_linear(x: Any, quiz: Quiz, inverse_strength: float) -> State:
    """What `linear_scores` needs, "coef" (d, k) and "intercept" (k,) among it. x: (n, d), array or sparse.

    inverse_strength: scikit-learn's C, of logistic regression; ridge regression chooses its own."""
    if quiz.link == "softmax":
        note, arrays = fit_multinomial(x, quiz.y, quiz.n_labels, inverse_strength)
    elif quiz.link == "sigmoid":
        note, arrays = fit_one_vs_rest(x, quiz.y, inverse_strength)
    else:
        note, arrays = fit_ridge(x, quiz.y, quiz.seed)
    return {**note, "link": quiz.link}, arrays


def linear_scores(state: State, outputs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Scores from x @ coef + intercept: (n, k) -> (n, c)."""
    link = state[0].get("link", "softmax")  # the first models had no other
    if link == "softmax":
        return multinomial_scores(state, outputs)
    return one_vs_rest_scores(outputs) if link == "sigmoid" else outputs.astype(np.float64)
