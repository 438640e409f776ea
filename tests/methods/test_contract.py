"""What every method keeps, for every kind of target: given features, a body that could learn, and values for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tailorbird.engine.choose import reopen
from tailorbird.engine.features import columns, encode
from tailorbird.kinds import Method, Modality
from tailorbird.lesson import Lesson, Link, Tailored, Truth, Workshop
from tailorbird.plug import names, parse
from tailorbird.types import BodyFolder

WORDS = ("warm", "dull", "plain")
LINKS: tuple[Link, ...] = ("softmax", "sigmoid", "identity")
N = 90
Suited = Callable[[str], BodyFolder]
Spelled = Callable[..., str]
pytestmark = pytest.mark.parametrize("name", names("method"))


def truth(link: Link, word: np.ndarray) -> tuple[Truth, int]:
    """What is to be learned of each row's word, and how many columns the scores have: a label more than seen."""
    if link == "softmax":
        return word, 4
    if link == "sigmoid":
        return np.column_stack([word == 0, word != 1, word == 2, word == 9]).astype(np.float32), 4
    return (1000.0 + 50.0 * word)[:, None], 1


def features(body: BodyFolder, values: list[str]) -> dict[str, np.ndarray]:
    """What a body makes of values, by depth: (n, d) each."""
    modality = parse("modality", body.modality, Modality)
    encoder = reopen(body, modality, "torch", threads=1, device="cpu").encoder
    found, errors = encode(encoder, modality.reader(body), values, threads=1)
    assert not errors
    return {depth: columns(encoder.depths, (depth,), found) for depth, _ in encoder.depths}


def lesson(link: Link, n_validation: int, folder: Path, body: BodyFolder) -> Lesson:
    word = np.arange(N) % 3
    values = [f"{WORDS[k] * 3} {i}" for i, k in enumerate(word)]
    y, n_labels = truth(link, word)
    labels = tuple(f"label{k}" for k in range(n_labels))
    shop = Workshop(body, parse("modality", body.modality, Modality), values, labels, folder, 1, "cpu")
    rows, weights = np.arange(N), np.ones(N, np.float32)
    parts = (rows[n_validation:], rows[:n_validation])
    seen = features(body, values)
    return Lesson(seen, y, n_labels, weights, *parts, seed=0, link=link, workshop=shop)


def scores(tailored: Tailored, given: Lesson) -> np.ndarray:
    """Answers to the rows of a lesson, by way of the body that learned if there is one."""
    assert given.workshop is not None
    seen = given.features if tailored.body is None else features(tailored.body, list(given.workshop.values))
    return tailored.head.scores(np.concatenate([seen[depth] for depth in tailored.head.depths], axis=1))


def learned(link: Link, given: Lesson, answers: np.ndarray) -> bool:
    """Whether the answers are much better than saying the same of every row."""
    if link == "softmax":
        return bool((answers.argmax(1) == given.y).mean() > 0.6)
    return float(((answers - given.y) ** 2).mean()) < 0.7 * float(((given.y - given.y.mean(0)) ** 2).mean())


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("n_validation", [0, 30])
def test_what_is_tailored_answers_in_the_form_of_the_link(
    name: str, link: Link, n_validation: int, tmp_path: Path, suited: Suited, spelled: Spelled
) -> None:
    given = lesson(link, n_validation, tmp_path, suited(name))
    tailored = parse("method", spelled(name, given.link, given.workshop.labels), Method).tailor(given)
    head, answers = tailored.head, scores(tailored, given)
    assert head.link == link and answers.shape == (N, given.n_labels) and np.isfinite(answers).all()
    assert head.weight.dtype == np.float32 and head.bias.dtype == (np.float64 if link == "identity" else np.float32)
    assert head.temperature > 0 and 0.05 <= head.cut <= 0.95
    if link != "identity":
        assert (answers >= 0).all() and (answers <= 1).all()
    if link == "softmax":
        assert answers.sum(1) == pytest.approx(np.ones(N))
    assert head.scale == (pytest.approx(given.y.std(), rel=0.1) if link == "identity" else 1.0)
    assert head.scale > 0 and learned(link, given, answers)
    assert json.loads(json.dumps(dict(head.notes), allow_nan=False)) == head.notes


@pytest.mark.parametrize("link", LINKS)
def test_a_lesson_stays_as_it_was_and_what_is_written_stays_in_its_folder(
    name: str, link: Link, tmp_path: Path, suited: Suited, spelled: Spelled
) -> None:
    given = lesson(link, 30, tmp_path / "own", suited(name))
    (tmp_path / "own").mkdir()
    before = {depth: x.copy() for depth, x in given.features.items()}
    y = given.y.copy()
    body = parse("method", spelled(name, given.link, given.workshop.labels), Method).tailor(given).body
    assert (given.y == y).all() and all((given.features[depth] == x).all() for depth, x in before.items())
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert body is None or (tmp_path / "own") in body.folder.parents


def test_the_same_lesson_gives_the_same_answers(name: str, tmp_path: Path, suited: Suited, spelled: Spelled) -> None:
    given = lesson("softmax", 30, tmp_path, suited(name))
    method = parse("method", spelled(name, given.link, given.workshop.labels), Method)
    first, again = (scores(method.tailor(given), given) for _ in range(2))
    assert first.tobytes() == again.tobytes()


def test_rows_that_are_neither_learned_from_nor_validated_are_not_looked_at(
    name: str, tmp_path: Path, suited: Suited, spelled: Spelled
) -> None:
    given = lesson("identity", 30, tmp_path, suited(name))
    part = replace(given, train=given.train[:50])
    method = parse("method", spelled(name, given.link, given.workshop.labels), Method)
    hidden = np.setdiff1d(np.arange(N), np.concatenate([part.train, part.validation]))
    other = given.y.copy()
    other[hidden] = 1e6
    first, again = (scores(method.tailor(one), given) for one in (part, replace(part, y=other)))
    assert first.tobytes() == again.tobytes()


def test_it_says_what_it_would_take_of_more_rows(name: str, tmp_path: Path, suited: Suited, spelled: Spelled) -> None:
    given = lesson("softmax", 30, tmp_path, suited(name))
    method = parse("method", spelled(name, given.link, given.workshop.labels), Method)
    if not method.foreseeable:  # it takes what its budget lets it, and so is never planned
        assert not method.usual
        return
    few, many = (method.effort(replace(given, deadline=time.monotonic() + 5), n, 30) for n in (60, 60_000))
    assert 0 < few.seconds < 60 and (many.seconds > few.seconds or not method.tunes)  # a line through some ms is flat
    assert (few.steps > 0) == method.tunes and many.steps >= few.steps
    assert (few.operations is None) or 0 < few.operations < many.operations
