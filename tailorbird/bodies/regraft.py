"""Other weights in a graph that was exported before: what a body that learned needs, in a tenth of an export's time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.bodies import base
from tailorbird.plug import Plug
from tailorbird.store import files, graphs
from tailorbird.types import BodyFolder

_LEAST_NUMBERS = 64  # smaller constants may be numbers of the architecture, such as the scale of attention

Arrays = Mapping[str, NDArray[Any]]


def regraft(body: BodyFolder, like: BodyFolder, modality: Plug) -> Path | None:
    """Put the graph of `like` with the weights of `body` into the store; None where that cannot be done for sure.

    A weight is found in the graph by its content, as it is or turned, for the exporter gives some of them new names.
    The caller compares the graph's features with torch's: what the exporter made of several weights would stay old."""
    import onnx

    found = graphs.find(like, modality)
    if found is None:
        return None
    model = onnx.load(str(found / graphs.MODEL))
    before, after = _weights(like), _weights(body)
    known = _by_content(before)
    missing = {name for name in before if not np.array_equal(before[name], after[name])}
    for tensor in model.graph.initializer:
        old = onnx.numpy_helper.to_array(tensor)
        if old.dtype.kind != "f":  # numbers of places and the like are the architecture's
            continue
        named = known.get(_key(old), [])
        if not named and old.size < _LEAST_NUMBERS:
            continue
        new = _only([after[name].T if turned else after[name] for name, turned in named])
        if new is None:
            return None
        missing -= {name for name, _ in named}
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(new, old.dtype), tensor.name))
    if missing:
        return None

    def fill(target: Path) -> graphs.Graph:
        onnx.save(model, str(target / graphs.MODEL))
        told = graphs.read(found)
        digest = files.sha256(target / graphs.MODEL)
        return graphs.Graph(
            told.depths, told.inputs, told.opset, told.torch, digest, body.fingerprint, modality.spelling(full=True)
        )

    return graphs.write(body, modality, fill)


def _weights(body: BodyFolder) -> Arrays:
    # By the names of the architecture: a published file may have others, and numbers that numpy does not know.
    return {name: tensor.numpy() for name, tensor in base.build(body).weights().items()}


def _by_content(weights: Arrays) -> Mapping[bytes, list[tuple[str, bool]]]:
    """The names of weights by their content, as they are and turned."""
    found: dict[bytes, list[tuple[str, bool]]] = {}
    for name, array in weights.items():
        found.setdefault(_key(array), []).append((name, False))
        if array.ndim == 2:
            found.setdefault(_key(array.T), []).append((name, True))
    return found


def _key(array: NDArray[Any]) -> bytes:
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array, np.float32).tobytes()).digest()


def _only(candidates: Sequence[NDArray[Any]]) -> NDArray[Any] | None:
    """What all of them are. Weights that were alike and are no longer cannot be told apart: the exporter keeps one."""
    alike = all(np.array_equal(candidates[0], one) for one in candidates[1:])
    return candidates[0] if candidates and alike else None
