"""The solver against scikit-learn, against refitting without a row, and on what real features do to it."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tailorbird.engine.solve import leave_one_out, log_loss, path, pose, temperature

Rows = tuple[np.ndarray, np.ndarray]
STRENGTHS = [1.0, 0.1, 0.01, 0.001]


def made(n: int, d: int, c: int, seed: int = 0) -> Rows:
    """Correlated features on different scales, and labels that they do not settle."""
    rng = np.random.default_rng(seed)
    y = rng.integers(c, size=n)
    hidden = 0.6 * rng.standard_normal((c, 8))[y] + rng.standard_normal((n, 8))
    x = hidden @ rng.standard_normal((8, d)) + 0.7 * rng.standard_normal((n, d))
    return (x * rng.uniform(0.1, 10, d) + rng.uniform(-5, 5, d)).astype(np.float32), y


def objective(
    weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray, strength: float, w: np.ndarray
) -> float:
    """What is minimised, in float64 and written anew; the penalty is on weights of standardised features."""
    mean = np.average(x, axis=0, weights=w)
    deviation = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    logits = x.astype(float) @ weight + bias
    loss = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1) - logits[np.arange(len(y)), y]
    return float(np.average(loss, weights=w) + strength / 2 * ((weight * deviation[:, None]) ** 2).sum())


def peer(x: np.ndarray, y: np.ndarray, strength: float, w: np.ndarray) -> Rows:
    mean = np.average(x, axis=0, weights=w)
    deviation = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    model = LogisticRegression(C=1 / (strength * w.sum()), tol=1e-8, max_iter=10_000)
    model.fit((x.astype(float) - mean) / deviation, y, sample_weight=w)
    coef, intercept = model.coef_.T, model.intercept_
    if coef.shape[1] == 1:  # one logit is the same model as two that mirror each other, at twice the penalty
        coef, intercept = np.hstack([-coef, coef]) / 2, np.append(-intercept, intercept) / 2
    weight = coef / deviation[:, None]
    return weight, intercept - mean @ weight


@pytest.mark.parametrize("n, d, c", [(600, 40, 5), (80, 200, 4), (150, 150, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_optimum_is_that_of_scikit_learn_at_every_strength(n: int, d: int, c: int, weighted: bool) -> None:
    x, y = made(n, d, c)
    w = np.where(y == 0, 3.0, 0.5).astype(np.float32) if weighted else np.ones(n, np.float32)
    others, _ = made(500, d, c, seed=1)
    for solution in path(pose(x, y, c, w), STRENGTHS):
        theirs = peer(x, y, solution.strength, w)
        ours = objective(solution.weight, solution.bias, x, y, solution.strength, w)
        assert abs(ours / objective(*theirs, x, y, solution.strength, w) - 1) < 1e-4
        mine, other = (
            (others @ weight + bias).argmax(1) for weight, bias in ((solution.weight, solution.bias), theirs)
        )
        assert (mine == other).mean() > 0.985


def test_two_labels_are_solved_as_two_logits_that_mirror_each_other() -> None:
    x, y = made(300, 20, 2)
    w = np.ones(300, np.float32)
    solution = next(path(pose(x, y, 2, w), [0.01]))
    assert solution.weight[:, 0] == pytest.approx(-solution.weight[:, 1], abs=1e-4)
    # scikit-learn penalises one vector b: with weights b / 2 and -b / 2 ours pays half of that
    theirs = peer(x, y, 0.005, w)
    assert objective(solution.weight, solution.bias, x, y, 0.01, w) / objective(*theirs, x, y, 0.01, w) < 1 + 1e-4


def test_the_loss_told_is_the_objective_at_the_optimum() -> None:
    x, y = made(300, 30, 3)
    w = np.ones(300, np.float32)
    for solution in path(pose(x, y, 3, w), STRENGTHS):
        told = objective(solution.weight, solution.bias, x, y, solution.strength, w)
        assert solution.loss == pytest.approx(told, rel=2e-4)


def test_a_strength_is_solved_alike_at_the_end_of_a_path_and_alone() -> None:
    x, y = made(400, 50, 4)
    problem = pose(x, y, 4, np.ones(400, np.float32))
    *_, last = path(problem, STRENGTHS)
    alone = next(path(problem, STRENGTHS[-1:]))
    assert last.loss == pytest.approx(alone.loss, rel=1e-5)


def test_the_answer_to_a_like_problem_is_a_good_place_to_begin() -> None:
    x, y = made(400, 50, 4)
    part, whole = (pose(x[:n], y[:n], 4, np.ones(n, np.float32)) for n in (360, 400))
    near = next(path(part, [0.01]))
    cold, warm = next(path(whole, [0.01], 2)), next(path(whole, [0.01], 2, near))
    best = next(path(whole, [0.01]))
    assert warm.rounds <= 2 and warm.loss - best.loss < 0.1 * (cold.loss - best.loss)


def test_the_same_rows_give_the_same_head_bit_for_bit() -> None:
    x, y = made(300, 40, 3)
    first, again = (next(path(pose(x, y, 3, np.ones(300, np.float32)), [0.01])) for _ in range(2))
    assert first.weight.tobytes() == again.weight.tobytes() and first.bias.tobytes() == again.bias.tobytes()


def test_a_label_without_rows_gets_a_small_finite_score() -> None:
    x, y = made(200, 20, 3)
    for solution in path(pose(x, y, 5, np.ones(200, np.float32)), [1.0, 1e-4]):
        logits = x @ solution.weight + solution.bias
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        assert np.isfinite(logits).all() and 0 < p[:, 3:].mean() < 0.01


def test_constant_and_repeated_columns_change_nothing() -> None:
    x, y = made(200, 20, 3)
    w = np.ones(200, np.float32)
    wider = np.hstack([x, np.full((200, 1), 1234.567, np.float32), np.zeros((200, 2), np.float32)])
    plain, padded = (next(path(pose(rows, y, 3, w), [0.01])) for rows in (x, wider))
    assert padded.loss == pytest.approx(plain.loss, rel=1e-6)
    assert (padded.weight[20:] == 0).all()
    doubled = next(path(pose(np.hstack([x, x]), y, 3, w), [0.02]))  # two copies share the weight, and halve its penalty
    assert doubled.loss == pytest.approx(plain.loss, rel=1e-4)


def test_features_without_any_difference_give_the_shares_of_the_labels() -> None:
    y = np.array([0, 0, 0, 1])
    solution = next(path(pose(np.ones((4, 3), np.float32), y, 2, np.ones(4, np.float32)), [0.1]))
    assert solution.bias[0] - solution.bias[1] == pytest.approx(np.log(3), abs=0.01)


def test_more_rows_than_a_block_holds_are_solved_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = made(500, 30, 3)
    w = np.ones(500, np.float32)
    whole = next(path(pose(x, y, 3, w), [0.01]))
    monkeypatch.setattr("tailorbird.engine.linear.BLOCK", 64 * 30)
    assert next(path(pose(x, y, 3, w), [0.01])).loss == pytest.approx(whole.loss, rel=1e-5)


# ---- leave-one-out ------------------------------------------------------------------------------------------------


def left_out(x: np.ndarray, y: np.ndarray, c: int, strength: float) -> np.ndarray:
    """The logits of each row from a head that was truly fitted without it."""
    logits = np.empty((len(y), c))
    for i in range(len(y)):
        kept = np.arange(len(y)) != i
        alike = strength * len(y) / (len(y) - 1)  # the penalty stays as it was against the sum of the losses
        solution = next(path(pose(x[kept], y[kept], c, np.ones(len(y) - 1, np.float32)), [alike]))
        logits[i] = x[i] @ solution.weight + solution.bias
    return logits


@pytest.mark.parametrize("n, d, c", [(50, 10, 3), (24, 40, 2), (30, 45, 5)])
def test_approximate_leave_one_out_is_near_the_true_one(n: int, d: int, c: int) -> None:
    x, y = made(n, d, c)
    w = np.ones(n, np.float32)
    problem = pose(x, y, c, w)
    for solution in path(problem, [1.0, 0.3]):
        near, true = leave_one_out(problem, solution), left_out(x, y, c, solution.strength)
        ours, theirs = log_loss(near, y, w), log_loss(true, y, w)
        inside = log_loss(x @ solution.weight + solution.bias, y, w)
        assert abs(ours - theirs) < 0.15 * (theirs - inside)  # it sees most of what fitting a row gains on that row
        assert (near.argmax(1) == true.argmax(1)).mean() > 0.9


# ---- temperature --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_the_labels_is_found(true: float) -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((20_000, 4))
    y = (logits / true + rng.gumbel(size=logits.shape)).argmax(1)
    assert temperature(logits, y, np.ones(len(y))) == pytest.approx(true, rel=0.05)


def test_row_weights_count_in_the_temperature_and_the_loss() -> None:
    logits, y = np.array([[2.0, 0.0], [2.0, 0.0]]), np.array([0, 1])
    assert log_loss(logits, y, np.array([1.0, 0.0])) == pytest.approx(np.log1p(np.exp(-2)))
    assert temperature(logits, y, np.array([1.0, 0.001])) < temperature(logits, y, np.array([1.0, 0.5]))
