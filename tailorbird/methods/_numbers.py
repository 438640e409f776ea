"""What numbers are counted in while something learns them: deviations from their mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tailorbird.lesson import Lesson


def mean_and_deviation(lesson: Lesson, rows: NDArray[np.int64]) -> tuple[float, float]:
    """Of the numbers of these rows, by row weight; 1 for a deviation of nothing."""
    y, weights = lesson.y[rows, 0], lesson.row_weights[rows]
    mean = float(np.average(y, weights=weights))
    scale = float(np.sqrt(np.average((y - mean) ** 2, weights=weights)))
    return mean, scale if scale > 1e-12 * abs(mean) else 1.0
