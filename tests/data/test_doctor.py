from __future__ import annotations

import random
import time
from collections.abc import Sequence

import numpy as np
import pytest

from tailorbird.data.cases import findings_of
from tailorbird.data.check import check
from tailorbird.data.doctor import cases
from tailorbird.data.leaks import telling_words, tells
from tailorbird.modalities.text import Text
from tailorbird.types import Dataset, Finding, Rows

WORDS = [a + b + c for a in "bcdfglmnprst" for b in "aeiou" for c in ("n", "rk", "st", "ll", "m")]


def sentences(n: int) -> list[str]:
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=12)) for _ in range(n)]


def found(texts: Sequence[str], targets: Sequence[str], **others: Sequence[str | None]) -> dict[str, Finding]:
    columns = {name: tuple(column) for name, column in others.items()}
    ids = tuple(f"a.csv:{i + 2}" for i in range(len(texts)))
    rows = Rows(ids, {"text": tuple(texts)}, tuple(targets), others=columns)
    findings = findings_of(cases(check(Dataset(rows, "text", "text", "label", "a.csv"), Text())))
    return {finding.kind: finding for finding in findings}


def labels(n: int, names: str = "ab") -> list[str]:
    rng = random.Random(1)
    return [rng.choice(names) for _ in range(n)]


def test_a_healthy_table_has_no_finding() -> None:
    rng, n = random.Random(2), 400
    others = {
        "id": [str(i) for i in range(n)],
        "price": [f"{rng.random():.3f}" for _ in range(n)],
        "age": [str(rng.randrange(20, 60)) for _ in range(n)],
        "city": [rng.choice(["Bonn", "Lyon", "York"]) for _ in range(n)],
        "note": [rng.choice([None, "late"]) for _ in range(n)],
        "nothing": [None] * n,
    }
    assert found(sentences(n), labels(n), **others) == {}


@pytest.mark.parametrize(
    ("how", "make"),
    [
        ("equals the target", lambda i, label: label.upper()),
        ("tells the target by its value", lambda i, label: f"{label}{i % 7}"),
        ("tells the target by its order", lambda i, label: str((label == "a") * 100 + i / 1000)),
        (
            "tells the target by its order",
            lambda i, label: f"20{20 + (label == 'a')}-01-{i % 28 + 1:02}T{i % 24:02}:00",
        ),
        ("tells the target by being empty or not", lambda i, label: f"{i}" if label == "a" else None),
    ],
)
def test_a_column_that_gives_the_target_away_is_told(how: str, make) -> None:
    targets = labels(300)
    told = found(sentences(300), targets, leak=[make(i, label) for i, label in enumerate(targets)])
    assert set(told) == {"leaking_column"}
    assert f"column 'leak' {how}" in told["leaking_column"].action
    assert told["leaking_column"].examples[0].startswith("a.csv:2")


def test_a_column_that_is_right_but_for_one_in_a_hundred_still_leaks() -> None:
    targets = labels(1000)
    column = ["x" if label == "a" else "y" for label in targets]
    column[::100] = ["x" if value == "y" else "y" for value in column[::100]]
    assert tells(column, targets) is not None
    column[::10] = ["x" if value == "y" else "y" for value in column[::10]]
    assert tells(column, targets) is None


def test_a_rare_label_does_not_make_every_column_a_leak() -> None:
    targets = ["common"] * 990 + ["rare"] * 10
    rng = random.Random(3)
    assert tells([rng.choice("xyz") for _ in targets], targets) is None
    assert tells([str(rng.random()) for _ in targets], targets) is None


@pytest.mark.parametrize("make", [lambda y: y * 2 + 1, lambda y: -(y**3), lambda y: round(y, 1)])
def test_a_number_is_given_away_by_another(make) -> None:
    goals = np.random.default_rng(0).normal(size=500)
    assert tells([str(make(float(y))) for y in goals], [str(y) for y in goals]) is not None


def test_numbers_that_are_often_the_same_go_down_together_too() -> None:
    goals = np.random.default_rng(0).integers(0, 22, 500)
    assert tells([str(-2 * y) for y in goals], [str(y) for y in goals]) == "goes up or down with the target"


def test_rows_that_are_sorted_by_label_do_not_make_every_column_a_leak() -> None:
    rng, targets = random.Random(4), ["a"] * 3000 + ["b"] * 3000
    assert tells([str(rng.randrange(20, 60)) for _ in targets], targets) is None


def test_a_number_that_only_goes_along_is_no_leak() -> None:
    rng = np.random.default_rng(0)
    goals = rng.normal(size=500)
    assert (
        tells([str(y + 0.2 * e) for y, e in zip(goals, rng.normal(size=500), strict=True)], [*map(str, goals)]) is None
    )


def test_a_number_is_given_away_by_what_is_empty() -> None:
    goals = np.random.default_rng(0).normal(size=500) + np.repeat([0, 1000], 250)
    targets = [str(y) for y in goals]
    assert tells(["late"] * 250 + [None] * 250, targets) == "tells the target by being empty or not"
    assert tells(["late", None] * 250, targets) is None


def test_one_very_long_text_beside_numbers_takes_no_more_memory_than_it_has() -> None:
    texts = [f"note {i}" for i in range(9_999)] + ["x" * 50_000_000]
    assert tells(texts, [str(i / 7) for i in range(10_000)]) is None  # as an array of one width: 2 TB


@pytest.mark.parametrize("target", [lambda i: f"label {i}", lambda i: f"{i / 7}"])
def test_many_labels_and_many_numbers_are_looked_at_in_one_pass(target) -> None:
    targets = [target(i % 10_000) for i in range(30_000)]
    started = time.perf_counter()
    assert tells([("x", None)[i % 2] for i in range(30_000)], targets) is None
    assert tells([("x", "y")[i % 2] for i in range(30_000)], targets) is None
    assert time.perf_counter() - started < 3  # the square of so many takes 20 s


def test_words_that_tell_a_label_alone_are_told() -> None:
    texts, targets = sentences(300), labels(300)
    marked = [f"[{'SPAM' if label == 'a' else 'ok'}] {text}" for text, label in zip(texts, targets, strict=True)]
    told = found(marked, targets)
    assert "'spam' (a)" in told["revealing_input"].action
    assert "'ok' (b)" in told["revealing_input"].action
    assert telling_words(texts, targets) == []


def test_rows_with_a_telling_word_inside_another_word_are_not_counted() -> None:
    targets = labels(300)
    texts = [f"{text} {'no' if label == 'a' else 'know'}" for text, label in zip(sentences(300), targets, strict=True)]
    told = found(texts, ["a" if label == "a" else "bc"[i % 2] for i, label in enumerate(targets)])
    assert "'no' (a)" in told["revealing_input"].action
    assert told["revealing_input"].rows == targets.count("a")


def test_a_mark_in_one_text_of_five_is_told_too() -> None:
    targets = labels(500)
    texts = [
        f"{text} (c)" if label == "a" and i % 3 == 0 else text
        for i, (text, label) in enumerate(zip(sentences(500), targets, strict=True))
    ]
    assert ("c", "a") in telling_words(texts, targets)


def test_the_length_of_a_text_that_tells_the_label_is_told() -> None:
    targets = labels(200)
    texts = [text if label == "a" else text[:30] for text, label in zip(sentences(200), targets, strict=True)]
    assert "the length of the text" in found(texts, targets)["revealing_input"].action


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("dates", lambda i: f"2024-{i % 12 + 1:02}-{i % 28 + 1:02}"),
        ("numbers", lambda i: str(i * 7919 % 1000)),
        ("names of rows", lambda i: f"TICKET-{i:05}"),
    ],
)
def test_an_input_that_holds_nothing_to_read_is_told(what: str, make) -> None:
    told = found([make(i) for i in range(100)], labels(100))
    assert f"the input 'text' holds {what}" in told["odd_input"].action


def test_a_finding_about_everything_names_no_rows_to_go_through() -> None:
    rows = Rows(tuple("abcdefghijklmnopqrstuvwxyz"), {"text": tuple(map(str, range(26)))}, ("x", "y") * 13)
    (case,) = cases(check(Dataset(rows, "text", "text", "label", "a.csv"), Text()))
    assert (case.finding.rows, case.suspects) == (26, ())
