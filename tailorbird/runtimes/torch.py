"""The reference: PyTorch runs the body's own module."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tailorbird.bodies import base
from tailorbird.errors import BadBody, BadSpelling
from tailorbird.kinds import Encoder, Runtime
from tailorbird.types import BodyFolder, Device


class Torch(Runtime):
    """PyTorch, on the processor or on an NVIDIA GPU."""

    needs: ClassVar[Literal["module", "graph"]] = "module"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    @classmethod
    def version(cls) -> str:
        # Many bodies are built from that library's layers. It is looked up and not imported, which would take seconds.
        layers = [f"transformers {one.version}" for one in importlib.metadata.distributions(name="transformers")]
        return ", ".join([str(torch.__version__), *layers[:1]])

    @classmethod
    def reaches(cls, device: str) -> bool:
        return device == "cpu" or (device == "cuda" and torch.cuda.is_available())

    @classmethod
    def halves(cls, device: str) -> bool:
        return device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)

    def open(self, body: BodyFolder, graph: Path | None, threads: int, device: Device) -> Encoder:
        if device == "cuda" and not self.reaches("cuda"):
            raise BadSpelling("device 'cuda' was asked for, and torch finds no NVIDIA GPU here", "use --device cpu")
        chosen = "cuda" if device != "cpu" and self.reaches("cuda") else "cpu"
        half = torch.bfloat16 if self.precision == "bf16" else None
        return TorchEncoder(base.build(body), threads, chosen, body.spelling, half)


class TorchEncoder:
    """A torch body that answers with arrays. One call at a time: torch spreads each over its own threads."""

    lanes = 1

    def __init__(
        self, body: base.Body, threads: int, device: str, spelling: str, half: torch.dtype | None = None
    ) -> None:
        torch.set_num_threads(threads)  # torch keeps one number for the whole process
        torch.backends.cudnn.allow_tf32 = False  # on by default, and it keeps 10 bits of the 23
        self.body = body.to(device)
        self.depths = body.depths
        self._device, self._half = device, half
        self._spelling = spelling

    def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        missing = [name for name in self.body.axes if name not in arrays]
        if missing:
            problem = f"{self._spelling} reads {', '.join(self.body.axes)}, and was given {', '.join(arrays)}"
            raise BadBody(problem, "choose a body that was trained on this kind of data: --model")
        with torch.inference_mode(), torch.autocast(self._device, self._half, self._half is not None):
            given = {name: torch.from_numpy(arrays[name]).to(self._device) for name in self.body.axes}
            return np.asarray(self.body(**given).float().cpu().numpy())
