"""Small random bodies for unit tests: the shape of the real ones, in a few kilobytes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
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

    def __init__(self, embedding: Tensor, mix: Tensor) -> None:
        super().__init__()
        self.embedding = nn.Parameter(embedding)  # (vocabulary, d)
        self.layers = nn.ModuleList(map(Mix, mix))  # of (2, d, d)
        width = embedding.shape[1]
        self.depths = (("layer1", width), ("last", width))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(b, t) int64 each -> (b, 2 d)."""
        real = attention_mask[..., None].to(self.embedding.dtype)  # (b, t, 1)
        x = self.embedding[input_ids] * real  # (b, t, d)
        pooled = []
        for layer in self.layers:
            x = layer(x) * real
            pooled.append(base.mean_of_tokens(x, attention_mask))
        return torch.cat(pooled, 1)

    def weights(self) -> dict[str, Tensor]:
        return {"embedding": self.embedding, "mix": torch.stack(list(self.layers.parameters()))}


class Mix(nn.Module):
    """A layer: each token and the one before it."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        # Shifted and not rolled round: what is last depends on the padding of the batch.
        return torch.tanh(x @ self.weight + F.pad(x, (0, 0, 1, 0))[:, :-1])


class ToyImage(base.Body):
    """Two convolutions."""

    axes = base.PICTURE_AXES

    def __init__(self, conv1: Tensor, conv2: Tensor) -> None:
        super().__init__()
        self.pixels = base.Pixels({"pixel_mean": 0.0, "pixel_std": 255.0})
        self.layers = nn.ModuleList([Filter(conv1, stride=4), Filter(conv2, stride=2)])  # (d, 3, 5, 5), (2 d, d, 3, 3)
        self.depths = (("layer1", len(conv1)), ("last", len(conv2)))

    def forward(self, pixels: Tensor) -> Tensor:
        """(b, h, w, 3) uint8 -> (b, 3 d)."""
        x, pooled = self.pixels(pixels), []
        for layer in self.layers:
            x = layer(x)
            pooled.append(x.mean((2, 3)))
        return torch.cat(pooled, 1)

    def weights(self) -> dict[str, Tensor]:
        conv1, conv2 = self.layers.parameters()
        return {"conv1": conv1, "conv2": conv2}


class Filter(nn.Module):
    """A layer: a convolution without a bias."""

    def __init__(self, weight: Tensor, stride: int) -> None:
        super().__init__()
        self.weight, self.stride = nn.Parameter(weight), stride

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(F.conv2d(x, self.weight, stride=self.stride))
