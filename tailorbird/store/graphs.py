"""Exported graphs of bodies: a folder with body.onnx and graph.json, found by body and modality."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tailorbird.errors import BadBody
from tailorbird.plug import Plug
from tailorbird.store import files
from tailorbird.types import BodyFolder

MODEL, ABOUT = "body.onnx", "graph.json"
# Raised when a body's depths or the way of exporting change: older graphs are then no longer found.
_FORMAT = 1


@dataclass(frozen=True)
class Graph:
    """What graph.json says of the body.onnx beside it."""

    depths: tuple[tuple[str, int], ...]  # names and widths, in the order of the columns of the one output
    inputs: tuple[str, ...]
    opset: int
    torch: str  # the version that exported it
    digest: str  # hex sha256 of body.onnx
    fingerprint: str  # of the body
    modality: str  # full spelling


def place(body: BodyFolder, modality: Plug) -> Path:
    """Where the store keeps, or would keep, the graph of this body for this modality."""
    named = f"{_FORMAT}\n{body.fingerprint}\n{modality.spelling(full=True)}"
    return files.home() / "graphs" / hashlib.sha256(named.encode()).hexdigest()[:32]


def find(body: BodyFolder, modality: Plug) -> Path | None:
    """The folder of a whole and fitting graph: beside the body's own folder (in an artifact), or in the store."""
    for folder in (body.folder.parent / "graph", place(body, modality)):
        if _fits(folder, body, modality):
            return folder
    return None


def write(body: BodyFolder, modality: Plug, fill: Callable[[Path], Graph]) -> Path:
    """Keep a graph in the store. fill writes body.onnx into the folder that it is given and describes it."""
    target = place(body, modality)
    # A folder that is there and does not fit is damaged, or `find` would have given it.
    with files.whole_folder(target, replace=not _fits(target, body, modality)) as folder:
        files.write(folder / ABOUT, files.canonical(asdict(fill(folder))))
    return target


def copy_graph(body: BodyFolder, modality: Plug, target: Path) -> None:
    """Put a copy of the graph at `target`, so that a model folder runs without torch. Nothing, if there is none."""
    found = find(body, modality)
    if found is not None:
        target.mkdir()
        for name in (MODEL, ABOUT):
            shutil.copyfile(found / name, target / name)


def drop(body: BodyFolder, modality: Plug) -> None:
    """Remove the store's graph of a body, if it has one. Those in artifacts stay."""
    shutil.rmtree(place(body, modality), ignore_errors=True)


def read(folder: Path) -> Graph:
    """The description of a graph. Raises BadBody if it is none."""
    try:
        fields = json.loads((folder / ABOUT).read_bytes())
        depths = tuple((str(name), int(width)) for name, width in fields.pop("depths"))
        return Graph(depths=depths, inputs=tuple(fields.pop("inputs")), **fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "remove that folder; the next fit exports the body again"
        raise BadBody(f"{folder} holds no graph of a body: {error}", hint) from error


def _fits(folder: Path, body: BodyFolder, modality: Plug) -> bool:
    if not (folder / ABOUT).is_file() or not (folder / MODEL).is_file():
        return False
    try:
        graph = read(folder)
    except BadBody:
        return False
    wanted = (body.fingerprint, modality.spelling(full=True), files.sha256(folder / MODEL))
    return (graph.fingerprint, graph.modality, graph.digest) == wanted
