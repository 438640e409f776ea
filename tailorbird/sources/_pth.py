"""A PyTorch weight file (.pth) as safetensors, in a process of its own: python -m tailorbird.sources._pth IN OUT

A .pth is a pickle, so a stranger's program. It is read once, with weights_only, where it can neither reach a network
nor take the machine's memory, processor or disk; what comes out holds numbers and nothing else.
The one module that may call torch.load. Exit code 3: refused, the reason in one line on stderr."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import tailorbird
from tailorbird.errors import BadBody
from tailorbird.plug import needs
from tailorbird.store import files

if TYPE_CHECKING:
    from torch import Tensor

SECONDS = 120  # of processor time; the largest known file takes 2
_ROOM_BYTES = 512 << 20  # of address space beyond what torch took to start and three times the file
_REFUSED = 3
_NEW_USER_AND_NETWORK = 0x10000000 | 0x40000000  # CLONE_NEWUSER | CLONE_NEWNET of Linux


def convert(source: Path, target: Path) -> None:
    """Write the tensors of a .pth as safetensors, in a limited process. Raises BadBody."""
    needs("reading .pth weights", "torch")
    try:
        reason = _reason(_run(source, target))
    except subprocess.TimeoutExpired:
        reason = f"reading it took more than {5 * SECONDS} seconds"
    if reason:
        target.unlink(missing_ok=True)
        raise BadBody(
            f"{source.name} was refused: {reason}", "use a body with safetensors weights: --model folder:PATH"
        )


def _run(source: Path, target: Path) -> subprocess.CompletedProcess[bytes]:
    # -P: a torch.py that lies in the user's folder is not imported.
    command = [sys.executable, "-P", "-m", "tailorbird.sources._pth", str(source), str(target)]
    return subprocess.run(
        command, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=5 * SECONDS, check=False
    )


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(Path(tailorbird.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    # One thread: each would take address space.
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _reason(done: subprocess.CompletedProcess[bytes]) -> str | None:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"signal {-done.returncode} stopped it: it wants more time, memory or disk than weights need"
    return lines[-1]


def main(source: Path, target: Path) -> None:
    """The limited process: close the doors, read, check, write."""
    close_network()
    from safetensors.torch import save

    limit(source.stat().st_size)
    files.write(target, save(untied(read(source))))


def read(source: Path) -> dict[str, Tensor]:
    """The tensors of a .pth by name. Raises ValueError, or whatever torch raises, for anything else."""
    import torch

    check_container(source)
    # A .pth can be read in no other way. weights_only builds tensors and calls nothing else that the pickle names.
    return check_tensors(torch.load(source, map_location="cpu", weights_only=True))


def untied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same numbers, each tensor with memory of its own: safetensors keeps no ties, and models tie their weights."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if place in seen else tensor.contiguous()
        seen.add(place)
    return apart


def close_network() -> None:
    """No network from here on: an empty namespace where the system allows it, and no socket module in any case."""
    if sys.platform == "linux":
        ctypes.CDLL(None).unshare(_NEW_USER_AND_NETWORK)  # refused in some containers; then the next line stands alone
    socket.socket = _NoSocket  # type: ignore[misc]


class _NoSocket(socket.socket):  # a class still, for libraries make classes of it when they are imported
    def __init__(self, *given: object, **named: object) -> None:
        raise OSError("weights do not need a network")


def limit(file_bytes: int) -> None:
    """Cap address space, processor time and file size for good, from where torch, already loaded, has brought us."""
    room = _taken_bytes() + 3 * file_bytes + _ROOM_BYTES
    caps = {resource.RLIMIT_AS: room, resource.RLIMIT_CPU: SECONDS, resource.RLIMIT_FSIZE: 2 * file_bytes + (1 << 20)}
    for what, most in {**caps, resource.RLIMIT_CORE: 0}.items():
        resource.setrlimit(what, (most, most))


def _taken_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except OSError:  # no /proc: macOS, which maps far more than it uses
        return 1 << 36


def check_container(source: Path) -> None:
    """Raise ValueError for a zip that is compressed or claims more than it holds; 1 MB could become 1 GB in memory."""
    with source.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"  # torch's own rule; anything else is its older format, never compressed
    if not is_zip:
        return
    with zipfile.ZipFile(source) as zipped:
        infos = zipped.infolist()
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise ValueError("its zip container is compressed")
    if sum(info.file_size for info in infos) > source.stat().st_size:
        raise ValueError("its zip container claims more bytes than it has")


def check_tensors(loaded: object) -> dict[str, Tensor]:
    """The tensors by name. Raises ValueError for anything but a flat mapping of names to dense tensors."""
    import torch

    if not isinstance(loaded, Mapping) or not loaded:
        raise ValueError(f"it holds a {type(loaded).__name__}, not tensors by name")
    for name, tensor in loaded.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise ValueError(f"its entry {str(name)[:80]!r} is a {type(tensor).__name__}, not a named tensor")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise ValueError(f"its tensor {name[:80]!r} is not a plain dense one")
        if not _dense(tensor):
            raise ValueError(f"its tensor {name[:80]!r} does not match its storage")
    return dict(loaded)


def _dense(tensor: Tensor) -> bool:
    """Does every number have its own place, and does the storage hold these numbers and no others?"""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:  # noqa: BLE001 (whatever a stranger's file provokes is one line for the caller)
        print(str(error).strip().partition("\n")[0][:300] or type(error).__name__, file=sys.stderr)
        sys.exit(_REFUSED)
