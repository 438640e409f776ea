"""Labels of which a row may have any number: each against scikit-learn, and against refitting without a row."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from tailorbird.engine import binary
from tailorbird.engine.solve import temperature

STRENGTHS = [1.0, 0.03, 0.001]


def made(n: int, d: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features on different scales, and labels from frequent to rare."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 8)) @ rng.standard_normal((8, d)) + 0.7 * rng.standard_normal((n, d))
    logits = x[:, :6] @ rng.standard_normal((6, c)) / 2 + np.linspace(0, -3, c)
    y = (logits + rng.logistic(size=(n, c)) > 0).astype(np.float32)
    return (x * rng.uniform(0.1, 10, d) + rng.uniform(-5, 5, d)).astype(np.float32), y


def spread(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = np.average(x, axis=0, weights=w)
    return mean, np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))


def objective(
    weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray, strength: float, w: np.ndarray
) -> np.ndarray:
    """What is minimised for each label, in float64 and written anew; the penalty is on standardised features."""
    logits = x.astype(float) @ weight + bias
    losses = np.average(np.logaddexp(0, logits) - y * logits, axis=0, weights=w)
    return losses + strength / 2 * ((weight * spread(x, w)[1][:, None]) ** 2).sum(0)


@pytest.mark.parametrize("n, d, c", [(600, 40, 5), (90, 200, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_label_is_solved_as_scikit_learn_does_it_alone(n: int, d: int, c: int, weighted: bool) -> None:
    x, y = made(n, d, c)
    w = np.where(y[:, 0] == 0, 3.0, 0.5).astype(np.float32) if weighted else np.ones(n, np.float32)
    mean, deviation = spread(x, w)
    for solution in binary.path(binary.pose(x, y, w), STRENGTHS):
        ours = objective(solution.weight, solution.bias, x, y, solution.strength, w)
        assert solution.loss == pytest.approx(ours.sum(), rel=1e-3)  # ours holds the bias a little, too
        for k in range(c):
            model = LogisticRegression(C=1 / (solution.strength * w.sum()), tol=1e-8, solver="newton-cholesky")
            model.fit((x.astype(float) - mean) / deviation, y[:, k], sample_weight=w)
            weight = model.coef_.T / deviation[:, None]
            theirs = objective(weight, model.intercept_ - mean @ weight, x, y[:, [k]], solution.strength, w)
            assert ours[k] / theirs[0] < 1 + 1e-3
            p = expit(x @ solution.weight[:, k] + solution.bias[k])
            assert p == pytest.approx(expit(x @ weight[:, 0] + model.intercept_ - mean @ weight), abs=0.02)


def test_a_label_is_solved_alike_with_others_beside_it_and_alone() -> None:
    x, y = made(400, 30, 6)
    w = np.ones(400, np.float32)
    together = next(binary.path(binary.pose(x, y, w), [0.01]))
    for k in range(6):
        alone = next(binary.path(binary.pose(x, y[:, [k]], w), [0.01]))
        assert x @ together.weight[:, k] + together.bias[k] == pytest.approx(
            x @ alone.weight[:, 0] + alone.bias[0], abs=0.05
        )


def test_labels_that_no_row_or_every_row_has_get_finite_scores_that_say_so() -> None:
    x, y = made(200, 20, 3)
    y = np.column_stack([y, np.zeros(200), np.ones(200)]).astype(np.float32)
    w = np.ones(200, np.float32)
    problem = binary.pose(x, y, w)
    for solution in binary.path(problem, [1.0, 1e-4]):
        for logits in (x @ solution.weight + solution.bias, binary.leave_one_out(problem, solution)):
            assert np.isfinite(logits).all()
            assert logits[:, 3].max() < -4 and logits[:, 4].min() > 4


def test_one_label_is_enough() -> None:
    x, y = made(200, 20, 1)
    solution = next(binary.path(binary.pose(x, y, np.ones(200, np.float32)), [0.01]))
    assert ((x @ solution.weight + solution.bias > 0) == y).mean() > 0.7


def left_out(x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    """The logits of each row from a head that was truly fitted without it."""
    logits = np.empty(y.shape)
    for i in range(len(y)):
        kept = np.arange(len(y)) != i
        alike = strength * len(y) / (len(y) - 1)  # the penalty stays as it was against the sum of the losses
        solution = next(binary.path(binary.pose(x[kept], y[kept], np.ones(len(y) - 1, np.float32)), [alike]))
        logits[i] = x[i] @ solution.weight + solution.bias
    return logits


@pytest.mark.parametrize("n, d", [(50, 10), (24, 40)])
def test_approximate_leave_one_out_is_near_the_true_one(n: int, d: int) -> None:
    x, y = made(n, d, 3)
    w = np.ones(n, np.float32)
    problem = binary.pose(x, y, w)
    for solution in binary.path(problem, [0.3]):
        near, true = binary.leave_one_out(problem, solution), left_out(x, y, solution.strength)
        ours, theirs = binary.log_loss(near, y, w), binary.log_loss(true, y, w)
        inside = binary.log_loss(x @ solution.weight + solution.bias, y, w)
        assert abs(ours - theirs) < 0.15 * (theirs - inside)
        assert ((near > 0) == (true > 0)).mean() > 0.9


def test_the_loss_is_the_mean_over_labels_and_large_logits_do_not_overflow() -> None:
    logits, y = np.array([[2.0, -1e4], [1e4, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    assert binary.log_loss(logits, y, np.array([1.0, 0.0])) == pytest.approx(np.log1p(np.exp(-2)) / 2)
    assert binary.log_loss(logits, y, np.array([0.0, 1.0])) == pytest.approx((1e4 + np.log(2)) / 2)


@pytest.mark.parametrize("true", [0.3, 4.0])
def test_one_temperature_for_all_labels_is_found(true: float) -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((10_000, 3))
    y = (logits / true + rng.logistic(size=logits.shape) > 0).astype(np.float32)
    assert temperature(logits, y, np.ones(len(y)), binary.log_loss) == pytest.approx(true, rel=0.05)
