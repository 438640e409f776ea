"""Numbers: which cells are some, how the others are named, and the answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailorbird.errors import BadData
from tailorbird.tasks.regress import Regress
from tailorbird.types import Dataset, Rows

TASK = Regress()


def dataset(cells: list[str | None]) -> Dataset:
    ids = tuple(f"houses.csv:{i + 2}" for i in range(len(cells)))
    return Dataset(Rows(ids, {"text": ids}, tuple(cells)), "text", "text", "price", "houses.csv")


@pytest.mark.parametrize(
    ("cells", "suits"),
    [
        ([str(i * 1.5) for i in range(20)], True),
        ([str(i % 150 / 10) for i in range(600)], True),
        ([str(1000 * (i * 37 % 211) + 90_000) for i in range(1500)], True),  # prices
        (
            [f"${i * 7919 % 90_000:,}" for i in range(300)],
            True,
        ),  # prices as they should not be written: told, not learned
        (["cheap", *[str(i * 1.5) for i in range(40)]], True),
        (["cheap", "dear", *[str(i * 1.5) for i in range(20)]], False),
        ([str(i % 10) for i in range(600)], False),
        ([str(i % 5 + 1) for i in range(20)], False),
        ([str(i % 11 / 2) for i in range(600)], False),
        ([str(i % 150) for i in range(600)], False),
        ([f"{i * 61 % 99_999:05}" for i in range(600)], False),  # post codes
        ([f"n{i}" for i in range(20)], False),
        (["1"] * 20, False),
        ([], False),
    ],
)
def test_a_target_suits_where_nobody_would_call_its_numbers_labels(cells: list[str], suits: bool) -> None:
    assert (TASK.suits(cells) > 0.5) == suits


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("cheap", "correct or leave out such rows, or name another column: --target NAME"),
        ("12,5", "write it as 12.5: with a point"),
        ("1.234,5", "write it as 1234.5: with"),
        ("1,234.50", "write it as 1234.50: with"),
        ("1,234", "write it as 1234, or 1.234 if the comma is a decimal sign: with"),
        ("1,234,567", "write it as 1234567: with"),
        ("12,34,567", "write it as 1234567: with"),
        ("1.234.567", "write it as 1234567: with"),
        ("1 234", "write it as 1234: with"),
        ("$1,234.50", "write it as 1234.50: with"),
        ("-£3,5", "write it as -3.5: with"),
        ("€-3", "write it as -3: with"),
        ("12 €", "write it as 12: with"),
        ("USD 12.5", "write it as 12.5: with"),
        ("12%", "write it as 12: with"),
        ("12k", "correct or leave out"),  # thousands, and nothing here knows that
        ("1,2,3", "correct or leave out"),
        ("2020-01-01", "correct or leave out"),
        ("nan", "correct or leave out"),
        ("inf", "correct or leave out"),
        ("1e999", "correct or leave out"),
        ("1_000", "correct or leave out"),
        ("٣", "correct or leave out"),
    ],
)
def test_a_cell_that_is_no_number_is_named_with_its_row_and_how_to_write_it(cell: str, hint: str) -> None:
    cells: list[str | None] = [str(i) for i in range(15)]
    with pytest.raises(BadData) as caught:
        TASK.check(dataset([*cells, cell, None]))
    assert caught.value.problem == f"houses.csv:17 has {cell!r} in column 'price', which is no number"
    assert caught.value.hint.startswith(hint)
    with pytest.raises(BadData, match="is no number") as late:
        TASK.encode(["1", cell], ("value",))
    assert late.value.hint == caught.value.hint


def test_a_column_of_words_is_told_how_many_and_of_the_task_for_words() -> None:
    with pytest.raises(BadData, match=r"houses.csv:2 has 'good' .* no number, as have 2 more rows") as caught:
        TASK.check(dataset(["good", "bad", "1", "good"]))
    assert caught.value.hint.endswith(", or --task classify")


@given(st.floats(-1e15, 1e15, allow_nan=False) | st.integers(-(10**15), 10**15))
def test_numbers_as_python_writes_them_are_read_back(value: float) -> None:
    assert TASK.check(dataset([repr(value), "0", "1"])) == ()
    assert TASK.encode([repr(value)], ("value",)).tolist() == [[value]]


@pytest.mark.parametrize("cells", [["7"] * 3, ["7", "7.0", None, "7e0"]])
def test_a_target_that_never_changes_is_refused(cells: list[str | None]) -> None:
    with pytest.raises(BadData, match=r"'price' of 'houses.csv' is 7 in all 3 rows, and there is nothing to learn"):
        TASK.check(dataset(cells))


def test_a_number_beyond_all_units_is_refused_by_its_row() -> None:
    with pytest.raises(BadData, match=r"houses.csv:3 has -2e\+15 in column 'price', and 1e\+15 is the limit"):
        TASK.check(dataset(["1", "-2e15", "5", "-2e15"]))


def test_an_answer_is_a_value_and_nothing_else() -> None:
    answer = TASK.answer("1", np.array([3.5], np.float32), ("value",), 0.5)
    assert (answer.value, answer.label, answer.labels, answer.scores, answer.score) == (3.5, None, None, None, None)
    assert type(answer.value) is float


def test_rows_are_spread_by_five_bins_of_equal_counts() -> None:
    y = np.random.default_rng(0).lognormal(size=(100, 1))
    assert np.bincount(TASK.strata(y)).tolist() == [20] * 5
    assert len(np.unique(TASK.strata(y[:25]))) == 2
    assert not TASK.strata(y[:9]).any()
    mostly_nothing = np.where(np.arange(100) < 90, 0, np.arange(100.0))[:, None]
    assert np.bincount(TASK.strata(mostly_nothing)).tolist() == [90, 10]


def test_an_answer_is_as_bad_as_it_is_far_off() -> None:
    assert TASK.badness(np.array([[1.0], [2.0]]), np.array([[1.0], [-1.0]]), 0.5).tolist() == [0, 3]
