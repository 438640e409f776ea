"""demo: the main job on real input, from nothing: film reviews, a pretrained text model, a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from tailorbird.engine.predictor import Predictor


def demo(
    *,
    out: Annotated[str | Path, "the model folder to write"] = "film-reviews-model",
    budget: Annotated[str, "wall time that it may take"] = "4m",
    threads: Annotated[int, "processor threads; 0 takes all that there are"] = 0,
    force: Annotated[bool, "replace a model that is there already"] = False,
) -> Predictor:
    """Fit the sample film reviews with the default text body; both must have been pulled."""
    from tailorbird.engine.shop import DEFAULT_BODY
    from tailorbird.verbs.fit import fit

    body = DEFAULT_BODY["text"]
    return fit(
        "data:film-reviews", out=out, target="sentiment", model=body, budget=budget, threads=threads, force=force
    )
