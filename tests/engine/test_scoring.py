"""The cut of many labels, and losses row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tailorbird.engine.scoring import best_cut, row_losses


def micro_f1(y: np.ndarray, scores: np.ndarray, cut: float) -> float:
    said = scores >= cut
    return float(2 * (said & (y > 0)).sum() / max(said.sum() + (y > 0).sum(), 1))


@given(
    arrays(np.float32, (12, 3), elements=st.sampled_from([0.0, 1.0])),
    arrays(np.float64, (12, 3), elements=st.floats(0.06, 0.94).map(lambda x: round(x, 2))),
)
def test_no_other_cut_gives_a_higher_micro_f1(y: np.ndarray, scores: np.ndarray) -> None:
    chosen = micro_f1(y, scores, best_cut(y, scores))
    others = np.unique(scores)
    assert chosen >= max(micro_f1(y, scores, cut) for cut in others) - 1e-12


def test_without_any_label_the_cut_is_one_half() -> None:
    assert best_cut(np.zeros((4, 2), np.float32), np.full((4, 2), 0.1)) == 0.5


def test_of_cuts_that_do_as_well_the_nearest_to_one_half_is_taken() -> None:
    y = np.array([[1.0], [0.0]], np.float32)
    assert best_cut(y, np.array([[0.9], [0.1]])) == pytest.approx(0.5)


def test_losses_are_those_of_the_field() -> None:
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert row_losses("softmax", np.array([1, 0]), p) == pytest.approx(-np.log([0.75, 0.5]))
    y = np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)
    assert row_losses("sigmoid", y, p) == pytest.approx(-np.log([0.25, 0.5]))
    assert row_losses("identity", np.array([[3.0], [1.0]]), np.array([[1.0], [1.0]])) == pytest.approx([4.0, 0.0])
