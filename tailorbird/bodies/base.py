"""What a body is in torch, and how one is built from its files."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import tailorbird.bodies
from tailorbird.errors import BadBody
from tailorbird.plug import needs
from tailorbird.store.bodies import weight_files
from tailorbird.types import BodyFolder

TEXT_AXES = {"input_ids": ("batch", "tokens"), "attention_mask": ("batch", "tokens")}
PICTURE_AXES = {"pixels": ("batch",)}
_NOT_BODIES = ("base", "export", "model_config")
_LIBRARIES = {"transformers": "transformers"}  # what an architecture needs beside torch
# Registered behind DeBERTa's layers and used by all of them, or by the first: the norm of its relative positions, and
# a convolution.
_USED_BELOW = re.compile(r"(^|\.)encoder\.(LayerNorm|conv)\.")


class Body(nn.Module):
    """A pretrained network that gives pooled features: `forward(**arrays)` -> (b, sum of widths) float32.

    The arrays are those of a modality's `stack`: input_ids and attention_mask (b, t) int64, or pixels (b, h, w, 3)
    uint8. A later body may offer more than pooled features (tokens, grid, frames, logits); tasks ask by that name.
    """

    depths: tuple[tuple[str, int], ...]  # names and widths, in the order of the columns; the final one is "last"
    axes: Mapping[str, tuple[str, ...]]  # the arrays of forward, in order, with the leading axes whose length varies

    def last(self, **arrays: Tensor) -> Tensor:
        """Features of the last depth alone, (b, width): what a body learns by."""
        return self(**arrays)[:, -self.depths[-1][1] :]  # type: ignore[no-any-return]

    def awake(self, device: str) -> None:
        """Made ready to learn on this device; its answers stay the same."""

    def thrifty(self) -> None:
        """Keep of each layer only what goes into it; the rest is computed again on the way back (Chen et al. 2016,
        arXiv:1604.06174): less memory, and about a third more time."""
        for layer in layers_of(self):
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False)

    def stages(self) -> list[list[nn.Parameter]]:
        """Its parameters from bottom to top: embeddings or stem, then layer by layer, the last with what follows it.

        A layer needs nothing of the layers above it. Layers that share their weights count as one."""
        layers = [layer for layer in layers_of(self) if any(True for _ in layer.parameters())]
        number = {id(p): i for i, layer in enumerate(layers, 1) for p in layer.parameters()}
        tables = [module for module in self.modules() if isinstance(module, nn.Embedding)]
        below = {id(p) for table in tables for p in table.parameters()}  # such as positions that all layers look up
        stages: list[list[nn.Parameter]] = [[] for _ in range(len(layers) + 1)]
        reached = 0
        for name, parameter in self.named_parameters():
            if id(parameter) in number:
                reached, place = len(layers), number[id(parameter)]
            else:
                place = 0 if id(parameter) in below or _USED_BELOW.search(name) else reached
            stages[place].append(parameter)
        return stages

    def weights(self) -> dict[str, Tensor]:
        """Its weights under the names that `build` reads them by."""
        return self.state_dict()


def layers_of(body: nn.Module) -> list[nn.Module]:
    """The layers of a body, from bottom to top: the list of modules that holds most parameters; one of length 1 only
    where there is no longer one."""
    lists = [list(module) for module in body.modules() if isinstance(module, nn.ModuleList | nn.Sequential)]
    longer = [layers for layers in lists if len(layers) > 1] or lists
    return max(longer, key=lambda layers: sum(p.numel() for layer in layers for p in layer.parameters()), default=[])


class Pixels(nn.Module):
    """Pictures as bytes, cast and normalised: (b, h, w, 3) uint8 -> (b, 3, h, w) float32."""

    mean: Tensor
    scale: Tensor

    def __init__(self, settings: Mapping[str, Any]) -> None:  # Any: settings are JSON
        super().__init__()
        self.register_buffer("mean", torch.tensor(settings["pixel_mean"], dtype=torch.float32), persistent=False)
        deviation = torch.tensor(settings["pixel_std"], dtype=torch.float32)
        self.register_buffer("scale", 1 / deviation, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """On the scale 0 to 255: (pixels - mean) / deviation."""
        return ((pixels.float() - self.mean) * self.scale).permute(0, 3, 1, 2)


def precision(device: str, network: nn.Module) -> torch.dtype:
    """In which numbers this network's products are quickest here without losing accuracy; float32 on most processors.

    On processors a convolution in groups goes back more slowly in half precision: EfficientNet-Lite took twice as long
    as in float32, and MiniLM half as long."""
    if device != "cpu":
        whole = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if whole else torch.float16
    able = torch.cpu.get_capabilities()
    grouped = any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in network.modules())
    has_half = able.get("amx_bf16") or able.get("avx512_bf16")
    return torch.bfloat16 if has_half and not grouped else torch.float32


def build(body: BodyFolder) -> Body:
    """The body as a torch module in inference mode. Raises BadBody if its files do not make one."""
    known = [m.name for m in pkgutil.iter_modules(tailorbird.bodies.__path__) if m.name not in _NOT_BODIES]
    if body.architecture not in known:
        hint = f"architectures: {', '.join(known)}; a newer tailorbird may know it: pip install -U tailorbird"
        raise BadBody(f"{body.spelling} has the architecture {body.architecture!r}, which is unknown here", hint)
    if body.architecture in _LIBRARIES:
        needs(body.spelling, _LIBRARIES[body.architecture])
    module = importlib.import_module(f"tailorbird.bodies.{body.architecture}")
    built: Body = module.build(body)
    assert built.depths[-1][0] == "last", "the engine relies on a depth called last"
    return built.eval().requires_grad_(False)


def tensors(body: BodyFolder) -> dict[str, Tensor]:
    """The weights of a body, by name. Raises BadBody."""
    paths = [body.folder / name for name in weight_files(body.folder)]
    if not paths:
        raise BadBody(f"{body.spelling} has no model.safetensors in {str(body.folder)!r}", again(body))
    return {name: tensor for path in paths for name, tensor in _tensors_of(path, body).items()}


def _tensors_of(path: Path, body: BodyFolder) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except Exception as error:  # the library raises OSError, ValueError and a type of its own
        raise BadBody(f"{path} cannot be read as weights: {error}", again(body)) from error


def again(body: BodyFolder) -> str:
    """The hint for a body whose files do not fit together."""
    if body.spelling.startswith("folder:"):  # nothing brings it but the one who has it
        return f"bring the files again from where they came: {body.folder}"
    return f"bring it again: tailorbird pull {body.spelling}"


def absent(body: BodyFolder, names: list[str]) -> BadBody:
    """The error for weights that the architecture needs and the file has not."""
    listed = ", ".join(repr(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
    problem = f"{body.spelling} lacks {len(names)} weights that {body.architecture} needs: {listed}"
    return BadBody(problem, again(body))


def mean_of_tokens(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of the real tokens. tokens: (b, t, d) float32; mask: (b, t), 1 is real -> (b, d)."""
    weights = mask[..., None].to(tokens.dtype)  # (b, t, 1)
    return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)  # a row of padding stays zero
