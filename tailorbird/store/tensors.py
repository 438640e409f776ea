"""Arrays from safetensors files that may have come from anywhere: the header is looked at before it is parsed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from tailorbird.errors import BadArtifact
from tailorbird.store import files


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a file. Raises BadArtifact if it is no sound safetensors file."""
    content = path.read_bytes()
    try:
        (header_bytes,) = struct.unpack_from("<Q", content)
        if header_bytes > min(files.HEADER_LIMIT_BYTES, len(content)):
            raise ValueError(f"a header of {header_bytes:,} bytes")
        return {name: np.asarray(array) for name, array in load(content).items()}
    except (ValueError, KeyError, struct.error, SafetensorError) as error:
        raise BadArtifact(
            f"{str(path)!r} is no sound safetensors file: {error}", "fetch it again from where it came"
        ) from error
