"""A small model hub on loopback: the part of the API that huggingface_hub uses to look a model up and fetch its files.

Files from LARGE bytes on are kept elsewhere, as on a real hub: the answer leads to another host, here `localhost`
instead of 127.0.0.1, where no token may arrive."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 200
TOKEN = "hf_made"
_PLACE = re.compile(r"(?:/elsewhere|/[^/]+/[^/]+/resolve)/[0-9a-f]{40}/(.+)")


@dataclass
class Hub:
    """What the hub holds, how it misbehaves, and what it was asked."""

    address: str
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)  # commit -> files
    revisions: dict[str, dict[str, str]] = field(default_factory=dict)  # ORG/NAME -> branch or tag -> commit
    gated: bool = False
    silent: bool = False  # tells neither sizes nor digests, as some mirrors do
    cut: set[str] = field(default_factory=set)  # files whose connection breaks half way, every time
    more: set[str] = field(default_factory=set)  # files that are larger than announced
    swapped: dict[str, bytes] = field(default_factory=dict)  # files whose content is not the announced one
    page: bytes | None = None  # given to everything, as a proxy's page for signing in is
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path and token

    def publish(self, repository: str, files: dict[str, bytes], *branches: str) -> str:
        """A commit with these files, at the end of these branches; main unless others are named."""
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[commit] = files
        self.revisions.setdefault(repository, {}).update(dict.fromkeys(branches or ("main",), commit))
        return commit

    def fetched(self) -> list[str]:
        """The files whose content was asked for, in order."""
        places = (_PLACE.fullmatch(path) for how, path, _ in self.asked if how == "GET")
        return [place[1] for place in places if place]


def info(repository: str, commit: str, files: dict[str, bytes], *, silent: bool) -> dict[str, Any]:
    """What /api/models says."""
    siblings = [{"rfilename": name} | ({} if silent else _described(content)) for name, content in files.items()]
    about = {"cardData": {"license": "mit"}, "safetensors": {"parameters": {"F32": 12}, "total": 12}}
    return {"id": repository, "sha": commit, "siblings": siblings, "tags": []} | ({} if silent else about)


def _described(content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    large = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return {"size": len(content), "blobId": blob} | ({"lfs": large} if len(content) >= LARGE else {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path, token = unquote(urlsplit(self.path).path), self.headers.get("Authorization")
        self.hub.asked.append((self.command, path, token))
        if self.hub.page is not None:
            return self._send(200, self.hub.page)
        if path.startswith("/elsewhere/"):
            commit, _, name = path.removeprefix("/elsewhere/").partition("/")
            return self._send_file(name, self.hub.commits[commit][name], {})
        if self.hub.gated and token != f"Bearer {TOKEN}":
            return self._refuse(401, "GatedRepo")
        if path.startswith("/api/models/"):
            return self._look_up(*path.removeprefix("/api/models/").split("/revision/"))
        repository, _, rest = path.removeprefix("/").partition("/resolve/")
        return self._resolve(repository, *rest.split("/", 1))

    def _look_up(self, repository: str, revision: str = "main") -> None:
        commit = self._commit(repository, revision)
        if commit:
            self._send(
                200, json.dumps(info(repository, commit, self.hub.commits[commit], silent=self.hub.silent)).encode()
            )

    def _resolve(self, repository: str, revision: str, name: str) -> None:
        commit = self._commit(repository, revision)
        if commit is None:
            return None
        content = self.hub.commits[commit].get(name)
        if content is None:
            return self._refuse(404, "EntryNotFound")
        tag = hashlib.sha256(content).hexdigest()
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{tag}"',
            "X-Linked-ETag": f'"{tag}"',
            "X-Linked-Size": str(len(content)),
        }
        if len(content) < LARGE:
            return self._send_file(name, content, headers)
        elsewhere = self.hub.address.replace("127.0.0.1", "localhost")
        return self._send(302, b"", headers | {"Location": f"{elsewhere}/elsewhere/{commit}/{name}"})

    def _commit(self, repository: str, revision: str) -> str | None:
        known = self.hub.revisions.get(repository)
        full = [commit for commit in self.hub.commits if len(revision) >= 7 and commit.startswith(revision)]
        commit = (known or {}).get(revision) or (full[0] if known and full else None)
        if commit is None:
            self._refuse(404, "RevisionNotFound" if known else "RepoNotFound")
        return commit

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code})

    def _send_file(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        content = self.hub.swapped.get(name, content)
        if name in self.hub.more and self.command == "GET":
            content += b"more" * 10
        self._send(200, content, headers, cut=name in self.hub.cut)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut

    def log_message(self, *given: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *given: object) -> None:
        """A client that hangs up early is no news."""


@contextmanager
def serving() -> Iterator[Hub]:
    """An empty hub that answers until the block ends."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        handler.hub = hub = Hub(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
