"""Logistic regression by scikit-learn, kept as plain arrays: of one label a row, and of any number of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.lesson import State

_WORK = 3e9  # multiplications that a fit may cost: some seconds; rounds are cut to it when labels are very many
_FEWEST_ROUNDS, _MOST_ROUNDS = 10, 200
_TOLERANCE = 1e-5  # of the mean gradient, which rare terms make small: 1e-3 cost 3 points on film reviews


def fit_multinomial(x: Any, y: NDArray[np.int64], n_labels: int, inverse_strength: float) -> State:
    """What `multinomial_scores` needs. x: (n, d), array or sparse (Any: scipy is not typed); labels may lack rows.

    inverse_strength is scikit-learn's C."""
    present = np.unique(y)
    note = {"rows": len(y), "labels": n_labels}
    if len(present) == 1:
        return note, {"present": present, "coef": np.zeros((x.shape[1], 1), np.float32), "intercept": np.zeros(1)}
    coef, intercept = _solve(x, y, inverse_strength, len(present))
    if len(present) == 2:  # scikit-learn keeps the difference of two labels only
        coef, intercept = np.column_stack([0 * coef, coef]), np.append(0.0, intercept)
    return note, {"present": present, "coef": coef.astype(np.float32), "intercept": intercept}


def multinomial_scores(state: State, logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Probabilities of all labels: (n, labels with rows) -> (n, c). A label without rows gets what one row would."""
    note, present = state[0], state[1]["present"]
    tiny = 1 / (note["rows"] + note["labels"])
    scores = np.full((len(logits), note["labels"]), tiny)
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    scores[:, present] = (1 - tiny * (note["labels"] - len(present))) * powers / powers.sum(1, keepdims=True)
    return scores


def fit_one_vs_rest(x: Any, y: NDArray[np.floating[Any]], inverse_strength: float) -> State:
    """What `one_vs_rest_scores` needs. x: (n, d), array or sparse; y: (n, c) of 0 and 1.

    A label that no row or every row has keeps its share, as if one row more had said yes, and one no."""
    yes, (n, c) = y.sum(0), y.shape
    coef, intercept = np.zeros((x.shape[1], c), np.float32), np.log((yes + 1) / (n - yes + 1)).astype(np.float64)
    for k in np.flatnonzero((yes > 0) & (yes < n)):
        weight, bias = _solve(x, y[:, k], inverse_strength, c)
        coef[:, k], intercept[k] = weight[:, 0], bias[0]
    return {"rows": n, "labels": c}, {"coef": coef, "intercept": intercept}


def one_vs_rest_scores(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The probability of each label by itself: (n, c) -> (n, c)."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float64)  # for exp would overflow


def _solve(
    x: Any, y: NDArray[Any], inverse_strength: float, n_labels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """scikit-learn's weights (d, c) and intercepts (c,); of two labels (d, 1) and (1,)."""
    # Imported here, for answering needs only numpy.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    entries = x.size if isinstance(x, np.ndarray) else x.nnz
    rounds = int(np.clip(_WORK / max(entries * n_labels, 1), _FEWEST_ROUNDS, _MOST_ROUNDS))
    model = LogisticRegression(C=inverse_strength, max_iter=rounds, tol=_TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a rival a little short of its optimum is still a rival
        model.fit(x, y)
    return model.coef_.T, model.intercept_
