"""Beside each matrix of the body a product of two small ones learns (Hu et al. 2021, arXiv:2106.09685), by peft."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import nn

from tailorbird.bodies import base
from tailorbird.errors import BadSpelling
from tailorbird.methods._network import Network
from tailorbird.methods._tuning import Stages, Tuning
from tailorbird.types import BodyFolder

# Film reviews, 2 epochs, log-loss on 2,000 other rows: 0.376 at 5e-4, 0.359 at 1e-3, 0.352 at 2e-3.
_RATE = 2e-3


class Lora(Tuning):
    """Head first, then the head and low-rank additions to every matrix of the layers; merged into the body at the end,
    so that the model costs what the body alone costs."""

    main: ClassVar[str | None] = "rank"
    usual: ClassVar[tuple[str, ...]] = ("lora",)
    needs: ClassVar[tuple[str, ...]] = ("torch", "scipy", "peft")

    rank: PositiveInt = 8
    alpha: PositiveInt | None = None  # additions count alpha / rank times; None: twice the rank
    layers: PositiveInt | None = None  # how many, counted from the top, get additions; None: all
    dora: bool = False  # lengths and directions of columns apart (Liu et al. 2024, arXiv:2402.09353)

    def check(self, body: BodyFolder) -> None:
        """Raise BadSpelling if the body has no linear layer, or fewer layers than named. Raises BadBody."""
        self._names(base.build(body), body.spelling)

    def own_rate(self, network: Network) -> float:
        return _RATE

    def stages(self, body: base.Body, name: str, seed: int) -> Stages:
        from peft import LoraConfig, inject_adapter_in_model

        names = self._names(body, name)
        config = LoraConfig(
            r=self.rank, lora_alpha=self.alpha or 2 * self.rank, target_modules=names, use_dora=self.dora
        )
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(seed)  # peft draws from it, and from no other
            inject_adapter_in_model(config, body)
        added = [p for full, p in body.named_parameters() if ".lora_" in full]
        assert added, "peft has put additions beside the layers that it was given"
        return [added]

    def merge(self, body: base.Body) -> None:
        from peft.tuners.tuners_utils import BaseTunerLayer

        for name, module in list(body.named_modules()):
            if isinstance(module, BaseTunerLayer):
                module.merge()
                above, _, leaf = name.rpartition(".")
                setattr(body.get_submodule(above), leaf, module.get_base_layer())

    def _names(self, body: base.Body, name: str) -> list[str]:
        """The full names of the linear layers that get additions."""
        layers = base.layers_of(body)
        if self.layers is not None and self.layers > len(layers):
            problem = f"method {self.spelling()!r} names {self.layers} layers, and {name} has {len(layers)} layers"
            better = self.model_copy(update={"layers": len(layers) or None})
            raise BadSpelling(problem, f"--method {better.spelling()}")
        chosen = layers if self.layers is None else layers[-self.layers :]
        linear = {id(m) for layer in chosen for m in layer.modules() if isinstance(m, nn.Linear)}
        found = [full for full, module in body.named_modules() if id(module) in linear]
        if not found:
            problem = f"method {self.spelling()!r} adds to linear layers, and {name} has none in its layers"
            raise BadSpelling(problem, "--method finetune")
        return found
