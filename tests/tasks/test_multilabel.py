"""Cells with any number of labels: how they are read, what is refused, and the answers."""

from __future__ import annotations

import numpy as np
import pytest

from tailorbird.errors import BadData
from tailorbird.tasks.multilabel import Multilabel
from tailorbird.types import Dataset, Rows

TASK = Multilabel()


def dataset(cells: list[str | None]) -> Dataset:
    ids = tuple(f"t.csv:{i + 2}" for i in range(len(cells)))
    return Dataset(Rows(ids, {"text": ids}, tuple(cells)), "text", "text", "tags", "t.csv")


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("b|a", "ab"),
        (" a | b ", "ab"),
        ("a|a", "a"),
        ("a||b|", "ab"),
        ("|", ""),
        ('["b", "a"]', "ab"),
        ('["a|b"]', "x"),
        ("[]", ""),
    ],
)
def test_labels_stand_between_bars_or_in_a_list(cell: str, labels: str) -> None:
    y = TASK.encode([cell], ("a", "b", "a|b"))
    assert y.tolist() == [[labels in ("a", "ab"), labels == "ab", labels == "x"]]


def test_a_cell_that_only_looks_like_a_list_is_a_label() -> None:
    assert TASK.labels(["[sic]|b", "[1]"]) == ("[1]", "[sic]", "b")


def test_labels_are_sorted_and_integers_by_their_value() -> None:
    assert TASK.labels(["b|a", "c", "|"]) == ("a", "b", "c")
    assert TASK.labels(["10|9", "1"]) == ("1", "9", "10")


@pytest.mark.parametrize(
    ("cells", "suits"),
    [
        (["a|b", "a", "b|c", "c"] * 5, True),
        (["a", "b"] * 10, False),
        ([*["a", "b"] * 50, "a|b"], False),  # a bar here and there is part of a name
        ([f"{i}|{i + 1000}" for i in range(50)], False),  # nothing repeats
        (["|", "a|"] * 10, False),
        (['["a", "b"]', '["b"]'] * 10, True),
    ],
)
def test_a_target_suits_where_many_cells_have_several_labels_that_repeat(cells: list[str], suits: bool) -> None:
    assert (TASK.suits(cells) > 0.5) == suits


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (["a", "a|a", "|"], "column 'tags' of 't.csv' has 1 label, 'a', and two or more are needed"),
        (["|", "|"], "has 0 labels, and two or more are needed"),
        ([f"n{i}|x" for i in range(10_000)], "has 10,001 labels, and the limit is 10,000"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(cells: list[str | None], problem: str) -> None:
    with pytest.raises(BadData) as caught:
        TASK.check(dataset(cells))
    assert problem in caught.value.problem
    with pytest.raises(BadData):
        TASK.labels([cell for cell in cells if cell])


def test_more_pairs_of_rows_and_labels_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailorbird.tasks.multilabel._MOST_CELLS", 100)
    assert TASK.check(dataset(["a|b", "|"] * 25)) == ()
    with pytest.raises(BadData, match="2 labels and 51 rows, and 100 pairs is the limit"):
        TASK.check(dataset([*["a|b", "|"] * 25, "a"]))


def test_labels_that_tell_nothing_are_found() -> None:
    found = {one.kind: one for one in TASK.check(dataset(["a|b", "a|c|b", "a|C", "a|d", None]))}
    assert set(found) == {"label_everywhere", "lone_label", "similar_labels"}
    assert found["label_everywhere"].rows == 4
    assert found["label_everywhere"].action == "kept, though they are in every row and tell nothing: a"
    assert found["label_everywhere"].examples == ("t.csv:2 'a'", "t.csv:3 'a'", "t.csv:4 'a'")
    assert (found["lone_label"].rows, found["lone_label"].action[-9:]) == (3, ": C, c, d")
    assert found["similar_labels"].examples == ("t.csv:4 'C'", "t.csv:3 'c'")


def test_a_label_that_is_twice_in_a_cell_counts_once() -> None:
    (finding,) = TASK.check(dataset(["a|a", "b", "b", "|"]))
    assert (finding.kind, finding.rows, finding.examples) == ("lone_label", 1, ("t.csv:2 'a'",))


@pytest.mark.parametrize(("cell", "hint"), [("urgnt|x", "did you mean 'urgent'?"), ("zzz", "correct or leave out")])
def test_an_unknown_label_is_named_with_its_cell(cell: str, hint: str) -> None:
    with pytest.raises(BadData, match=rf"label '\w+' in '{cell}'".replace("|", r"\|")) as caught:
        TASK.encode(["x", cell], ("urgent", "x"))
    assert caught.value.hint.startswith(hint) and "'urgent', 'x'" in caught.value.hint


def test_an_answer_has_the_labels_from_the_cut_on_and_all_scores() -> None:
    answer = TASK.answer("1", np.array([0.3, 0.5, 0.2], np.float32), ("a", "b", "c"), cut=0.3)
    assert answer.labels == ("a", "b")
    assert (answer.label, answer.score, answer.value) == (None, None, None)
    assert answer.scores is not None and list(answer.scores) == ["a", "b", "c"]
    assert TASK.answer("1", np.array([0.3, 0.5]), ("a", "b"), cut=0.6).labels == ()


def test_rows_are_spread_by_their_rarest_label() -> None:
    y = TASK.encode(["a|b", "a", "a", "|", "b|c", "a|b"], ("a", "b", "c"))
    assert TASK.strata(y).tolist() == [2, 1, 1, 0, 3, 2]


def test_only_wrong_labels_make_an_answer_bad_and_the_cut_says_which_are_wrong() -> None:
    y, scores = np.array([[1, 0], [1, 0]], np.float32), np.array([[0.4, 0.1], [0.9, 0.3]])
    assert TASK.badness(y, scores, 0.5) == pytest.approx([-np.log(0.4), 0])
    assert TASK.badness(y, scores, cut=0.3) == pytest.approx([0, -np.log(0.7)])
    assert np.isfinite(TASK.badness(y, 1 - y.astype(float), 0.5)).all()
