"""How far the loop is, as what a checkpoint holds, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor

from tailorbird.store.checkpoints import Checkpoint
from tailorbird.types import JSON

State = dict[str, Tensor]


@dataclass
class Progress:
    """What a loop counts as it goes; the one record here that changes."""

    done: int = 0  # steps
    losses: list[float] = field(default_factory=list)  # of each step: the mean over its rows
    looked: list[tuple[int, float]] = field(default_factory=list)  # (steps done, held-out loss)
    best: int = 0  # steps done by the weights that were best
    lost: list[int] = field(default_factory=list)  # numbers of the steps whose loss or gradient was not finite
    n_halvings: int = 0
    seconds: float = 0.0
    seconds_before: float = 0.0  # in earlier sittings
    is_over: bool = False
    pace: Mapping[str, JSON] = field(default_factory=dict)
    scaler: Mapping[str, JSON] = field(default_factory=dict)
    counts: Sequence[Mapping[str, JSON]] = ()  # of each optimizer: what of its state is no array

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Progress:
        """What was counted until a checkpoint."""
        told = dict(checkpoint.facts["progress"])
        numbers = {name: checkpoint.parts["curve"][name].tolist() for name in ("losses", "looked")}
        looked = [(int(step), loss) for step, loss in numbers["looked"]]
        told |= {"losses": numbers["losses"], "looked": looked, "seconds_before": told["seconds"]}
        return cls(**told)


def kept(progress: Progress, course: Mapping[str, JSON], parts: Mapping[str, State]) -> Checkpoint:
    """The checkpoint of a progress and of the arrays that belong to it."""
    told = {one.name: getattr(progress, one.name) for one in fields(progress) if one.name not in ("losses", "looked")}
    looked = np.array(progress.looked, np.float64).reshape(-1, 2)
    curve = {"losses": np.array(progress.losses, np.float64), "looked": looked}  # not JSON, for they may be infinite
    arrays = {name: {key: x.numpy() for key, x in state.items()} for name, state in parts.items()}
    return Checkpoint(progress.done, {"progress": told, "course": dict(course)}, {**arrays, "curve": curve})


def weights_of(checkpoint: Checkpoint, name: str) -> State:
    """A part as tensors."""
    return {key: torch.from_numpy(x) for key, x in checkpoint.parts[name].items()}


def moments(optimizers: Sequence[torch.optim.Optimizer]) -> tuple[list[dict[str, JSON]], dict[str, State]]:
    """What optimizers remember of all parameters: the numbers of each, and the arrays as parts of a checkpoint."""
    counts: list[dict[str, JSON]] = []
    parts: dict[str, State] = {}
    for i, optimizer in enumerate(optimizers):
        told = {f"{n}/{key}": x for n, state in optimizer.state_dict()["state"].items() for key, x in state.items()}
        parts[f"moments-{i}"] = {name: x.cpu() for name, x in told.items() if isinstance(x, Tensor)}
        counts.append({name: x for name, x in told.items() if not isinstance(x, Tensor)})
    return counts, parts


def restore_moments(optimizers: Sequence[torch.optim.Optimizer], checkpoint: Checkpoint) -> None:
    """Let optimizers remember what they did."""
    counts = checkpoint.facts["progress"]["counts"]
    for i, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, object]] = {}
        for name, x in {**counts[i], **weights_of(checkpoint, f"moments-{i}")}.items():
            number, key = name.split("/")
            state.setdefault(int(number), {})[key] = x
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
