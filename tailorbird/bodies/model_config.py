"""config.json of a model folder: which models are known, and nothing in it that could lead a loader elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tailorbird.errors import BadBody
from tailorbird.store.bodies import read_json
from tailorbird.types import JSON

# Each is built by tests/bodies/test_families.py. Not here: convbert, whose convolutions see the padding, so that its
# features would depend on the batch; and mobilevit, which wants blue before red.
TEXT_TYPES = frozenset(
    [
        "albert",
        "bert",
        "camembert",
        "deberta",
        "deberta-v2",
        "distilbert",
        "electra",
        "ernie",
        "mobilebert",
        "modernbert",
        "mpnet",
        "rembert",
        "roberta",
        "xlm-roberta",
    ]
)
IMAGE_TYPES = frozenset(
    [
        "beit",
        "convnext",
        "convnextv2",
        "deit",
        "dinov2",
        "dinov2_with_registers",
        "efficientnet",
        "mobilenet_v1",
        "mobilenet_v2",
        "regnet",
        "resnet",
        "swin",
        "swinv2",
        "vit",
    ]
)
# Networks of convolutions only: they take pictures of any size, so theirs is made a multiple of 32 where it is none.
ANY_SIZE_TYPES = frozenset(
    ["convnext", "convnextv2", "efficientnet", "mobilenet_v1", "mobilenet_v2", "regnet", "resnet"]
)
# Their positions are counted from behind the number of the padding, so that fewer tokens fit.
_COUNTED_BEHIND_PADDING = frozenset({"camembert", "mpnet", "roberta", "xlm-roberta"})
# Not about the network itself but about how it is loaded, and some name code or files that would be fetched. How a
# body is loaded is said in bodies/transformers.py alone. Keys that begin with an underscore belong here too.
_ABOUT_LOADING = frozenset(
    [
        "architectures",
        "attn_implementation",
        "distributed_config",
        "dtype",
        "experts_implementation",
        "fusion_config",
        "kernel_config",
        "name_or_path",
        "quantization_config",
        "torch_dtype",
        "transformers_weights",
        "trust_remote_code",
        "use_kernels",
    ]
)


def model_config(folder: Path, name: str | None = None) -> dict[str, JSON]:
    """What config.json says of the network, and nothing of how it is loaded. name: for errors. Raises BadBody."""
    shown = name or repr(str(folder))
    config = read_json(folder / "config.json")
    if config is None:
        raise BadBody(f"{shown} has no config.json", "name a model with config.json and model.safetensors")
    _refuse(config, shown)
    return {key: value for key, value in config.items() if key not in _ABOUT_LOADING and not key.startswith("_")}


def most_tokens(config: Mapping[str, JSON]) -> int | None:
    """How many tokens a text model has positions for; None if its config.json does not say."""
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int):
        return None
    if config.get("model_type") not in _COUNTED_BEHIND_PADDING:
        return positions
    padding = config.get("pad_token_id")
    return positions - 1 - (padding if isinstance(padding, int) else 1)  # 1 is these models' default


def _refuse(config: Mapping[str, JSON], shown: str) -> None:
    if "auto_map" in config:
        problem = f"{shown} wants to run code of its own (auto_map in config.json), which is never done"
        raise BadBody(problem, "name a model that transformers knows without remote code")
    if config.get("quantization_config"):  # its weights mean nothing without the scales beside them
        problem = f"{shown} has quantised weights (quantization_config in config.json), which are not read here"
        raise BadBody(problem, "name the model as it was before: --model folder:PATH or hf:ORG/NAME")
    known = sorted(TEXT_TYPES | IMAGE_TYPES)
    if config.get("model_type") not in known:
        problem = f"{shown} has model_type {config.get('model_type')!r}, which is not known here"
        raise BadBody(problem, f"known: {', '.join(known)}")
