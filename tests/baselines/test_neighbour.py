"""Nearest neighbours: who votes, and how many rows are kept."""

import numpy as np
import pytest

from tailorbird.baselines import neighbour
from tailorbird.kinds import Evidence


def seen(features: np.ndarray) -> Evidence:
    return Evidence([""] * len(features), None, features.astype(np.float32))


def test_five_nearest_by_angle_vote_and_the_shares_of_the_labels_have_one_vote() -> None:
    angles = np.radians([0, 1, 2, 3, 4, 40, 41, 42, 43, 44])
    known = np.column_stack([np.cos(angles), np.sin(angles)]) * np.arange(1, 11)[:, None]  # lengths do not count
    y = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2])
    baseline = neighbour.Neighbour()
    scores = baseline.scores(baseline.fit(seen(known), y, 3, seed=0), seen(np.array([[9.0, 0.0], [1.0, 0.9]])))
    shares = np.array([4, 3, 6]) / 13
    assert scores == pytest.approx((np.array([[3, 2, 0], [0, 0, 5]]) + shares) / 6)


def test_kept_rows_are_capped_and_the_cap_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbour, "_MOST_ROWS", 50)
    features = np.random.default_rng(0).standard_normal((200, 4))
    y = np.arange(200) % 2
    states = [neighbour.Neighbour().fit(seen(features), y, 2, seed=seed) for seed in (0, 0, 1)]
    note, arrays = states[0]
    assert note == {"voters": 5, "rows": 50, "of_rows": 200, "most_rows": 50}
    assert arrays["features"].shape == (50, 4) and arrays["features"].dtype == np.float16
    first, again, other = (state[1]["features"].tobytes() for state in states)
    assert first == again != other


def test_rows_are_compared_in_chunks_with_the_same_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).standard_normal((100, 4))
    baseline = neighbour.Neighbour()
    state = baseline.fit(seen(features), np.arange(100) % 3, 3, seed=0)
    whole = baseline.scores(state, seen(features))
    monkeypatch.setattr(neighbour, "_CHUNK", 7)
    assert (baseline.scores(state, seen(features)) == whole).all()


def test_features_of_zeros_are_nobodys_neighbours_and_no_fault() -> None:
    baseline = neighbour.Neighbour()
    state = baseline.fit(seen(np.eye(3)), np.arange(3), 3, seed=0)
    assert np.isfinite(baseline.scores(state, seen(np.zeros((2, 3))))).all()
