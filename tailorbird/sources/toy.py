"""Fixed random bodies for tests and for trying things out: `toy:text`, `toy:image`. Nothing is fetched."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeInt

from tailorbird.errors import BadBody
from tailorbird.kinds import Source
from tailorbird.store import files
from tailorbird.store.bodies import open_body, write_body
from tailorbird.types import BodyFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHARACTERS = "\n" + "".join(chr(code) for code in range(32, 127) if not chr(code).isupper())  # ASCII, in lower case
_SPECIAL = ("[PAD]", "[UNK]")  # [PAD] is number 0
_MODALITIES = {"text": "text:max_tokens=64", "image": "image:size=32"}


class Toy(Source):
    """A body with fixed random weights: small, quick, and the same on every machine. It has learned nothing."""

    main: ClassVar[str | None] = "input"

    input: Literal["image", "text"]
    seed: NonNegativeInt = 0
    # Numbers a token, or channels of the first layer. Bounded: a model from a stranger may name a toy.
    width: Annotated[int, Field(ge=1, le=256)] = 16

    def pull(self) -> BodyFolder:
        """The body, made again if its files in the store are damaged."""
        with suppress(BadBody):
            return self.open()
        return self._make(replace=True)

    def open(self) -> BodyFolder:
        """The body in the store, made there when it is first asked for."""
        return open_body(self._place()) if self._place().exists() else self._make(replace=False)

    def _make(self, *, replace: bool) -> BodyFolder:
        with files.whole_folder(self._place(), replace=replace) as folder:
            rng = np.random.default_rng(self.seed)
            weights = _text_weights(rng, self.width) if self.input == "text" else _image_weights(rng, self.width)
            files.write(folder / "model.safetensors", files.tensors(weights))
            if self.input == "text":
                files.write(folder / "tokenizer.json", _tokenizer())
            write_body(
                folder,
                spelling=self.spelling(),
                architecture="toy",
                modality=_MODALITIES[self.input],
                settings={"input": self.input, "width": self.width},
                card={
                    "title": "toy",
                    "what": "random weights that have learned nothing, for tests",
                    "licence": "CC0-1.0",
                },
            )
        return open_body(self._place())

    def _place(self) -> Path:
        return files.home() / "bodies" / "toy" / f"{self.input}-seed{self.seed}-width{self.width}"


def _text_weights(rng: np.random.Generator, width: int) -> dict[str, NDArray[Any]]:
    """embedding: (vocabulary, d), mix: (2, d, d)."""
    n_tokens = len(_SPECIAL) + len(_CHARACTERS)
    return {
        "embedding": rng.standard_normal((n_tokens, width), np.float32),
        "mix": rng.standard_normal((2, width, width), np.float32) / np.float32(width**0.5),
    }


def _image_weights(rng: np.random.Generator, width: int) -> dict[str, NDArray[Any]]:
    """conv1: (d, 3, 5, 5), conv2: (2 d, d, 3, 3)."""
    return {
        "conv1": rng.standard_normal((width, 3, 5, 5), np.float32) / np.float32(75**0.5),
        "conv2": rng.standard_normal((2 * width, width, 3, 3), np.float32) / np.float32((9 * width) ** 0.5),
    }


def _tokenizer() -> bytes:
    """A tokenizer.json with one token for each character of ASCII, in lower case."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {token: number for number, token in enumerate((*_SPECIAL, *_CHARACTERS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106 (a token of text)
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return tokenizer.to_str(pretty=True).encode()
