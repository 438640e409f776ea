"""The basis in which heads are solved: what it keeps of the features, and how exactly."""

import numpy as np
import pytest

from tailorbird.engine import linear
from tailorbird.engine.linear import Basis, basis, shares_of


def made(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features on different scales, far from zero, and shares of the rows."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 8)) @ rng.standard_normal((8, d)) + 0.1 * rng.standard_normal((n, d))
    x = (x * rng.uniform(0.1, 10, d) + rng.uniform(-5, 5, d)).astype(np.float32)
    return x, shares_of(rng.uniform(0.1, 2, n).astype(np.float32))


def moment(of: Basis, shares: np.ndarray) -> np.ndarray:
    z = of.z.astype(float)
    return (z * shares[:, None]).T @ z


@pytest.mark.parametrize("n, d", [(100, 20), (20, 100)])
def test_the_basis_has_no_correlations_between_its_columns(n: int, d: int) -> None:
    x, shares = made(n, d)
    found = basis(x, shares)
    assert found.z.shape[1] == min(n - 1, d) and found.z.dtype == np.float32
    assert shares @ found.z == pytest.approx(np.zeros(found.z.shape[1]), abs=1e-4)
    assert moment(found, shares) == pytest.approx(np.diag(found.second), abs=1e-4 * d)
    assert found.second.sum() == pytest.approx(d)  # each column of x has variance 1


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, shares = made(500, 20)
    whole = basis(x, shares)
    monkeypatch.setattr(linear, "BLOCK", 64 * 20)
    parts = basis(x, shares)
    assert parts.second == pytest.approx(whole.second, rel=1e-4, abs=2e-6)
    assert np.abs(parts.z) == pytest.approx(np.abs(whole.z), abs=1e-2)  # the sign of an eigenvector is anyone's


def test_a_column_that_training_switched_off_counts_for_nothing() -> None:
    # MiniLM has such units: their spread is noise of 1e-9, and a weight that made it wide would be of millions.
    x, shares = made(100, 20)
    x[:, 3] = np.random.default_rng(1).standard_normal(100) * 1e-9
    assert not basis(x, shares).turn[3].any() and basis(x, shares).turn[4].any()
