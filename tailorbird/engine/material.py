"""What a method learns from: checked rows, and the features of every row in all depths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tailorbird import __version__
from tailorbird.data.check import Checked, Memory
from tailorbird.data.split import Split
from tailorbird.engine.budget import Budget
from tailorbird.engine.choose import Choice, choose
from tailorbird.engine.features import Planned, columns, encode, namespace_of
from tailorbird.errors import BadData
from tailorbird.kinds import Modality, Runtime, Task
from tailorbird.lesson import Evidence, Lesson, Truth
from tailorbird.plug import parse
from tailorbird.store.cache import Namespace
from tailorbird.types import BodyFolder, Device

# The doctor, the head, its baselines, the figures and the sealing: 20 s were measured of 10,600 film reviews, 29 s of
# 10,000 pictures of clothes.
_REST_S, _REST_S_A_ROW = 12.0, 0.001


@dataclass(frozen=True)
class Material:
    """Rows that can be learned from. choice: what gave the features, closed; features: depth name -> (n, d)."""

    checked: Checked
    choice: Choice
    features: Mapping[str, NDArray[np.float32]]

    @property
    def half(self) -> bool:
        """Whether the features are of half precision, so that another choice has to give the answers."""
        return parse("runtime", self.choice.runtime, Runtime).precision != "fp32"

    @property
    def evidence(self) -> Evidence:
        """What baselines see."""
        return Evidence(self.checked.values, self.checked.sketches, self.features["last"])


def facts_memory(modality: Modality) -> Memory | None:
    """Where facts that cost a decoding are kept; texts cost nothing."""
    if modality.name == "text":
        return None
    # Some fields change no fact, but which is the modality's own affair: a limit does, since what was found beyond it
    # would be remembered as good.
    key = {"what": "facts", "modality": modality.spelling(full=True), "reading": modality.version()}
    return Namespace.open({**key, "tailorbird": __version__})


def gather_features(
    checked: Checked,
    body: BodyFolder,
    modality: Modality,
    *,
    runtime: str,
    threads: int,
    device: Device,
    limit: Budget,
    half: bool = False,
    planned: Planned | None = None,
) -> Material:
    """Choose a runtime on the first rows, and encode every row with it, out of the cache where it can. half: features
    are only learned from, so bfloat16 will do; planned: see encode.

    Raises BadSpelling if the budget does not suffice for that, and for the little that a model needs beside."""
    wanted = None if runtime == "auto" else runtime
    choice = choose(body, modality, checked.values, runtime=wanted, threads=threads, device=device, half=half)
    space = space_of(choice, body, modality)
    n_unknown = int((~space.get(checked.digests)[0]).sum()) if limit.seconds is not None else 0
    encoding = n_unknown / max(choice.speeds.get(choice.runtime, float("inf")), 1e-9)
    rest = _REST_S + _REST_S_A_ROW * len(checked.values)
    reading = f"reading {n_unknown:,} rows takes about {encoding:.0f} s here, and a model of them {rest:.0f} s"
    limit.check(encoding + rest, reading)
    features = known_features(choice, body, modality, checked, space, planned)
    return Material(checked, choice.closed(), features)


def space_of(choice: Choice, body: BodyFolder, modality: Modality) -> Namespace:
    """Where the cache keeps what this choice gives."""
    return namespace_of(body, modality, choice.runtime, choice.encoder, choice.graph, choice.device)


def known_features(
    choice: Choice,
    body: BodyFolder,
    modality: Modality,
    checked: Checked,
    space: Namespace | None = None,
    planned: Planned | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Features of every checked row by depth, (n, d) each; from the cache where it has them, and kept there.

    space: where the cache keeps them, if it is open already; planned: see encode."""
    features, errors = encode(
        choice.encoder,
        modality.reader(body),
        checked.values,
        checked.digests,
        space or space_of(choice, body, modality),
        digest=modality.digest,
        planned=planned,
        threads=choice.threads,
    )
    for place, error in errors.items():
        # It could be decoded a moment ago, so this is no ordinary bad row: the file changed under our hands.
        problem = f"{checked.dataset.rows.ids[place]!r} could be read a moment ago, and now not: {error}"
        raise BadData(problem, "run again when nothing writes to the data")
    depths = choice.encoder.depths
    return {name: columns(depths, (name,), features) for name, _ in depths}


def lesson_from(
    material: Material, task: Task, y: Truth, n_labels: int, parts: Split, *, weights: str, seed: int
) -> Lesson:
    """The lesson on these parts. weights: "balanced" gives every label the same sum of row weights."""
    known = np.concatenate([parts.train, parts.validation])
    row_weights = _balanced(y, y[known], n_labels) if weights == "balanced" else np.ones(len(y), np.float32)
    return Lesson(
        material.features, y, n_labels, row_weights, parts.train, parts.validation, seed, parts.clusters, task.link
    )


def beginnings(digests: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The first eight bytes of each digest: enough to know a row again, too little to tell what it was. (n, 32)."""
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64).ravel()


def _balanced(y: NDArray[np.int64], known: NDArray[np.int64], n_labels: int) -> NDArray[np.float32]:
    """Weights of all rows from the counts of those that are learned from."""
    counts = np.bincount(known, minlength=n_labels)
    return (len(known) / (n_labels * np.maximum(counts, 1)[y])).astype(np.float32)
