"""The answering path needs neither torch nor anything else of the extra `train`.

The libraries are made absent as Python itself does it: None in sys.modules, so that importing them fails and looking
for them finds nothing.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tailorbird"
ABSENT = ("torch", "transformers", "sklearn", "scipy", "onnx", "onnxscript", "onnx_ir", "cleanlab", "pandas", "jinja2")
FOLDERS = (
    "store",
    "data",
    "measure",
    "paper",
    "modalities",
    "tasks",
    "baselines",
    "engine",
    "runtimes",
    "sources",
    "verbs",
    "faces",
)
NEED_TRAIN = {  # by nature, as bodies/ and methods/ do
    "tailorbird.runtimes.torch": "it is torch's own runtime",
    "tailorbird.engine.course": "it says in which of torch's numbers",
    "tailorbird.engine.keeping": "it trains with torch",
    "tailorbird.engine.loop": "it trains with torch",
    "tailorbird.engine.optimizers": "it trains with torch",
    "tailorbird.engine.lamb": "it moves weights of torch",
    "tailorbird.engine.descent": "it solves with scipy",
    "tailorbird.engine.solve": "it solves with scipy",
    "tailorbird.engine.binary": "it solves with scipy",
    "tailorbird.engine.solvers": "it knows all that solve with scipy",
}
HIDE = f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r})); "


def _names() -> list[str]:
    files = [path for folder in FOLDERS for path in (PACKAGE / folder).glob("*.py") if path.stem != "__init__"]
    names = [f"tailorbird.{path.parent.name}.{path.stem}" for path in files]
    return sorted(name for name in names if name not in NEED_TRAIN)


def _without_train(code: str, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HIDE + code, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_everything_but_training_can_be_imported_without_torch() -> None:
    code = """
import importlib
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, "needs", error.name)
"""
    result = _without_train(code, *_names())
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""


def _verb(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = "sys.argv[0] = 'tailorbird'; from tailorbird.faces.cli import main; main()"
    return _without_train(code, *arguments)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A text model on a toy body, made in a process that has torch."""
    rows = [(f"{word} film number {i}", mood) for i in range(30) for word, mood in (("warm", "pos"), ("dull", "neg"))]
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "mood"), *rows])
    fit = ("fit", "rows.csv", "--target", "mood", "--model", "toy:text", "--method", "probe", "--out", "model")
    subprocess.run(
        [sys.executable, "-m", "tailorbird", *fit], cwd=tmp_path, check=True, capture_output=True, timeout=120
    )
    return tmp_path / "model"


def test_a_model_is_used_without_torch(model: Path) -> None:
    predicted = _verb("predict", model, "a warm film", "--json")
    assert predicted.returncode == 0, predicted.stderr
    assert json.loads(predicted.stdout)["label"] in ("pos", "neg")
    evaluated = _verb("evaluate", model, model.parent / "rows.csv", "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["rows"] == 60
    verified = _verb("verify", model, "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["ok"] is True


def test_fitting_without_torch_names_the_pip_command(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,mood\n" + "".join(f"word {i},{'ab'[i % 2]}\n" for i in range(40)))
    result = _verb("fit", tmp_path / "rows.csv", "--target", "mood", "--model", "toy:text", "--out", tmp_path / "model")
    assert result.returncode == 2, result.stderr
    assert "pip install 'tailorbird[train]'" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
