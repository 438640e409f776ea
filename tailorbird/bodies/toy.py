"""Small random bodies for unit tests: the shape of the real ones, in a few kilobytes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tailorbird.bodies import base
from tailorbird.types import BodyFolder


def build(body: BodyFolder) -> base.Body:
    """The body. settings: input "text" or "image"."""
    weights = base.tensors(body)
    try:
        if body.settings["input"] == "text":
            return ToyText(weights["embedding"], weights["mix"])
        return ToyImage(weights["conv1"], weights["conv2"])
    except KeyError as error:
        raise base.absent(body, [str(error.args[0])]) from error


class ToyText(base.Body):
    """Two layers in which each token sees itself and the one before it."""

    axes = base.TEXT_AXES
    embedding: Tensor
    mix: Tensor

    def __init__(self, embedding: Tensor, mix: Tensor) -> None:
        super().__init__()
        self.register_buffer("embedding", embedding)  # (vocabulary, d)
        self.register_buffer("mix", mix)  # (2, d, d)
        width = embedding.shape[1]
        self.depths = (("layer1", width), ("last", width))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(b, t) int64 each -> (b, 2 d)."""
        real = attention_mask[..., None].to(self.embedding.dtype)  # (b, t, 1)
        x = self.embedding[input_ids] * real  # (b, t, d)
        pooled = []
        for mix in self.mix:
            # Shifted and not rolled round: what is last depends on the padding of the batch.
            x = torch.tanh(x @ mix + F.pad(x, (0, 0, 1, 0))[:, :-1]) * real
            pooled.append(base.mean_of_tokens(x, attention_mask))
        return torch.cat(pooled, 1)


class ToyImage(base.Body):
    """Two convolutions."""

    axes = base.PICTURE_AXES
    conv1: Tensor
    conv2: Tensor

    def __init__(self, conv1: Tensor, conv2: Tensor) -> None:
        super().__init__()
        self.pixels = base.Pixels({"pixel_mean": 0.0, "pixel_std": 255.0})
        self.register_buffer("conv1", conv1)  # (d, 3, 5, 5)
        self.register_buffer("conv2", conv2)  # (2 d, d, 3, 3)
        self.depths = (("layer1", len(conv1)), ("last", len(conv2)))

    def forward(self, pixels: Tensor) -> Tensor:
        """(b, h, w, 3) uint8 -> (b, 3 d)."""
        x = F.relu(F.conv2d(self.pixels(pixels), self.conv1, stride=4))
        y = F.relu(F.conv2d(x, self.conv2, stride=2))
        return torch.cat([x.mean((2, 3)), y.mean((2, 3))], 1)
