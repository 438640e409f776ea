"""The contracts of the plug-ins, on one page. The engine knows plug-ins only by these.

A new answer to one question is one file in that kind's folder; it works with every answer to the others.
Nothing here and nothing on the answering path imports torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from tailorbird.errors import BadItem
from tailorbird.plug import Plug
from tailorbird.types import JSON, BodyFolder, Device, Facts, Metrics, Prediction, Ready, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# ---- how an item is read ------------------------------------------------------------------------------------------


class Reader(Protocol):
    """A modality joined to a body's files: it makes values ready for that body."""

    @property
    def budget(self) -> int:
        """The cost of a good batch: tokens for texts, pixels for pictures."""

    def load(self, values: Sequence[Value]) -> list[Ready | BadItem]:
        """Each value ready for the body, or the reason why not, in the same order. Safe to call from threads."""

    def cost(self, ready: Ready) -> int:
        """What one item costs in a batch, in the unit of `budget`."""

    def stack(self, ready: Sequence[Ready]) -> dict[str, NDArray[Any]]:
        """The named arrays of a batch, padded; the first axis is the batch."""


class Modality(Plug, ABC):
    """How an item is read. Its fields are part of every feature's key."""

    kind: ClassVar[str] = "modality"
    suffixes: ClassVar[frozenset[str]]  # of files that hold one item, lower case, with the dot

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """For the key of features and facts: the library's version, and a number of our own that is raised whenever
        the same content is read otherwise than before."""

    @abstractmethod
    def digest(self, value: Value) -> bytes:
        """32 bytes for the content as it was given: equal bytes, equal digest. Raises BadItem if it cannot be read."""

    @abstractmethod
    def facts(self, value: Value) -> Facts:
        """What is known without a body. Raises BadItem for what nobody could learn from: empty, damaged, too large."""

    @abstractmethod
    def reader(self, body: BodyFolder) -> Reader:
        """This modality joined to a body's files. Raises BadBody if they do not fit together."""

    @abstractmethod
    def example(self) -> Value:
        """A small made value, for tracing a body."""

    @abstractmethod
    def save(self, value: Value, limit_bytes: int) -> tuple[bytes, str]:
        """The value as a file's content and its suffix, without anything else that its file told of its maker or
        place; `open` of that file gives a value that means the same, or where that would be larger than the limit, a
        smaller one that resembles it."""

    @abstractmethod
    def open(self, path: Path) -> Value:
        """The value in a file with one of `suffixes`. Raises BadItem."""


# ---- where the body comes from ------------------------------------------------------------------------------------


class Source(Plug, ABC):
    """Where a pretrained body comes from."""

    kind: ClassVar[str] = "source"

    def pull(self) -> BodyFolder:
        """Bring the body into the store. The only method of any plug-in that may open a connection."""
        return self.open()

    @abstractmethod
    def open(self) -> BodyFolder:
        """The body from the store, its digests checked. Raises BadBody that names the pull command if it is missing."""


# ---- what runs it -------------------------------------------------------------------------------------------------


class Encoder(Protocol):
    """A body that is loaded and gives features."""

    depths: tuple[tuple[str, int], ...]  # names and widths, in the order of the columns; one is called "last"
    lanes: int  # how many calls of encode may run at once, from threads; over one where each call keeps to one core

    def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Features of a batch, all depths side by side: (b, sum of widths)."""


class Runtime(Plug, ABC):
    """What runs a frozen body."""

    kind: ClassVar[str] = "runtime"
    needs: ClassVar[Literal["module", "graph"]]  # a torch module built from the body's files, or an ONNX graph of it
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    precision: Literal["fp32"] = "fp32"

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """The version of the library, for the key of features."""

    @classmethod
    def reaches(cls, device: str) -> bool:
        """Whether this device is here and can be used."""
        return device == "cpu"

    @abstractmethod
    def open(self, body: BodyFolder, graph: Path | None, threads: int, device: Device) -> Encoder:
        """The body, loaded. graph: the folder that store/graphs.py describes; None where a module is needed."""


# ---- what is asked ------------------------------------------------------------------------------------------------


class Task(Plug, ABC):
    """What is asked of the model: its numpy side. Heads and losses live where torch or the solver does."""

    kind: ClassVar[str] = "task"
    offers: ClassVar[str]  # what it needs of a body: "pooled", "tokens", "grid", "logits", ...
    metric: ClassVar[str]  # the metric that the verdict is about

    @abstractmethod
    def labels(self, targets: Sequence[str]) -> tuple[str, ...]:
        """The labels in the order of the scores' columns. Raises BadData when the task cannot be learned from them."""

    @abstractmethod
    def encode(self, targets: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
        """Targets as numbers: (n,). Raises BadData for a target that is not among the labels."""

    @abstractmethod
    def answer(self, item: str, scores: NDArray[np.floating[Any]], labels: Sequence[str]) -> Prediction:
        """The answer for one item from its scores: (c,)."""

    @abstractmethod
    def measure(
        self, y: NDArray[np.int64], scores: NDArray[np.floating[Any]], clusters: NDArray[np.int64] | None, seed: int
    ) -> Metrics:
        """Every metric of the task with its interval. y: (n,); scores: (n, c); clusters: (n,) rows that belong
        together are drawn together."""


# ---- how the body is tailored -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """A linear head on frozen features: probabilities = softmax((x @ weight + bias) / temperature).

    depths: the depths of the body that x is made of, in order; weight: (d, c) float32; bias: (c,) float32."""

    depths: tuple[str, ...]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float
    notes: Mapping[str, JSON]  # how it was found: strength, losses, rounds

    def scores(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities: (n, d) -> (n, c)."""
        import numpy as np

        logits = (x @ self.weight + self.bias).astype(np.float64) / self.temperature
        logits -= logits.max(1, keepdims=True)
        powers = np.exp(logits)
        return np.asarray(powers / powers.sum(1, keepdims=True))


@dataclass(frozen=True)
class Lesson:
    """What a method may learn from. Rows are numbered once; train and validation are places in them.

    features: depth name -> (n, d) float32 of the frozen body; y: (n,) numbers of labels; row_weights: (n,) float32."""

    features: Mapping[str, NDArray[np.float32]]
    y: NDArray[np.int64]
    n_labels: int
    row_weights: NDArray[np.float32]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]  # empty: the method chooses its settings on train, each row or cluster left out once
    seed: int
    clusters: NDArray[np.int64] | None = None  # (n,): rows with one number belong together and are left out together


class Method(Plug, ABC):
    """How the body is tailored."""

    kind: ClassVar[str] = "method"

    @abstractmethod
    def tailor(self, lesson: Lesson) -> Head:
        """What was learned. Deterministic for a seed and a number of threads."""


# ---- what it must beat --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """What baselines see of some rows. sketches: (n, k) or None; features: (n, d) of the body's last layer."""

    values: Sequence[Value]
    sketches: NDArray[np.float32] | None
    features: NDArray[np.float32]

    def take(self, indices: NDArray[np.int64]) -> Evidence:
        """The rows at these places."""
        sketches = None if self.sketches is None else self.sketches[indices]
        return Evidence([self.values[i] for i in indices], sketches, self.features[indices])


State = tuple[dict[str, JSON], dict[str, "NDArray[Any]"]]  # what a fitted baseline is: plain JSON and arrays


class Baseline(Plug, ABC):
    """A cheap rival that cannot be switched off. It is fitted beside the model and kept in the artifact as data."""

    kind: ClassVar[str] = "baseline"
    modalities: ClassVar[frozenset[str]]  # names of the modalities that it can judge
    title: ClassVar[str]  # as a report names it: "TF-IDF + logistic regression"

    @abstractmethod
    def fit(self, evidence: Evidence, y: NDArray[np.int64], n_labels: int, seed: int) -> State:
        """Learn from some rows. y: (n,); a label may have no row."""

    @abstractmethod
    def scores(self, state: State, evidence: Evidence) -> NDArray[np.float64]:
        """Probabilities: (n, c). Must not need anything but numpy."""
