"""`import tailorbird` and `--help` stay light, and every public name is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tailorbird

HEAVY = {
    "torch",
    "transformers",
    "numpy",
    "pandas",
    "pyarrow",
    "sklearn",
    "scipy",
    "onnxruntime",
    "openvino",
    "pydantic",
}
WITH_TORCH = {"torch", "transformers", "sklearn", "scipy", "onnx", "onnxruntime", "openvino"}
HELP = "import sys; sys.argv = ['tailorbird', '--help']; from tailorbird.faces.cli import main"


def _loaded(code: str) -> set[str]:
    """Top-level packages that a fresh Python has loaded after this code, however the code ends."""
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    result = subprocess.run([sys.executable, "-c", report + code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in result.stderr.split()}


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = _loaded("import tailorbird")
    assert "tailorbird" in loaded
    assert loaded & HEAVY == set()


def test_help_loads_no_engine() -> None:
    loaded = _loaded(f"{HELP}; main()")
    assert "typer" in loaded
    assert loaded & WITH_TORCH == set()


@pytest.mark.parametrize("name", tailorbird.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(tailorbird, name) is not None
    assert name in dir(tailorbird)


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        tailorbird.fitt  # noqa: B018 (looking it up is the test)
