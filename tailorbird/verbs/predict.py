"""predict: answers for pictures, texts, or every row of a table or folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tailorbird.types import Device, Prediction

if TYPE_CHECKING:
    from tailorbird.engine.predictor import Predictor


def predict(
    model: Annotated[str | Path | Predictor, "a model folder"],
    items: Annotated[str | Path | list[str], "files, folders or tables; for text models also the texts themselves"],
    *,
    out: Annotated[str | Path | None, "write a table here: the user's columns, label and score"] = None,
    force: Annotated[bool, "replace a file that is there already"] = False,
    input: Annotated[str | None, "the column to predict from, if it has another name than it had in training"] = None,
    threads: Annotated[int, "processor threads; 0 takes all that there are"] = 0,
    device: Annotated[Device, "where the body runs"] = "auto",
) -> list[Prediction]:
    """Answer for each item, or for each row of a table or folder."""
    order = dict(locals())
    from tailorbird.engine.predicting import predict as run

    return run(**order)
