"""Plots put values where they belong."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from tailorbird.paper import plots
from tailorbird.paper.plots import Span, number_text, ticks
from tailorbird.types import Figure


def marks(svg: str, look: str) -> list[dict[str, str]]:
    """The attributes of all elements of this class."""
    return [one.attrib for one in ElementTree.fromstring(svg).iter() if one.get("class") == look]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.78, 0.89, [0.78, 0.8, 0.82, 0.84, 0.86, 0.88]),
        (-3.0, 9_000.0, [0, 2_000, 4_000, 6_000, 8_000]),
        (1e-7, 5e-7, [1e-7, 2e-7, 3e-7, 4e-7, 5e-7]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 6) == pytest.approx(expected)


@pytest.mark.parametrize("high", [1e-9, 0.3, 7.0, 12_345.0, 3e12])
@pytest.mark.parametrize("most", [3, 4, 5])
def test_there_are_never_too_many_ticks(high: float, most: int) -> None:
    assert 1 <= len(ticks(0.0, high, most)) <= most + 1


def test_round_numbers_are_short() -> None:
    assert [number_text(one) for one in (0.75, 2_000, 250_000, 1.5e6, -40_000, 0)] == [
        "0.75",
        "2,000",
        "250k",
        "1.5M",
        "-40k",
        "0",
    ]


def test_a_span_keeps_values_on_the_paper() -> None:
    assert [Span(0, 10, 300, 0)(value) for value in (-5, 0, 5, 10, 99)] == [300, 300, 150, 0, 0]
    assert Span(10, 1000, 0, 100, log=True)(100) == 50
    assert Span(1, 1, 0, 100)(1) == 50


def test_the_model_is_first_and_its_interval_the_band() -> None:
    svg = plots.intervals("accuracy", [("this model", Figure(0.9, 0.85, 0.95)), ("rival", Figure(0.6, 0.5, 0.7))])
    ours, theirs = marks(svg, "dot ours"), marks(svg, "dot theirs")
    assert float(ours[0]["cx"][:-1]) > float(theirs[0]["cx"][:-1])
    band, whisker = marks(svg, "band")[0], marks(svg, "whisker ours")[0]
    assert band["x"] == whisker["x1"]
    assert float(band["width"][:-1]) == pytest.approx(float(whisker["x2"][:-1]) - float(whisker["x1"][:-1]))


def test_answers_that_are_right_lie_on_the_diagonal() -> None:
    svg = plots.residuals([(0.0, 0.0), (10.0, 10.0), (5.0, 9.0)])
    line = {name: float(value) for name, value in marks(svg, "diagonal")[0].items() if name != "class"}
    slope = (line["y2"] - line["y1"]) / (line["x2"] - line["x1"])
    off = [float(dot["cy"]) - line["y1"] - slope * (float(dot["cx"]) - line["x1"]) for dot in marks(svg, "point")]
    assert off[:2] == pytest.approx([0, 0], abs=0.02) and off[2] < -50


def test_a_single_value_and_a_single_point_can_be_drawn() -> None:
    assert marks(plots.residuals([(3.0, 3.0)]), "point")
    assert marks(plots.residuals([(0.0, 0.0)]), "point")
    assert marks(plots.intervals("mae", [("this model", Figure(0.0, 0.0, 0.0))]), "dot ours")


def test_doublings_lie_evenly_and_the_promise_one_step_further() -> None:
    points = [
        {"rows": 2**i * 100, "figure": {"value": 0.7 + i / 20, "low": 0.6 + i / 20, "high": 0.8 + i / 20}}
        for i in range(4)
    ]
    more = {"rows": 1600, "expected": {"value": 0.87, "low": 0.8, "high": 0.9}}
    svg = plots.curve(points, "accuracy", more)
    across = [float(dot["cx"]) for dot in (*marks(svg, "dot ours"), *marks(svg, "dot guess"))]
    steps = [later - earlier for earlier, later in pairwise(across)]
    assert steps == pytest.approx([steps[0]] * 4, abs=0.03)
    assert marks(plots.curve(points, "accuracy", {"gain": None}), "dot guess") == []


def test_a_bin_with_more_rows_has_the_larger_dot() -> None:
    bins = [
        {"confidence": 0.5, "share_right": 0.4, "low": 0.2, "high": 0.6, "rows": 10},
        {"confidence": 0.9, "share_right": 0.9, "rows": 1000},
    ]
    small, large = marks(plots.reliability(bins), "dot ours")
    assert float(small["r"]) < float(large["r"]) and float(large["cy"]) < float(small["cy"])
    assert len(marks(plots.reliability(bins), "whisker ours")) == 1
