"""Toy bodies: fixed, random, made on the spot."""

import pytest
from safetensors.numpy import load_file

from tailorbird.errors import BadBody, BadSpelling
from tailorbird.kinds import Modality, Source
from tailorbird.plug import parse
from tailorbird.sources.toy import Toy


def toy(spelling: str) -> Toy:
    plug = parse("source", spelling, Source)
    assert isinstance(plug, Toy)
    return plug


def test_a_toy_for_texts_has_an_embedding_and_two_layers() -> None:
    body = toy("toy:text").open()
    weights = load_file(body.folder / "model.safetensors")
    assert {name: array.shape[-1] for name, array in weights.items()} == {"embedding": 16, "mix": 16}
    assert weights["mix"].shape == (2, 16, 16) and weights["mix"].dtype == "float32"
    assert body.architecture == "toy" and body.settings == {"input": "text", "width": 16}
    assert parse("modality", body.modality, Modality).name == "text"


def test_a_toy_for_pictures_has_two_convolutions() -> None:
    body = toy("toy:image,width=8").open()
    shapes = {name: array.shape for name, array in load_file(body.folder / "model.safetensors").items()}
    assert shapes == {"conv1": (8, 3, 5, 5), "conv2": (16, 8, 3, 3)}
    assert body.modality == "image:size=32" and body.spelling == "toy:image,width=8"


def test_a_toy_is_the_same_every_time_and_another_for_another_seed(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    first = toy("toy:text").open()
    assert toy("toy:text").open() == first
    monkeypatch.setenv("TAILORBIRD_HOME", str(tmp_path / "elsewhere"))
    assert toy("toy:text").open().fingerprint == first.fingerprint
    assert toy("toy:text,seed=1").open().fingerprint != first.fingerprint


def test_any_ascii_text_can_be_spelled() -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(toy("toy:text").open().folder / "tokenizer.json"))
    text = "".join(map(chr, range(32, 127))) + "\n"
    tokens = tokenizer.encode(text)
    assert len(tokens.ids) == len(text) and tokenizer.token_to_id("[UNK]") not in tokens.ids
    assert "".join(tokens.tokens) == text.lower()
    assert tokenizer.token_to_id("[PAD]") == 0
    assert tokenizer.encode("é").tokens == ["[UNK]"]


def test_a_damaged_toy_is_mended_by_pulling() -> None:
    body = toy("toy:text").open()
    (body.folder / "tokenizer.json").write_text("{}")
    with pytest.raises(BadBody, match="is damaged") as caught:
        toy("toy:text").open()
    assert caught.value.hint == "tailorbird pull toy:text"
    assert toy("toy:text").pull() == body


@pytest.mark.parametrize(
    "spelling",
    [
        *("toy", "toy:sound", "toy:text,width=0", "toy:text,seed=-1", "toy:text,depth=2"),
        *("toy:text,width=257", "toy:image,width=1000000"),
    ],
)
def test_a_toy_that_cannot_be_is_refused(spelling: str) -> None:
    with pytest.raises(BadSpelling):
        parse("source", spelling, Source)
