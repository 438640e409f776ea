"""The page is whole by itself, shows what was measured, and takes no orders from what it shows."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tailorbird.types import Finding, Mistake, Report, Story

Render = Callable[..., str]
VOID = {"meta", "img", "br", "line", "circle", "rect", "polyline"}  # an SVG's own are closed by "/>"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7 * 7 }} & \x00\x1b[31m\ud800 \u202eevil"
LINKS = {"href", "src", "action", "srcset", "xlink:href", "data", "poster", "background", "style"}


class Parsed(HTMLParser):
    """What stands on a page: tags, attributes, text; and tags that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.unclosed: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.text += " "
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.text += " "
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed and self.unclosed[-1] == tag, f"</{tag}> closes {self.unclosed[-3:]}"
        self.unclosed.pop()

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, name: str) -> list[str]:
        """The values of all attributes of this name."""
        return [value for _, one, value in self.attributes if one == name]


def words(page: str) -> str:
    """The text of a page with single spaces."""
    return " ".join(Parsed(page).text.split())


def test_a_page_is_closed_as_it_was_opened_and_links_to_nothing(report: Report, render: Render, jpeg: bytes) -> None:
    page = Parsed(render(report, thumbs={"thumbs/00.jpg": jpeg}))
    assert page.unclosed == []
    outside = [(tag, name, value) for tag, name, value in page.attributes if name in LINKS and value[:5] != "data:"]
    assert outside == []
    assert not {"script", "link", "iframe", "a", "form", "object"} & set(page.tags)
    ids = page.named("id")
    assert len(ids) == len(set(ids))
    assert set(page.named("aria-labelledby")) <= set(ids)


def test_nothing_but_its_own_style_may_load_or_run(labels: Report, render: Render) -> None:
    page = render(labels)
    policy = next(value for value in Parsed(page).named("content") if "default-src" in value)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy and "http" not in policy
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert "url(" not in style[1] and "@import" not in style[1]


def test_the_verdict_comes_first_and_is_coloured_by_its_outcome(report: Report, render: Render) -> None:
    page = render(report)
    judged = report.verdict.sentence.partition(": ")[0].rstrip(".")
    assert words(page).index(judged) < words(page).index("Figures")
    assert f'<header class="{report.verdict.outcome.replace("_", "-")}">' in page


def test_every_plot_has_a_name_and_a_description_and_every_picture_a_text(
    report: Report, render: Render, jpeg: bytes
) -> None:
    page = Parsed(render(report, thumbs={"thumbs/00.jpg": jpeg, "thumbs/01.jpg": jpeg}))
    assert page.tags["svg"] == page.tags["desc"] == page.tags["title"] - 1 >= len(report.test)
    assert (
        len([1 for tag, name, value in page.attributes if (tag, name) == ("img", "alt") and value]) == page.tags["img"]
    )
    assert page.tags["img"] == (2 if report.task == "classify" else 0)


def test_figures_stand_there_with_their_intervals_beside_the_baselines(labels: Report, render: Render) -> None:
    text = words(render(labels))
    assert "Of 100 answers, 88 are right." in text
    assert "0.875 0.861 to 0.889" in text and "nearest neighbour on features" in text


def test_the_command_that_makes_it_again_can_be_pasted_into_a_shell(labels: Report, render: Render) -> None:
    page = render(labels, call={"data": "my  data/<b>.csv", "out": "m", "seed": 0, "embed": True, "force": False})
    command = re.search(r"<pre[^>]*><code>(.*?)</code>", page, re.DOTALL)
    assert command is not None
    assert (
        command[1] == "tailorbird fit &#39;my  data/&lt;b&gt;.csv&#39; \\\n    --out m \\\n    --seed 0 \\\n    --embed"
    )


def test_texts_of_the_user_stay_texts(labels: Report, render: Render) -> None:
    mistake = Mistake(HOSTILE, HOSTILE, HOSTILE, 0.9, HOSTILE)
    hostile = replace(
        labels,
        model=HOSTILE,
        body=HOSTILE,
        labels=tuple(f"{HOSTILE}{i}" for i in range(10)),
        per_class=tuple({**line, "label": HOSTILE, HOSTILE: HOSTILE} for line in labels.per_class),
        verdict=replace(labels.verdict, sentence=f"{HOSTILE}: {HOSTILE}"),
        findings=(Finding(HOSTILE, 1, HOSTILE, (HOSTILE,)),),
        notes={"titles": {"neighbour": HOSTILE}},
        story=replace(labels.story or Story(), mistakes=(mistake,), more_labels={}),
    )
    given = {HOSTILE: HOSTILE, "several": [HOSTILE], "nested": {HOSTILE: 3}}
    page = render(hostile, call={"data": HOSTILE, "out": HOSTILE}, card=given, environment=given)
    plain, made = Parsed(render(labels)), Parsed(page)
    assert made.unclosed == []
    assert not {"script", "iframe"} & set(made.tags) and "onerror" not in {name for _, name, _ in made.attributes}
    assert made.tags["img"] == plain.tags["img"] == 0
    assert "{{ 7 * 7 }}" in made.text and "49" not in words(page).split("Figures")[0]
    assert not re.search("[\x00-\x08\x0e-\x1b\ud800-\udfff]", page)
    page.encode()


def test_two_hundred_long_labels_keep_the_page_small(labels: Report, render: Render) -> None:
    names = tuple(f"label {i} " + "very long " * 1000 for i in range(200))
    confusion = tuple(tuple(10 if i == j else (i + j) % 7 == 0 for j in range(200)) for i in range(200))
    lines = tuple(
        {"label": n, "precision": 0.5, "recall": 0.5, "f1": i / 200, "support": 9} for i, n in enumerate(names)
    )
    many = replace(labels, labels=names, confusion=confusion, per_class=lines)
    page = render(many)
    assert len(page) < 300_000
    assert "What is taken for what most often" in page
    assert "Of 200 labels, the 60 with the lowest F1" in words(page)
    assert 'class="heat' not in page


def test_a_model_of_ten_thousand_labels_has_no_confusion_and_still_a_page(labels: Report, render: Render) -> None:
    names = tuple(map(str, range(10_000)))
    lines = tuple({"label": name, "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 9} for name in names)
    page = render(replace(labels, labels=names, confusion=(), per_class=lines))
    assert len(page) < 300_000 and "Label by label" in page


def test_pictures_stop_where_the_page_would_grow_over_three_megabytes(
    labels: Report, render: Render, jpeg: bytes
) -> None:
    heavy = jpeg + bytes(300_000)  # what follows a JPEG's end is passed over
    page = render(labels, thumbs={f"thumbs/{i:02}.jpg": heavy for i in range(12)})
    assert 1_000_000 < len(page) < 3_000_000
    assert Parsed(page).tags["img"] == 5 and page.count("no picture") == 7


def test_a_picture_that_cannot_be_shown_is_said_to_be_missing(labels: Report, render: Render, jpeg: bytes) -> None:
    page = render(labels, thumbs={"thumbs/00.jpg": b"no picture at all", "thumbs/01.jpg": b"", "thumbs/02.jpg": jpeg})
    assert Parsed(page).tags["img"] == 1 and page.count("no picture") == 11


def test_what_is_empty_leaves_no_heading_behind(labels: Report, render: Render) -> None:
    bare = replace(labels, story=None, confusion=(), per_class=(), findings=(), seconds={}, baselines={}, notes={})
    text = words(render(bare))
    for heading in ("Where it errs", "Can its confidence", "Would more labelled", "worst mistakes", "The machine"):
        assert heading not in text
    assert "It came without a card." in text and "nothing was left out" in text


def test_a_number_is_no_label(numbers: Report, render: Render) -> None:
    text = words(render(numbers))
    assert "answer a number" in text and "target 2" in text and "labelled 2" not in text
    assert "Target against answer" in text and "An answer is off by 38,200 on average" in text


def test_twice_as_many_labels_are_told_in_a_sentence(report: Report, render: Render) -> None:
    text = words(render(report))
    assert report.story is not None
    expected = {
        "classify": "With twice as many labelled rows (16,000), expect accuracy to get better by +0.9 points",
        "regress": "may not help: the expected gain in mean absolute error is +1,900 (95 % interval -400 to +4,300)",
        "multilabel": "cannot be told: the figures so far follow no smooth curve",
    }
    assert expected[report.task] in text
    assert "even where this model tuned the body itself" in text


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_figures_without_any_spread_are_drawn(labels: Report, render: Render, value: float) -> None:
    flat = {name: replace(one, value=value, low=value, high=value) for name, one in labels.test.items()}
    page = render(replace(labels, test=flat, baselines={"majority": flat}))
    assert "nan" not in page and "inf" not in re.sub("[a-z]*inf[a-z]+", "", page)


def test_what_auto_tried_is_a_table_and_nothing_where_it_tried_nothing(labels: Report, render: Render) -> None:
    tried = [
        {"method": "probe", "rows": 900, "seconds": 1.25, "loss": None, "round": None},
        {"method": "lora<b>", "rows": 400, "seconds": 30.0, "loss": 0.3456, "round": 2},
    ]
    body = {"method": "frozen wheel:x", "rows": 200, "seconds": 2.0, "loss": 0.5, "round": 1}
    notes = {**labels.notes, "head": {"auto": {"reason": "lora: it helped", "tried": tried}}, "bodies": [body]}
    page = render(replace(labels, notes=notes))
    shown = words(page)
    assert "What was tried" in shown and "Chosen: lora: it helped." in shown
    for line in ("frozen wheel:x 1 200 2.0 0.500", "probe 900 1.2", "lora<b> 2 400 30.0 0.346"):
        assert line in shown
    assert shown.index("lora<b> 2") < shown.index("frozen wheel:x 1") < shown.index("probe 900"), "the best first"
    assert "What was tried" not in words(render(labels))
