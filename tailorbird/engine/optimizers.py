"""What moves the weights: groups of parameters with their rates, and one pass over their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from tailorbird.engine.lamb import Lamb


@dataclass(frozen=True)
class Group:
    """Parameters that learn at `share` of the rate. lazy: tables whose gradients are sparse: only the rows that a step
    looked up move, and do not decay."""

    parameters: Sequence[nn.Parameter]
    share: float = 1.0
    lazy: bool = False


def cut(parameters: Sequence[nn.Parameter], weight: float, most: float) -> float:
    """Make the gradients of a sum those of the mean over `weight`, cut to a norm, in one pass. Gives the norm."""
    gradients = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()  # rows that were looked up twice are added up
            gradients.append(parameter.grad._values())
        elif parameter.grad is not None:
            gradients.append(parameter.grad)
    norm = float(nn.utils.get_total_norm(gradients)) / weight
    torch._foreach_mul_(gradients, min(1.0, most / (norm + 1e-6)) / weight)
    return norm


def optimizers(
    groups: Sequence[Group], name: Literal["adamw", "lamb"], rate: float, decay: float
) -> list[torch.optim.Optimizer]:
    """One for all groups, and another one for those that are lazy. decay: of matrices; the rest does not."""
    found: list[torch.optim.Optimizer] = []
    if dense := [group for group in groups if not group.lazy]:
        told = _settings(dense, rate, decay)
        found.append(Lamb(told, rate) if name == "lamb" else torch.optim.AdamW(told, fused=True))
    if lazy := [group for group in groups if group.lazy]:
        tables = [{"params": list(group.parameters), "share": group.share} for group in lazy]
        found.append(torch.optim.SparseAdam(tables, lr=rate))
    return found


def _settings(groups: Sequence[Group], rate: float, most_decay: float) -> list[dict[str, object]]:
    """What AdamW is told: matrices apart from the rest, which does not decay."""
    told: list[dict[str, object]] = []
    for group in groups:
        for decay, is_matrix in ((most_decay, True), (0.0, False)):
            parameters = [p for p in group.parameters if (p.ndim > 1) == is_matrix]
            if parameters:
                told.append({"params": parameters, "share": group.share, "weight_decay": decay, "lr": rate})
    return told
