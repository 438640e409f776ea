"""Other weights in a graph that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from tailorbird.bodies import base
from tailorbird.bodies.export import export
from tailorbird.bodies.regraft import regraft
from tailorbird.kinds import Modality, Runtime
from tailorbird.plug import parse
from tailorbird.store import graphs
from tailorbird.store.bodies import write_body, write_learned
from tailorbird.types import BodyFolder

MODALITY = parse("modality", "text:max_tokens=32", Modality)
TOKENS = np.array([[5, 6, 7, 8], [9, 10, 11, 0]], np.int64)
ARRAYS = {"input_ids": TOKENS, "attention_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]], np.int64)}


@pytest.fixture
def body(tiny_bert: BodyFolder) -> BodyFolder:
    """Its norms are all alike, as in a body that was just made."""
    return tiny_bert


def weights(body: BodyFolder) -> dict[str, NDArray[Any]]:
    return {name: tensor.numpy() for name, tensor in base.build(body).weights().items()}


def learned(body: BodyFolder, folder: Path, change: Mapping[str, NDArray[Any]] | None = None) -> BodyFolder:
    rng = np.random.default_rng(0)
    new = {n: x + rng.normal(0, 0.1, x.shape).astype(x.dtype) for n, x in weights(body).items() if x.dtype.kind == "f"}
    return write_learned(body, folder, {**new, **(change or {})}, "a test")


def answers(runtime: str, body: BodyFolder, graph: Path | None) -> NDArray[np.float32]:
    return parse("runtime", runtime, Runtime).open(body, graph, 1, "cpu").encode(ARRAYS)


def test_it_answers_as_the_body_that_learned(body: BodyFolder, tmp_path: Path) -> None:
    old = learned(body, tmp_path / "old")
    export(old, base.build(old), MODALITY, ARRAYS)
    new = learned(old, tmp_path / "new")
    graph = regraft(new, old, MODALITY)
    assert graph is not None and graph == graphs.find(new, MODALITY) != graphs.find(old, MODALITY)
    torch_says = answers("torch", new, None)
    np.testing.assert_allclose(answers("onnx", new, graph), torch_says, atol=1e-5)
    assert np.abs(answers("torch", old, None) - torch_says).max() > 0.1


def test_names_and_numbers_of_a_published_file_do_not_matter(body: BodyFolder, tmp_path: Path) -> None:
    """Many files call the weights bert.NAME, and keep them in bfloat16."""
    old = learned(body, tmp_path / "old")
    named = {f"bert.{name}": torch.from_numpy(x).bfloat16() for name, x in weights(old).items() if x.dtype.kind == "f"}
    published = tmp_path / "published"
    published.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (published / name).write_bytes((body.folder / name).read_bytes())
    save_file(named, published / "model.safetensors")
    made = {"spelling": "toy:published", "architecture": "transformers", "modality": "text:max_tokens=32"}
    found = write_body(published, **made, settings={}, card={"title": "published"})
    export(found, base.build(found), MODALITY, ARRAYS)
    new = learned(found, tmp_path / "new")
    graph = regraft(new, found, MODALITY)
    assert graph is not None
    np.testing.assert_allclose(answers("onnx", new, graph), answers("torch", new, None), atol=1e-5)


def test_weights_that_were_alike_are_not_guessed(body: BodyFolder, tmp_path: Path) -> None:
    """Of the norms of a body that was just made, the exporter keeps one."""
    export(body, base.build(body), MODALITY, ARRAYS)
    assert regraft(learned(body, tmp_path / "new"), body, MODALITY) is None


def test_without_a_graph_to_begin_with_there_is_none(body: BodyFolder, tmp_path: Path) -> None:
    assert regraft(learned(body, tmp_path / "new"), body, MODALITY) is None


def test_a_graph_of_other_weights_is_left_alone(body: BodyFolder, tmp_path: Path) -> None:
    old, strange = learned(body, tmp_path / "old"), learned(learned(body, tmp_path / "one"), tmp_path / "two")
    found = export(old, base.build(old), MODALITY, ARRAYS)
    graphs.write(strange, MODALITY, lambda target: _copied(found, target, strange))
    assert regraft(old, strange, MODALITY) is None


def _copied(found: Path, target: Path, body: BodyFolder) -> graphs.Graph:
    (target / graphs.MODEL).write_bytes((found / graphs.MODEL).read_bytes())
    told = graphs.read(found)
    return graphs.Graph(told.depths, told.inputs, told.opset, told.torch, told.digest, body.fingerprint, told.modality)
