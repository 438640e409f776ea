"""The Predictor: a model that answers. Torch-free; what runs the body is opened when the first question comes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tailorbird.engine.choose import Choice, reopen
from tailorbird.engine.features import columns, encode
from tailorbird.errors import BadBody, BadItem
from tailorbird.kinds import Baseline, Modality, Reader, Source, Task
from tailorbird.lesson import Head, State
from tailorbird.paper.stored import report_from
from tailorbird.plug import parse
from tailorbird.store.artifact import Artifact, open_artifact
from tailorbird.store.bodies import open_body
from tailorbird.store.tensors import read_tensors
from tailorbird.types import JSON, BodyFolder, Device, Prediction, Report, Value

Given: TypeAlias = "str | Path | NDArray[np.uint8]"  # as a caller gives it


@dataclass(frozen=True)
class Predictor:
    """A model that answers: modality, body, head and task joined. Made by fit and load."""

    body: BodyFolder
    modality: Modality
    task: Task
    labels: tuple[str, ...]
    head: Head
    baselines: Mapping[str, tuple[Baseline, State]]
    runtime: str  # the name of the runtime that the figures were measured on
    threads: int
    device: Device
    input: str  # the column, or kind of file, that rows are read from
    target: str
    seen: NDArray[np.uint64]  # the beginnings of the twins' digests of all rows that it learned from, sorted
    tuned: bool = False  # whether the body itself learned; baselines that read features know those of the frozen one
    path: Path | None = None
    report: Report | None = field(default=None, compare=False)

    @cached_property
    def choice(self) -> Choice:
        """The body, loaded in the recorded runtime, or in another whose features agree with it."""
        return reopen(self.body, self.modality, self.runtime, threads=self.threads, device=self.device)

    def predict(self, items: Given | Sequence[Given]) -> list[Prediction]:
        """An answer for each item, in order; an item that cannot be read has an error, and the others their answers.

        An item is a file's path; for texts also the text itself; for pictures also an (h, w) or (h, w, 3) uint8 array.
        One alone need not be in a list."""
        given = _each(items)
        values = [self.value(item) for item in given]
        return self.answer([_name(item, i) for i, item in enumerate(given)], values)

    def value(self, item: Given) -> Value | BadItem:
        """What an item that a caller gave holds."""
        if isinstance(item, np.ndarray):
            return _pixels(item)
        if not isinstance(item, (str, Path)):
            return BadItem(f"neither a path, a text nor an array, but {type(item).__name__}")
        path = Path(item)
        try:
            if _is_file(path):
                return self.modality.open(path)
        except BadItem as error:
            return error
        # A word that ends like a file of ours is a mistyped path, and no text that anyone wants an answer to.
        mistyped = path.suffix.lower() in self.modality.suffixes and not re.search(r"\s", str(item))
        if isinstance(item, str) and self.modality.name == "text" and not mistyped:
            return item
        return BadItem(f"there is no file {str(item)!r}")

    @cached_property
    def reader(self) -> Reader:
        """The modality joined to the body's files."""
        return self.modality.reader(self.body)

    def answer(self, ids: Sequence[str], values: Sequence[Value | BadItem]) -> list[Prediction]:
        """Predictions for values that were read already."""
        good = [i for i, value in enumerate(values) if not isinstance(value, BadItem)]
        features, errors = self.features([value for value in values if not isinstance(value, BadItem)])
        scores = self.head.scores(columns(self.choice.encoder.depths, self.head.depths, features))
        failed = {i: value for i, value in enumerate(values) if isinstance(value, BadItem)}
        failed |= {good[place]: error for place, error in errors.items()}
        place = {row: k for k, row in enumerate(good)}
        return [
            Prediction(name, error=str(failed[i]))
            if i in failed
            else self.task.answer(name, scores[place[i]], self.labels, self.head.cut)
            for i, name in enumerate(ids)
        ]

    def features(self, values: Sequence[Value]) -> tuple[NDArray[np.float32], dict[int, BadItem]]:
        """Features of values, all depths side by side: (n, d), with the errors by place. Not kept in the cache."""
        return encode(self.choice.encoder, self.reader, values, threads=self.choice.threads)


def load(path: str | Path, *, threads: int = 0, device: Device = "auto") -> Predictor:
    """The model in a folder, every byte checked. Raises BadArtifact, or BadBody that names the pull command.

    threads: 0 takes all cores that this process may use."""
    return from_artifact(open_artifact(Path(path)), threads=threads, device=device)


def from_artifact(artifact: Artifact, *, threads: int = 0, device: Device = "auto") -> Predictor:
    """The model of an artifact that was opened, and so checked, before."""
    manifest, folder = artifact.manifest, artifact.path
    arrays = read_tensors(folder / "head.safetensors")
    return Predictor(
        body=_body(artifact),
        tuned=manifest["body"]["tuned"],
        modality=parse("modality", manifest["modality"], Modality),
        task=parse("task", manifest["task"], Task),
        labels=tuple(manifest["labels"]),
        head=_head(manifest, arrays),
        baselines=_baselines(folder),
        runtime=manifest["runtime"]["name"],
        threads=threads,
        device=device,
        input=manifest["input"]["name"],
        target=manifest["target"],
        seen=arrays["seen"],
        path=folder,
        report=report_from(json.loads((folder / "report.json").read_bytes())),
    )


def _head(manifest: Mapping[str, JSON], arrays: Mapping[str, NDArray[np.float32]]) -> Head:
    told = manifest["head"]
    return Head(
        depths=tuple(told["depths"]),
        weight=arrays["weight"],
        bias=arrays["bias"],
        temperature=manifest["temperature"],
        notes=told,
        link=told["link"],
        cut=manifest["threshold"],
        scale=told["scale"],
    )


def _body(artifact: Artifact) -> BodyFolder:
    wanted = artifact.manifest["body"]
    if wanted["embedded"]:
        body = open_body(artifact.path / "body")
    else:
        body = parse("source", wanted["spelling"], Source).open()
    if body.fingerprint != wanted["fingerprint"]:
        raise BadBody(
            f"{wanted['spelling']!r} is not the body that {str(artifact.path)!r} was made with: its files differ",
            "fit again with --force, or fetch the body that was used then",
        )
    return body


def scores_of(answer: Prediction) -> dict[str, float]:
    """The numbers of an answer by name, as golden examples keep them; none of an error."""
    return dict(answer.scores or ({} if answer.value is None else {"value": answer.value}))


def _baselines(folder: Path) -> dict[str, tuple[Baseline, State]]:
    told = json.loads((folder / "baselines.json").read_bytes())
    arrays = read_tensors(folder / "baselines.safetensors")
    found: dict[str, tuple[Baseline, State]] = {}
    for name, facts in told.items():
        own = {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(f"{name}/")}
        found[name] = (parse("baseline", name, Baseline), (facts, own))
    return found


def _each(items: Given | Sequence[Given]) -> Sequence[Given]:
    """One item alone, or each of several; an array may be either."""
    if isinstance(items, np.ndarray):
        return [items] if _is_picture(items) else list(items)
    return [items] if isinstance(items, (str, Path)) else items


def _is_picture(array: NDArray[np.uint8]) -> bool:
    return array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)


def _pixels(array: NDArray[np.uint8]) -> Value | BadItem:
    if array.dtype == np.uint8 and _is_picture(array):
        return array
    return BadItem(f"an array of shape {array.shape} and {array.dtype}, and not (h, w) or (h, w, 3) of uint8")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text may be too long for a path, or hold a NUL
        return False


def _name(item: Given, place: int) -> str:
    return f"item {place}" if isinstance(item, np.ndarray) else str(item)
