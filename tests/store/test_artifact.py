"""The seal: every change to a model folder is found, before anything in it is opened."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tailorbird.errors import BadArtifact
from tailorbird.store.artifact import MANIFEST, is_artifact, open_artifact, problems, read_manifest, seal
from tailorbird.store.files import canonical


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "golden").mkdir(parents=True)
    (folder / "head.safetensors").write_bytes(bytes(range(200)))
    (folder / "golden" / "00.txt").write_text("schön und gut")
    seal(folder, FIELDS)
    return folder


FIELDS = {
    "body": {"spelling": "toy:text", "fingerprint": "0" * 64, "embedded": False, "tuned": False},
    "modality": "text",
    "task": "classify",
    "runtime": {"name": "torch"},
    "labels": ["a", "ü"],
    "input": {"name": "text"},
    "target": "label",
    "head": {"depths": ["last"], "link": "softmax", "scale": 1.0},
    "temperature": 1.25,
    "threshold": 0.5,
    "golden": [{"file": "golden/00.txt", "scores": {"a": 0.5, "ü": 0.5}}],
}


def test_what_was_sealed_opens(model: Path) -> None:
    assert open_artifact(model).manifest["labels"] == ["a", "ü"]


def test_every_single_flipped_bit_is_found(model: Path) -> None:
    flipped = found = 0
    for path in (path for path in model.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for place in range(len(content)):
            bit = place % 8
            path.write_bytes(content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :])
            flipped += 1
            with pytest.raises(BadArtifact):
                open_artifact(model)
            found += 1
        path.write_bytes(content)
    assert flipped == found > 500
    open_artifact(model)


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_cut_file_is_found(model: Path, cut: int) -> None:
    for name in (MANIFEST, "head.safetensors"):
        content = (model / name).read_bytes()
        (model / name).write_bytes(content[:cut])
        with pytest.raises(BadArtifact):
            open_artifact(model)
        (model / name).write_bytes(content)


def test_a_missing_an_added_and_a_swapped_file_are_all_named(model: Path) -> None:
    (model / "extra.json").write_text("{}")
    (model / "head.safetensors").rename(model / "other.safetensors")
    told = problems(model, read_manifest(model))
    assert any("extra.json" in line for line in told)
    assert any("head.safetensors: missing" in line for line in told)
    assert any("other.safetensors" in line for line in told)


def test_a_pickle_in_the_folder_is_refused_and_never_opened(model: Path, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    (model / "head.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(flag).encode() + b"'\ntR.")
    with pytest.raises(BadArtifact, match=r"head\.pkl"):
        open_artifact(model)
    assert not flag.exists()


def test_a_pickle_that_the_manifest_lists_is_refused_by_its_suffix(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "head.pt").write_bytes(b"\x80\x04.")
    seal(folder, {**FIELDS, "golden": []})
    with pytest.raises(BadArtifact, match="not a kind of file"):
        open_artifact(folder)


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/passwd", "a/../../b.txt", "a\\b.txt", "C:x.txt", "./a.txt", ""]
)
def test_a_name_that_leads_out_of_the_folder_is_refused(model: Path, name: str) -> None:
    manifest = json.loads((model / MANIFEST).read_bytes())
    told = problems(model, {**manifest, "files": {**manifest["files"], name: "0" * 64}})
    assert any("leads out" in line for line in told)


def test_a_link_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_bytes((model / "golden" / "00.txt").read_bytes())
    (model / "golden" / "00.txt").unlink()
    (model / "golden" / "00.txt").symlink_to(tmp_path / "real.txt")
    with pytest.raises(BadArtifact, match="link"):
        open_artifact(model)


def test_a_newer_format_is_refused_by_name(model: Path) -> None:
    (model / MANIFEST).write_bytes(canonical({"format": 7, "something": "new"}))
    with pytest.raises(BadArtifact, match="format 7") as refused:
        open_artifact(model)
    assert "upgrade" in refused.value.hint


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": true}'])
def test_a_manifest_that_is_none_is_refused(model: Path, content: bytes) -> None:
    (model / MANIFEST).write_bytes(content)
    with pytest.raises(BadArtifact):
        open_artifact(model)


def test_an_unfinished_file_is_passed_over(model: Path) -> None:
    (model / ".head.safetensors.1234.part").write_bytes(b"half")
    open_artifact(model)


def test_a_folder_without_a_manifest_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadArtifact, match="no model folder"):
        open_artifact(tmp_path)
    with pytest.raises(BadArtifact, match="there is no model folder"):
        open_artifact(tmp_path / "missing")


@pytest.mark.parametrize(
    "field, value",
    [
        ("files", None),
        ("labels", "ab"),
        ("temperature", "hot"),
        ("head", {}),
        ("body", {"spelling": 3}),
        ("golden", [{"file": "../secret.txt", "scores": {}}]),
        ("golden", [{"file": "/etc/hostname", "scores": {}}]),
        ("golden", [{"file": "head.safetensors", "scores": {}}]),
    ],
)
def test_a_soundly_sealed_manifest_that_is_no_models_is_refused(model: Path, field: str, value: object) -> None:
    manifest = json.loads((model / MANIFEST).read_bytes())
    changed = {key: one for key, one in manifest.items() if key != "digest"} | {field: value}
    digest = hashlib.sha256(canonical(changed)).hexdigest()
    (model / MANIFEST).write_bytes(canonical({**changed, "digest": digest}))
    with pytest.raises(BadArtifact, match="no model's"):
        open_artifact(model)


@pytest.mark.parametrize("content", [b'{"format": 1, "x": NaN}', b'{"format": 1, "x": "\\ud800"}'])
def test_what_is_no_json_of_ours_is_damaged(model: Path, content: bytes) -> None:
    (model / MANIFEST).write_bytes(content)
    with pytest.raises(BadArtifact, match="damaged"):
        open_artifact(model)


def test_only_a_folder_that_holds_a_model_and_nothing_else_may_be_replaced(model: Path, tmp_path: Path) -> None:
    assert is_artifact(model)
    (model / "head.safetensors").write_bytes(b"damaged")
    assert is_artifact(model), "a damaged model may be replaced"
    (model / "thesis.tex").write_text("years of work")
    assert not is_artifact(model)
    (tmp_path / "webapp").mkdir()
    (tmp_path / "webapp" / MANIFEST).write_text('{"name": "a web app", "icons": []}')
    assert not is_artifact(tmp_path / "webapp")
