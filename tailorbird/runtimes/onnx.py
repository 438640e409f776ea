"""ONNX Runtime runs the exported graph on the processor."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import BadBody
from tailorbird.kinds import Encoder, Runtime
from tailorbird.store import graphs
from tailorbird.types import BodyFolder, Device

# The official builds report to their maker unless this is set before the library is loaded (its Privacy.md).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime


class Onnx(Runtime):
    """ONNX Runtime in 32-bit floating point."""

    needs: ClassVar[Literal["module", "graph"]] = "graph"

    @classmethod
    def version(cls) -> str:
        return str(onnxruntime.__version__)

    def open(self, body: BodyFolder, graph: Path | None, threads: int, device: Device) -> Encoder:
        assert graph is not None, "engine/choose.py gives a graph to a runtime that needs one"
        return OnnxEncoder(graph, threads)


class OnnxEncoder:
    """A session over body.onnx. Each call keeps to one core and as many calls as threads may run at once: that is
    faster than spreading every call over all cores, and the features do not depend on the number of threads."""

    def __init__(self, folder: Path, threads: int) -> None:
        about = graphs.read(folder)
        self.depths = about.depths
        self.lanes = threads
        self._inputs = about.inputs
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # errors only
        path = folder / graphs.MODEL
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's errors share no parent of their own
            raise BadBody(
                f"ONNX Runtime cannot read {path}: {error}", "use another runtime: --runtime torch"
            ) from error

    def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        given = {name: arrays[name] for name in self._inputs}
        return np.asarray(self._session.run(None, given)[0])
