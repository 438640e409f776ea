"""How a model folder wants its input: read from the JSON files that transformers and sentence-transformers write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tailorbird.errors import BadBody
from tailorbird.plug import escaped
from tailorbird.store.bodies import read_json
from tailorbird.types import JSON

_CLS_TYPES = frozenset({"deit", "dinov2", "dinov2_with_registers", "vit"})  # trained by what their first token says
_MOST_TOKENS = 256  # unless the folder says more: time grows with length
_RESAMPLE = {2: "bilinear", 3: "bicubic"}  # numbers of Pillow
_CONVNEXT_WHOLE = 384  # from this size on, convnext's own preprocessing keeps the whole picture

Reading = tuple[str, dict[str, JSON]]  # the spelling of the modality, and the settings of the body


def text_reading(folder: Path, config: Mapping[str, JSON], pooling: str | None) -> Reading:
    """Length and pooling for a text model; the folder is asked for a pooling that is None. Raises BadBody."""
    if not (folder / "tokenizer.json").is_file():
        load = "from transformers import AutoTokenizer as T"
        hint = f'python -c "{load}; T.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})"'
        raise BadBody(f"{str(folder)!r} reads texts and has no tokenizer.json", hint)
    positions = config.get("max_position_embeddings")
    # roberta and its kin count positions from behind the padding number, so two of them hold no token.
    usable = positions - 2 if isinstance(positions, int) else _MOST_TOKENS
    told = (read_json(folder / "sentence_bert_config.json") or {}).get("max_seq_length")
    length = told if isinstance(told, int) else min(usable, _MOST_TOKENS)
    return f"text:max_tokens={length}", {"pooling": pooling or _text_pooling(folder)}


def _text_pooling(folder: Path) -> str:
    config = read_json(folder / "1_Pooling" / "config.json") or {"pooling_mode": "mean"}
    modes = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
    chosen = [modes.get(key, key) for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    pooling = config.get("pooling_mode") or "+".join(chosen)
    if pooling not in modes.values():
        problem = f"{str(folder)!r} pools its tokens by {pooling!r}, and bodies here know mean and cls"
        raise BadBody(problem, f"--model folder:{escaped(str(folder))},pooling=mean")
    return str(pooling)


def image_reading(folder: Path, config: Mapping[str, JSON]) -> Reading:
    """Size, crop, resampling and pixel scale for a picture model. Raises BadBody."""
    given = read_json(folder / "preprocessor_config.json")
    if given is None:
        problem = f"{str(folder)!r} reads pictures and has no preprocessor_config.json"
        raise BadBody(problem, "bring it from where the model came from: it says size, mean and deviation of pixels")
    size, crop = _size_and_crop(given, folder)
    resample = _RESAMPLE.get(given.get("resample", 2), "bicubic")  # Lanczos and the like: the nearest that there is
    factor = float(given.get("rescale_factor", 1 / 255)) if given.get("do_rescale", True) else 1.0
    normal = given.get("do_normalize", True)
    mean = given.get("image_mean", [0.5] * 3) if normal else [0.0] * 3
    deviation = given.get("image_std", [0.5] * 3) if normal else [1.0] * 3
    settings: dict[str, JSON] = {
        "pooling": "cls" if config["model_type"] in _CLS_TYPES else "mean",
        "pixel_mean": [value / factor for value in mean],
        "pixel_std": [value / factor for value in deviation],
    }
    return f"image:size={size},crop={crop:.6g},resample={resample}", settings


def _size_and_crop(given: Mapping[str, JSON], folder: Path) -> tuple[int, float]:
    """Pixels a side, and the share of the shorter side that the centre square keeps."""
    size = _side(given.get("size", 224), folder)
    if given.get("do_center_crop") and given.get("crop_size"):
        cut = _side(given["crop_size"], folder)
        return cut, min(1.0, cut / size)
    if given.get("crop_pct") and size < _CONVNEXT_WHOLE:
        return size, float(given["crop_pct"])
    return size, 1.0


def _side(size: JSON, folder: Path) -> int:
    sides = set(size.values()) if isinstance(size, dict) else {size}
    side = sides.pop() if sides else None
    if sides or not isinstance(side, int) or side < 1:
        problem = f"{str(folder)!r} wants pictures of the size {size!r}, and only squares can be given"
        raise BadBody(problem, "name a model for square pictures")
    return side
