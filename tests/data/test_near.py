from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from tailorbird.data.near import near_pictures, near_texts
from tailorbird.modalities.image import Picture

WORDS = [a + b + c for a in "bcdfglmnprst" for b in "aeiou" for c in ("n", "rk", "st", "ll", "m")]


def sentences(n: int, seed: int = 0) -> list[str]:
    """Sentences of 5 to 20 words, of which few are common, as in a language."""
    rng = random.Random(seed)
    weights = [1 / (1 + i) for i in range(len(WORDS))]
    return [" ".join(rng.choices(WORDS, weights, k=rng.randrange(8, 25))) for _ in range(n)]


def edited(text: str, kind: str, rng: random.Random) -> str:
    words = text.split()
    i = rng.randrange(len(words))
    if kind == "typo":
        words[i] = words[i][1:] + words[i][0]
    elif kind == "swap":
        words[i] = rng.choice(WORDS)
    elif kind == "drop":
        del words[i]
    else:
        words.insert(i, rng.choice(WORDS))
    return " ".join(words)


@pytest.mark.parametrize("kind", ["typo", "swap", "drop", "add"])
def test_a_light_edit_is_found_and_little_else(kind: str) -> None:
    texts, rng = sentences(1000), random.Random(1)
    copies = [edited(text, kind, rng) for text in texts[:100]]
    true = {(i, 1000 + i) for i in range(100) if copies[i] != texts[i]}
    found = {(one, other) for one, other in near_texts(texts + copies).pairs.tolist()}
    assert len(true & found) >= 0.95 * len(true)
    assert len(found - true) <= 5


def test_all_pairs_of_a_slow_look_are_found() -> None:
    texts = sentences(120)
    texts += [edited(text, "swap", random.Random(2)) for text in texts]
    texts = list(dict.fromkeys(texts))
    sets = [set(text.split()) for text in texts]
    df = {word: sum(word in one for one in sets) for word in WORDS}
    weight = {word: np.sqrt(np.log(len(texts) / max(count - 1, 1))) for word, count in df.items()}

    def likeness(one: set[str], other: set[str]) -> float:
        if len(one & other) < 0.62 * len(one | other):
            return 0.0
        return sum(weight[w] for w in one & other) / sum(weight[w] for w in one | other)

    slow = {(i, j) for i in range(len(texts)) for j in range(i) if likeness(sets[i], sets[j]) >= 0.65}
    found = {(j, i) for i, j in near_texts(texts).pairs.tolist()}
    assert found <= slow
    assert len(found) >= 0.97 * len(slow)


def test_texts_of_one_pattern_are_not_near() -> None:
    assert len(near_texts([f"sentence number {i}" for i in range(300)]).pairs) == 0
    moods = [f"{mood} film number {i}" for mood in ("warm", "dull") for i in range(50)]
    assert len(near_texts(moods).pairs) == 0


def test_the_order_of_texts_changes_nothing() -> None:
    texts = sentences(300)
    texts += [edited(text, "drop", random.Random(3)) for text in texts[:50]]
    mixed = random.Random(4).sample(range(350), 350)
    found = {frozenset(pair) for pair in near_texts(texts).pairs.tolist()}
    again = near_texts([texts[i] for i in mixed]).pairs.tolist()
    assert found == {frozenset((mixed[one], mixed[other])) for one, other in again}


def test_a_chain_that_would_join_nearly_all_is_not_taken() -> None:
    words = [f"w{i}" for i in range(210)]
    chain = [" ".join(words[i : i + 10]) for i in range(200)]
    near = near_texts(chain)
    assert near.strict
    assert len(near.pairs) == 0


def test_scripts_without_spaces_are_compared_too() -> None:
    texts = [
        "この映画は本当に素晴らしかったです",
        "天気予報によると明日は雨が降る",
        "この映画は本当に素晴らしかったよ",
        "株価",
    ]
    assert near_texts(texts).pairs.tolist() == [[0, 2]]


def test_one_text_or_none_is_near_to_nothing() -> None:
    assert len(near_texts([]).pairs) == len(near_texts(["a"]).pairs) == len(near_texts(["!", "?"]).pairs) == 0


def photo(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8))
    return coarse.resize((120, 90), Image.Resampling.BICUBIC)


def looks(pictures: list[Image.Image]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    facts = [Picture().facts(np.asarray(picture)) for picture in pictures]
    return np.array([one.print for one in facts]), np.array([one.sketch for one in facts])


def test_a_picture_that_was_edited_lightly_is_found_and_little_else() -> None:
    photos = [photo(i) for i in range(60)]
    edits = [
        *(one.resize((97, 73)) for one in photos[:20]),
        *(ImageEnhance.Brightness(one).enhance(1.1) for one in photos[20:40]),
        *(ImageEnhance.Contrast(one).enhance(0.9) for one in photos[40:]),
    ]
    true = {(i, 60 + i) for i in range(60)}
    found = {(one, other) for one, other in near_pictures(*looks(photos + edits)).pairs.tolist()}
    assert len(true & found) >= 0.95 * 60
    assert not found - true


def test_pictures_of_one_drawing_in_two_colours_are_not_near() -> None:
    grey = np.asarray(photo(0))[..., 0]
    red, blue = (np.zeros((*grey.shape, 3), np.uint8) for _ in range(2))
    red[..., 0], blue[..., 2] = grey, grey
    pictures = [Image.fromarray(one) for one in (red, blue, red // 2 * 2)]
    assert near_pictures(*looks(pictures)).pairs.tolist() == [[0, 2]]


def test_prints_tell_pale_pictures_apart() -> None:
    prints, _ = looks([Image.fromarray(np.asarray(photo(i)) // 8 + 200) for i in range(5)])
    assert np.abs(prints @ prints.T - np.eye(5)).max() < 0.8


def test_the_same_in_more_light_is_near() -> None:
    dim = np.asarray(photo(1)) // 3 + 30
    assert len(near_pictures(*looks([Image.fromarray(dim), Image.fromarray(dim + 8)])).pairs) == 1


def test_pictures_of_one_colour_each_are_not_near_if_the_colours_differ() -> None:
    colours = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue", "white", "black")]
    assert len(near_pictures(*looks(colours)).pairs) == 0
