"""Nearest neighbours: who votes, and how many rows are kept."""

import numpy as np
import pytest

from tailorbird.baselines import neighbour
from tailorbird.lesson import Evidence, Quiz


def seen(features: np.ndarray) -> Evidence:
    return Evidence([""] * len(features), None, features.astype(np.float32))


def test_five_nearest_by_angle_vote_and_the_shares_of_the_labels_have_one_vote() -> None:
    angles = np.radians([0, 1, 2, 3, 4, 40, 41, 42, 43, 44])
    known = np.column_stack([np.cos(angles), np.sin(angles)]) * np.arange(1, 11)[:, None]  # lengths do not count
    y = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2])
    baseline = neighbour.Neighbour()
    scores = baseline.scores(
        baseline.fit(seen(known), Quiz(y, 3, "softmax", seed=0)), seen(np.array([[9.0, 0.0], [1.0, 0.9]]))
    )
    shares = np.array([4, 3, 6]) / 13
    assert scores == pytest.approx((np.array([[3, 2, 0], [0, 0, 5]]) + shares) / 6)


def test_kept_rows_are_capped_and_the_cap_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbour, "_MOST_ROWS", 50)
    features = np.random.default_rng(0).standard_normal((200, 4))
    y = np.arange(200) % 2
    states = [neighbour.Neighbour().fit(seen(features), Quiz(y, 2, "softmax", seed)) for seed in (0, 0, 1)]
    note, arrays = states[0]
    assert note == {"voters": 5, "rows": 50, "of_rows": 200, "most_rows": 50, "link": "softmax"}
    assert arrays["features"].shape == (50, 4) and arrays["features"].dtype == np.float16
    first, again, other = (state[1]["features"].tobytes() for state in states)
    assert first == again != other


def test_rows_are_compared_in_chunks_with_the_same_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).standard_normal((100, 4))
    baseline = neighbour.Neighbour()
    state = baseline.fit(seen(features), Quiz(np.arange(100) % 3, 3, "softmax", seed=0))
    whole = baseline.scores(state, seen(features))
    monkeypatch.setattr(neighbour, "_CHUNK", 7)
    assert (baseline.scores(state, seen(features)) == whole).all()


def test_features_of_zeros_are_nobodys_neighbours_and_no_fault() -> None:
    baseline = neighbour.Neighbour()
    state = baseline.fit(seen(np.eye(3)), Quiz(np.arange(3), 3, "softmax", seed=0))
    assert np.isfinite(baseline.scores(state, seen(np.zeros((2, 3))))).all()


def test_of_any_number_of_labels_each_has_its_own_votes_and_of_numbers_there_is_the_mean() -> None:
    angles = np.radians([0, 1, 2, 3, 4, 40, 41, 42, 43, 44])
    known = seen(np.column_stack([np.cos(angles), np.sin(angles)]))
    new = seen(np.array([[9.0, 0.0], [1.0, 0.9]]))
    baseline = neighbour.Neighbour()
    labels = np.column_stack([np.arange(10) < 5, np.arange(10) % 2 == 0, np.zeros(10)]).astype(np.float32)
    scores = baseline.scores(baseline.fit(known, Quiz(labels, 3, "sigmoid", seed=0)), new)
    assert scores == pytest.approx((np.array([[5, 3, 0], [0, 2, 0]]) + np.array([6, 6, 1]) / 12) / 6)
    values = np.array([[0.5, 1, 2, 3, 4, 100, 200, 300, 400, 500]]).T
    scores = baseline.scores(baseline.fit(known, Quiz(values, 1, "identity", seed=0)), new)
    assert scores == pytest.approx(np.array([[2.1], [300]]))


def test_a_state_of_the_first_models_says_no_link_and_means_one_label() -> None:
    baseline = neighbour.Neighbour()
    note, arrays = baseline.fit(seen(np.eye(6)), Quiz(np.arange(6) % 2, 2, "softmax", seed=0))
    old = {key: told for key, told in note.items() if key != "link"}
    assert (baseline.scores((old, arrays), seen(np.eye(6))) == baseline.scores((note, arrays), seen(np.eye(6)))).all()
