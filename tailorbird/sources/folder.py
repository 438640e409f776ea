"""A model folder in the style of Hugging Face, opened where it lies: `folder:PATH`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from tailorbird.errors import BadBody, BadSpelling
from tailorbird.kinds import Modality, Source
from tailorbird.plug import parse
from tailorbird.sources._model_config import IMAGE_TYPES, TEXT_TYPES, image_reading, read_json, text_reading
from tailorbird.store import bodies
from tailorbird.types import JSON, BodyFolder

_INDEX = "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class Folder(Source):
    """config.json, safetensors weights and a tokenizer.json or preprocessor_config.json. Pickles and remote code are
    never opened."""

    main: ClassVar[str | None] = "path"

    path: Path  # of the folder
    pooling: Literal["mean", "cls"] | None = None  # how tokens become one vector; None: as the folder says

    def open(self) -> BodyFolder:
        """The body, its files hashed where they are. Raises BadBody."""
        folder = self.path.expanduser().absolute()
        config = _config(folder)
        _check_weights(folder)
        is_text = config["model_type"] in TEXT_TYPES
        modality, settings = text_reading(folder, config) if is_text else image_reading(folder, config)
        if self.pooling:
            settings = {**settings, "pooling": self.pooling}
        _check_modality(modality, folder)
        digests = bodies.digests_of(folder, bodies.model_files(folder))
        return BodyFolder(
            spelling=Folder(path=folder, pooling=self.pooling).spelling(),
            folder=folder,
            architecture="transformers",
            modality=modality,
            fingerprint=bodies.fingerprint("transformers", settings, digests),
            settings=settings,
            card={"title": folder.name, "what": f"a {config['model_type']} model from a folder", "source": str(folder)},
        )


def _config(folder: Path) -> dict[str, JSON]:
    if not folder.is_dir():
        raise BadBody(f"there is no folder {str(folder)!r}", f"ls {folder.parent}")
    config = read_json(folder / "config.json")
    if config is None:
        raise BadBody(f"{str(folder)!r} has no config.json", "name a folder with config.json and model.safetensors")
    if "auto_map" in config:
        problem = f"{str(folder)!r} wants to run code of its own (auto_map in config.json), which is never done"
        raise BadBody(problem, "name a model that transformers knows without remote code")
    known = sorted(TEXT_TYPES | IMAGE_TYPES)
    if config.get("model_type") not in known:
        problem = f"{str(folder)!r} has model_type {config.get('model_type')!r}, which is not known here"
        raise BadBody(problem, f"known: {', '.join(known)}")
    return config


def _check_weights(folder: Path) -> None:
    present = bodies.model_files(folder)
    for name in _shards(folder):
        if name not in present:
            raise BadBody(f"{_INDEX} lists {str(name)!r}, and {str(folder)!r} has no such file", f"ls {folder}")
        bodies.check_header(folder / name)
    if any(name.endswith(".safetensors") for name in present):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    if pickles:
        problem = f"{str(folder)!r} has only pickled weights, {pickles[0]!r}: they could run code and are never opened"
        raise BadBody(problem, "bring the same model with safetensors weights: model.safetensors")
    raise BadBody(f"{str(folder)!r} has no model.safetensors", f"ls {folder}")


def _shards(folder: Path) -> list[str]:
    if (folder / "model.safetensors").is_file():
        return ["model.safetensors"]
    index = read_json(folder / _INDEX) or {}
    return sorted(set(dict(index.get("weight_map", {})).values()))


def _check_modality(modality: str, folder: Path) -> None:
    try:
        parse("modality", modality, Modality)
    except BadSpelling as error:
        problem = f"{str(folder)!r} wants its input as {modality}, which cannot be given: {error.problem}"
        raise BadBody(problem, error.hint) from error
