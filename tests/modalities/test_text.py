from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tailorbird.errors import BadBody, BadItem, EmptyItem, TooLargeItem
from tailorbird.kinds import Reader
from tailorbird.modalities import text as module
from tailorbird.modalities.text import Text
from tailorbird.types import BodyFolder

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "warm", "film"]


def body(folder: Path, modality: str = "text") -> BodyFolder:
    return BodyFolder("folder:body", folder, "toy", modality, "0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tokenizer whose file asks for padding to 6 and cutting at 4, as MiniLM's asks for 128."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_padding(length=6, pad_id=3)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 16}))
    return tmp_path


@pytest.fixture
def reader(folder: Path) -> Reader:
    return Text(max_tokens=5).reader(body(folder))


def test_the_tokenizers_own_padding_and_length_are_overridden(reader: Reader) -> None:
    short, long = reader.load(["a film", "a warm warm warm warm film"])
    assert list(short) == [1, 4, 6, 2]
    assert list(long) == [1, 4, 5, 5, 2]
    assert short.dtype == np.int64
    assert (reader.cost(short), reader.cost(long)) == (4, 5)


def test_a_batch_is_padded_to_its_longest_with_the_tokenizers_number(reader: Reader) -> None:
    batch = reader.stack(reader.load(["film", "a warm film"]))
    assert batch["input_ids"].tolist() == [[1, 6, 2, 3, 3], [1, 4, 5, 6, 2]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int64)}


def test_a_bad_text_does_not_disturb_its_neighbours(reader: Reader) -> None:
    first, empty, half, last = reader.load(["film", "  ", "\ud800", "warm"])
    assert list(first) == [1, 6, 2]
    assert list(last) == [1, 5, 2]
    assert isinstance(empty, EmptyItem)
    assert isinstance(half, BadItem)


def test_nothing_to_load_is_nothing_loaded(reader: Reader) -> None:
    assert reader.load([]) == []


def test_a_body_for_pictures_is_refused(folder: Path) -> None:
    with pytest.raises(BadBody, match="reads 'image'") as caught:
        Text().reader(body(folder, "image:size=224"))
    assert "--model wheel:" in caught.value.hint


def test_more_tokens_than_the_body_reads_are_refused(folder: Path) -> None:
    with pytest.raises(BadBody, match=r"max_tokens=17 .*3 to 16") as caught:
        Text(max_tokens=17).reader(body(folder))
    assert caught.value.hint == "--modality text:max_tokens=16"
    with pytest.raises(BadBody, match="max_tokens=2"):
        Text(max_tokens=2).reader(body(folder))


@pytest.mark.parametrize("content", [None, b"{}", b"\x00"])
def test_a_body_without_a_good_tokenizer_names_the_pull_command(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(BadBody) as caught:
        Text().reader(body(tmp_path))
    assert caught.value.hint.endswith("tailorbird pull folder:body")


@pytest.mark.parametrize(
    "other",
    [
        "a  WARM film",
        " A warm\n\tfilm ",
        "a warm film!!!",
        "“A” warm, film",
        "ａ ｗａｒｍ film",
        "a_warm_film",
        "a\u200bwarm film",
    ],
)
def test_letter_case_spaces_punctuation_and_character_forms_make_twins(other: str) -> None:
    assert Text().facts(other).twin == Text().facts("a warm film").twin
    assert Text().digest(other) != Text().digest("a warm film")


@pytest.mark.parametrize(
    ("one", "other"), [("good 🙂", "good 🙁"), ("!!!", "???"), ("a+b", "a b"), ("c", "d"), ("कि", "की")]
)
def test_what_differs_in_meaning_is_no_twin(one: str, other: str) -> None:
    assert Text().facts(one).twin != Text().facts(other).twin


@pytest.mark.parametrize("empty", ["", " \n\t", "\u3000"])
def test_a_text_of_nothing_is_an_empty_item(empty: str) -> None:
    with pytest.raises(EmptyItem, match="empty"):
        Text().facts(empty)


def test_half_a_character_is_unreadable_and_no_crash() -> None:
    for look in (Text().facts, Text().digest):
        with pytest.raises(BadItem, match="half a character"):
            look("a \ud800")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_text_files_are_read_in_the_usual_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Ein schöner Film\r\nmit Café".encode(encoding))
    assert Text().open(path) == "Ein schöner Film\r\nmit Café"


def test_a_file_that_is_no_text_is_an_item_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(bytes(range(256)))
    for path in (tmp_path / "a.txt", tmp_path / "none.txt"):
        with pytest.raises(BadItem, match="no readable text"):
            Text().facts(path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXT_LIMIT_BYTES", 10)
    (tmp_path / "a.txt").write_text("eleven bytes")
    with pytest.raises(TooLargeItem):
        Text().open(tmp_path / "a.txt")


@pytest.mark.parametrize(
    "text", ["plain", "schön 🙂", "a\0b", "\ufeffmarked", "\x01\x02\x03", "line\r\nline\r", "a\0b\0c\0d\0e\0"]
)
def test_a_saved_text_is_opened_as_it_was(tmp_path: Path, text: str) -> None:
    content, suffix = Text().save(text, 10_000)
    path = tmp_path / f"saved{suffix}"
    path.write_bytes(content)
    assert Text().open(path) == text


def test_a_picture_given_as_a_text_is_an_item_error() -> None:
    with pytest.raises(BadItem, match="ndarray"):
        Text().facts(np.zeros((2, 2), np.uint8))
