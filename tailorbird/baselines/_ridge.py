"""Ridge regression by scikit-learn, kept as plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.lesson import State

_ALPHAS = np.geomspace(1e-2, 1e4, 13)
# scikit-learn's leave-one-out takes the eigenvectors of a matrix as wide as rows or columns, whichever are fewer: so
# many cost a second or two. The best alpha does not depend on the number of rows, so a part of them can choose it.
_WIDEST = 1500


def fit_ridge(x: Any, y: NDArray[np.float64], seed: int) -> State:
    """Weights and intercept. x: (n, d), array or sparse (Any: scipy is not typed); y: (n, 1)."""
    n, d = x.shape
    if n < 2:
        return {"rows": n, "alpha": None}, {"coef": np.zeros((d, 1)), "intercept": y.mean(0)}
    # Imported here, for answering needs only numpy.
    from sklearn.linear_model import Ridge, RidgeCV

    some = np.arange(n)
    if min(n, d) > _WIDEST:
        some = np.sort(np.random.default_rng(seed).choice(n, _WIDEST, replace=False))
    x = x.astype(np.float64)  # scikit-learn would round y to the precision of x
    alpha = float(RidgeCV(alphas=_ALPHAS).fit(x[some], y[some, 0]).alpha_)
    model = Ridge(alpha=alpha).fit(x, y)
    return {"rows": n, "alpha": alpha}, {"coef": model.coef_.reshape(d, 1), "intercept": model.intercept_.reshape(1)}
