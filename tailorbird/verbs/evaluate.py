"""evaluate: what a model does on labelled rows, beside the baselines that it was sealed with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tailorbird.types import Device, Evaluation

if TYPE_CHECKING:
    from tailorbird.engine.predictor import Predictor


def evaluate(
    model: Annotated[str | Path | Predictor, "a model folder"],
    data: Annotated[str | Path, "labelled rows: whatever fit can read"],
    *,
    target: Annotated[str | None, "the column of labels, if it has another name than it had in training"] = None,
    input: Annotated[str | None, "the column to predict from, if it has another name than it had in training"] = None,
    group: Annotated[str | None, "rows with the same value here belong together"] = None,
    seed: Annotated[int, "of the intervals"] = 0,
    threads: Annotated[int, "processor threads; 0 takes all that there are"] = 0,
    device: Annotated[Device, "where the body runs"] = "auto",
) -> Evaluation:
    """Measure a model on labelled rows, beside its baselines."""
    order = dict(locals())
    from tailorbird.engine.evaluating import evaluate as run

    return run(**order)
