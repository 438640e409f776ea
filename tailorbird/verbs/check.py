"""check: what is wrong with a data set, before anything is learned from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tailorbird.types import Device, Examination


def check(  # as fit: the parameters are the user's choices, and only the data is required
    data: Annotated[str | Path, "a folder of class folders, a table, an IDX file, or data:NAME"],
    *,
    target: Annotated[str | None, "the column to predict"] = None,
    input: Annotated[str | None, "the column to predict from: texts, or paths of pictures"] = None,
    group: Annotated[str | None, "rows with the same value here stay on one side of the split"] = None,
    test: Annotated[str | Path | None, "rows that will be tested on"] = None,
    validation: Annotated[str | Path | None, "rows that settings will be chosen on"] = None,
    model: Annotated[str | None, "the pretrained body that looks at the rows: wheel:NAME, hf:ORG/NAME"] = None,
    modality: Annotated[str | None, "how an item is read: image:size=128, text:max_tokens=64"] = None,
    task: Annotated[str | None, "what is asked: classify, multilabel, regress; else the target column tells"] = None,
    out: Annotated[str | Path | None, "write a table here: every row to look at, and why"] = None,
    force: Annotated[bool, "replace a file that is there already"] = False,
    quick: Annotated[bool, "look only for what needs no pretrained body"] = False,
    seed: Annotated[int, "all that is random comes from it"] = 0,
    threads: Annotated[int, "processor threads; 0 takes all that there are"] = 0,
    device: Annotated[Device, "where the body runs"] = "auto",
) -> Examination:
    """Look for what spoils a model: twins, wrong labels, leaks. Nothing is changed."""
    order = dict(locals())
    from tailorbird.engine.checking import Request, run

    return run(Request(**order))
