"""Repositories of a model hub: what is published at a revision, and its files, whole and as they were announced.

Beside store/fetch.py the one module that opens connections, through huggingface_hub. That library is kept offline in
this process but for the time of a pull, so that nothing else that uses it, transformers above all, ever asks a hub."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tailorbird import progress
from tailorbird.errors import BadOutput, FetchFailed
from tailorbird.store import files

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

# Read by the library while it is imported, whoever imports it.
os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")

# What holds while the door is open. Xet would fetch through native code, from other hosts, into a cache of its own.
_OPEN = {"HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_TELEMETRY": True, "HF_HUB_DISABLE_XET": True}
_PATIENCE_S = 30.0  # for what is published; the library's own settings hold for the files
_MOST_FOLD = 3  # retries may send bytes again, but a hub that sends this many times what it announced is stopped
_TOKEN = "if you may read it, say so with a token of yours: export HF_TOKEN=hf_..."  # noqa: S105 (a hint)
_ELSEWHERE = "name a hub that this machine reaches: export HF_ENDPOINT=https://HOST"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_COMMIT = re.compile("[0-9a-f]{40}")
_SILENT = 50  # the level of logging above which nothing is said


@dataclass(frozen=True)
class Announced:
    """What a hub says of a file before it is fetched. Mirrors say less than hubs do, so each may be missing."""

    size_bytes: int | None
    sha256: str | None  # of a large file
    git: str | None  # of a small one: the number of its blob


@dataclass(frozen=True)
class Repository:
    """A model's repository at one commit."""

    id: str  # ORG/NAME, as it was asked for
    commit: str
    files: Mapping[str, Announced]
    licence: str | None
    parameters: int | None
    page: str  # the address that people may look at


def published(repository: str, revision: str) -> Repository:
    """What is published under a branch, a tag or a commit. Raises FetchFailed."""
    with _door(), _failing(repository, revision):
        from huggingface_hub import HfApi

        api = HfApi(endpoint=_endpoint())
        info = api.model_info(repository, revision=revision, files_metadata=True, timeout=_PATIENCE_S)
        return _repository(repository, info, api.endpoint)


def fetch(repository: Repository, names: Sequence[str], folder: Path) -> None:
    """Bring these files into the folder, each checked. Raises FetchFailed, and BadOutput where there is no room."""
    total = sum(repository.files[name].size_bytes or 0 for name in names)
    free = shutil.disk_usage(folder).free
    if total > free:
        problem = f"hf:{repository.id} brings {total:,} bytes, and {free:,} are free where {str(folder.parent)!r} is"
        raise BadOutput(problem, "free some space, or put the store on another disk: export TAILORBIRD_HOME=DIR")
    with (
        _door(),
        _failing(repository.id, repository.commit),
        progress.stage(f"fetch {repository.id}", total) as advance,
    ):
        for name in names:
            _fetch_one(repository, name, folder, advance)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the library's notes on what it fetched


def _fetch_one(repository: Repository, name: str, folder: Path, advance: progress.Advance) -> None:
    from huggingface_hub import hf_hub_download

    told = repository.files[name]
    hf_hub_download(
        repository.id,
        name,
        revision=repository.commit,
        local_dir=folder,
        endpoint=_endpoint(),
        tqdm_class=_meter(advance, name, told.size_bytes),
    )
    wrong = _difference(folder / name, told)
    if wrong:
        raise FetchFailed(f"{name!r} of hf:{repository.id} has the wrong {wrong}; nothing was kept", _ELSEWHERE)


def _difference(path: Path, told: Announced) -> str | None:
    from huggingface_hub.utils.sha import git_hash

    size = path.stat().st_size
    if told.size_bytes is not None and size != told.size_bytes:
        return f"size: announced were {told.size_bytes} bytes, and {size} came"
    if told.sha256 is not None and (got := files.sha256(path)) != told.sha256:
        return f"sha256: announced was {told.sha256}, and it is {got}"
    if told.sha256 is None and told.git is not None and (got := git_hash(path.read_bytes())) != told.git:
        return f"content: its blob was announced as {told.git}, and it is {got}"
    return None


def _repository(asked: str, info: ModelInfo, endpoint: str) -> Repository:
    commit = info.sha or ""
    if not _COMMIT.fullmatch(commit) or info.siblings is None:  # the commit will name a folder
        raise ValueError(f"the commit {commit!r} with {len(info.siblings or [])} files")
    licence = getattr(info.card_data, "license", None)
    return Repository(
        id=asked,
        commit=commit,
        files={one.rfilename: _announced(one) for one in info.siblings},
        licence=licence if isinstance(licence, str) else None,
        parameters=info.safetensors.total if info.safetensors else None,
        page=f"{endpoint}/{asked}/tree/{commit}",
    )


def _announced(one: RepoSibling) -> Announced:
    if one.lfs is not None:  # the blob is then a note about the file, not the file
        return Announced(one.lfs.size, one.lfs.sha256, None)
    return Announced(one.size, None, one.blob_id)


def _endpoint() -> str | None:
    """None: the library's own default."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


@contextmanager
def _door() -> Iterator[None]:
    """The library may connect inside this block, quietly, and afterwards is as it was."""
    from huggingface_hub import close_session, constants
    from huggingface_hub.utils import logging

    before, verbosity = {name: getattr(constants, name) for name in _OPEN}, logging.get_verbosity()
    vars(constants).update(_OPEN)
    logging.set_verbosity(_SILENT)  # what matters of its warnings becomes an error of ours
    try:
        yield
    finally:
        vars(constants).update(before)
        logging.set_verbosity(verbosity)
        close_session()


@contextmanager
def _failing(repository: str, revision: str) -> Iterator[None]:
    """Turn what a hub and the way to it do to us into FetchFailed."""
    from httpx2 import HTTPError, InvalidURL

    try:
        yield
    except (HTTPError, InvalidURL, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise  # the store's own disk: told by who writes there
        raise FetchFailed(*_reason(error, repository, revision)) from error


def _reason(error: Exception, repository: str, revision: str) -> tuple[str, str]:
    """The problem and the hint."""
    from huggingface_hub import errors

    hub, spelling = _shown_endpoint(), f"hf:{repository}"
    match error:
        case errors.GatedRepoError():
            return f"{spelling} is gated: its owners let in whom they know", f"ask for access at {hub}; {_TOKEN}"
        case errors.RepositoryNotFoundError():
            return f"{hub} has no model {repository!r}, or shows it only to some", f"look at its spelling; {_TOKEN}"
        case errors.RevisionNotFoundError():
            problem = f"{spelling} has no branch, tag or commit {revision!r}"
            return problem, f"take its main branch: tailorbird pull {spelling}"
        case errors.HfHubHTTPError():
            status = error.response.status_code
            return f"{hub} answered {status} when asked for {spelling}", _TOKEN if status in (401, 403) else _ELSEWHERE
        case _ if isinstance(error, (ValueError, TypeError, KeyError, AttributeError)):
            return f"{hub} gave an answer about {spelling} that no hub gives: {_line(error)}", _ELSEWHERE
        case _:
            return f"cannot fetch {spelling} from {hub}: {_line(error.__cause__ or error)}", _ELSEWHERE


def _shown_endpoint() -> str:
    from huggingface_hub import constants

    return _endpoint() or str(constants.ENDPOINT)


def _line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _meter(advance: progress.Advance, name: str, size_bytes: int | None) -> type:
    """A class in the place of the library's progress bar: it tells our listener, and stops what does not end."""

    class Meter:
        def __init__(self, *given: Any, **named: Any) -> None:  # Any: what a bar would want to know
            self.received = 0

        def __enter__(self) -> Meter:
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            pass

        def update(self, n: int = 1) -> None:
            advance(n)
            self.received += max(n, 0)
            if size_bytes is not None and self.received > _MOST_FOLD * size_bytes:
                problem = f"{name!r} was announced with {size_bytes} bytes, and {self.received} came without an end"
                raise FetchFailed(problem, _ELSEWHERE)

    return Meter
