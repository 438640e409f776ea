"""What moves the last digits of what is computed here: versions, processor, threads, and our own code."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path

from tailorbird.engine.choose import processor
from tailorbird.types import JSON

_COMPUTE = (
    *("tailorbird", "numpy", "scipy", "scikit-learn", "torch", "transformers", "tokenizers", "peft"),
    *("openvino", "onnxruntime", "pillow"),
)


def environment(threads: int) -> dict[str, JSON]:
    """What moves the last digits of what is computed."""
    versions = {}
    for name in _COMPUTE:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    told = {"python": platform.python_version(), "processor": processor(), "threads": threads, "code": _code()}
    return {**versions, **told}


def _code() -> str:
    """A digest of tailorbird's own modules."""
    root = Path(__file__).parent.parent
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        whole.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()
