"""Numbers: the closed form against scikit-learn, and leave-one-out against leaving rows out."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from tailorbird.engine import ridge

STRENGTHS = [100.0, 1.0, 0.01, 0.001]


def made(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correlated features on different scales, numbers near 1 in size, and weights of the rows."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 8)) @ rng.standard_normal((8, d)) + 0.3 * rng.standard_normal((n, d))
    y = 0.5 + x[:, :4] @ rng.standard_normal(4) / 5 + 0.5 * rng.standard_normal(n)
    x = (x * rng.uniform(0.1, 10, d) + rng.uniform(-5, 5, d)).astype(np.float32)
    return x, y[:, None], rng.uniform(0.2, 2, n).astype(np.float32)


def standard(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    mean = np.average(x.astype(float), axis=0, weights=w)
    return (x - mean) / np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))


@pytest.mark.parametrize("n, d", [(400, 30), (60, 150), (90, 90)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_values_are_those_of_scikit_learn_at_every_strength(n: int, d: int, weighted: bool) -> None:
    x, y, w = made(n, d)
    w = w if weighted else np.ones(n, np.float32)
    for solution in ridge.path(ridge.pose(x, y, w), STRENGTHS):
        model = Ridge(alpha=solution.strength * w.sum(), solver="cholesky", tol=1e-10)
        model.fit(standard(x, w), y[:, 0], sample_weight=w)
        theirs = model.predict(standard(x, w))
        assert x @ solution.weight[:, 0] + solution.bias[0] == pytest.approx(theirs, abs=3e-4)
        left = np.average((y[:, 0] - theirs) ** 2, weights=w) + solution.strength * (model.coef_**2).sum()
        assert solution.loss == pytest.approx(left / 2, rel=1e-4)


@pytest.mark.parametrize("n, d", [(60, 12), (30, 50)])
@pytest.mark.parametrize("weighted", [False, True])
def test_leave_one_out_is_what_comes_of_leaving_each_row_out(n: int, d: int, weighted: bool) -> None:
    x, y, w = made(n, d)
    w = w if weighted else np.ones(n, np.float32)
    problem, seen = ridge.pose(x, y, w), standard(x, w)
    for solution in ridge.path(problem, [10.0, 0.1, 0.01]):
        ours = ridge.leave_one_out(problem, solution)
        for i in range(n):
            kept = np.arange(n) != i
            model = Ridge(alpha=solution.strength * w.sum(), solver="cholesky")
            model.fit(seen[kept], y[kept, 0], sample_weight=w[kept])
            assert ours[i, 0] == pytest.approx(model.predict(seen[[i]])[0], abs=2e-4)


def test_the_strength_of_least_error_is_the_one_that_scikit_learn_takes() -> None:
    x, y, _ = made(120, 40)
    w = np.ones(120, np.float32)
    strengths = np.geomspace(100, 1e-3, 10)
    problem = ridge.pose(x, y, w)
    losses = [ridge.squared_error(ridge.leave_one_out(problem, one), y, w) for one in ridge.path(problem, strengths)]
    peer = RidgeCV(alphas=strengths * 120, store_cv_results=True).fit(standard(x, w), y[:, 0])
    assert losses == pytest.approx(peer.cv_results_.mean(0), rel=1e-3)
    assert strengths[np.argmin(losses)] * 120 == pytest.approx(peer.alpha_)


def test_features_without_any_difference_give_the_mean() -> None:
    y, w = np.array([[1.0], [2.0], [6.0]]), np.array([1, 1, 2], np.float32)
    problem = ridge.pose(np.ones((3, 4), np.float32), y, w)
    solution = next(ridge.path(problem, [0.1]))
    assert solution.bias == pytest.approx([15 / 4]) and not solution.weight.any()
    assert ridge.leave_one_out(problem, solution)[:, 0] == pytest.approx([14 / 3, 13 / 3, 3 / 2])


def test_a_single_row_answers_for_itself() -> None:
    problem = ridge.pose(np.ones((1, 4), np.float32), np.array([[3.0]]), np.ones(1, np.float32))
    solution = next(ridge.path(problem, [0.1]))
    assert ridge.leave_one_out(problem, solution).tolist() == [[3.0]]


def test_row_weights_count_in_the_error() -> None:
    values, y = np.array([[1.0], [5.0]]), np.array([[0.0], [3.0]])
    assert ridge.squared_error(values, y, np.array([3.0, 1.0])) == pytest.approx((3 * 1 + 4) / 4)
