"""Choosing a runtime, on the toy bodies."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tailorbird.bodies import base
from tailorbird.engine import choose as module
from tailorbird.engine.choose import choose, reopen
from tailorbird.engine.features import cores
from tailorbird.errors import BadBody, BadOutput, BadSpelling, MissingExtra
from tailorbird.kinds import Modality, Runtime, Source
from tailorbird.plug import load, names, parse
from tailorbird.store import files, graphs
from tailorbird.store.bodies import write_learned
from tailorbird.types import BodyFolder

TEXTS = ["a warm and funny film", "dull", "not for me", "see it twice"]
MODALITY = parse("modality", "text:max_tokens=64", Modality)
Speeds = Callable[..., None]


@pytest.fixture
def bare() -> BodyFolder:
    """A body whose graph is not in the store."""
    return parse("source", "toy:text", Source).open()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the body's graph, made once: it takes a second."""
    home = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILORBIRD_HOME", str(home))
        module._export(parse("source", "toy:text", Source).open(), MODALITY)
    return home


@pytest.fixture
def body(bare: BodyFolder, exported: Path) -> BodyFolder:
    """A body whose graph is in the store."""
    shutil.copytree(exported / "graphs", files.home() / "graphs")
    return bare


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> Speeds:
    """`speeds(onnx=9)`: what each runtime will be measured at, in rows a second; the others take an hour."""

    def fix(**fixed: float) -> None:
        race = module.race

        def fast(*arguments: Any) -> Any:
            found, _ = race(*arguments)
            return found, {name: fixed.get(name, 1.0) for name in found}

        monkeypatch.setattr(module, "race", fast)

    monkeypatch.setattr("tailorbird.engine.race._RUNS", 1)
    return fix


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`without("torch")`: these runtimes' libraries are not installed."""

    def remove(*missing: str) -> None:
        def installed(kind: str, name: str) -> Any:
            if kind == "runtime" and name in missing:
                raise MissingExtra(f"runtime {name!r} needs the package {name!r}", f"pip install {name}")
            return load(kind, name)

        monkeypatch.setattr(module, "load", installed)

    return remove


def test_the_fastest_runtime_that_agrees_with_torch_is_taken(body: BodyFolder, speeds: Speeds) -> None:
    speeds(onnx=9, openvino=5)
    choice = choose(body, MODALITY, TEXTS, threads=1)
    assert choice.runtime == "onnx"
    assert choice.parity.keys() == set(names("runtime"))
    assert min(choice.parity.values()) >= 0.9999
    assert choice.notes()["rows_per_second"]["onnx"] == 9
    assert choice.graph == graphs.find(body, MODALITY)


def test_a_fast_runtime_whose_features_differ_is_passed_over(
    body: BodyFolder, speeds: Speeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds(onnx=9, openvino=5)
    plug: Any = load("runtime", "onnx")
    opened = plug.open

    class Wrong:
        def __init__(self, encoder: Any) -> None:
            self.encoder, self.depths, self.lanes = encoder, encoder.depths, 1

        def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
            features: NDArray[np.float32] = self.encoder.encode(arrays)
            features[-1] += 0.1
            return features

    monkeypatch.setattr(plug, "open", lambda *arguments: Wrong(opened(*arguments)))
    choice = choose(body, MODALITY, TEXTS, threads=1)
    assert choice.runtime == "openvino"
    assert choice.parity["onnx"] < 0.9999
    with pytest.raises(BadBody, match="differ from torch's"):
        choose(body, MODALITY, TEXTS, runtime="onnx", threads=1)


@pytest.fixture
def halved(monkeypatch: pytest.MonkeyPatch) -> type[Runtime]:
    """OpenVINO on a processor that computes in bfloat16 by itself; elsewhere the library computes in float32."""
    plug: Any = load("runtime", "openvino")
    monkeypatch.setattr(plug, "halves", classmethod(lambda cls, device: True))
    monkeypatch.setattr(load("runtime", "torch"), "halves", classmethod(lambda cls, device: False))
    found: type[Runtime] = plug
    return found


def test_features_to_learn_from_may_be_of_half_precision(body: BodyFolder, halved: type[Runtime]) -> None:
    choice = choose(body, MODALITY, TEXTS, threads=1, half=True)
    assert choice.runtime == "openvino:precision=bf16" and choice.parity.keys() == {"openvino:precision=bf16"}
    assert "bf16" not in choose(body, MODALITY, TEXTS, threads=1).runtime
    assert "bf16" not in choose(body, MODALITY, TEXTS, runtime="onnx", threads=1, half=True).runtime


def test_half_precision_that_loses_too_much_is_passed_over(
    body: BodyFolder, halved: type[Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = halved.open

    class Coarse:
        def __init__(self, encoder: Any) -> None:
            self.encoder, self.depths, self.lanes = encoder, encoder.depths, 1

        def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
            return np.asarray(np.round(self.encoder.encode(arrays), 1))

    def coarse(plug: Runtime, *arguments: Any) -> Any:
        return Coarse(opened(plug, *arguments)) if plug.precision == "bf16" else opened(plug, *arguments)

    monkeypatch.setattr(halved, "open", coarse)
    assert "bf16" not in choose(body, MODALITY, TEXTS, threads=1, half=True).runtime


def test_a_graph_with_the_wrong_weights_is_exported_anew(
    body: BodyFolder, speeds: Speeds, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tuned = learned(body, tmp_path / "tuned", 0.5)

    def wrong(asked: BodyFolder, like: BodyFolder, modality: Modality) -> Path:
        found = graphs.find(like, modality)
        assert found is not None and asked.fingerprint == tuned.fingerprint

        def fill(target: Path) -> graphs.Graph:
            shutil.copyfile(found / graphs.MODEL, target / graphs.MODEL)
            return replace(graphs.read(found), fingerprint=tuned.fingerprint)

        return graphs.write(tuned, modality, fill)

    monkeypatch.setattr("tailorbird.bodies.regraft.regraft", wrong)
    choice = choose(tuned, MODALITY, TEXTS, runtime="onnx", threads=1, like=body, remember=False)
    assert choice.runtime == "onnx" and choice.parity["onnx"] >= 0.9999


@pytest.mark.parametrize("runtime", ["openvino:precision=bf16", "onnx:precision=bf16"])
def test_precision_is_not_for_a_user_to_choose(body: BodyFolder, runtime: str) -> None:
    with pytest.raises(BadSpelling):
        choose(body, MODALITY, TEXTS, runtime=runtime, threads=1)


def learned(body: BodyFolder, folder: Path, by: float) -> BodyFolder:
    rng = np.random.default_rng(0)
    weights = {name: x.numpy() for name, x in base.build(body).weights().items()}
    moved = {name: x + rng.normal(0, by, x.shape).astype(x.dtype) for name, x in weights.items()}
    return write_learned(body, folder, moved, "a test")


def test_a_choice_is_remembered_and_not_measured_again(
    body: BodyFolder, speeds: Speeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds(onnx=9)
    first = choose(body, MODALITY, TEXTS, threads=1)
    monkeypatch.setattr(module, "_compare", None)
    again = choose(body, MODALITY, ["other rows"], threads=1)
    assert (again.runtime, again.parity, again.speeds) == (first.runtime, first.parity, first.speeds)


def test_a_damaged_memory_is_measured_again(body: BodyFolder, speeds: Speeds) -> None:
    speeds(onnx=9)
    choose(body, MODALITY, TEXTS, threads=1)
    (memory,) = (files.home() / "choices").iterdir()
    memory.write_bytes(b"{")
    assert choose(body, MODALITY, TEXTS, threads=1).runtime == "onnx"


def test_a_graph_that_was_lost_is_exported_again(body: BodyFolder, speeds: Speeds) -> None:
    speeds(onnx=9)
    graph = choose(body, MODALITY, TEXTS, threads=1).graph
    assert graph is not None
    (graph / graphs.MODEL).write_bytes(b"damaged")
    assert choose(body, MODALITY, TEXTS, threads=1).encoder.depths[-1][0] == "last"


def test_a_named_runtime_is_taken_even_if_it_is_slow(body: BodyFolder, speeds: Speeds) -> None:
    speeds(onnx=9)
    for name in names("runtime"):
        assert choose(body, MODALITY, TEXTS, runtime=name, threads=1).runtime == name


def test_rows_that_cannot_be_read_are_no_sample(body: BodyFolder, speeds: Speeds) -> None:
    speeds(torch=9)
    assert choose(body, MODALITY, ["", "  "], threads=1).runtime == "torch"


def test_without_torch_an_earlier_comparison_counts(
    body: BodyFolder, speeds: Speeds, without: Callable[..., None]
) -> None:
    speeds(torch=9, onnx=5)
    assert choose(body, MODALITY, TEXTS, threads=1).runtime == "torch"
    without("torch")
    choice = choose(body, MODALITY, TEXTS, threads=2)
    assert choice.runtime == "onnx"
    assert choice.parity["onnx"] >= 0.9999


def test_without_torch_full_precision_is_taken_where_half_was_never_compared(
    body: BodyFolder, halved: type[Runtime], without: Callable[..., None]
) -> None:
    choose(body, MODALITY, TEXTS, threads=1)
    without("torch")
    assert choose(body, MODALITY, TEXTS, threads=2, half=True).runtime in ("onnx", "openvino")


def test_without_torch_and_without_a_comparison_the_extra_is_named(
    bare: BodyFolder, without: Callable[..., None]
) -> None:
    without("torch")
    with pytest.raises(MissingExtra, match="torch") as caught:
        choose(bare, MODALITY, TEXTS)
    assert "tailorbird[train]" in caught.value.hint


def test_a_runtime_that_is_not_installed_or_not_there_is_told(body: BodyFolder, without: Callable[..., None]) -> None:
    without("onnx")
    with pytest.raises(MissingExtra, match="onnx"):
        choose(body, MODALITY, TEXTS, runtime="onnx")
    with pytest.raises(BadSpelling, match="there is no runtime 'onyx'"):
        choose(body, MODALITY, TEXTS, runtime="onyx")


def test_cuda_that_no_runtime_reaches_is_told(body: BodyFolder, without: Callable[..., None]) -> None:
    without("torch")
    for ask in (
        lambda: choose(body, MODALITY, TEXTS, device="cuda"),
        lambda: reopen(body, MODALITY, "onnx", device="cuda"),
    ):
        with pytest.raises(BadSpelling, match="cannot reach") as caught:
            ask()
        assert caught.value.hint == "use --device cpu"


def test_a_body_that_cannot_be_exported_runs_on_torch(bare: BodyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Path:
        raise BadBody("it cannot be exported", "use torch")

    monkeypatch.setattr(module, "_export", refuse)
    assert choose(bare, MODALITY, TEXTS, threads=1).runtime == "torch"
    with pytest.raises(BadBody, match="cannot be exported"):
        choose(bare, MODALITY, TEXTS, runtime="onnx", threads=1)


def test_reopening_takes_the_recorded_runtime_and_the_features_are_the_same(body: BodyFolder, speeds: Speeds) -> None:
    speeds(openvino=9)
    choice = choose(body, MODALITY, TEXTS, threads=1)
    reader = MODALITY.reader(body)
    ready = [item for item in reader.load(TEXTS) if isinstance(item, np.ndarray)]
    again = reopen(body, MODALITY, "openvino", threads=1).encoder
    assert type(again) is type(choice.encoder)
    assert np.array_equal(again.encode(reader.stack(ready)), choice.encoder.encode(reader.stack(ready)))


def test_a_choice_tells_where_it_runs(body: BodyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(body, MODALITY, TEXTS, runtime="torch", threads=1).device == "cpu"
    assert reopen(body, MODALITY, "torch", threads=1).device == "cpu"
    plug: Any = load("runtime", "torch")
    monkeypatch.setattr(plug, "reaches", classmethod(lambda cls, device: True))
    monkeypatch.setattr(plug, "open", lambda *given: None)
    assert reopen(body, MODALITY, "torch", threads=1).device == "cuda"
    assert reopen(body, MODALITY, "torch", threads=1, device="cpu").device == "cpu"
    assert reopen(body, MODALITY, "onnx", threads=1).device == "cpu"


def test_reopening_loads_the_runtime_that_answers_and_no_other(
    body: BodyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To import torch takes longer than to answer."""
    asked, load = list[str](), module._runtime

    def seen(name: str) -> Runtime:
        asked.append(name)
        return load(name)

    monkeypatch.setattr(module, "_runtime", seen)
    reopen(body, MODALITY, "openvino", threads=1)
    reopen(body, MODALITY, "openvino", threads=1, device="cpu")
    assert asked == ["openvino", "openvino"]


def test_reopening_without_a_graph_uses_torch_and_exports_nothing(bare: BodyFolder) -> None:
    opened = reopen(bare, MODALITY, "openvino")
    assert opened.runtime == "torch" and type(opened.encoder).__name__ == "TorchEncoder"
    assert graphs.find(bare, MODALITY) is None


def test_reopening_without_the_recorded_runtime_takes_another(
    body: BodyFolder, speeds: Speeds, without: Callable[..., None]
) -> None:
    speeds(openvino=9)
    choose(body, MODALITY, TEXTS, threads=1)
    without("openvino", "torch")
    assert reopen(body, MODALITY, "openvino").runtime == "onnx"


def test_reopening_with_nothing_to_run_it_names_the_extra(bare: BodyFolder, without: Callable[..., None]) -> None:
    without("torch")
    with pytest.raises(MissingExtra, match="whose graph is not in the store"):
        reopen(bare, MODALITY, "openvino")


def test_exporting_says_nothing(bare: BodyFolder, capfd: pytest.CaptureFixture[str]) -> None:
    module._export(bare, MODALITY)
    assert capfd.readouterr() == ("", "")


def test_a_row_of_zeros_agrees_with_itself_and_with_nothing_else() -> None:
    zeros, ones = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert module.least_cosine(zeros, zeros) == 1
    assert module.least_cosine(zeros, ones) == 0
    assert module.least_cosine(ones * np.nan, ones) == -1


def test_a_choice_that_cannot_be_remembered_is_taken_all_the_same(
    body: BodyFolder, speeds: Speeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise BadOutput(f"cannot write {str(path)!r}: Read-only file system", "name another folder")

    speeds(onnx=9)
    monkeypatch.setattr(files, "write", refuse)
    assert choose(body, MODALITY, TEXTS, threads=1).runtime == "onnx"
    assert not (files.home() / "choices").exists()


def test_a_graph_that_cannot_be_kept_leaves_torch(bare: BodyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Path:
        raise BadOutput("cannot write 'graphs': Read-only file system", "name another folder")

    monkeypatch.setattr(module, "_export", refuse)
    assert choose(bare, MODALITY, TEXTS, threads=1).runtime == "torch"


def test_threads_below_zero_are_refused_and_zero_is_all_cores(body: BodyFolder, speeds: Speeds) -> None:
    for ask in (lambda: choose(body, MODALITY, TEXTS, threads=-1), lambda: reopen(body, MODALITY, "onnx", threads=-1)):
        with pytest.raises(BadSpelling, match="--threads is -1"):
            ask()
    speeds(onnx=9)
    assert choose(body, MODALITY, TEXTS, threads=3).threads == 3
    assert reopen(body, MODALITY, "onnx").threads == cores()
