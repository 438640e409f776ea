"""What scores are worth on rows that were held out, for choices: a loss for each row, and the cut of many labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tailorbird.lesson import Link, Scores, Truth

_TINY = np.finfo(np.float64).eps  # where scikit-learn clips
_LEAST_CUT, _MOST_CUT = 0.05, 0.95


def row_losses(link: Link, y: Truth, scores: Scores) -> NDArray[np.float64]:
    """How far each row's scores are from the truth: log-loss, its mean over labels, or the squared error. (n,)"""
    if link == "identity":
        return np.asarray(((scores - y) ** 2).mean(1), np.float64)
    p = scores.astype(np.float64)
    if link == "softmax":
        return np.asarray(-np.log(np.maximum(p[np.arange(len(y)), y], _TINY)))
    return np.asarray(-np.log(np.maximum(np.where(y > 0, p, 1 - p), _TINY)).mean(1))


def best_cut(y: Truth, scores: Scores) -> float:
    """The score from which on labels are given, so that micro-F1 is highest; of equals the nearest to one half.

    y: (n, c) of 0 and 1; scores: (n, c). One half where there is no label at all."""
    order = np.argsort(-scores, axis=None, kind="stable")
    sorted_scores = scores.ravel()[order].astype(np.float64)
    hits = np.cumsum(y.ravel()[order] > 0)
    if not len(hits) or hits[-1] == 0:
        return 0.5
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    is_last = np.append(sorted_scores[1:] < sorted_scores[:-1], True)  # of equal scores all are given, or none
    below = np.append(sorted_scores[1:], 0.0)
    cuts = np.clip((sorted_scores + below) / 2, _LEAST_CUT, _MOST_CUT)  # between what is given and what is not
    best = np.flatnonzero(is_last & (f1 >= f1[is_last].max() - 1e-12))
    return float(cuts[best[np.abs(cuts[best] - 0.5).argmin()]])
