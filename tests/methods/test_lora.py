"""Small additions to matrices, which are merged, and biases alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tailorbird.bodies import base
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Method, Modality, Source
from tailorbird.lesson import Lesson, Workshop
from tailorbird.methods.lora import Lora
from tailorbird.plug import parse
from tailorbird.types import BodyFolder

IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 0]])
ARRAYS = {"input_ids": IDS, "attention_mask": (IDS > 0).long()}


def lesson(body: BodyFolder, folder: Path) -> Lesson:
    values = [f"{'kw' if i % 2 else 'wk'} film {i}" for i in range(80)]
    modality = parse("modality", body.modality, Modality)
    shop = Workshop(body, modality, list(values), ("no", "yes"), folder, 1, "cpu")
    rows = np.arange(80)
    features = {"last": np.random.default_rng(0).normal(size=(80, 16)).astype(np.float32)}
    weights = np.ones(80, np.float32)
    return Lesson(features, rows % 2, 2, weights, rows[20:], rows[:20], seed=0, workshop=shop)


def weights(body: BodyFolder) -> dict[str, torch.Tensor]:
    return base.build(body).weights()


@pytest.mark.parametrize("spelling", ["lora", "lora:rank=2,alpha=1", "lora:dora=true"])
def test_merged_equals_unmerged(spelling: str, tiny_bert: BodyFolder) -> None:
    method, body = parse("method", spelling, Lora), base.build(tiny_bert)
    names = set(body.weights())
    (added,) = method.stages(body, "tiny", seed=0)
    with torch.no_grad():
        for parameter in added:
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    before = body.last(**ARRAYS)
    method.merge(body)
    assert set(body.weights()) == names
    assert (body.last(**ARRAYS) - before).abs().max() < 1e-5
    assert (base.build(tiny_bert).last(**ARRAYS) - before).abs().max() > 1e-3


def test_additions_begin_as_nothing(tiny_bert: BodyFolder) -> None:
    body = base.build(tiny_bert)
    before = body.last(**ARRAYS)
    parse("method", "lora", Lora).stages(body, "tiny", seed=0)
    assert (body.last(**ARRAYS) - before).abs().max() < 1e-6


def test_only_the_named_layers_matrices_change(tiny_bert: BodyFolder, tmp_path: Path) -> None:
    done = parse("method", "lora:layers=1,epochs=8,rate=0.01", Method).tailor(lesson(tiny_bert, tmp_path))
    assert done.body is not None
    before, after = weights(tiny_bert), weights(done.body)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(".layer.2." in name and name.endswith(".weight") for name in changed)


def test_bitfit_changes_biases_alone(tiny_bert: BodyFolder, tmp_path: Path) -> None:
    done = parse("method", "bitfit:epochs=8,rate=0.01", Method).tailor(lesson(tiny_bert, tmp_path))
    assert done.body is not None
    before, after = weights(tiny_bert), weights(done.body)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.endswith(".bias") for name in changed)
    n_learned = sum(before[name].numel() for name in before if name.endswith(".bias")) + 16 * 2 + 2
    assert done.head.notes["learned"] == n_learned


@pytest.mark.parametrize(
    ("method", "problem", "hint"),
    [
        ("bitfit", "teaches biases, and toy:text has none", "--method finetune"),
        ("lora", "adds to linear layers, and toy:text has none", "--method finetune"),
        ("lora:layers=9", "names 9 layers, and toy:text has 2 layers", "--method lora:layers=2"),
    ],
)
def test_a_body_that_cannot_be_tailored_so_is_told(method: str, problem: str, hint: str) -> None:
    with pytest.raises(BadSpelling, match=problem) as caught:
        parse("method", method, Method).check(parse("source", "toy:text", Source).open())
    assert caught.value.hint == hint


def test_lamb_learns_too(tiny_bert: BodyFolder, tmp_path: Path) -> None:
    given = lesson(tiny_bert, tmp_path)
    ways = ("rate=0.01", "optimizer=lamb")
    done = [parse("method", f"finetune:epochs=20,{way}", Method).tailor(given) for way in ways]
    assert done[1].head.notes["rate"] == 5e-3
    assert not np.array_equal(done[0].head.weight, done[1].head.weight)
    for one in done:
        losses = [loss for _, loss in one.head.notes["held_out_losses"]]
        assert min(losses) < losses[0]


def test_another_seed_draws_other_additions(tiny_bert: BodyFolder, tmp_path: Path) -> None:
    given = lesson(tiny_bert, tmp_path)
    method = parse("method", "lora:epochs=8,rate=0.01", Method)
    bodies = [method.tailor(replace(given, seed=seed)).body for seed in (0, 0, 1)]
    one, again, other = (body.fingerprint for body in bodies if body is not None)
    assert one == again != other
