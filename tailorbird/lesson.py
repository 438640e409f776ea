"""What is learned from and what was learned: the values that pass between tasks, methods, baselines and the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tailorbird.types import JSON, BodyFolder, Device, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tailorbird.engine.journal import Lap
    from tailorbird.kinds import Modality

# What is true of n rows, in the form of the link of the task: softmax: numbers of labels, (n,) int64; sigmoid: which
# labels a row has, (n, c) float32 of 0 and 1; identity: the number itself, (n, 1) float64.
Truth: TypeAlias = "NDArray[Any]"
# A head's outputs become scores by this: probabilities that add up to one; a probability for each label; as they are.
Link: TypeAlias = Literal["softmax", "sigmoid", "identity"]
Scores: TypeAlias = "NDArray[np.floating[Any]]"  # (n, c); of a number (n, 1)


@dataclass(frozen=True)
class Rival:
    """A baseline's answers to the rows that the model answered too."""

    title: str
    scores: Scores
    cut: float = 0.5


@dataclass(frozen=True)
class Head:
    """A linear head on features of a body: scores = link((x @ weight + bias) / temperature).

    depths: the depths of the body that x is made of, in order; weight: (d, c) float32; bias: (c,) float32, of a number
    float64, for there float32 would round away what differs between points of time."""

    depths: tuple[str, ...]
    weight: NDArray[np.float32]
    bias: NDArray[np.floating[Any]]
    temperature: float
    notes: Mapping[str, JSON]  # how it was found: strength, losses, rounds
    link: Link = "softmax"
    cut: float = 0.5  # the score from which on a label is given, where a row may have any number of them
    scale: float = (
        1.0  # what a large difference of two scores is: 1 for probabilities, a deviation of the target's else
    )

    def scores(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores: (n, d) -> (n, c)."""
        import numpy as np

        logits = (x @ self.weight + self.bias).astype(np.float64) / self.temperature
        if self.link == "identity":
            return logits
        if self.link == "sigmoid":
            return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))  # for exp would overflow
        logits -= logits.max(1, keepdims=True)
        powers = np.exp(logits)
        return np.asarray(powers / powers.sum(1, keepdims=True))


@dataclass(frozen=True)
class Workshop:
    """What a method needs beside features, if the body itself is to learn."""

    body: BodyFolder
    modality: Modality
    values: Sequence[Value]  # of all rows
    labels: Sequence[str]
    folder: Path  # an empty place; a body that learned is written into a new folder in it
    threads: int
    device: Device
    laps: Callable[[str], Lap] | None = None  # by its name: where a learning keeps how far it is
    study: Path | None = None  # where it is kept what other settings gave; None: no others are tried
    noted: Callable[[str, Callable[[], JSON]], JSON] | None = None  # what was measured first under a name, or is now
    digests: NDArray[np.uint8] | None = None  # (n, 32), of the contents of all rows
    is_begun: bool = False  # before an interruption a body has learned here, and is at hand


@dataclass(frozen=True)
class Lesson:
    """What a method may learn from. Rows are numbered once; train and validation are places in them.

    features: depth name -> (n, d) float32 of the frozen body; y: truth of the n rows; row_weights: (n,) float32."""

    features: Mapping[str, NDArray[np.float32]]
    y: Truth
    n_labels: int
    row_weights: NDArray[np.float32]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]  # empty: the method chooses its settings on train, each row or cluster left out once
    seed: int
    clusters: NDArray[np.int64] | None = None  # (n,): rows with one number belong together and are left out together
    link: Link = "softmax"
    workshop: Workshop | None = None  # None: only features are at hand
    deadline: float | None = None  # the time.monotonic() at which `tailor` should be over; None: it takes what it needs
    early: Tailored | None = None  # what the method gave early, of all rows of the fit


@dataclass(frozen=True)
class Tailored:
    """What a method learned. body: a body that learned too, in a folder of its own; the head then reads its features.
    None: the head reads those of the frozen body."""

    head: Head
    body: BodyFolder | None = None


@dataclass(frozen=True)
class Effort:
    """What a method says that it would take. steps: of a body that learns, else 0; operations: floating-point ones of
    all matrix products, where they are known."""

    seconds: float
    steps: int = 0
    operations: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What baselines see of some rows. sketches: (n, k) or None; features: (n, d) of the frozen body's last layer, or
    None where that body is not at hand."""

    values: Sequence[Value]
    sketches: NDArray[np.float32] | None
    features: NDArray[np.float32] | None

    def take(self, indices: NDArray[np.int64]) -> Evidence:
        """The rows at these places."""
        sketches = None if self.sketches is None else self.sketches[indices]
        features = None if self.features is None else self.features[indices]
        return Evidence([self.values[i] for i in indices], sketches, features)


State = tuple[dict[str, JSON], dict[str, "NDArray[Any]"]]  # what a fitted baseline is: plain JSON and arrays


@dataclass(frozen=True)
class Quiz:
    """The truth of the rows that a baseline learns from. y: see Truth."""

    y: Truth
    n_labels: int
    link: Link
    seed: int
