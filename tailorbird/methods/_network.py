"""A body with a linear head on top, as one network that learns: what the loop drives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tailorbird.bodies.base import Body
from tailorbird.engine.batches import Batch, Shelf
from tailorbird.engine.keeping import State
from tailorbird.engine.optimizers import Group
from tailorbird.engine.solve import temperature
from tailorbird.engine.solvers import SOLVERS
from tailorbird.lesson import Link, Truth
from tailorbird.methods._prefix import Prefix, Terms, prefix_of

Rows = NDArray[np.int64]
Outputs = NDArray[np.floating[Any]]

# In deviations of the target: beyond it an error pulls no harder. Few rows of ordinary data lie there, and an outlier
# cannot take a step for itself.
_PULL_LIMIT = 2.0
_MANY_WORDS = 4096  # a table with so many rows is looked up sparsely


@dataclass(frozen=True)
class Targets:
    """What is true of all rows, and how much each counts. truth: float32 or int64, of numbers the standardised; rows
    without a truth come after all others, and have aims only."""

    link: Link
    truth: Truth
    aims: Truth  # what is gone after: the truth itself, or scores, (n, c)
    row_weights: NDArray[np.float32]


class Network(nn.Module):
    """The last depth of a body, and a linear head on it: logits, or standardised numbers."""

    def __init__(self, body: Body, weight: NDArray[np.floating[Any]], bias: NDArray[np.floating[Any]]) -> None:
        """weight: (d, c); bias: (c,), to start from."""
        super().__init__()
        self.body = body
        self.weight = nn.Parameter(torch.from_numpy(weight.astype(np.float32)))
        self.bias = nn.Parameter(torch.from_numpy(bias.astype(np.float32)))

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """(b, c) float32."""
        return self.answer(self.body.last(**arrays))

    def answer(self, features: Tensor) -> Tensor:
        """(b, d) -> (b, c) float32. The head is never in half precision: it would round its answers to three digits."""
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = features.float() @ self.weight + self.bias
        return logits

    def is_convolutional(self) -> bool:
        """Whether most of its parameters are those of convolutions."""
        n_kernels = sum(p.numel() for p in self.body.parameters() if p.ndim == 4)
        return 2 * n_kernels > sum(p.numel() for p in self.body.parameters())

    def learn(self, stages: Iterable[Sequence[nn.Parameter]]) -> None:
        """Only these parameters of the body learn from now on, and the head."""
        self.eval()  # nothing drops out, and batch norms keep the statistics that they have: see docs/performance.md
        self.body.requires_grad_(False)
        for stage in stages:
            for parameter in stage:
                parameter.requires_grad_(True)


class Learner:
    """A network that learns the truth of rows."""

    def __init__(self, network: Network, targets: Targets, shelf: Shelf, held: Rows, device: str) -> None:
        self.network, self._shelf, self._held = network.to(device), shelf, held
        network.body.awake(device)
        self._targets, self.device = targets, device
        self._aims = torch.from_numpy(targets.aims).to(device)
        self._weights = torch.from_numpy(targets.row_weights).to(device)
        self._groups: list[Group] = []
        self._prefix: Prefix | None = None

    def keep_below(self, rows: Rows, terms: Terms) -> bool:
        """Compute once what the layers that stay make of these rows; whether there are such layers, and it pays."""
        self._prefix = prefix_of(self.network.body, self._shelf, rows, terms)
        return self._prefix is not None

    def forget_below(self) -> None:
        """Compute all layers again from here on."""
        self._prefix = None

    def graded(self, stages: Sequence[Sequence[nn.Parameter]], decay: float, *, lazily: bool = True) -> None:
        """These stages of the body learn, the lower the slower: each at `decay` times the rate of the one above it.
        lazily: of large tables only what was looked up moves."""
        self.network.learn(stages)
        tables = self._lazy_tables() if lazily else frozenset()
        for i, stage in enumerate(stages):
            share = decay ** (len(stages) - 1 - i)
            head = [self.network.weight, self.network.bias] if i == len(stages) - 1 else []
            for lazy in (False, True):
                some = [p for p in stage if (id(p) in tables) == lazy] + ([] if lazy else head)
                if some:
                    self._groups.append(Group(some, share, lazy))

    def _lazy_tables(self) -> frozenset[int]:
        """Tables of words of which a step looks up few rows: a gradient of all rows costs more than the layers. On a
        processor only, where nothing is scaled for half precision."""
        if self.device != "cpu":
            return frozenset()
        modules = [m for m in self.network.modules() if isinstance(m, nn.Embedding)]
        large = [m for m in modules if m.weight.requires_grad and m.num_embeddings >= _MANY_WORDS]
        for module in large:
            module.sparse = True
        return frozenset(id(module.weight) for module in large)

    @property
    def varies(self) -> bool:
        """Whether what it reads can be varied."""
        return self._shelf.reader.varies

    def groups(self) -> Sequence[Group]:
        return self._groups

    def step(self, batch: Batch) -> tuple[Tensor, float]:
        return self._loss(batch)

    def halves(self, batch: Batch) -> Sequence[Batch]:
        middle = len(batch.rows) // 2
        parts = [part for part in (slice(middle), slice(middle, None)) if len(batch.rows[part])]
        return [Batch(batch.rows[part], {name: x[part] for name, x in batch.arrays.items()}) for part in parts]

    def held_out(self) -> float | None:
        if not len(self._held):
            return None
        outputs = self.outputs(self._held)
        truth, weights = self._targets.truth[self._held], self._targets.row_weights[self._held]
        return judged(self._targets.link, outputs, truth, weights)[1]

    def outputs(self, rows: Rows) -> NDArray[np.float32]:
        """What the network answers, (n, c)."""
        answers = np.empty((len(rows), len(self.network.bias)), np.float32)
        place = {row: i for i, row in enumerate(rows.tolist())}
        with torch.no_grad():
            for batch in self._shelf.once(rows):
                answers[[place[row] for row in batch.rows.tolist()]] = self._answers(batch).cpu().numpy()
        return answers

    def state(self) -> State:
        return {name: p.detach().to("cpu", copy=True) for name, p in self._learning()}

    def restore(self, state: State) -> None:
        with torch.no_grad():
            for name, parameter in self._learning():
                parameter.copy_(state[name])

    def _learning(self) -> Iterable[tuple[str, nn.Parameter]]:
        return ((name, p) for name, p in self.network.named_parameters() if p.requires_grad)

    def _loss(self, batch: Batch) -> tuple[Tensor, float]:
        rows = torch.from_numpy(batch.rows).to(self.device)
        losses = _losses(self._targets.link, self._answers(batch), self._aims[rows])
        weights = self._weights[rows]
        return (losses * weights).sum(), float(weights.sum())

    def _answers(self, batch: Batch) -> Tensor:
        given = self._given(batch)
        return self.network(given) if self._prefix is None else self.network.answer(self._prefix.above(batch, given))

    def _given(self, batch: Batch) -> dict[str, Tensor]:
        tensors = {name: torch.from_numpy(array) for name, array in batch.arrays.items()}
        if self.device == "cpu":
            return tensors
        return {name: x.pin_memory().to(self.device, non_blocking=True) for name, x in tensors.items()}


def operations_a_token(network: Network, *, keeps_below: bool) -> float:
    """Floating-point operations of its products for a token that is learned from: 6 N where all layers learn, 4 N where
    little does in all of them (Kaplan et al. 2020, arXiv:2001.08361). Of the lowest weights that learn on, the way back
    goes through everything above. keeps_below: what lies below them was computed before."""
    tables = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
    weights = list(network.body.parameters())
    sizes = [p.numel() if p.ndim > 1 and id(p) not in tables else 0 for p in weights]
    lowest = next((i for i, p in enumerate(weights) if p.requires_grad), len(weights))
    learned = sum(size for size, p in zip(sizes, weights, strict=True) if p.requires_grad)
    return 2.0 * (sum(sizes[lowest:] if keeps_below else sizes) + sum(sizes[lowest:]) + learned)


def judged(link: Link, outputs: Outputs, truth: Truth, row_weights: Outputs) -> tuple[float, float]:
    """The temperature at which the loss of outputs is least, and that loss.

    Weights are chosen by it too: what learns on grows too sure before it grows worse, and that can be mended."""
    loss = SOLVERS[link].loss
    warmth = 1.0 if link == "identity" else temperature(outputs, truth, row_weights, loss)
    return warmth, loss(outputs / warmth, truth, row_weights)


def _losses(link: Link, logits: Tensor, truth: Tensor) -> Tensor:
    """The loss of each row, (b,): log-loss, its mean over labels, or the squared error up to a limit."""
    if link == "softmax":
        return F.cross_entropy(logits, truth, reduction="none")
    if link == "sigmoid":
        return F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(1)
    return F.huber_loss(logits, truth, reduction="none", delta=_PULL_LIMIT).mean(1)
