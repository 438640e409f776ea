"""A model folder in the style of Hugging Face, opened where it lies: `folder:PATH`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from tailorbird.bodies.model_config import model_config
from tailorbird.errors import BadBody
from tailorbird.kinds import Source
from tailorbird.sources._model_config import reading
from tailorbird.store import bodies
from tailorbird.types import BodyFolder

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
        _check_place(folder)
        config = model_config(folder)
        _check_weights(folder)
        modality, settings = reading(folder, Folder(path=folder).spelling(), self.pooling)
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


def _check_place(folder: Path) -> None:
    if not folder.is_dir():
        missing = f"there is no folder {str(folder)!r}"
        hint = "put the folder back there, or name where it lies now: tailorbird fit DATA --model folder:PATH"
        raise BadBody(missing, hint)


def _check_weights(folder: Path) -> None:
    if bodies.weight_files(folder):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    if pickles:
        problem = f"{str(folder)!r} has only pickled weights, {pickles[0]!r}: they could run code and are never opened"
        raise BadBody(problem, "bring the same model with safetensors weights: model.safetensors")
    raise BadBody(f"{str(folder)!r} has no model.safetensors", f"ls {folder}")
