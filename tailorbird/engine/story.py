"""What a report shows beyond its figures: how sure the model is and may be, its worst mistakes, its residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tailorbird.engine.learn import Trial
from tailorbird.engine.shop import Shop
from tailorbird.errors import BadItem
from tailorbird.kinds import Modality
from tailorbird.lesson import Link, Scores, Truth
from tailorbird.measure.exact import clopper_pearson
from tailorbird.measure.metrics import ECE_BINS
from tailorbird.types import Mistake, Prediction, Story, Value

MOST_MISTAKES = 12
MOST_RESIDUALS = 1_000
THUMB_LIMIT_BYTES = 40_000  # a JPEG of some 256 pixels a side; twelve of them leave the page far below its 3 MB
_SHOWN_LETTERS = 600


def tell_story(shop: Shop, trial: Trial, values: Sequence[Value]) -> tuple[Story, dict[str, bytes]]:
    """The story without its learning curve, and the pictures of its mistakes: file name -> content.

    values: of all rows; only those that were measured are shown."""
    y, scores = shop.y[trial.rows], trial.model.scores
    mistakes, thumbs = _mistakes(shop, trial, y, values)
    pairs = _residuals(y, scores) if shop.task.link == "identity" else ()
    return Story(reliability=reliability(shop.task.link, y, scores), mistakes=mistakes, residuals=pairs), thumbs


# ---- reliability --------------------------------------------------------------------------------------------------


def reliability(link: Link, y: Truth, scores: Scores) -> tuple[Mapping[str, float], ...]:
    """Answers in bins of equal width by stated confidence: its mean, the share that is right with its exact 95 %
    interval, and how many. Where a row may have any number of labels, each label of each row is an answer."""
    if link == "identity":
        return ()
    if link == "sigmoid":
        confidence, right = scores.ravel(), np.asarray(y).ravel() > 0.5
    else:
        confidence, right = scores.max(1), scores.argmax(1) == y
    bins = np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    return tuple(_bin(confidence[bins == one], right[bins == one]) for one in np.unique(bins))


def _bin(confidence: Scores, right: NDArray[np.bool_]) -> Mapping[str, float]:
    low, high = _share_interval(int(right.sum()), len(right))
    return {
        "confidence": float(confidence.mean()),
        "share_right": float(right.mean()),
        "low": low,
        "high": high,
        "rows": len(right),
    }


def _share_interval(hits: int, trials: int) -> tuple[float, float]:
    if trials <= 20_000:
        return clopper_pearson(hits, trials)
    share = hits / trials  # of so many the interval is narrower than the dot, and the exact one takes seconds
    reach = 1.96 * np.sqrt(share * (1 - share) / trials)
    return max(share - reach, 0.0), min(share + reach, 1.0)


# ---- mistakes -----------------------------------------------------------------------------------------------------


def _mistakes(
    shop: Shop, trial: Trial, y: Truth, values: Sequence[Value]
) -> tuple[tuple[Mistake, ...], dict[str, bytes]]:
    scores = trial.model.scores
    badness = shop.task.badness(y, scores, trial.model.cut)
    worst = [i for i in np.argsort(-badness, kind="stable")[:MOST_MISTAKES] if badness[i] > 0]
    found: list[Mistake] = []
    thumbs: dict[str, bytes] = {}
    for i in worst:
        row = int(trial.rows[i])
        name = shop.checked.dataset.rows.ids[row]
        shown, content = _shown(shop.modality, values[row], f"thumbs/{len(found):02}")
        if content:
            thumbs[shown] = content
        answer, score = _answer(shop.task.answer(name, scores[i], shop.labels, trial.model.cut))
        found.append(Mistake(name, _target(shop, y[i]), answer, score, shown))
    return tuple(found), thumbs


def _shown(modality: Modality, value: Value, name: str) -> tuple[str, bytes]:
    """A text, cut; or the name of a file and its content; or nothing of what cannot be read any more."""
    try:
        content, suffix = modality.save(value, THUMB_LIMIT_BYTES)
    except BadItem:
        return "", b""
    if suffix != ".txt":
        return f"{name}{suffix}", content
    text = " ".join(content.decode("utf-8-sig").split())
    return (text if len(text) <= _SHOWN_LETTERS else f"{text[: _SHOWN_LETTERS - 1]}…"), b""


def _answer(told: Prediction) -> tuple[str, float | None]:
    if told.value is not None:
        return f"{told.value:.6g}", None
    if told.labels is not None:
        return _joined(told.labels), None
    return str(told.label), told.score


def _target(shop: Shop, y: Truth) -> str:
    """The truth of one row, as it is read. y: a number of a label, (c,) or (1,)."""
    if shop.task.link == "softmax":
        return shop.labels[int(y)]
    if shop.task.link == "identity":
        return f"{float(y[0]):.6g}"
    return _joined([label for label, has in zip(shop.labels, y, strict=True) if has > 0.5])


def _joined(labels: Sequence[str]) -> str:
    return " | ".join(labels) or "(no label)"


def _residuals(y: Truth, scores: Scores) -> tuple[tuple[float, float], ...]:
    pairs = np.column_stack([np.ravel(y), np.ravel(scores)]).astype(np.float64)
    some = np.sort(np.random.default_rng(0).permutation(len(pairs))[:MOST_RESIDUALS])
    return tuple((float(target), float(answer)) for target, answer in pairs[some])
