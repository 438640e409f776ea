"""How a model folder wants its input: read from the JSON files that transformers and sentence-transformers write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tailorbird.bodies.model_config import ANY_SIZE_TYPES, TEXT_TYPES, model_config, most_tokens
from tailorbird.errors import BadBody, BadSpelling
from tailorbird.kinds import Modality
from tailorbird.plug import parse
from tailorbird.store.bodies import read_json
from tailorbird.types import JSON

# All that is read here and by bodies/: what a source has to bring beside the weights.
FILES = (
    "config.json",
    "tokenizer.json",
    "preprocessor_config.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
_CLS_TYPES = frozenset({"deit", "dinov2", "dinov2_with_registers", "vit"})  # trained by what their first token says
_MOST_TOKENS = 256  # unless the folder says more: time grows with length
_RESAMPLE = {2: "bilinear", 3: "bicubic"}  # numbers of Pillow
_CONVNEXT_WHOLE = 384  # from this size on, convnext's own preprocessing keeps the whole picture
_CONVNEXT_SHARE = 224 / 256  # what it keeps below, unless the file says otherwise
_STEP = 32  # sides of pictures are multiples of it

Reading = tuple[str, dict[str, JSON]]  # the spelling of the modality, and the settings of the body


def reading(folder: Path, name: str, pooling: str | None) -> Reading:
    """How the model in the folder wants its input, its weights unopened. name: its spelling without pooling, for
    errors; pooling: None asks the folder. Raises BadBody for a model that cannot be a body here."""
    config = model_config(folder, name)
    kind = _text_reading if config["model_type"] in TEXT_TYPES else _image_reading
    try:
        modality, settings = kind(folder, name, config, pooling)
    except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        problem = f"{name} says in a way that is not understood how its input is made: {error}"
        raise BadBody(problem, "name a model whose preprocessing is described as transformers describes it") from error
    _check_modality(modality, name)
    return modality, settings


def _text_reading(folder: Path, name: str, config: Mapping[str, JSON], pooling: str | None) -> Reading:
    """Length and pooling."""
    if not (folder / "tokenizer.json").is_file():
        raise BadBody(f"{name} reads texts and has no tokenizer.json", _tokenizer_hint(folder, name))
    most = most_tokens(config)
    told = (read_json(folder / "sentence_bert_config.json") or {}).get("max_seq_length")
    wanted = told if isinstance(told, int) else _MOST_TOKENS
    length = wanted if most is None else min(wanted, most)
    return f"text:max_tokens={length}", {"pooling": pooling or _text_pooling(folder, name)}


def _tokenizer_hint(folder: Path, name: str) -> str:
    """transformers makes the file from what older models have; where it makes it, a connection may be needed."""
    origin = str(folder) if name.startswith("folder:") else name.partition(":")[2].partition("@")[0]
    target = str(folder) if name.startswith("folder:") else "DIR"
    code = f"from transformers import AutoTokenizer as T; T.from_pretrained({origin!r}).save_pretrained({target!r})"
    return f'python -c "{code}"'


def _text_pooling(folder: Path, name: str) -> str:
    config = read_json(folder / "1_Pooling" / "config.json") or {"pooling_mode": "mean"}
    modes = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
    chosen = [modes.get(key, key) for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    pooling = config.get("pooling_mode") or "+".join(chosen)
    if pooling not in modes.values():
        problem = f"{name} pools its tokens by {pooling!r}, and bodies here know mean and cls"
        verb = "--model" if name.startswith("folder:") else "tailorbird pull"
        raise BadBody(problem, f"{verb} {name},pooling=mean")
    return str(pooling)


def _image_reading(folder: Path, name: str, config: Mapping[str, JSON], pooling: str | None) -> Reading:
    """Size, crop, resampling and pixel scale. A resize that would squash a picture becomes the centre square of it,
    in the same proportion: what the body sees keeps its shape."""
    given = read_json(folder / "preprocessor_config.json")
    if given is None:
        problem = f"{name} reads pictures and has no preprocessor_config.json"
        raise BadBody(problem, "bring it from where the model came from: it says size, mean and deviation of pixels")
    family = str(config["model_type"])
    size, crop = _size_and_crop(given, name)
    if family in ANY_SIZE_TYPES:
        size = max(_STEP, _STEP * round(size / _STEP))
    resample = _RESAMPLE.get(given.get("resample", 2), "bicubic")  # Lanczos and the like: the nearest that there is
    mean, deviation = _pixel_scale(given, is_efficientnet=family == "efficientnet")
    chosen = pooling or ("cls" if family in _CLS_TYPES else "mean")
    settings = {"pooling": chosen, "pixel_mean": mean, "pixel_std": deviation}
    return f"image:size={size},crop={crop:.6g},resample={resample}", settings


def _pixel_scale(given: Mapping[str, JSON], *, is_efficientnet: bool) -> tuple[list[float], list[float]]:
    """Mean and deviation of each colour on the scale 0 to 255."""
    factor = float(given.get("rescale_factor", 1 / 255)) if given.get("do_rescale", True) else 1.0
    normal = given.get("do_normalize", True)
    mean = list(given.get("image_mean", [0.5] * 3)) if normal else [0.0] * 3
    deviation = list(given.get("image_std", [0.5] * 3)) if normal else [1.0] * 3
    if is_efficientnet and given.get("rescale_offset"):  # pixels lie between -1 and 1 before the rest
        mean = [value + 1 for value in mean]
    if is_efficientnet and given.get("include_top", True):  # its own preprocessing divides once more
        deviation = [value * one for value, one in zip(deviation, given.get("image_std", [0.5] * 3), strict=True)]
    return [value / factor for value in mean], [value / factor for value in deviation]


def _size_and_crop(given: Mapping[str, JSON], name: str) -> tuple[int, float]:
    """Pixels a side, and the share of the shorter side that the centre square keeps."""
    size = _side(given.get("size", 224), name)
    if given.get("do_center_crop") and given.get("crop_size"):
        cut = _side(given["crop_size"], name)
        return cut, min(1.0, cut / size)
    maker = str(given.get("image_processor_type") or given.get("feature_extractor_type"))
    share = given.get("crop_pct") or (_CONVNEXT_SHARE if maker.startswith("ConvNext") else None)
    if share and size < _CONVNEXT_WHOLE:
        return size, float(share)
    return size, 1.0


def _side(size: JSON, name: str) -> int:
    sides = set(size.values()) if isinstance(size, dict) else {size}
    side = sides.pop() if sides else None
    if sides or not isinstance(side, int) or side < 1:
        problem = f"{name} wants pictures of the size {size!r}, and only squares can be given"
        raise BadBody(problem, "name a model for square pictures")
    return side


def _check_modality(modality: str, name: str) -> None:
    try:
        parse("modality", modality, Modality)
    except BadSpelling as error:
        problem = f"{name} wants its input as {modality}, which cannot be given: {error.problem}"
        raise BadBody(problem, error.hint) from error
