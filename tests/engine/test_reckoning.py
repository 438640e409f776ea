"""Sums of what a fit would take, and how far they may be off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tailorbird.costs import Span
from tailorbird.engine.reckoning import Case, factors, shares_of, span, times, whole
from tailorbird.lesson import Effort

CASE = Case(2.0, 1000, 500, 100.0, 1, 200, 50.0, 90.0, may_learn=False)


def line(method: str, said: float, real: float) -> dict[str, object]:
    return {"method": method, "said": {"seconds": said}, "real": {"seconds": real}}


def test_rows_that_the_cache_knows_cost_nothing() -> None:
    known = shares_of(replace(CASE, n_unknown=0), Effort(10.0))
    unknown = shares_of(CASE, Effort(10.0))
    assert unknown["features"] - known["features"] == pytest.approx(5.0)
    assert {name for name in known if known[name] != unknown[name]} == {"features"}


def test_a_body_that_learned_pays_for_its_graph_and_its_test_rows() -> None:
    frozen, tuned = (shares_of(replace(CASE, may_learn=one), Effort(1.0))["seal"] for one in (False, True))
    assert tuned - frozen == pytest.approx(1 + 0.03 * 90 + 200 / 50)


def test_few_rows_are_learned_from_once_for_each_fold_and_once_more() -> None:
    once, six = (shares_of(replace(CASE, n_turns=n), Effort(7.0))["learn"] for n in (1, 6))
    assert six - once == pytest.approx(5 * (7.0 + 0.25))


def test_without_real_fits_the_interval_is_the_made_one() -> None:
    assert span(100.0, []) == Span(pytest.approx(100.0), pytest.approx(70.0), pytest.approx(149.0))


def test_real_fits_move_the_middle_and_narrow_the_interval() -> None:
    found = span(100.0, [2.0 + 0.01 * i for i in range(20)])
    assert found.low == pytest.approx(202, abs=2) and found.high == pytest.approx(217, abs=2)
    assert found.low < found.value < found.high


def test_four_of_five_fits_fall_into_the_interval_that_earlier_ones_gave() -> None:
    rng, inside = np.random.default_rng(0), 0
    for _ in range(500):
        *known, real = np.exp(rng.normal(0.3, 0.2, 21))
        found = span(1.0, known)
        inside += found.low <= real <= found.high
    assert 0.74 <= inside / 500 <= 0.86


def test_only_fits_of_the_same_method_count_and_damaged_ones_do_not() -> None:
    odd = [{}, {"method": "probe"}, {"method": "probe", "said": {"seconds": None}, "real": {"seconds": 1.0}}]
    history = [line("probe", 10, 12), line("finetune", 10, 30), line("probe", 10, 8), line("probe", 0, 8), *odd]
    assert factors(history, "seconds", "probe") == [0.8, 1.2]
    assert factors(history, "memory_bytes", "probe") == []


def test_features_are_measured_and_not_corrected() -> None:
    found = whole({"features": 100.0, "learn": 10.0}, [3.0] * 20)
    assert found == Span(pytest.approx(130), pytest.approx(115), pytest.approx(155))
    assert times(found, 0.5).value == pytest.approx(65)
