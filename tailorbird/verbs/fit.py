"""fit: one call from the user's data to a sealed model and an honest verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tailorbird.types import Device

if TYPE_CHECKING:
    from tailorbird.engine.predictor import Predictor


def fit(  # the one verb with more than six parameters: they are the user's choices, and none of them is required
    data: Annotated[str | Path, "a folder of class folders, a table, an IDX file, or data:NAME"],
    *,
    out: Annotated[str | Path, "the model folder to write"],
    target: Annotated[str | None, "the column to predict"] = None,
    input: Annotated[str | None, "the column to predict from: texts, or paths of pictures"] = None,
    group: Annotated[str | None, "rows with the same value here stay on one side of the split"] = None,
    test: Annotated[str | Path | None, "rows to test on, instead of a part of DATA"] = None,
    validation: Annotated[str | Path | None, "rows to choose settings on, instead of a part of DATA"] = None,
    model: Annotated[str | None, "the pretrained body: wheel:NAME, hf:ORG/NAME, folder:PATH"] = None,
    modality: Annotated[str | None, "how an item is read: image:size=128, text:max_tokens=64"] = None,
    task: Annotated[str | None, "what is asked: classify, multilabel, regress; else the target column tells"] = None,
    method: Annotated[str, "auto, probe, finetune, finetune:last=3, lora, bitfit, distill:MODEL"] = "auto",
    budget: Annotated[str | None, "wall time that it may take, such as 90s or 10m; auto takes 10m at most"] = None,
    runtime: Annotated[str, "what runs the body: auto, torch, openvino, onnx"] = "auto",
    weights: Annotated[Literal["none", "balanced"], "balanced: every label counts the same, however rare"] = "none",
    seed: Annotated[int, "all that is random comes from it"] = 0,
    threads: Annotated[int, "processor threads; 0 takes all that there are"] = 0,
    device: Annotated[Device, "where the body runs"] = "auto",
    embed: Annotated[bool, "put the body inside the model folder"] = False,
    force: Annotated[bool, "replace a model, or an interrupted fit, that is there already"] = False,
    resume: Annotated[bool, "go on with the same fit, which was interrupted"] = False,
    checkpoint_every: Annotated[str, "how often it is kept how far it is, such as 60s or 5m"] = "60s",
) -> Predictor:
    """Tailor a pretrained model to labelled data, and measure it."""
    order = dict(locals())
    from tailorbird.engine.fitting import run
    from tailorbird.engine.shop import Order

    return run(Order(**order))
