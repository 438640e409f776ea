"""Files that are whole or not there."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailorbird.errors import BadOutput
from tailorbird.store import files


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_store_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAILORBIRD_HOME", str(tmp_path / "here"))
    assert files.home() == tmp_path / "here"
    monkeypatch.delenv("TAILORBIRD_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.home().is_relative_to(tmp_path)


def test_a_json_value_has_one_spelling() -> None:
    assert files.canonical({"b": 1, "a": "ü"}) == '{\n "a": "ü",\n "b": 1\n}\n'.encode()
    with pytest.raises(ValueError):
        files.canonical(float("nan"))


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with files.whole_folder(tmp_path / "a" / "b") as part:
        (part / "one").write_text("1")
        assert not (tmp_path / "a" / "b").exists()
    assert contents(tmp_path / "a" / "b") == {"one": "1"}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_folder_that_fails_leaves_no_trace(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), files.whole_folder(tmp_path / "b") as part:
        (part / "one").write_text("1")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_of_the_system_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(BadOutput, match="disk is full"), files.whole_folder(tmp_path / "b"):
        raise OSError(errno.ENOSPC, "No space left on device")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadOutput, match="cannot write"):
        files.write(tmp_path / "file" / "below", b"")


def test_a_write_beyond_the_file_size_limit_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from tailorbird.store import files\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: files.write(Path(sys.argv[1]) / 'x', b'0' * 2000)\n"
        "except files.BadOutput as error: print(error.problem)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "file-size limit" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_without_replace_the_first_folder_stays(tmp_path: Path) -> None:
    target = tmp_path / "b"
    with files.whole_folder(target) as late:
        (late / "late").write_text("")
        with files.whole_folder(target) as early:
            (early / "early").write_text("")
    assert list(contents(target)) == ["early"]
    assert list(tmp_path.iterdir()) == [target]


def test_with_replace_the_last_folder_stays(tmp_path: Path) -> None:
    target = tmp_path / "b"
    for name in ("old", "new"):
        with files.whole_folder(target, replace=True) as part:
            (part / name).write_text("")
    assert list(contents(target)) == ["new"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("replace", [False, True])
def test_many_who_write_the_same_folder_leave_one_whole_one(tmp_path: Path, replace: bool) -> None:
    target, failures = tmp_path / "b", []

    def work(name: str) -> None:
        try:
            for _ in range(15):
                with files.whole_folder(target, replace=replace) as part:
                    (part / "one").write_text(name)
                    (part / "two").write_text(name)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[str(i)]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(set(contents(target).values())) == 1 and len(contents(target)) == 2
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_does_not_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(BadOutput), files.whole_folder(tmp_path / "b", replace=True) as part:
        (part / "one").write_text("1")
    assert contents(tmp_path) == {"b": "mine"}


def test_a_writer_that_is_killed_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tailorbird.store import files\n"
        "with files.whole_folder(Path(sys.argv[1]) / 'b') as part:\n"
        "    (part / 'one').write_text('1'); print('in', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout and child.stdout.readline() == b"in\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not (tmp_path / "b").exists()
    assert files.files_below(tmp_path) == []


def test_what_was_abandoned_is_swept_and_what_is_fresh_stays(tmp_path: Path) -> None:
    old, fresh, whole = tmp_path / ".a.1.part", tmp_path / ".a.2.part", tmp_path / "a"
    for folder in (old, fresh, whole):
        folder.mkdir()
    long_ago = time.time() - 2 * 24 * 3600
    for folder in (old, whole):
        os.utime(folder, (long_ago, long_ago))
    files.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == [fresh, whole]


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "..", "../a", "a/../../b", "a//b", "./a", "a\\b", "c:\\x", "file:///a", "a\0b", "a/"]
)
def test_a_name_that_leads_outside_has_no_path(tmp_path: Path, name: str) -> None:
    assert files.inside(tmp_path, name) is None


@given(st.text(max_size=20))
def test_no_name_leads_outside(name: str) -> None:
    path = files.inside(Path("/root-of-all"), name)
    assert path is None or os.path.normpath(path).startswith("/root-of-all/")


def test_a_path_through_a_link_is_none(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    assert files.inside(tmp_path, "link/passwd") is None
    assert files.files_below(tmp_path) == ["link"]


def test_written_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import load

    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert np.array_equal(load(files.tensors({"x": array}))["x"], array)
    files.write(tmp_path / "a" / "b.json", json.dumps([1]).encode())
    assert json.loads((tmp_path / "a" / "b.json").read_text()) == [1]


@pytest.mark.parametrize("swap", [True, False], ids=["in one step", "in two"])
def test_an_interruption_at_the_rename_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: bool
) -> None:
    def interrupted(*arguments: object) -> Path:
        raise KeyboardInterrupt

    with files.whole_folder(tmp_path / "b") as part:
        (part / "name").write_text("old")
    rename = Path.rename

    def interrupted_at_new(self: Path, to: Path) -> Path:
        return interrupted() if (self / "name").read_text() == "new" else rename(self, to)

    monkeypatch.setattr(files, "_swap", interrupted if swap else lambda part, target: False)
    monkeypatch.setattr(Path, "rename", interrupted_at_new)
    with pytest.raises(KeyboardInterrupt), files.whole_folder(tmp_path / "b", replace=True) as part:
        (part / "name").write_text("new")
    assert contents(tmp_path / "b") == {"name": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
