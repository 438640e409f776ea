"""The weights of a body itself learn, all of its layers or the last few: what finetune and distill share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, PositiveInt
from torch import nn

from tailorbird.bodies import base
from tailorbird.errors import BadSpelling
from tailorbird.methods._network import Network
from tailorbird.methods._tuning import Stages, Tuning
from tailorbird.types import BodyFolder

# On 2,000 other rows of film reviews the log-loss was 0.342 after 1.5 epochs, 0.345 after 1.25 and after 2, in the mean
# of two seeds: docs/performance.md. Pictures were tried with 2.
_RATE, _EPOCHS, _EPOCHS_OF_CONVOLUTIONS = 2e-4, 1.5, 2.0
# Of EfficientNet-Lite on 5,000 rows of Fashion-MNIST, 2 epochs: 87.3 % at 1e-4, 90.1 at 5e-4, 89.2 at 1e-3; probe 84.6.
_RATE_OF_CONVOLUTIONS = 5e-4
_DECAY, _DECAY_OF_LAST = 0.9, 1.0  # graded rates helped a whole body, and cost accuracy where half of it was frozen
# Embeddings that learn cost a little time and gained half a point on film reviews; but each parameter needs 20 bytes.
_LARGE_BELOW = 2.0


class Whole(Tuning):
    """All layers learn, or the last few, lower ones more slowly."""

    last: PositiveInt | None = None  # how many layers learn, counted from the top; None: all. Time grows with it
    decay: Annotated[float, Field(gt=0, le=1)] | None = None  # from layer to layer downwards; None: 0.9, or 1 with last
    # Whether what lies below the layers learns too: word embeddings, the first convolution. None: with all layers,
    # unless it is much larger than they are, as in models of many languages.
    embeddings: bool | None = None

    def check(self, body: BodyFolder) -> None:
        """Raise BadSpelling if the body has fewer layers than shall learn. Raises BadBody."""
        if self.last is not None:
            self.stages(base.build(body), body.spelling, 0)

    def own_rate(self, network: Network) -> float:
        return _RATE_OF_CONVOLUTIONS if network.is_convolutional() else _RATE

    def own_epochs(self, network: Network) -> float:
        return _EPOCHS_OF_CONVOLUTIONS if network.is_convolutional() else _EPOCHS

    def own_decay(self) -> float:
        return self.decay or (_DECAY if self.last is None else _DECAY_OF_LAST)

    def stages(self, body: base.Body, name: str, seed: int) -> Stages:
        below, *layers = body.stages()
        n_layers = len(layers)
        if self.last is not None and self.last > n_layers:
            problem = f"method {self.spelling()!r} names {self.last} layers, and {name} has {n_layers} layers"
            raise BadSpelling(problem, f"--method {self.model_copy(update={'last': n_layers or None}).spelling()}")
        chosen = layers if self.last is None else layers[-self.last :]
        is_small = _size(below) <= _LARGE_BELOW * sum(map(_size, layers))
        with_below = self.last is None and is_small if self.embeddings is None else self.embeddings
        return [below, *chosen] if with_below or not chosen else chosen


def _size(parameters: Sequence[nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters)
