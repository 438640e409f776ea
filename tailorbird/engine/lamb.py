"""LAMB (You et al. 2020, arXiv:1904.00962): Adam whose step for each tensor is a share of that tensor's length."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class Lamb(torch.optim.Optimizer):
    """w <- w - rate |w| / |u| u, with u = m' / (sqrt(v') + eps) + decay w, and the moments m' and v' of Adam, corrected
    for their beginning. Where w or u is nought the share is one. Norms are those of whole tensors."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step by the gradients that are there."""
        assert closure is None, "the loop computes gradients itself"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return None

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        assert parameter.grad is not None
        state["step"] += 1
        first, second = group["betas"]
        state["exp_avg"].lerp_(parameter.grad, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
        mean = state["exp_avg"] / (1 - first ** state["step"])
        spread = (state["exp_avg_sq"] / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
        update = mean.div_(spread).add_(parameter, alpha=group["weight_decay"])
        length, step = parameter.norm(), update.norm()
        share = torch.where((length > 0) & (step > 0), length / step, torch.ones_like(length))
        parameter.sub_(update * (group["lr"] * share))
