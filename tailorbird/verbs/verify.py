"""verify: is a model folder as it was sealed, and does it still answer as it did?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tailorbird.types import Device, Verification


def verify(
    model: Annotated[str | Path, "a model folder"],
    *,
    threads: Annotated[int, "processor threads; 0 takes all that there are"] = 0,
    device: Annotated[Device, "where the body runs"] = "auto",
) -> Verification:
    """Check every byte of a model folder, and answer its golden examples again."""
    order = dict(locals())
    from tailorbird.engine.verifying import verify as run

    return run(**order)
