"""Metrics of a number. y and scores: (n, 1), in the target's own unit. Letters: n rows, b draws."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tailorbird.measure.metrics import Columns, Floats, Metric, Scores, Truth, mean


def distances(y: Truth, scores: Scores) -> Floats:
    """How far each answer lies from the truth: (n,), of which the mean absolute error is the mean."""
    return np.abs(y[:, 0].astype(np.float64) - scores[:, 0])


def _squares(y: Truth, scores: Scores) -> Columns:
    """The target about its mean, and the squared error."""
    about = y[:, 0].astype(np.float64) - y[:, 0].mean()  # of large numbers that are close together, squares lose it all
    return about, distances(y, scores) ** 2


def _root_mean(columns: Columns, weights: Floats) -> Floats:
    return np.sqrt(mean(columns, weights))


def _explained(columns: Columns, weights: Floats) -> Floats:
    """R²; where all targets of a draw are one number, 1 if the answers are it too, else 0: as scikit-learn has it."""
    about, squares = columns
    left = mean((squares,), weights)
    spread = mean((about**2,), weights) - mean((about,), weights) ** 2
    flat = spread <= 1e-12 * (about**2).max()
    return np.where(flat, left <= 0, 1 - left / np.where(flat, 1, spread))


def _ordered(y: Truth, scores: Scores) -> Columns:
    """The distances, and the rows from the smallest on."""
    apart = distances(y, scores)
    return apart, np.argsort(apart)


def _median(columns: Columns, weights: Floats) -> Floats:
    """The weighted median; between two rows, their mean."""
    apart, order = columns
    below, half = np.cumsum(weights[:, order], axis=1), weights.sum(1, keepdims=True) / 2
    lower, upper = (apart[order][end] for end in ((below >= half).argmax(1), (below > half).argmax(1)))
    middle: Floats = (lower + upper) / 2
    return middle


METRICS: Mapping[str, Metric] = {
    "mae": Metric(lambda y, scores: (distances(y, scores),), mean),
    "median_absolute_error": Metric(_ordered, _median),
    "rmse": Metric(_squares, _root_mean),
    "r2": Metric(_squares, _explained),
}
