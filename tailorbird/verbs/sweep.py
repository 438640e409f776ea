"""sweep: several bodies and methods on the same rows, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tailorbird.costs import Sweep
from tailorbird.types import Device


def sweep(  # as fit: the parameters are the user's choices, and only the data and the place are required
    data: Annotated[str | Path, "a folder of class folders, a table, an IDX file, or data:NAME"],
    *,
    out: Annotated[str | Path, "the folder to write: a model for each, and sweep.json"],
    target: Annotated[str | None, "the column to predict"] = None,
    input: Annotated[str | None, "the column to predict from: texts, or paths of pictures"] = None,
    group: Annotated[str | None, "rows with the same value here stay on one side of the split"] = None,
    test: Annotated[str | Path | None, "rows to test on, instead of a part of DATA"] = None,
    validation: Annotated[str | Path | None, "rows to choose settings on, instead of a part of DATA"] = None,
    model: Annotated[str | list[str] | None, "a body, as often as you like; else all in the store that suit"] = None,
    modality: Annotated[str | None, "how an item is read: image:size=128, text:max_tokens=64"] = None,
    task: Annotated[str | None, "what is asked: classify, multilabel, regress; else the target column tells"] = None,
    method: Annotated[str | list[str] | None, "a way, as often as you like; else probe, finetune, lora, bitfit"] = None,
    budget: Annotated[str | None, "wall time for all together, such as 30m or 2h"] = None,
    seed: Annotated[int, "all that is random comes from it"] = 0,
    threads: Annotated[int, "processor threads; 0 takes all that there are"] = 0,
    device: Annotated[Device, "where the body runs"] = "auto",
    resume: Annotated[bool, "go on with a sweep that was interrupted"] = False,
    force: Annotated[bool, "replace a sweep that is there already"] = False,
) -> Sweep:
    """Fit each body by each method, the cheapest first, and compare them on the same rows."""
    order = dict(locals())
    from tailorbird.engine.planning import Wish
    from tailorbird.engine.sweeping import run
    from tailorbird.verbs.plan import listed

    order |= {name: listed(order[name]) for name in ("model", "method")}
    out, typed, resume, force = (order.pop(name) for name in ("out", "budget", "resume", "force"))
    return run(Wish(**order, price=None, watts=None), Path(out), typed, resume=resume, force=force)
