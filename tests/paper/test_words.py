"""What figures say in plain words."""

from __future__ import annotations

import pytest

from tailorbird.paper.words import explain, explain_more_labels, finding_title, plain, printable, show_figure, unbroken
from tailorbird.types import Figure


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.874, "Of 100 answers, 87 are right."),
        (0.998, "Of 1,000 answers, 998 are right."),
        (0.9996, "Of 10,000 answers, 9,996 are right."),
        (0.003, "Of 1,000 answers, 3 are right."),
        (1.0, "Of 100 answers, 100 are right."),
        (0.0, "Of 100 answers, 0 are right."),
    ],
)
def test_a_share_is_said_as_a_count_that_says_all_only_where_all_is_meant(value: float, said: str) -> None:
    assert explain("accuracy", value) == said


def test_a_metric_that_is_not_known_is_not_explained() -> None:
    assert explain("skill", 0.5) == ""


def test_a_figure_has_as_many_decimals_as_its_metric_needs() -> None:
    assert show_figure("accuracy", Figure(0.7951, 0.7773, 0.8124)) == "0.795 (0.777 to 0.812)"
    assert show_figure("mae", Figure(38_200.4, 35_000.2, 41_000.9)) == "38,200 (35,000 to 41,001)"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.002, 0.014, "With twice as many labelled rows (16,000), expect accuracy to get better by +0.8 points"),
        (
            -0.002,
            0.018,
            "Twice as many labelled rows (16,000) may not help: the expected gain in accuracy is +0.8 points",
        ),
    ],
)
def test_only_a_gain_whose_interval_is_above_zero_is_promised(low: float, high: float, said: str) -> None:
    told = {"metric": "accuracy", "rows": 16_000, "gain": {"value": 0.008, "low": low, "high": high}}
    assert explain_more_labels(told).startswith(said)


def test_a_loss_is_no_promise() -> None:
    told = {"metric": "mae", "rows": 10, "gain": {"value": -2.0, "low": -3.0, "high": -1.0}}
    assert "expect no better mean absolute error: the trend is -2.00 (95 % interval -3.00 to -1.00)" in (
        explain_more_labels(told)
    )


def test_what_cannot_be_told_says_why() -> None:
    told = {"metric": "accuracy", "rows": 40, "gain": None, "reason": "there are too few rows to see a trend"}
    assert explain_more_labels(told).endswith("(40) would bring cannot be told: there are too few rows to see a trend.")
    assert explain_more_labels({}) == ""


def test_a_kind_of_finding_is_read_as_words() -> None:
    assert finding_title("leaking_column") == "Leaking column"


def test_texts_are_printable_on_one_line_and_cut() -> None:
    assert plain(" a\n\tb\x00c\ud800 ", 80) == "a b\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}"
    assert plain("x" * 50, 10) == "xxxxxxxxx…"
    assert printable("a\n  b") == "a\n  b"
    assert unbroken("95 % of 3 rows") == "95\N{NO-BREAK SPACE}% of 3 rows"
