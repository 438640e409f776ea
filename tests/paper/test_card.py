"""card.md says what a model is and shows the user's words as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from tailorbird.paper.card import card
from tailorbird.types import Finding, Report

BODY = {"title": "a body", "licence": "Apache-2.0", "training_data": "web pages", "limits": "English only"}
HOSTILE = (
    "# x | <script>alert(1)</script> **bold** [a](http://b) \\*odd\\* `code` ~~no~~ &amp; \n\n---\n- item \x1b[31m"
)


def rendered(text: str) -> str:
    """The card as HTML, by GitHub's rules for tables and strikes."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


def test_a_card_has_its_parts(report: Report) -> None:
    html = rendered(card(report, BODY, {"python": "3.11", "threads": 2}))
    for heading in ("What it is", "What it is for", "Figures", "Data", "The pretrained body", "How to use it"):
        assert f"<h2>{heading}</h2>" in html
    assert html.count("<table>") == 1
    assert html.count("<th>") == 2 + len(report.baselines)
    assert all(word in html for word in ("Apache-2.0", "web pages", "English only", "3.11", "tailorbird predict"))


def test_a_worse_model_is_not_recommended(labels: Report) -> None:
    worse = replace(labels, verdict=replace(labels.verdict, outcome="worse"))
    assert "Do not use it" in card(worse, BODY, {}) and "Do not use it" not in card(labels, BODY, {})


def test_a_number_has_no_labels(numbers: Report) -> None:
    text = card(numbers, BODY, {})
    assert "a number" in text and "1 labels" not in text
    assert "38,200 (35,908 to 40,492)" in text


@pytest.mark.parametrize("place", ["model", "label", "finding", "title", "body", "environment"])
def test_words_of_the_user_make_no_markup(labels: Report, place: str) -> None:
    plain = rendered(card(labels, BODY, {"python": "3.11"}))
    changed = {
        "model": lambda: card(replace(labels, model=HOSTILE), BODY, {"python": "3.11"}),
        "label": lambda: card(replace(labels, labels=(HOSTILE, *labels.labels[1:])), BODY, {"python": "3.11"}),
        "finding": lambda: card(
            replace(labels, findings=(Finding("x", 1, HOSTILE), *labels.findings[1:])), BODY, {"python": "3.11"}
        ),
        "title": lambda: card(
            replace(labels, notes={"titles": {**labels.notes["titles"], "majority": HOSTILE}}), BODY, {"python": "3.11"}
        ),
        "body": lambda: card(labels, {**BODY, "limits": HOSTILE}, {"python": "3.11"}),
        "environment": lambda: card(labels, BODY, {"python": HOSTILE}),
    }[place]()
    html = rendered(changed)
    for tag in ("<script", "<strong>", "<em>", "<a ", "<code", "<s>", "<td>", "<th>", "<li>", "<h1>", "<h2>", "<hr"):
        assert html.count(tag) == plain.count(tag), tag
    assert "&lt;script&gt;alert(1)&lt;/script&gt; **bold** [a](http://b) \\*odd\\* `code`" in html
    assert "\x1b" not in changed


def test_many_labels_are_not_all_named(labels: Report) -> None:
    many = replace(labels, labels=tuple(f"label {i}" for i in range(200)))
    text = card(many, BODY, {})
    assert "label 19 and 180 more" in text and "label 20" not in text
