"""The contracts of the plug-ins, on one page. The engine knows plug-ins only by these.

A new answer to one question is one file in that kind's folder; it works with every answer to the others.
Nothing here and nothing on the answering path imports torch.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from tailorbird.errors import BadItem
from tailorbird.lesson import Effort, Evidence, Lesson, Link, Quiz, Rival, Scores, State, Tailored, Truth
from tailorbird.plug import Plug
from tailorbird.types import (
    JSON,
    BodyFolder,
    Dataset,
    Device,
    Facts,
    Finding,
    Metrics,
    Prediction,
    Ready,
    Value,
    Verdict,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# ---- how an item is read ------------------------------------------------------------------------------------------


class Reader(Protocol):
    """A modality joined to a body's files: it makes values ready for that body."""

    @property
    def budget(self) -> int:
        """The cost of a good batch: tokens for texts, pixels for pictures."""

    @property
    def varies(self) -> bool:
        """Whether `vary` gives anything else than `load` does. If so, all items cost the same."""

    def load(self, values: Sequence[Value]) -> list[Ready | BadItem]:
        """Each value ready for the body, or the reason why not, in the same order. Safe to call from threads."""

    def cost(self, ready: Ready) -> int:
        """What one item costs in a batch, in the unit of `budget`."""

    def stack(self, ready: Sequence[Ready]) -> dict[str, NDArray[Any]]:
        """The named arrays of a batch, padded; the first axis is the batch."""

    def vary(self, values: Sequence[Value], rng: np.random.Generator, *, flip: bool) -> list[Ready | BadItem]:
        """Like `load`, but each value is seen as it might as well have been: another crop, other light. flip: a mirror
        image would mean the same. Texts stay as they are."""


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
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: for features to learn from; answers are always of fp32

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """The version of the library, for the key of features."""

    @classmethod
    def reaches(cls, device: str) -> bool:
        """Whether this device is here and can be used."""
        return device == "cpu"

    @classmethod
    def halves(cls, device: str) -> bool:
        """Whether it knows bf16, and the device computes in it by itself."""
        return False

    @abstractmethod
    def open(self, body: BodyFolder, graph: Path | None, threads: int, device: Device) -> Encoder:
        """The body, loaded. graph: the folder that store/graphs.py describes; None where a module is needed."""


# ---- what is asked ------------------------------------------------------------------------------------------------


class Task(Plug, ABC):
    """What is asked of the model: its numpy side. Heads and losses live where torch or the solver does."""

    kind: ClassVar[str] = "task"
    link: ClassVar[Link]
    metric: ClassVar[str]  # the metric that the verdict is about
    told: ClassVar[
        tuple[str, ...]
    ]  # the fields of a Prediction that are its answer: columns of a table, words of a line

    @classmethod
    @abstractmethod
    def suits(cls, targets: Sequence[str]) -> float:
        """How much these targets look like this task's, from 0 to 1: the highest is taken where the user names none."""

    @abstractmethod
    def check(self, dataset: Dataset) -> tuple[Finding, ...]:
        """What the owner of the targets should know. Raises BadData, the row named, if nothing can be learned."""

    @abstractmethod
    def labels(self, targets: Sequence[str]) -> tuple[str, ...]:
        """The names of the scores' columns, in order; of a number there is one, "value"."""

    @abstractmethod
    def encode(self, targets: Sequence[str], labels: Sequence[str]) -> Truth:
        """Targets as truth. Raises BadData for a target that is not among the labels, or is no number."""

    @abstractmethod
    def strata(self, y: Truth) -> NDArray[np.int64]:
        """A number for each row, (n,): rows of one number are spread evenly over the parts."""

    @abstractmethod
    def answer(self, item: str, scores: Scores, labels: Sequence[str], cut: float) -> Prediction:
        """The answer for one item from its scores, (c,). cut: the score from which on a label is given, where a row may
        have any number of them."""

    @abstractmethod
    def measure(self, y: Truth, scores: Scores, cut: float, clusters: NDArray[np.int64] | None, seed: int) -> Metrics:
        """Every metric of the task with its interval. clusters: (n,) rows that belong together are drawn together."""

    @abstractmethod
    def compare(
        self, y: Truth, model: Scores, rivals: Mapping[str, Rival], clusters: NDArray[np.int64] | None, seed: int
    ) -> Verdict:
        """The model against the rival that is best by `metric`, paired over the same rows."""

    @abstractmethod
    def table(self, y: Truth, scores: Scores, labels: Sequence[str], cut: float) -> tuple[Mapping[str, JSON], ...]:
        """A line for each label: label, precision, recall, f1, support, and what else is known; of a number nothing."""

    @abstractmethod
    def badness(self, y: Truth, scores: Scores, cut: float) -> NDArray[np.float64]:
        """How wrong each answer is, (n,): 0 or less is right, and the greater the worse. For lists of mistakes."""


# ---- how the body is tailored -------------------------------------------------------------------------------------


class Method(Plug, ABC):
    """How the body is tailored."""

    kind: ClassVar[str] = "method"
    needs: ClassVar[tuple[str, ...]] = ()  # modules of the extra that it cannot do without
    tunes: ClassVar[bool] = False  # whether the body may learn: then the frozen one's features are but a beginning

    foreseeable: ClassVar[bool] = True  # whether it can be told what it takes, and it is not told how much it may
    usual: ClassVar[tuple[str, ...]] = ()  # its spellings that are worth comparing where the user names none

    def check(self, body: BodyFolder) -> None:
        """Raise BadSpelling or MissingExtra, before any costly work, if this body cannot be tailored so."""

    def check_rows(self, labels: Sequence[str], link: Link, modality: Modality) -> None:
        """Raise BadSpelling, before any costly work, if rows of this kind cannot be learned so."""

    def early(self, lesson: Lesson) -> tuple[Method, Lesson] | None:
        """What gives a model early, where `tailor` takes long, and the rows that it is to learn from; None: nothing."""
        return None

    @abstractmethod
    def tailor(self, lesson: Lesson) -> Tailored:
        """What was learned. Deterministic for a seed and a number of threads, and a deadline that is not met."""

    def effort(self, lesson: Lesson, n_train: int, n_held: int) -> Effort:
        """What `tailor` would take of so many rows to learn from and to choose on: measured on those of the lesson,
        which are fewer, and by its deadline. This one draws a line through a quarter of them and all."""
        quarter = replace(lesson, train=lesson.train[::4], validation=lesson.validation[::4])
        self._seconds(quarter)  # imports, and what else is slow once
        few, all_ = self._seconds(quarter), self._seconds(lesson)
        n_few, n_all = (len(one.train) + len(one.validation) for one in (quarter, lesson))
        a_row = max(0.0, all_ - few) / max(1, n_all - n_few)
        return Effort(all_ + a_row * max(0, n_train + n_held - n_all))

    def _seconds(self, lesson: Lesson) -> float:
        began = time.perf_counter()
        self.tailor(lesson)
        return time.perf_counter() - began


# ---- what it must beat --------------------------------------------------------------------------------------------


class Baseline(Plug, ABC):
    """A cheap rival that cannot be switched off. It is fitted beside the model and kept in the artifact as data."""

    kind: ClassVar[str] = "baseline"
    modalities: ClassVar[frozenset[str]]  # names of the modalities that it can judge
    links: ClassVar[frozenset[str]]  # the links of the tasks that it can judge
    reads_features: ClassVar[bool] = False  # whether it needs the features of the frozen body

    @abstractmethod
    def title(self, link: Link) -> str:
        """As a report names it: "TF-IDF + logistic regression"."""

    @abstractmethod
    def fit(self, evidence: Evidence, quiz: Quiz) -> State:
        """Learn from some rows; a label may have no row."""

    @abstractmethod
    def scores(self, state: State, evidence: Evidence) -> NDArray[np.float64]:
        """Scores of all labels: (n, c). Must not need anything but numpy."""
