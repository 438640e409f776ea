"""How a body is to learn, and how its learning went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

import torch

from tailorbird.types import JSON

_LOOKS = 2  # at held-out rows, after the one before the first step


@dataclass(frozen=True)
class Course:
    """How to learn. n_steps: as many as a deadline lets be; deadline: a time.monotonic()."""

    rate: float  # at its highest
    n_steps: int
    seed: int
    deadline: float | None = None
    device: str = "cpu"
    precision: torch.dtype = torch.float32  # of matrix products; weights and sums are always float32
    weight_decay: float = 0.01  # of matrices; biases and norms are let be
    most_norm: float = 1.0  # of the gradient; longer ones are cut to it
    n_looks: int = _LOOKS
    optimizer: Literal["adamw", "lamb"] = "adamw"


@dataclass(frozen=True)
class Run:
    """How the learning went."""

    losses: tuple[float, ...]  # of each step: the mean over its rows
    looked: tuple[tuple[int, float], ...]  # (steps done, held-out loss)
    best: int  # steps done by the weights that were kept
    n_planned: int
    n_steps: int
    lost: tuple[int, ...]  # numbers of the steps whose loss or gradient was not finite
    seconds: float
    n_halvings: int = 0  # of the batches, for memory was short
    # A step's seconds, and a look's, in the median of this sitting's later half; 0 where there was none.
    step_s: float = field(default=0.0, compare=False)
    look_s: float = field(default=0.0, compare=False)

    def notes(self) -> Mapping[str, JSON]:
        """For a report."""
        looked = [[step, loss if isfinite(loss) else None] for step, loss in self.looked]
        told = {"steps": self.n_steps, "steps_planned": self.n_planned, "steps_skipped": len(self.lost)}
        told |= {"batches_halved": self.n_halvings} if self.n_halvings else {}
        return {**told, "held_out_losses": looked, "best_after_steps": self.best, "seconds": round(self.seconds, 3)}
