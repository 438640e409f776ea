"""A torch body as an ONNX graph: one file, any batch, any number of tokens."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from tailorbird import plug
from tailorbird.bodies.base import Body
from tailorbird.errors import BadBody
from tailorbird.plug import Plug
from tailorbird.store import files, graphs
from tailorbird.types import BodyFolder


def export(folder: BodyFolder, body: Body, modality: Plug, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Export the body into the store and give the graph's folder. arrays: any batch that the body reads."""
    plug.needs("exporting a body", "onnx", "onnxscript")
    example = {name: torch.from_numpy(_twice(arrays[name])) for name in body.axes}

    def fill(target: Path) -> graphs.Graph:
        opset = _write(body, example, target / graphs.MODEL, folder.spelling)
        digest = files.sha256(target / graphs.MODEL)
        full = modality.spelling(full=True)
        return graphs.Graph(body.depths, tuple(body.axes), opset, torch.__version__, digest, folder.fingerprint, full)

    return graphs.write(folder, modality, fill)


def _write(body: Body, example: dict[str, torch.Tensor], path: Path, spelling: str) -> int:
    dims = {name: torch.export.Dim(name) for name in sorted({axis for axes in body.axes.values() for axis in axes})}
    shapes = {name: {i: dims[axis] for i, axis in enumerate(axes)} for name, axes in body.axes.items()}
    try:
        with _quiet():
            program = torch.onnx.export(
                body, kwargs=example, dynamo=True, dynamic_shapes=shapes, output_names=["features"], verbose=False
            )
            assert program is not None, "the exporter gives a program when it is given no file"
            # The exporter notes where each node's code stood: paths of this machine, and no one else's business.
            ClearMetadataAndDocStringPass()(program.model)
            program.save(path, external_data=False)
            return int(program.model.opset_imports[""])
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError, TypeError) as error:
        problem = f"{spelling} cannot be exported to ONNX: {type(error).__name__}: {error}".partition("\n")[0]
        raise BadBody(problem, "run it with torch alone: --runtime torch") from error


def _twice(array: NDArray[Any]) -> NDArray[Any]:
    # An axis of length 1 would be taken for one that never varies, so the example is a batch of two or more.
    return np.concatenate([array, array]) if len(array) == 1 else array


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's chatter off both streams; its errors are raised all the same."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
