"""No runtime reports home. ONNX Runtime's official builds would: half a minute of use sends events to its maker, and
even a second of it leaves a device number and a queue of events in the user's home, which is what is looked at here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tailorbird import plug

OPENINGS = {
    "onnx": "onnxruntime.InferenceSession('body.onnx', providers=['CPUExecutionProvider']).run(None, {'x': x})",
    "openvino": "openvino.Core().compile_model('body.onnx', 'CPU')({'x': x})",
    "torch": "torch.relu(torch.from_numpy(x))",
}
MODULES = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


def test_every_runtime_is_looked_at() -> None:
    assert set(OPENINGS) == set(plug.names("runtime"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an ONNX graph of one node."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "one", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "body.onnx"))
    return tmp_path


@pytest.mark.parametrize("runtime", sorted(OPENINGS))
def test_a_runtime_leaves_nothing_in_the_users_home(runtime: str, folder: Path) -> None:
    home = folder / "home"
    home.mkdir()
    code = f"import {MODULES[runtime]}, numpy; x = numpy.ones(1, numpy.float32); {OPENINGS[runtime]}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    subprocess.run(
        [sys.executable, "-c", f"import tailorbird.runtimes.{runtime}, time; {code}; time.sleep(0.5)"],
        cwd=folder,
        env={**environment, "HOME": str(home)},
        check=True,
        capture_output=True,
    )
    assert sorted(path.relative_to(home).as_posix() for path in home.rglob("*")) == []
