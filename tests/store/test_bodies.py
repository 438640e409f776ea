"""Bodies on disk."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tailorbird.errors import BadBody
from tailorbird.store import files
from tailorbird.store.bodies import copy_body, open_body, weight_files, write_body
from tailorbird.types import BodyFolder


def made(folder: Path, **changes: object) -> BodyFolder:
    folder.mkdir(parents=True)
    weights = {"w": np.arange(12, dtype=np.float32)}
    files.write(folder / "model.safetensors", files.tensors(weights))
    files.write(folder / "tokenizer.json", b"{}")
    given = {
        "spelling": "wheel:made==1.0",
        "architecture": "toy",
        "modality": "text",
        "settings": {"pooling": "mean"},
        "card": {"licence": "MIT", "limits": "ümlaut"},
    }
    return write_body(folder, **{**given, **changes})


def test_a_body_opens_as_it_was_written(tmp_path: Path) -> None:
    assert open_body((body := made(tmp_path / "b")).folder) == body


def test_the_fingerprint_tells_what_is_inside_and_not_where_it_came_from(tmp_path: Path) -> None:
    body = made(tmp_path / "a")
    assert made(tmp_path / "b", spelling="folder:/x", card={}).fingerprint == body.fingerprint
    assert made(tmp_path / "c", settings={"pooling": "cls"}).fingerprint != body.fingerprint
    assert made(tmp_path / "d", architecture="other").fingerprint != body.fingerprint


def test_one_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    body, rng, missed = made(tmp_path / "b"), random.Random(0), []
    for path in body.folder.iterdir():
        content = path.read_bytes()
        for i in range(len(content)):
            flipped = bytearray(content)
            flipped[i] ^= 1 << rng.randrange(8)
            path.write_bytes(flipped)
            try:
                open_body(body.folder)
                missed.append((path.name, i))
            except BadBody:
                pass
        path.write_bytes(content)
    assert missed == []
    assert open_body(body.folder) == body


def edited(**fields: object) -> Callable[[Path], object]:
    """body.json rewritten with other fields and a digest that fits them: only its own rules can refuse it."""

    def edit(folder: Path) -> None:
        import hashlib

        content = json.loads((folder / "body.json").read_text()) | fields
        del content["digest"]
        digest = hashlib.sha256(files.canonical(content)).hexdigest()
        (folder / "body.json").write_bytes(files.canonical(content | {"digest": digest}))

    return edit


DAMAGES: dict[str, Callable[[Path], object]] = {
    "is missing": lambda folder: (folder / "tokenizer.json").unlink(),
    "is not listed": lambda folder: (folder / "extra.pkl").write_bytes(b""),
    "is not listed in": lambda folder: (folder / "sub" / "x").mkdir(parents=True) or (folder / "sub" / "y").touch(),
    "is damaged": lambda folder: (folder / "tokenizer.json").write_bytes(b"{ }"),
    "is a link": lambda folder: (
        shutil.move(folder / "tokenizer.json", folder.parent)
        and (folder / "tokenizer.json").symlink_to(folder.parent / "tokenizer.json")
    ),
    "lies outside": edited(files={"../x": "0" * 64}),
    "damaged: its content": lambda folder: (folder / "body.json").write_bytes(b"{}\n"),
    "its content is not": lambda folder: (folder / "body.json").write_bytes((folder / "body.json").read_bytes() + b" "),
    "cannot be read": lambda folder: (folder / "body.json").write_bytes(b"[" * 200_000),
    "larger than any": lambda folder: (folder / "body.json").write_bytes(b" " * 1_000_001),
    "no body in": lambda folder: (folder / "body.json").unlink(),
}


@pytest.mark.parametrize("problem", DAMAGES)
def test_a_damaged_body_is_refused_with_the_pull_command(tmp_path: Path, problem: str) -> None:
    body = made(files.home() / "bodies" / "wheel" / "made==1.0")
    DAMAGES[problem](body.folder)
    with pytest.raises(BadBody, match=problem) as caught:
        open_body(body.folder)
    assert caught.value.hint == "tailorbird pull wheel:made==1.0"


def test_a_newer_format_names_the_upgrade(tmp_path: Path) -> None:
    body = made(tmp_path / "b")
    edited(format=2)(body.folder)
    with pytest.raises(BadBody, match="has format 2, and this version reads 1") as caught:
        open_body(body.folder)
    assert caught.value.hint == "pip install --upgrade tailorbird"


@pytest.mark.parametrize("header", [b"\xff" * 8, (10_000_001).to_bytes(8, "little"), b"", b"\0" * 8])
def test_weights_with_an_unsound_header_are_refused_though_their_digest_fits(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model.safetensors").write_bytes(header + b"{}")
    write_body(tmp_path / "b", spelling="x:y", architecture="toy", modality="text", settings={}, card={})
    with pytest.raises(BadBody, match="header claims"):
        open_body(tmp_path / "b")


@pytest.mark.parametrize(
    "target", ["../out.safetensors", "w.bin", "sub/w.safetensors", "./w.safetensors", "link.safetensors", "sub", 3]
)
def test_weights_are_plain_safetensors_files_of_the_folder(tmp_path: Path, target: object) -> None:
    body = made(tmp_path / "b").folder
    (body / "body.json").unlink()
    (body / "sub").mkdir()
    for name in ("../out.safetensors", "w.bin", "sub/w.safetensors", "w.safetensors"):
        shutil.copy(body / "model.safetensors", body / name)
    (body / "model.safetensors").unlink()
    (body / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": target}}))
    write_body(body, spelling="x:y", architecture="toy", modality="text", settings={}, card={})
    with pytest.raises(BadBody, match=r"has no such file of weights|has no weight_map"):
        open_body(body)


def test_weights_in_listed_shards_are_named(tmp_path: Path) -> None:
    body = made(tmp_path / "b").folder
    (body / "body.json").unlink()
    for name in ("w2.safetensors", "w1.safetensors"):
        shutil.copy(body / "model.safetensors", body / name)
    (body / "model.safetensors").unlink()
    listed = {"a": "w2.safetensors", "b": "w1.safetensors", "c": "w2.safetensors"}
    (body / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))
    write_body(body, spelling="x:y", architecture="toy", modality="text", settings={}, card={})
    assert weight_files(open_body(body).folder) == ["w1.safetensors", "w2.safetensors"]


def test_a_damaged_copy_of_a_folder_is_not_pulled(tmp_path: Path) -> None:
    body = made(tmp_path / "b", spelling="folder:/x")
    (body.folder / "tokenizer.json").write_bytes(b"{ }")
    with pytest.raises(BadBody, match="is damaged") as caught:
        open_body(body.folder)
    assert caught.value.hint == f"bring the files again from where they came: {body.folder}"


def test_a_copy_is_the_same_body(tmp_path: Path) -> None:
    body = made(tmp_path / "a")
    copy = copy_body(body, tmp_path / "model" / "body")
    assert copy.folder == tmp_path / "model" / "body"
    assert (copy.fingerprint, copy.spelling, copy.card) == (body.fingerprint, body.spelling, body.card)
    assert open_body(copy.folder) == copy


def test_a_body_that_changed_meanwhile_is_not_copied(tmp_path: Path) -> None:
    body = made(tmp_path / "a")
    (body.folder / "tokenizer.json").write_bytes(b"[]")
    with pytest.raises(BadBody, match="changed while it was read"):
        copy_body(body, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
