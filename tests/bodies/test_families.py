"""Every family of transformers that is known here, as a tiny folder with random weights.

Each is built, computed alone and in a batch, and reached by gradients; those that people use most are exported too, and
ONNX Runtime and OpenVINO must agree with torch."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn

from tailorbird.bodies import base
from tailorbird.bodies.export import export
from tailorbird.bodies.model_config import IMAGE_TYPES, TEXT_TYPES
from tailorbird.errors import BadBody
from tailorbird.kinds import Encoder, Modality, Runtime, Source
from tailorbird.plug import parse
from tailorbird.types import BodyFolder, Value

Config = dict[str, Any]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
WORDS = ["warm", "film", "dull", "too", "short"]
SMALL: Config = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
TOKENS: Config = {"vocab_size": 12, "max_position_embeddings": 16, "pad_token_id": 1}
TEXT: Config = {**SMALL, **TOKENS}
OFFSET: Config = {**TEXT, "max_position_embeddings": 18}  # two positions before the first token
DISENTANGLED: Config = {**TEXT, "relative_attention": True, "position_biased_input": False}
PATCHES: Config = {**SMALL, "image_size": 64, "patch_size": 16}
STAGES: Config = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
WINDOWS: Config = {"image_size": 64, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
NARROW: Config = {"depth_multiplier": 0.25, "image_size": 64}

FAMILIES: dict[str, Config] = {
    "albert": {**TEXT, "embedding_size": 8},
    "bert": TEXT,
    "camembert": OFFSET,
    "deberta": {**DISENTANGLED, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {**DISENTANGLED, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8, "conv_kernel_size": 3},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, **TOKENS},
    "electra": {**TEXT, "embedding_size": 8},
    "ernie": TEXT,
    "mobilebert": {**TEXT, "embedding_size": 8, "true_hidden_size": 8, "intra_bottleneck_size": 8},
    "modernbert": {**TEXT, "global_attn_every_n_layers": 2, "local_attention": 8},
    "mpnet": OFFSET,
    "rembert": {**TEXT, "input_embedding_size": 8},
    "roberta": OFFSET,
    "xlm-roberta": OFFSET,
    "beit": PATCHES,
    "convnext": STAGES,
    "convnextv2": STAGES,
    "deit": PATCHES,
    "dinov2": {**PATCHES, "mlp_ratio": 2},
    "dinov2_with_registers": {**PATCHES, "mlp_ratio": 2},
    "efficientnet": {"width_coefficient": 0.25, "depth_coefficient": 0.1, "image_size": 64, "hidden_dim": 320},
    "mobilenet_v1": NARROW,
    "mobilenet_v2": NARROW,
    "regnet": {**STAGES, "embedding_size": 8, "groups_width": 8},
    "resnet": {**STAGES, "embedding_size": 8},
    "swin": WINDOWS,
    "swinv2": WINDOWS,
    "vit": PATCHES,
}
# One of each network that differs: the others here are these with another name or another patch.
EXPORTED = [
    *("albert", "bert", "deberta", "deberta-v2", "distilbert", "mpnet", "roberta"),
    *("convnext", "dinov2", "efficientnet", "mobilenet_v1", "mobilenet_v2", "resnet", "swin", "vit"),
]
ALSO_OPENVINO = ["deberta-v2", "mpnet", "swin"]  # the most unusual graphs
DEPTHS = {
    "bert": (("layer1", 16), ("last", 16)),
    "resnet": (("layer1", 8), ("layer2", 16), ("layer3", 24), ("last", 32)),
    "swin": (("layer1", 16), ("last", 16)),
    "mobilenet_v2": (("layer5", 16), ("layer10", 24), ("layer14", 40), ("last", 1280)),
}
NEVER_REACHED = ("mask_token",)  # only pretraining masks patches


@dataclass(frozen=True)
class Made:
    """A family's folder, opened; its module; and what its modality makes of two values of unlike length."""

    folder: BodyFolder
    body: base.Body
    modality: Modality
    ready: list[NDArray[Any]]

    def arrays(self, *which: int) -> dict[str, NDArray[Any]]:
        """A batch of the values at these places."""
        reader = self.modality.reader(self.folder)
        return reader.stack([self.ready[i] for i in which])

    def features(self, *which: int) -> torch.Tensor:
        """What torch gives for that batch."""
        return self.body(**{name: torch.from_numpy(array) for name, array in self.arrays(*which).items()})


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Gives a family as Made. One is used by all tests, for making it is most of the work."""
    root = tmp_path_factory.mktemp("families")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield cache(lambda family: make(root / family, family))
    torch.set_num_threads(threads)


def make(place: Path, family: str) -> Made:
    """The folder as its makers would publish it, opened by the source `folder`."""
    save(place, family)
    body = parse("source", f"folder:{place}", Source).open()
    modality = parse("modality", body.modality, Modality)
    ready = [one for one in modality.reader(body).load(values(family)) if not isinstance(one, Exception)]
    return Made(body, base.build(body), modality, ready)


def save(place: Path, family: str) -> None:
    from transformers import AutoConfig, AutoModel

    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        model = AutoModel.from_config(AutoConfig.for_model(family, **FAMILIES[family]))
        shake(model)
    model.save_pretrained(place)
    if family in TEXT_TYPES:
        tokenizer().save(str(place / "tokenizer.json"))
    else:
        normal = '"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]'
        (place / "preprocessor_config.json").write_text(f'{{"size": 64, {normal}, "include_top": false}}')


def shake(model: nn.Module) -> None:
    """Let something through: with their first weights, networks of convolutions and layer scales give next to nothing,
    and batch norms change nothing."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for name, parameter in model.named_parameters():
        if "layer_scale" in name or "lambda" in name:
            nn.init.constant_(parameter, 0.5)


def tokenizer() -> Tokenizer:
    """One number a word, between the marks of RoBERTa."""
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(SPECIAL + WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return made


def values(family: str) -> list[Value]:
    """Two values; of texts, the second is shorter and so is padded in a batch."""
    if family in TEXT_TYPES:
        return ["a warm film too short too dull", "dull film"]
    noise = np.random.default_rng(0).integers(0, 256, (80, 64, 3), dtype=np.uint8)
    return [noise, noise // 4 + np.arange(64, dtype=np.uint8)[:, None]]


def test_every_family_is_in_this_test() -> None:
    assert set(FAMILIES) == TEXT_TYPES | IMAGE_TYPES


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_gives_what_each_value_gives_alone(shelf: Any, family: str) -> None:
    made = shelf(family)
    together = made.features(0, 1)
    assert together.shape == (2, sum(width for _, width in made.body.depths)) and together.dtype == torch.float32
    scale = together.abs().max()
    assert together.isfinite().all() and (together[0] - together[1]).abs().max() > 0.01 * scale
    alone = torch.cat([made.features(0), made.features(1)])
    torch.testing.assert_close(together / scale, alone / scale, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", DEPTHS)
def test_the_depths_are_those_of_the_network(shelf: Any, family: str) -> None:
    assert shelf(family).body.depths == DEPTHS[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_learns_answers_as_what_is_frozen(shelf: Any, family: str) -> None:
    made = shelf(family)
    whole = made.features(0, 1)[:, -made.body.depths[-1][1] :]
    awake = copy.deepcopy(made.body)
    awake.awake("cpu")
    arrays = {name: torch.from_numpy(array) for name, array in made.arrays(0, 1).items()}
    torch.testing.assert_close(awake.last(**arrays), whole, atol=1e-5 * float(whole.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_thrifty_learns_the_same_and_keeps_less(shelf: Any, family: str) -> None:
    made = shelf(family)
    arrays = {name: torch.from_numpy(array) for name, array in made.arrays(0, 1).items()}
    kept, gradients = [], []
    for thrifty in (False, True):
        body = copy.deepcopy(made.body).requires_grad_(True)
        if thrifty:
            body.thrifty()
        saved: list[int] = []

        def count(x: torch.Tensor, saved: list[int] = saved) -> torch.Tensor:
            saved.append(x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
            loss = body.last(**arrays).square().sum()
        kept.append(sum(saved))
        loss.backward()
        gradients.append({name: p.grad for name, p in body.named_parameters() if p.grad is not None})
    assert kept[1] < kept[0] and gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_every_weight_that_is_kept(shelf: Any, family: str) -> None:
    body = shelf(family).body
    assert {one.dtype for one in body.parameters()} == {torch.float32}
    body.requires_grad_(True)
    try:
        shelf(family).features(0, 1).square().sum().backward()
        dead = [name for name, one in body.named_parameters() if one.grad is None and not name.endswith(NEVER_REACHED)]
    finally:
        body.requires_grad_(False).zero_grad()
    assert dead == []


def cosines(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    return (x * y).sum(1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))


@pytest.mark.parametrize("family", EXPORTED)
def test_the_exported_graph_agrees_with_torch(shelf: Any, family: str) -> None:
    made = shelf(family)
    graph = export(made.folder, made.body, made.modality, made.arrays(0))
    for runtime in ("onnx", "openvino") if family in ALSO_OPENVINO else ("onnx",):
        encoder: Encoder = parse("runtime", runtime, Runtime).open(made.folder, graph, 1, "cpu")
        assert encoder.depths == made.body.depths
        for which in ((0, 1), (1,), (1, 0, 1)):  # another size of the batch, another length
            assert cosines(encoder.encode(made.arrays(*which)), made.features(*which).numpy()).min() >= 0.9999


@pytest.mark.parametrize("family", ["bert", "distilbert", "mpnet", "roberta", "deberta-v2"])
def test_the_longest_text_fits_and_one_token_more_is_refused(shelf: Any, family: str) -> None:
    """16 tokens: where positions are counted from behind the padding, two of the 18 hold none."""
    made = shelf(family)
    assert made.modality.max_tokens == 16
    longest = made.modality.reader(made.folder).load([" ".join(WORDS * 5)])
    assert len(longest[0]) == 16
    features = Made(made.folder, made.body, made.modality, longest).features(0)
    assert features.isfinite().all()
    with pytest.raises(BadBody, match="which reads 3 to 16"):
        parse("modality", "text:max_tokens=17", Modality).reader(made.folder)


@pytest.mark.parametrize("family", ["vit", "dinov2", "swin", "convnext", "efficientnet"])
def test_pictures_of_another_size_are_read_too(shelf: Any, family: str) -> None:
    pixels = torch.zeros(1, 96, 96, 3, dtype=torch.uint8)
    assert shelf(family).body(pixels).isfinite().all()


def test_convnext_is_pooled_as_it_was_trained(shelf: Any) -> None:
    """Its last norm stands behind the mean over the grid."""
    made = shelf("convnext")
    pixels = made.body.pixels(torch.from_numpy(made.arrays(0)["pixels"]))
    out = made.body.model(pixel_values=pixels)
    torch.testing.assert_close(made.features(0)[:, -32:], out.pooler_output)
    torch.testing.assert_close(out.pooler_output, made.body.model.layernorm(out.last_hidden_state.mean((2, 3))))
