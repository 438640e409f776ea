"""The model folder: how it is sealed, opened and checked. The format lives here alone; docs/format.md tells it.

A folder holds manifest.json and the files that it lists with their digests. Nothing is parsed before its digest is
right, and nothing in it can run code: names must end in a known harmless suffix.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tailorbird.errors import BadArtifact
from tailorbird.store.files import canonical, files_below, inside, sha256, write
from tailorbird.types import JSON

FORMAT = 2
MANIFEST = "manifest.json"
# Data formats whose readers run nothing. A pickle under one of these names fails to parse and is never unpickled.
SUFFIXES = frozenset((".json", ".safetensors", ".onnx", ".md", ".html", ".txt")) | frozenset(
    (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif")
)
MANIFEST_LIMIT_BYTES = 64_000_000


class _Body(BaseModel):
    spelling: str
    fingerprint: str
    embedded: bool
    tuned: bool


class _Head(BaseModel):
    depths: list[str]
    link: Literal["softmax", "sigmoid", "identity"]
    scale: float


class _Named(BaseModel):
    name: str


class _Golden(BaseModel):
    file: str
    scores: dict[str, float]


class _Manifest(BaseModel):
    """What a manifest must hold for a model to be opened; docs/format.md says what each field is. It may hold more."""

    model_config = ConfigDict(strict=True)

    files: dict[str, str]
    body: _Body
    modality: str
    task: str
    runtime: _Named
    labels: list[str]
    input: _Named
    target: str
    head: _Head
    temperature: float
    threshold: float
    golden: list[_Golden]


@dataclass(frozen=True)
class Artifact:
    """A model folder whose every byte has been checked."""

    path: Path
    manifest: Mapping[str, JSON]


def seal(folder: Path, manifest: Mapping[str, JSON]) -> Artifact:
    """Write manifest.json over all files of a finished folder, as the last file. Raises BadOutput."""
    names = [name for name in files_below(folder) if name != MANIFEST]
    files = {name: sha256(folder / name) for name in names}
    body = {**manifest, "format": FORMAT, "files": files}
    whole = {**body, "digest": _digest(body)}
    write(folder / MANIFEST, canonical(whole))
    return Artifact(folder, whole)


def open_artifact(path: Path) -> Artifact:
    """The model in a folder. Raises BadArtifact at the first thing that is not as it was sealed."""
    if not path.exists():
        raise BadArtifact(f"there is no model folder {str(path)!r}", "make one: tailorbird fit DATA --out MODEL")
    manifest = read_manifest(path)
    found = problems(path, manifest)
    if found:
        raise BadArtifact(f"the model {str(path)!r} is damaged: {found[0]}", f"tailorbird verify {path}")
    return Artifact(path, manifest)


def read_manifest(path: Path) -> Mapping[str, JSON]:
    """The manifest, its own digest checked. Raises BadArtifact."""
    place = path / MANIFEST
    if not place.is_file() or place.is_symlink():
        raise BadArtifact(f"{str(path)!r} is no model folder: it has no {MANIFEST}", "name a folder that fit has made")
    if place.stat().st_size > MANIFEST_LIMIT_BYTES:
        raise BadArtifact(f"the manifest of {str(path)!r} is over {MANIFEST_LIMIT_BYTES:,} bytes", _REMAKE)
    content = place.read_bytes()
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadArtifact(f"the manifest of {str(path)!r} is damaged: it is not JSON", _REMAKE) from error
    if not isinstance(manifest, dict):
        raise BadArtifact(f"the manifest of {str(path)!r} is damaged: it is no JSON object", _REMAKE)
    _check_format(path, manifest.get("format"))
    if not _is_sealed(content, manifest):
        raise BadArtifact(f"the manifest of {str(path)!r} is damaged: its digest is not its own", _REMAKE)
    manifest = _upgraded(manifest)
    _check_fields(path, manifest)
    return manifest


def _upgraded(manifest: dict[str, JSON]) -> dict[str, JSON]:
    """A manifest of an older format as the newest would say it; the file on disk stays as it was sealed."""
    if manifest["format"] == 1:  # there was one kind of head, and no body learned
        try:
            head = {**manifest["head"], "link": "softmax", "scale": 1.0}
            return {**manifest, "head": head, "threshold": 0.5, "body": {**manifest["body"], "tuned": False}}
        except (KeyError, TypeError):  # then it is no model's, as is said next
            return manifest
    return manifest


def _is_sealed(content: bytes, manifest: Mapping[str, JSON]) -> bool:
    try:
        return content == canonical(manifest) and manifest.get("digest") == _digest(manifest)
    except ValueError:  # no JSON of ours: NaN, or half a character
        return False


def _check_fields(path: Path, manifest: Mapping[str, JSON]) -> None:
    try:
        told = _Manifest.model_validate(manifest)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        problem = f"the manifest of {str(path)!r} is no model's: {where}: {error.errors()[0]['msg']}"
        raise BadArtifact(problem, _REMAKE) from error
    strange = [one.file for one in told.golden if one.file not in told.files or not one.file.startswith("golden/")]
    if strange:
        raise BadArtifact(f"the manifest of {str(path)!r} is no model's: {strange[0]!r} is no golden file", _REMAKE)


def problems(path: Path, manifest: Mapping[str, JSON]) -> list[str]:
    """Everything about the files of a folder that is not as the manifest says, a line each."""
    listed: Mapping[str, str] = manifest["files"]
    present = set(files_below(path)) - {MANIFEST}
    strange = [f"{name}: a file that the manifest does not list" for name in sorted(present - set(listed))]
    found = [_problem(path, name, digest) for name, digest in sorted(listed.items())]
    return [*filter(None, found), *strange]


def is_artifact(path: Path) -> bool:
    """Whether a folder is a model, whole or damaged, and holds nothing else: only that may be replaced by --force."""
    return told_digest(path) is not None


def told_digest(path: Path) -> str | None:
    """The digest that a model says it has, whole or damaged; None if the folder is no model, or holds anything else."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        listed = set(manifest["files"]) | {MANIFEST}
        return str(manifest["digest"]) if set(files_below(path)) <= listed else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


_REMAKE = "fetch the folder again from where it came, or make it again with tailorbird fit"


def _check_format(path: Path, number: JSON) -> None:
    if isinstance(number, int) and not isinstance(number, bool) and number > FORMAT:
        raise BadArtifact(
            f"the model {str(path)!r} has format {number}, and this version reads up to {FORMAT}",
            "pip install --upgrade tailorbird",
        )
    if number not in range(1, FORMAT + 1) or isinstance(number, bool):
        raise BadArtifact(f"the manifest of {str(path)!r} is damaged: its format is {number!r}", _REMAKE)


def _digest(manifest: Mapping[str, JSON]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(canonical(rest)).hexdigest()


def _problem(root: Path, name: str, digest: str) -> str | None:
    path = inside(root, name)
    if path is None:
        return f"{name}: a name that leads out of the folder, or a link"
    if path.suffix.lower() not in SUFFIXES:
        return f"{name}: not a kind of file that a model may hold"
    if not path.is_file():
        return f"{name}: missing"
    return None if sha256(path) == digest else f"{name}: its content has changed"
