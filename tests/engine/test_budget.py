"""Budgets as they are typed, and the smallest that works."""

from __future__ import annotations

import re

import pytest

from tailorbird.engine.budget import budget
from tailorbird.errors import BadSpelling


@pytest.mark.parametrize(
    ("typed", "seconds"), [("240", 240), ("90s", 90), ("10m", 600), ("1.5h", 5400), (" 4 M ", 240)]
)
def test_a_budget_is_read_as_people_write_it(typed: str, seconds: float) -> None:
    assert budget(typed).seconds == seconds


@pytest.mark.parametrize("typed", ["", "0", "-3m", "ten minutes", "10mm", "1e9", "nan", "5 d"])
def test_what_is_no_time_is_refused_with_the_value_received(typed: str) -> None:
    with pytest.raises(BadSpelling, match=re.escape(repr(typed))):
        budget(typed)


def test_a_budget_that_is_too_small_names_the_smallest_that_works() -> None:
    with pytest.raises(BadSpelling, match="--budget 5s is too small for anything: reading takes 40 s") as caught:
        budget("5s").check(40, "reading takes 40 s")
    assert caught.value.hint == "--budget 50s"
    budget("50s").check(40, "reading takes 40 s")
    budget(None).check(1e9, "there is all the time")


def test_without_a_budget_there_is_no_deadline() -> None:
    assert budget(None).deadline(10) is None
    limited = budget("100")
    assert limited.deadline(10) == pytest.approx(limited.start + 90)
