"""What every runtime in runtimes/ keeps to: torch's features, whatever the batch and its padding."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tailorbird.bodies.base import build
from tailorbird.bodies.export import export
from tailorbird.errors import BadBody, BadSpelling
from tailorbird.kinds import Encoder, Modality, Runtime, Source
from tailorbird.plug import load, names, parse
from tailorbird.types import BodyFolder

Arrays = dict[str, NDArray[Any]]


class Case:
    """A toy body, its graph and some batches of it."""

    def __init__(self, body: BodyFolder) -> None:
        self.body = body
        modality = parse("modality", body.modality, Modality)
        example = self.batch(2)
        self.graph = export(body, build(body), modality, example)

    def batch(self, n: int, tokens: int = 9) -> Arrays:
        rng = np.random.default_rng(n)
        if self.body.modality.startswith("image"):
            return {"pixels": rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)}
        ids = rng.integers(1, 30, (n, tokens))
        return {"input_ids": ids, "attention_mask": np.ones_like(ids)}

    def open(self, runtime: str, threads: int = 2) -> Encoder:
        return parse("runtime", runtime, Runtime).open(self.body, self.graph, threads, "cpu")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Exported once for all tests: it takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILORBIRD_HOME", str(tmp_path_factory.mktemp("home")))
        made = cache(lambda kind: Case(parse("source", f"toy:{kind}", Source).open()))
        yield {kind: made(kind) for kind in ("text", "image")}


@pytest.fixture(params=["text", "image"])
def case(request: pytest.FixtureRequest, cases: dict[str, Case]) -> Case:
    return cases[request.param]


every_runtime = pytest.mark.parametrize("runtime", names("runtime"))


@every_runtime
def test_features_equal_those_of_torch(case: Case, runtime: str) -> None:
    batch = case.batch(5)
    x, y = case.open(runtime).encode(batch), case.open("torch").encode(batch)
    cosines = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    assert x.dtype == np.float32
    assert (cosines >= 0.9999).all()
    assert np.abs(x - y).max() < 1e-5


@every_runtime
def test_depths_are_named_and_as_wide_as_the_features(case: Case, runtime: str) -> None:
    encoder = case.open(runtime)
    assert [name for name, _ in encoder.depths] == ["layer1", "last"]
    assert encoder.encode(case.batch(3)).shape == (3, sum(width for _, width in encoder.depths))


@every_runtime
def test_a_row_has_the_same_features_alone_and_in_a_batch(case: Case, runtime: str) -> None:
    encoder, batch = case.open(runtime), case.batch(6)
    together = encoder.encode(batch)
    for i in range(6):
        alone = encoder.encode({name: array[i : i + 1] for name, array in batch.items()})
        assert np.abs(alone[0] - together[i]).max() <= 1e-5


@every_runtime
def test_padding_does_not_matter(cases: dict[str, Case], runtime: str) -> None:
    encoder, batch = cases["text"].open(runtime), cases["text"].batch(4)
    padded = {name: np.pad(array, ((0, 0), (0, 7))) for name, array in batch.items()}
    assert np.abs(encoder.encode(batch) - encoder.encode(padded)).max() <= 1e-5


@every_runtime
def test_an_answer_is_not_overwritten_by_the_next(case: Case, runtime: str) -> None:
    encoder = case.open(runtime)
    first = encoder.encode(case.batch(3))
    kept = first.copy()
    encoder.encode({name: array[::-1].copy() for name, array in case.batch(3).items()})
    assert (first == kept).all()


@every_runtime
def test_calls_may_run_at_once_in_as_many_lanes_as_promised(case: Case, runtime: str) -> None:
    encoder, batches = case.open(runtime, threads=3), [case.batch(n) for n in range(1, 13)]
    expected = [encoder.encode(batch) for batch in batches]
    with ThreadPoolExecutor(encoder.lanes) as pool:
        found = list(pool.map(encoder.encode, batches))
    assert all(np.array_equal(x, y) for x, y in zip(expected, found, strict=True))


@every_runtime
def test_a_runtime_says_its_version_and_where_it_can_run(runtime: str) -> None:
    plug = load("runtime", runtime)
    assert issubclass(plug, Runtime)
    assert plug.version()[0].isdigit()
    assert plug.reaches("cpu")
    assert "cpu" in plug.devices


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_graph_that_cannot_be_read_is_a_bad_body(cases: dict[str, Case], runtime: str, tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_bytes((cases["text"].graph / "graph.json").read_bytes())
    (tmp_path / "body.onnx").write_bytes(b"no graph")
    with pytest.raises(BadBody, match=r"cannot read .*body\.onnx"):
        parse("runtime", runtime, Runtime).open(cases["text"].body, tmp_path, 1, "cpu")


def test_cuda_that_is_not_there_is_told_with_a_way_out(cases: dict[str, Case]) -> None:
    torch = parse("runtime", "torch", Runtime)
    if torch.reaches("cuda"):
        pytest.skip("there is an NVIDIA GPU here")
    with pytest.raises(BadSpelling, match="no NVIDIA GPU") as caught:
        torch.open(cases["text"].body, None, 1, "cuda")
    assert caught.value.hint == "use --device cpu"


def test_torch_refuses_arrays_of_another_kind(cases: dict[str, Case]) -> None:
    with pytest.raises(BadBody, match="reads input_ids, attention_mask, and was given pixels"):
        cases["text"].open("torch").encode(cases["image"].batch(1))


def test_no_runtime_but_torch_imports_torch_and_none_opens_a_socket() -> None:
    script = (
        "import sys, socket\n"
        "def refuse(*_, **__): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse\n"
        "from tailorbird.plug import load\n"
        "[load('runtime', name) for name in ('onnx', 'openvino')]\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_torch_names_the_library_that_holds_the_layers_too() -> None:
    assert parse("runtime", "torch", Runtime).version().endswith(f", transformers {version('transformers')}")
