"""What verify takes for the same answer."""

from __future__ import annotations

from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tailorbird.engine.verifying import _replay
from tailorbird.types import Prediction


def replayed(then: dict[str, float], now: Prediction, scale: float = 1.0) -> tuple[str, ...]:
    p: Any = SimpleNamespace(predict=lambda items: [now for _ in items], head=SimpleNamespace(scale=scale))
    return _replay(p, Path("model"), [{"file": "golden/00.txt", "scores": then}]).problems


@pytest.mark.parametrize(
    ("then", "now", "is_same"),
    [
        ({"a": 0.2, "b": 0.8}, {"a": 0.2004, "b": 0.7996}, True),
        ({"a": 0.2, "b": 0.8}, {"a": 0.21, "b": 0.79}, False),
        ({"a": 0.2, "b": 0.8}, {"a": nan, "b": nan}, False),
        ({"a": nan, "b": nan}, {"a": nan, "b": nan}, False),
        ({"a": 0.2, "b": 0.8}, {"a": 0.2, "c": 0.8}, False),
        ({}, {"a": 0.2, "b": 0.8}, False),
    ],
)
def test_only_scores_that_are_near_are_the_same_answer(
    then: dict[str, float], now: dict[str, float], is_same: bool
) -> None:
    assert (replayed(then, Prediction("x", label="b", scores=now)) == ()) is is_same


def test_numbers_are_compared_in_deviations_of_the_targets() -> None:
    now = Prediction("x", value=1000.5)
    assert replayed({"value": 1000.0}, now, scale=1000.0) == ()
    assert replayed({"value": 1000.0}, now, scale=100.0) != ()
