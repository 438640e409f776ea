"""plan: what each way to a model would cost on this machine with these rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tailorbird.costs import Plan
from tailorbird.types import Device


def plan(  # as fit: the parameters are the user's choices, and only the data is required
    data: Annotated[str | Path, "a folder of class folders, a table, an IDX file, or data:NAME"],
    *,
    target: Annotated[str | None, "the column to predict"] = None,
    input: Annotated[str | None, "the column to predict from: texts, or paths of pictures"] = None,
    group: Annotated[str | None, "rows with the same value here stay on one side of the split"] = None,
    test: Annotated[str | Path | None, "rows that will be tested on"] = None,
    validation: Annotated[str | Path | None, "rows that settings will be chosen on"] = None,
    model: Annotated[str | list[str] | None, "a body, as often as you like; else all in the store that suit"] = None,
    modality: Annotated[str | None, "how an item is read: image:size=128, text:max_tokens=64"] = None,
    task: Annotated[str | None, "what is asked: classify, multilabel, regress; else the target column tells"] = None,
    method: Annotated[str | list[str] | None, "a way, as often as you like; else probe, finetune, lora, bitfit"] = None,
    price: Annotated[float | None, "money that an hour of this machine costs"] = None,
    watts: Annotated[float | None, "power that this machine draws at work"] = None,
    seed: Annotated[int, "all that is random comes from it"] = 0,
    threads: Annotated[int, "processor threads; 0 takes all that there are"] = 0,
    device: Annotated[Device, "where the body runs"] = "auto",
) -> Plan:
    """Say what each body and method would cost: minutes, memory, disk, money; and what each body is worth. No model is
    written."""
    order = dict(locals())
    from tailorbird.engine.planning import Wish, run

    order |= {name: listed(order[name]) for name in ("model", "method")}
    return run(Wish(**order))


def listed(given: str | list[str] | None) -> tuple[str, ...]:
    """None, one or several, as several."""
    return (given,) if isinstance(given, str) else tuple(given or ())
