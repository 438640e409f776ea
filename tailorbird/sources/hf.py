"""A pretrained body from a model hub: `hf:ORG/NAME` or `hf:ORG/NAME@REVISION`, pinned to the commit first seen.

In the store, below bodies/hf/ORG/NAME: a folder for each commit, COMMIT.json with the digests of its
files as they were first seen, and refs/REVISION with the commit that a branch or tag meant when it was pulled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

from pydantic import AfterValidator

from tailorbird import progress
from tailorbird.errors import BadBody, FetchFailed
from tailorbird.kinds import Source
from tailorbird.sources._model_config import FILES, reading
from tailorbird.sources._pth import convert
from tailorbird.store import bodies, files, hub
from tailorbird.store.catalogue import card_of
from tailorbird.types import JSON, BodyFolder

_WEIGHTS, _INDEX, _PICKLE = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_PART = r"[A-Za-z0-9](?:[\w.-]{0,94}\w)?"
_ID = re.compile(rf"{_PART}(?:/{_PART})?(?:@[A-Za-z0-9][\w./-]{{0,200}})?", re.ASCII)
_COMMIT = re.compile("[0-9a-f]{7,40}")
_OTHER = "tell whoever publishes it, or name another revision: tailorbird pull hf:ORG/NAME@REVISION"
_MAIN = "main"  # what a hub gives where no revision is named
_Pooling = Literal["mean", "cls"] | None


def _check_id(value: str) -> str:
    if not _ID.fullmatch(value) or ".." in value or "--" in value.partition("@")[0]:
        raise ValueError("a hub's model is written ORG/NAME or ORG/NAME@REVISION")
    return value


class Hf(Source):
    """A repository of a hub that huggingface_hub reaches ($HF_ENDPOINT, $HF_TOKEN). Code in it is never run."""

    main: ClassVar[str | None] = "repository"

    repository: Annotated[str, AfterValidator(_check_id)]  # ORG/NAME, or with @ and a branch, a tag or a commit
    pooling: _Pooling = None  # how tokens become one vector; None: as the repository says

    @property
    def _id(self) -> str:
        return self.repository.partition("@")[0]

    @property
    def _revision(self) -> str:
        return self.repository.partition("@")[2] or _MAIN

    @property
    def _place(self) -> Path:
        return files.home() / "bodies" / "hf" / self._id

    def open(self) -> BodyFolder:
        """The pinned body. Never connects. Raises BadBody if it is not pulled yet or damaged."""
        commit = self._pinned()
        if commit is None or not (self._place / commit).is_dir():
            raise self._absent()
        body = bodies.open_body(self._place / commit)
        return body if self.pooling in (None, body.settings["pooling"]) else _pooled(body, str(self.pooling))

    def pull(self) -> BodyFolder:
        """Bring the body and pin it; a branch that has moved on since is told, and what was pinned stays.

        Raises FetchFailed, BadBody, BadOutput."""
        body = self._whole()
        if body and _COMMIT.fullmatch(self._revision) and not self._ref.exists():
            return body  # asked for by its commit, which cannot move
        try:
            found = hub.published(self._id, self._revision)
        except FetchFailed as error:
            if body is None:
                raise
            progress.tell(f"{body.spelling} is in the store; whether it is the newest is not known: {error.problem}")
            return body
        self._settle(found)
        return self.open()

    def _whole(self) -> BodyFolder | None:
        with suppress(BadBody):
            return self.open()
        return None

    def _settle(self, found: hub.Repository) -> None:
        """Pin what the hub says is published now, or keep what was pinned and tell."""
        pinned = self._pinned() or found.commit
        if pinned != found.commit:
            newer = f"tailorbird pull hf:{self._id}@{found.commit}"
            progress.tell(
                f"{self._revision} of hf:{self._id} has moved on; the store keeps {pinned}. For the new: {newer}"
            )
        if Hf(repository=f"{self._id}@{pinned}")._whole() is None:
            self._bring(found if pinned == found.commit else hub.published(self._id, pinned))
        if not pinned.startswith(self._revision):
            files.write(self._ref, pinned.encode())

    def _bring(self, found: hub.Repository) -> None:
        place = self._place / found.commit
        files.sweep(self._place)
        with files.whole_folder(place, replace=place.exists()) as folder:
            modality, settings, pooling = _fetched(found, folder, f"hf:{self.repository}", self.pooling)
            seen = bodies.digests_of(folder, files.files_below(folder))
            _check_first_seen(self._first_seen(found.commit), seen, f"hf:{found.id}@{found.commit}")
            bodies.write_body(
                folder,
                spelling=Hf(repository=f"{found.id}@{found.commit}", pooling=pooling).spelling(),
                architecture="transformers",
                modality=modality,
                settings=settings,
                card=_card(found, folder),
            )
        files.write(self._first_seen(found.commit), files.canonical(seen))

    @property
    def _ref(self) -> Path:
        return self._place / "refs" / quote(self._revision, safe="")

    def _first_seen(self, commit: str) -> Path:
        return self._place / f"{commit}.json"

    def _pinned(self) -> str | None:
        """The commit that the revision meant when it was pulled, or the one in the store that begins so."""
        if self._ref.is_file():
            commit = self._ref.read_text("utf-8", "replace")
            return commit if _COMMIT.fullmatch(commit) else None
        if not _COMMIT.fullmatch(self._revision):
            return None
        found = [commit for commit in self._commits() if commit.startswith(self._revision)]
        return found[0] if len(found) == 1 else None

    def _commits(self) -> list[str]:
        return sorted(path.name for path in self._place.glob("[0-9a-f]*") if path.is_dir())

    def _absent(self) -> BadBody:
        others = ", ".join(f"hf:{self._id}@{commit}" for commit in self._commits())
        problem = f"hf:{self.repository} is not pulled yet" + (f"; the store has {others}" if others else "")
        return BadBody(problem, f"pull it first: tailorbird pull {self.spelling()}")


def _fetched(found: hub.Repository, folder: Path, name: str, wanted: _Pooling) -> tuple[str, dict[str, JSON], _Pooling]:
    """Bring what describes the model, judge it, and only then bring the weights. Gives modality, settings, and the
    pooling that was wanted if the repository has none of its own that is known here."""
    hub.fetch(found, [file for file in FILES if file in found.files], folder)
    chosen: _Pooling = None
    try:  # what is kept must be the same whoever pulled it; `open` looks to what else is wanted
        modality, settings = reading(folder, name, None)
    except BadBody:
        if wanted is None:
            raise
        modality, settings = reading(folder, name, chosen := wanted)
    _fetch_weights(found, folder, name)
    return modality, settings, chosen


def _fetch_weights(found: hub.Repository, folder: Path, name: str) -> None:
    """Safetensors, whole or in shards; where there are none, a pickle as far as it is only numbers."""
    if _WEIGHTS in found.files:
        hub.fetch(found, [_WEIGHTS], folder)
    elif _INDEX in found.files:
        hub.fetch(found, [_INDEX], folder)
        hub.fetch(found, _shards(found, folder, name), folder)
    elif _PICKLE in found.files:
        hub.fetch(found, [_PICKLE], folder)
        convert(folder / _PICKLE, folder / _WEIGHTS)
        (folder / _PICKLE).unlink()
    else:
        others = [file for file in found.files if file.endswith((".bin", ".h5", ".msgpack", ".onnx", ".gguf", ".pt"))]
        problem = f"{name} has no model.safetensors, and of other weights {', '.join(sorted(others)[:4]) or 'none'}"
        raise BadBody(problem, "name a repository of the same model with safetensors weights")
    try:
        bodies.weight_files(folder)
    except BadBody as error:
        raise BadBody(f"the weights of {name} are none: {error.problem}", _OTHER) from error


def _shards(found: hub.Repository, folder: Path, name: str) -> list[str]:
    listed = (bodies.read_json(folder / _INDEX) or {}).get("weight_map")
    names = sorted({str(file) for file in listed.values()}) if isinstance(listed, dict) else []
    wrong = [file for file in names if not _SHARD.fullmatch(file) or file not in found.files]
    if wrong or not names:
        problem = f"{name} lists its weights in {_INDEX} as {wrong[:1] or listed!r}, which is not a file of it"
        raise BadBody(problem, _OTHER)
    return names


def _check_first_seen(path: Path, seen: Mapping[str, str], spelling: str) -> None:
    """Raise BadBody if a file is no longer what it was when this commit was first pulled."""
    first = bodies.read_json(path) or {}
    for name in sorted(first.keys() & seen.keys()):
        if first[name] != seen[name]:
            problem = f"{name!r} of {spelling} had sha256 {first[name]} when it was first pulled, and now {seen[name]}"
            raise BadBody(f"{problem}; nothing was kept", f"ask whoever runs the hub; to forget the first: rm {path}")


def _card(found: hub.Repository, folder: Path) -> dict[str, JSON]:
    config = bodies.read_json(folder / "config.json") or {}
    known = dict(card_of(f"hf:{found.id}") or {})
    told = {"licence": found.licence, "parameters": found.parameters}
    what = {"title": found.id, "what": f"a {config.get('model_type')} model from a hub", "source": found.page}
    return what | known | {key: value for key, value in told.items() if value is not None}


def _pooled(body: BodyFolder, pooling: str) -> BodyFolder:
    """The same files with another pooling: features of another kind, so another fingerprint."""
    settings = {**body.settings, "pooling": pooling}
    digests = bodies.digests_of(
        body.folder, [name for name in files.files_below(body.folder) if name != bodies.MANIFEST]
    )
    return replace(
        body,
        spelling=f"{body.spelling.partition(',')[0]},pooling={pooling}",
        settings=settings,
        fingerprint=bodies.fingerprint(body.architecture, settings, digests),
    )
