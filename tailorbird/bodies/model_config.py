"""config.json of a model folder: which models are known, and nothing in it that could lead a loader elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tailorbird.errors import BadBody
from tailorbird.store.bodies import read_json
from tailorbird.types import JSON

TEXT_TYPES = frozenset(
    [
        "albert",
        "bert",
        "camembert",
        "convbert",
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
        "mobilevit",
        "regnet",
        "resnet",
        "swin",
        "swinv2",
        "vit",
    ]
)
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


def model_config(folder: Path) -> dict[str, JSON]:
    """What config.json says of the network, and nothing of how it is loaded. Raises BadBody."""
    config = read_json(folder / "config.json")
    if config is None:
        raise BadBody(f"{str(folder)!r} has no config.json", "name a folder with config.json and model.safetensors")
    _refuse(config, folder)
    return {key: value for key, value in config.items() if key not in _ABOUT_LOADING and not key.startswith("_")}


def _refuse(config: Mapping[str, JSON], folder: Path) -> None:
    if "auto_map" in config:
        problem = f"{str(folder)!r} wants to run code of its own (auto_map in config.json), which is never done"
        raise BadBody(problem, "name a model that transformers knows without remote code")
    if config.get("quantization_config"):  # its weights mean nothing without the scales beside them
        problem = f"{str(folder)!r} has quantised weights (quantization_config in config.json), which are not read here"
        raise BadBody(problem, "name the folder of the model before it was quantised: --model folder:PATH")
    known = sorted(TEXT_TYPES | IMAGE_TYPES)
    if config.get("model_type") not in known:
        problem = f"{str(folder)!r} has model_type {config.get('model_type')!r}, which is not known here"
        raise BadBody(problem, f"known: {', '.join(known)}")
