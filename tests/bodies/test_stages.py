"""The stages of a body, from its embeddings to its last layer, and its weights on their way to disk and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tailorbird.bodies import base, efficientnet_lite
from tailorbird.bodies.cut import Cut
from tailorbird.kinds import Source
from tailorbird.plug import parse
from tailorbird.store.bodies import write_body, write_learned
from tailorbird.types import BodyFolder

SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 40}
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
PATCHES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
STAGED = {"depths": [1, 1, 1, 1], "num_stages": 4, "hidden_sizes": [8, 8, 16, 16]}
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "norm_rel_ebd": "layer_norm"}
# The family, its layers, and what else makes a small one.
TEXTS: dict[str, tuple[int, dict[str, Any]]] = {
    "bert": (3, SMALL),
    "roberta": (3, SMALL | TOKENS),
    "distilbert": (3, {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32, "vocab_size": 40}),
    "mpnet": (3, SMALL),
    "deberta": (3, SMALL | RELATIVE),
    "deberta-v2": (3, SMALL | RELATIVE | {"conv_kernel_size": 3, "conv_act": "gelu", "position_buckets": 8}),
    "albert": (1, SMALL | {"embedding_size": 8}),
    "electra": (3, SMALL | {"embedding_size": 8}),
    "modernbert": (3, SMALL | TOKENS | {"cls_token_id": 1, "sep_token_id": 2}),
}
PICTURES: dict[str, tuple[int, dict[str, Any]]] = {
    "vit": (3, PATCHES | {"intermediate_size": 32}),
    "dinov2": (3, PATCHES | {"mlp_ratio": 2}),
    "convnext": (4, STAGED | {"image_size": 32}),
    "swin": (2, {"embed_dim": 8, "depths": [1, 2], "num_heads": [1, 2], "image_size": 32, "window_size": 4}),
    "resnet": (4, STAGED | {"embedding_size": 8, "layer_type": "basic"}),
    "efficientnet": (10, {"width_coefficient": 0.25, "depth_coefficient": 0.5, "hidden_dim": 320, "image_size": 32}),
    "mobilenet_v2": (16, {"depth_multiplier": 0.25, "image_size": 32}),
}
OURS = {"efficientnet_lite": 16, "toy:text": 2, "toy:image": 2}
EVERY = [*TEXTS, *PICTURES, *OURS]


def written(folder: Path, architecture: str, modality: str) -> BodyFolder:
    settings = {"pixel_mean": [127.0] * 3, "pixel_std": [128.0] * 3}
    made = {"spelling": "toy:made", "architecture": architecture, "modality": modality}
    return write_body(folder, **made, settings=settings, card={"licence": "CC0-1.0"})


def made(name: str, folder: Path) -> tuple[BodyFolder, int]:
    """A small body of a family with random weights, and how many layers it has."""
    if name.startswith("toy:"):
        return parse("source", name, Source).open(), OURS[name]
    if name in OURS:
        save_file(lite_weights(), folder / "model.safetensors")
        return written(folder, name, "image:size=32"), OURS[name]
    from transformers import MODEL_MAPPING, AutoConfig

    n_layers, settings = (TEXTS | PICTURES)[name]
    config = AutoConfig.for_model(name, **settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        MODEL_MAPPING[type(config)](config).save_pretrained(folder)
    return written(folder, "transformers", "image:size=32" if name in PICTURES else "text:max_tokens=16"), n_layers


def lite_weights() -> dict[str, torch.Tensor]:
    """What the architecture asks for, by asking it."""

    class Random(dict[str, torch.Tensor]):
        def __missing__(self, name: str) -> torch.Tensor:
            shape = shapes[name.rpartition(".")[0]]
            size = shape if name.endswith("weight") and "_conv" in name else shape[:1]
            self[name] = torch.randn(size, generator=made) * 0.1 + (0.0 if len(size) > 1 else 1.0)
            return self[name]

    made, shapes, asked = torch.Generator().manual_seed(0), {}, Random()
    plain = efficientnet_lite.Conv.__init__

    def asking(
        conv: Any, weights: Any, name: str, norm: str, widths: Any, kernel: int = 1, *args: Any, **kw: Any
    ) -> None:
        groups = kw.get("groups", args[1] if len(args) > 1 else 1)
        shapes[name] = shapes[norm] = (widths[1], widths[0] // groups, kernel, kernel)
        plain(conv, weights, name, norm, widths, kernel, *args, **kw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(efficientnet_lite.Conv, "__init__", asking)
        efficientnet_lite.EfficientNetLite(asked, base.Pixels({"pixel_mean": [0.0] * 3, "pixel_std": [1.0] * 3}))
    return dict(asked)


def arrays(body: base.Body) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    if "pixels" in body.axes:
        return {"pixels": torch.from_numpy(rng.integers(256, size=(2, 32, 32, 3), dtype=np.uint8))}
    ids = torch.from_numpy(rng.integers(3, 40, size=(2, 6)))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.fixture(params=EVERY)
def one(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[BodyFolder, int]:
    return made(request.param, tmp_path)


def test_every_weight_lies_in_one_stage_and_what_is_above_moves_nothing_below(one: tuple[BodyFolder, int]) -> None:
    folder, n_layers = one
    body = base.build(folder)
    below, *layers = body.stages()
    every = [id(p) for stage in (below, *layers) for p in stage]
    assert len(layers) == n_layers and all(layers)
    assert sorted(every) == sorted(id(p) for p in body.parameters()) and len(set(every)) == len(every)
    width = dict(body.depths)["last"]
    before = body(**arrays(body))
    for parameter in layers[-1]:
        parameter.data += 0.1 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(1))
    after = body(**arrays(body))
    if n_layers > 1:  # ALBERT's layers share their weights
        assert torch.equal(before[:, :-width], after[:, :-width])
    assert not torch.allclose(before[:, -width:], after[:, -width:])


def test_weights_that_changed_are_the_same_body_after_writing(one: tuple[BodyFolder, int], tmp_path: Path) -> None:
    folder, _ = one
    body = base.build(folder)
    for i, parameter in enumerate(body.parameters()):
        parameter.data *= 1 + 0.1 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(i))
    expected = body(**arrays(body))
    weights = {name: tensor.detach().numpy() for name, tensor in body.weights().items()}
    learned = write_learned(folder, tmp_path / "learned", weights, "method finetune")
    assert torch.equal(base.build(learned)(**arrays(body)), expected)
    assert learned.fingerprint != folder.fingerprint and learned.folder != folder.folder
    assert learned.card == {**folder.card, "learned": "method finetune", "learned_from": folder.fingerprint}
    same = ("spelling", "architecture", "modality", "settings")
    assert [getattr(learned, name) for name in same] == [getattr(folder, name) for name in same]


def test_a_body_in_shards_is_written_as_one_file_of_weights(tmp_path: Path) -> None:
    made("bert", tmp_path)
    (tmp_path / "body.json").unlink()
    shard = tmp_path / "model-00001-of-00001.safetensors"
    (tmp_path / "model.safetensors").rename(shard)
    (tmp_path / "model.safetensors.index.json").write_text(f'{{"weight_map": {{"x": "{shard.name}"}}}}')
    folder = written(tmp_path, "transformers", "text:max_tokens=16")
    body = base.build(folder)
    weights = {name: tensor.numpy() for name, tensor in body.weights().items()}
    learned = write_learned(folder, tmp_path / "learned", weights, "nothing")
    assert sorted(path.name for path in learned.folder.iterdir()) == ["body.json", "config.json", "model.safetensors"]
    assert torch.equal(base.build(learned)(**arrays(body)), body(**arrays(body)))


CANNOT_BE_CUT = {"albert"}  # its layers share their weights, so there is one


def test_both_parts_of_a_cut_body_give_what_it_gives(
    one: tuple[BodyFolder, int], request: pytest.FixtureRequest
) -> None:
    body = base.build(one[0])
    layers = base.layers_of(body)
    name = request.node.callspec.params["one"]
    cuts = [Cut(body, number) for number in range(1, len(layers))]
    assert (bool(cuts) and all(cut.agrees(**arrays(body)) for cut in cuts)) != (name in CANNOT_BE_CUT)
    if name in CANNOT_BE_CUT:
        return
    whole, n_run = body.last(**arrays(body)), list[int]()
    for i, layer in enumerate(layers):
        layer.register_forward_hook(lambda *_, i=i: n_run.append(i))
    top = cuts[-1]
    kept = top.below(**arrays(body))
    assert len(n_run) == len(layers) - 1, "the layers above are not computed"
    assert torch.allclose(top.above(kept, **arrays(body)), whole, atol=1e-5)
    assert torch.equal(body.last(**arrays(body)), whole), "the body is as it was"


def test_gradients_reach_the_upper_part_alone(one: tuple[BodyFolder, int], request: pytest.FixtureRequest) -> None:
    body = base.build(one[0]).requires_grad_(True)
    if request.node.callspec.params["one"] in CANNOT_BE_CUT:
        return
    layers = base.layers_of(body)
    cut = Cut(body, len(layers) - 1)
    with torch.no_grad():
        kept = cut.below(**arrays(body))
    features = cut.above(kept, **arrays(body))
    (features * torch.rand(features.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    lower = [p for layer in layers[:-1] for p in layer.parameters()]
    assert all(p.grad is None for p in lower)
    assert any(p.grad is not None and p.grad.abs().max() > 1e-6 for p in layers[-1].parameters())
