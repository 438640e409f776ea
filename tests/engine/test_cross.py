from __future__ import annotations

import numpy as np
import pytest

from tailorbird.engine.cross import condensed, cross_scores, folds_of
from tailorbird.lesson import Link, Truth


def test_rows_that_belong_together_are_in_one_fold_and_strata_are_spread() -> None:
    together = np.repeat(np.arange(100), 2)
    strata = np.repeat(np.arange(200) % 2, 1)[together]
    folds = folds_of(strata, together, 0)
    assert all(len(set(folds[together == cluster])) == 1 for cluster in range(100))
    counts = np.array([[np.sum((folds == fold) & (strata == k)) for k in (0, 1)] for fold in range(5)])
    assert counts.max() - counts.min() <= 4


@pytest.mark.parametrize("link", ["softmax", "sigmoid", "identity"])
def test_each_row_is_answered_by_a_head_that_did_not_see_it(link: Link) -> None:
    """Features without meaning: who has not seen a row can only guess, and who has would know it by heart."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 200)).astype(np.float32)
    number = rng.integers(0, 2, 150)
    y: Truth = {
        "softmax": number,
        "sigmoid": np.stack([number, 1 - number], 1).astype(np.float32),
        "identity": number[:, None].astype(np.float64),
    }[link]
    scores = cross_scores(x, y, 1 if link == "identity" else 2, link, np.arange(150) % 5, 0)
    said = scores[:, 1] if link == "softmax" else scores[:, 0]
    assert scores.shape == (150, 1 if link == "identity" else 2)
    assert abs(np.corrcoef(said + 1e-9 * rng.normal(size=150), number)[0, 1]) < 0.25


def test_two_folds_answer_each_other() -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    scores = cross_scores(x, y, 2, "softmax", np.arange(60) % 2, 0)
    assert np.mean(scores.argmax(1) == y) > 0.85


def test_wide_features_are_condensed_to_where_rows_differ() -> None:
    rng = np.random.default_rng(0)
    meaning = rng.normal(size=(400, 3))
    x = (meaning @ rng.normal(size=(3, 600)) + 0.1 * rng.normal(size=(400, 600))).astype(np.float32)
    less = condensed(x)
    assert less.shape == (400, 256)
    kept = np.linalg.lstsq(less[:, -3:].astype(float), meaning - meaning.mean(0), rcond=None)[0]
    assert np.abs(less[:, -3:] @ kept - (meaning - meaning.mean(0))).max() < 0.1
    assert condensed(x[:, :40]) is not None and condensed(x[:, :40]).shape == (400, 40)
