"""A stand-in hub on loopback, and what comes of it."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stand_in_hub
from stand_in_hub import Hub

from tailorbird import progress
from tailorbird.errors import BadOutput, FetchFailed
from tailorbird.store import files, hub

WEIGHTS = bytes(range(256)) * 40
CONTENT = {"config.json": b'{"model_type": "bert"}', "model.safetensors": WEIGHTS, "README.md": b"never fetched"}
NAMES = ["config.json", "model.safetensors"]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub with one model. What the library would keep in the user's home would be kept in tmp_path."""
    import huggingface_hub.constants as constants

    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between retries
    with stand_in_hub.serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        served.publish("made/bert", CONTENT)
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def refused(made: Hub, folder: Path, revision: str = "main") -> FetchFailed:
    """The error of looking up and fetching."""
    with pytest.raises(FetchFailed) as caught:
        hub.fetch(hub.published("made/bert", revision), NAMES, folder)
    assert caught.value.hint and "\n" not in caught.value.problem
    return caught.value


def test_a_branch_becomes_a_commit_and_its_files_are_announced(made: Hub) -> None:
    found = hub.published("made/bert", "main")
    assert found.commit == made.revisions["made/bert"]["main"]
    assert (found.licence, found.parameters) == ("mit", 12)
    assert found.page == f"{made.address}/made/bert/tree/{found.commit}"
    assert found.files["model.safetensors"].size_bytes == len(WEIGHTS)


def test_files_come_whole_and_nothing_else_is_left(made: Hub, folder: Path, tmp_path: Path) -> None:
    found = hub.published("made/bert", "main")
    hub.fetch(found, NAMES, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: CONTENT[name] for name in NAMES}
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["into"]


def test_progress_counts_the_bytes(made: Hub, folder: Path) -> None:
    heard: list[tuple[str, int]] = []

    class Ear:
        def start(self, name: str, total: int) -> progress.Advance:
            heard.append((name, total))
            return lambda n: heard.append(("advance", n))

        def stop(self) -> None:
            heard.append(("stop", 0))

        def tell(self, message: str) -> None:
            pass

    found = hub.published("made/bert", "main")
    with progress.listening(Ear()):
        hub.fetch(found, NAMES, folder)
    total = sum(len(CONTENT[name]) for name in NAMES)
    assert heard[0] == ("fetch made/bert", total) and heard[-1] == ("stop", 0)
    assert sum(n for name, n in heard if name == "advance") == total


def test_a_token_opens_a_gated_model_and_stays_with_the_hub(
    made: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.gated = True
    error = refused(made, folder)
    assert "is gated" in error.problem and "export HF_TOKEN=" in error.hint
    monkeypatch.setenv("HF_TOKEN", stand_in_hub.TOKEN)
    hub.fetch(hub.published("made/bert", "main"), NAMES, folder)
    assert {token for _, path, token in made.asked if path.startswith("/elsewhere/")} == {None}


def test_a_mirror_that_tells_neither_size_nor_digest_is_taken_at_its_word(made: Hub, folder: Path) -> None:
    made.silent = True
    hub.fetch(hub.published("made/bert", "main"), NAMES, folder)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_what_is_not_there_is_named(made: Hub, folder: Path) -> None:
    assert "no branch, tag or commit 'v9'" in refused(made, folder, "v9").problem
    made.revisions.clear()
    gone = refused(made, folder)
    assert "has no model 'made/bert'" in gone.problem and "export HF_TOKEN=" in gone.hint


def test_content_that_is_not_the_announced_one_is_refused(made: Hub, folder: Path) -> None:
    made.swapped = {"model.safetensors": b"x" * len(WEIGHTS)}
    assert "has the wrong sha256: announced was" in refused(made, folder).problem
    made.swapped = {"config.json": b"x" * len(CONTENT["config.json"])}
    shutil.rmtree(folder)
    folder.mkdir()
    assert "has the wrong content: its blob was announced as" in refused(made, folder).problem


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_larger_than_announced_is_refused(made: Hub, folder: Path, name: str) -> None:
    made.more = {name}
    assert f"{len(CONTENT[name])}" in refused(made, folder).problem
    assert not (folder / name).exists()


@pytest.mark.parametrize(("chunk_bytes", "problem"), [(1 << 20, "peer closed connection"), (8, "came without an end")])
@pytest.mark.parametrize("name", NAMES)
def test_a_connection_that_always_breaks_comes_to_an_end(
    made: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, chunk_bytes: int, problem: str
) -> None:
    """The library gives up where nothing comes; what comes again and again from the start is stopped by us."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", chunk_bytes)
    made.cut = {name}
    assert problem in refused(made, folder).problem
    assert not (folder / name).exists()


def test_a_page_for_signing_in_is_no_hub(made: Hub, folder: Path) -> None:
    made.page = b"<html>Welcome to our network"
    error = refused(made, folder)
    assert "an answer about hf:made/bert that no hub gives" in error.problem and "HF_ENDPOINT" in error.hint


@pytest.mark.parametrize("commit", ["../../../elsewhere", "main", "", "A" * 40])
def test_a_commit_that_is_none_names_no_folder(made: Hub, folder: Path, commit: str) -> None:
    made.page = json.dumps(stand_in_hub.info("made/bert", commit, CONTENT, silent=False)).encode()
    assert f"the commit {commit!r}" in refused(made, folder).problem


def test_a_hub_that_cannot_be_reached_is_named(made: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    error = refused(made, folder)
    assert f"cannot fetch hf:made/bert from {address}" in error.problem and "export HF_ENDPOINT=" in error.hint


@pytest.mark.parametrize("endpoint", ["nonsense", "ftp://x"])
def test_an_address_that_is_none_is_named(
    made: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert endpoint in refused(made, folder).problem


def test_too_little_room_is_told_before_anything_is_fetched(
    made: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 9, 100))
    with pytest.raises(BadOutput, match="100 are free"):
        hub.fetch(hub.published("made/bert", "main"), NAMES, folder)
    assert made.fetched() == []


def test_a_disk_that_fills_up_is_told_by_who_writes_there(
    made: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("huggingface_hub.hf_hub_download", full)
    with pytest.raises(BadOutput, match="the disk is full"), files.whole_folder(folder / "body") as part:
        hub.fetch(hub.published("made/bert", "main"), NAMES, part)
    assert list(folder.iterdir()) == []


CLOSED = """
import huggingface_hub.constants as c, stand_in_hub
from huggingface_hub import HfApi
from huggingface_hub.errors import OfflineModeIsEnabled
from tailorbird.store import hub
hub.published("made/bert", "main")
assert c.HF_HUB_OFFLINE and c.HF_HUB_DISABLE_TELEMETRY, "the door was left open"
try:
    HfApi(endpoint=os.environ["HF_ENDPOINT"]).model_info("made/bert")
except OfflineModeIsEnabled:
    print("closed")
"""


@pytest.mark.parametrize("first", ["", "os.environ['HF_HUB_OFFLINE'] = '1'; import huggingface_hub"])
def test_the_library_is_offline_but_for_the_time_of_a_pull(made: Hub, first: str) -> None:
    code = f"import os\n{first}\nimport tailorbird.store.hub\n{CLOSED}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "closed", done.stderr
