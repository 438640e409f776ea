"""The body learns with the head: all of its layers, or the last few."""

from __future__ import annotations

from typing import ClassVar

from tailorbird.methods._whole import Whole


class Finetune(Whole):
    """Head first, then head and body together, lower layers more slowly; what was best on held-out rows stays."""

    main: ClassVar[str | None] = "last"
    usual: ClassVar[tuple[str, ...]] = ("finetune", "finetune:last=2")
