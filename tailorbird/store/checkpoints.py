"""Checkpoints: a folder for each step, which counts only when its manifest fits its bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from tailorbird.store.files import canonical, tensors, whole_folder, write
from tailorbird.types import JSON

FORMAT = 1
MANIFEST, FACTS, SUFFIX = "manifest.json", "facts.json", ".safetensors"
_KEPT = 2  # the last one, and the one before it should the disk have damaged that

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """What was kept at a step. parts: arrays by the name of their file."""

    step: int
    facts: Mapping[str, JSON]
    parts: Mapping[str, Arrays]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write it whole or not at all, and remove all but the last two. Raises BadOutput."""
    with whole_folder(folder / f"step-{checkpoint.step:09}", replace=True) as place:
        digests = {FACTS: _write(place / FACTS, canonical(dict(checkpoint.facts)))}
        for name, arrays in checkpoint.parts.items():  # one by one, for as bytes they are in memory twice
            digests[f"{name}{SUFFIX}"] = _write(place / f"{name}{SUFFIX}", tensors(arrays))
        write(place / MANIFEST, canonical({"format": FORMAT, "files": digests}))
    for old in _folders(folder)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def newest(folder: Path) -> Checkpoint | None:
    """The last one that is as it was written; None where there is none."""
    found = (_read(place) for place in reversed(_folders(folder)))
    return next(filter(None, found), None)


def any_below(folder: Path) -> bool:
    """Whether a checkpoint was finished anywhere below this folder."""
    return any(path.parent.name.startswith("step-") for path in folder.glob(f"**/{MANIFEST}"))


def _folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _write(path: Path, content: bytes) -> str:
    write(path, content)
    return hashlib.sha256(content).hexdigest()


def _read(place: Path) -> Checkpoint | None:
    try:
        told = json.loads((place / MANIFEST).read_bytes())
        if told["format"] != FORMAT:
            return None
        contents = {name: _content(place / name, digest) for name, digest in told["files"].items()}
        facts = json.loads(contents.pop(FACTS))
        parts = {name.removesuffix(SUFFIX): _arrays(content) for name, content in contents.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Checkpoint(int(place.name.removeprefix("step-")), facts, parts)


def _content(path: Path, digest: str) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{path} is damaged")
    return content


def _arrays(content: bytes) -> Arrays:
    return {name: np.array(array) for name, array in load(content).items()}  # of its own memory, so that it can change
