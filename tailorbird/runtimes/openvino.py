"""OpenVINO runs the exported graph on the processor."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import BadBody
from tailorbird.kinds import Encoder, Runtime
from tailorbird.store import graphs
from tailorbird.types import BodyFolder, Device

# The library would report its use to its maker; without this module it falls back to a stub that is silent.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402 (after the line above)

# Its first array makes the binding set itself up, and two threads that do so at once wait for each other for ever.
openvino.Tensor(np.zeros(1, np.float32))


class Openvino(Runtime):
    """OpenVINO on the processor."""

    needs: ClassVar[Literal["module", "graph"]] = "graph"

    @classmethod
    def version(cls) -> str:
        return str(openvino.__version__)

    @classmethod
    def halves(cls, device: str) -> bool:
        return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def open(self, body: BodyFolder, graph: Path | None, threads: int, device: Device) -> Encoder:
        assert graph is not None, "engine/choose.py gives a graph to a runtime that needs one"
        return OpenvinoEncoder(graph, threads, "f32" if self.precision == "fp32" else "bf16")


class OpenvinoEncoder:
    """A compiled model over body.onnx. Each call keeps to one core and as many calls as threads may run at once: on
    two cores 1.2 times as fast as spreading each over both, and the features do not depend on the number of threads."""

    def __init__(self, folder: Path, threads: int, precision: str = "f32") -> None:
        about = graphs.read(folder)
        self.depths = about.depths
        self.lanes = threads
        self._inputs = about.inputs
        self._requests: SimpleQueue[Any] = SimpleQueue()  # each holds buffers of its own, for one call at a time
        # Without the precision hint OpenVINO computes in bfloat16 on processors that have it.
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
        }
        path = folder / graphs.MODEL
        try:
            self._compiled = openvino.Core().compile_model(path, "CPU", settings)
        except RuntimeError as error:
            problem = f"OpenVINO cannot read {path}: {error}".partition("\n")[0]
            raise BadBody(problem, "use another runtime: --runtime torch") from error

    def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        given = {name: arrays[name] for name in self._inputs}
        try:
            request = self._requests.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        features = np.array(request.infer(given, share_inputs=True)[0])  # a copy: its buffer is used again
        self._requests.put(request)
        return features
