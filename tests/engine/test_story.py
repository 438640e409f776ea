"""What the report shows beyond figures: reliability, the worst mistakes, residuals."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tailorbird.engine.learn import Trial
from tailorbird.engine.story import MOST_MISTAKES, MOST_RESIDUALS, reliability, tell_story
from tailorbird.kinds import Modality, Task
from tailorbird.lesson import Rival
from tailorbird.plug import parse
from tailorbird.types import Story, Value


def story_of(
    task: str, labels: tuple[str, ...], y: np.ndarray, scores: np.ndarray, values: list[Value], modality: str = "text"
) -> tuple[Story, dict[str, bytes]]:
    """The story of a model that answered all rows but the first, which was not measured."""
    ids = tuple(f"rows.csv:{i}" for i in range(len(values)))
    shop = SimpleNamespace(
        task=parse("task", task, Task),
        labels=labels,
        y=y,
        modality=parse("modality", modality, Modality),
        checked=SimpleNamespace(dataset=SimpleNamespace(rows=SimpleNamespace(ids=ids))),
    )
    rows = np.arange(1, len(values))
    return tell_story(shop, Trial(rows, Rival("this model", scores[rows], 0.5), {}), values)  # type: ignore[arg-type]


def classified(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Truth of two labels, and scores of which every fourth is wrong, the later the surer."""
    y = np.arange(n) % 2
    wrong = np.arange(n) % 4 == 0
    sure = np.linspace(0.6, 0.99, n)
    of_true = np.where(wrong, 1 - sure, sure)
    scores = np.empty((n, 2))
    scores[np.arange(n), y], scores[np.arange(n), 1 - y] = of_true, 1 - of_true
    return y, scores


def test_the_surest_mistakes_come_first_and_only_of_measured_rows() -> None:
    y, scores = classified()
    story, thumbs = story_of("classify", ("neg", "pos"), y, scores, [f"text {i}" for i in range(40)])
    assert [one.id for one in story.mistakes] == [f"rows.csv:{i}" for i in range(36, 0, -4)]
    first = story.mistakes[0]
    assert (first.target, first.answer, first.shown) == ("neg", "pos", "text 36")
    assert first.score == pytest.approx(0.96)
    assert thumbs == {} and story.residuals == ()


def test_a_model_without_mistakes_has_none_to_show() -> None:
    y = np.arange(40) % 2
    story, _ = story_of("classify", ("neg", "pos"), y, np.eye(2)[y], ["text"] * 40)
    assert story.mistakes == ()


def test_there_are_a_dozen_mistakes_at_most_and_long_texts_are_cut() -> None:
    y, scores = classified(400)
    story, _ = story_of("classify", ("neg", "pos"), y, scores, ["very  long\n" * 500] * 400)
    assert len(story.mistakes) == MOST_MISTAKES
    assert len(story.mistakes[0].shown) == 600 and story.mistakes[0].shown.endswith("…")
    assert "\n" not in story.mistakes[0].shown


def test_pictures_are_shown_by_small_files() -> None:
    y, scores = classified()
    pictures: list[Value] = [np.full((700, 900, 3), i, np.uint8) for i in range(40)]
    pictures[36] = np.random.default_rng(0).integers(0, 255, (700, 900, 3), dtype=np.uint8)
    story, thumbs = story_of("classify", ("neg", "pos"), y, scores, pictures, "image")
    assert [one.shown for one in story.mistakes] == list(thumbs)
    assert len(thumbs) == 9 and all(0 < len(content) <= 40_000 for content in thumbs.values())


def test_a_picture_that_is_gone_by_now_leaves_its_mistake_without_one(tmp_path) -> None:
    y, scores = classified()
    story, thumbs = story_of("classify", ("neg", "pos"), y, scores, [tmp_path / "gone.png"] * 40, "image")
    assert thumbs == {} and len(story.mistakes) == 9 and story.mistakes[0].shown == ""


def test_any_number_of_labels_is_told_as_one_line() -> None:
    y = np.array([[0, 0], [1, 1], [0, 0], [1, 0]], np.float32)
    scores = np.array([[0.5, 0.5], [0.1, 0.2], [0.9, 0.8], [0.9, 0.1]])
    story, _ = story_of("multilabel", ("a", "b"), y, scores, ["0", "1", "2", "3"])
    told = {one.id: (one.target, one.answer) for one in story.mistakes}
    assert told["rows.csv:1"] == ("a | b", "(no label)")
    assert told["rows.csv:2"] == ("(no label)", "a | b")
    assert sum(one["rows"] for one in story.reliability) == 6


def test_numbers_have_residuals_and_no_reliability() -> None:
    y = np.linspace(0, 1000, 3000)[:, None]
    scores = y + np.where(np.arange(3000) == 1500, 400.0, 1.0)[:, None]
    story, _ = story_of("regress", ("value",), y, scores, ["text"] * 3000)
    assert story.reliability == ()
    assert len(story.residuals) == MOST_RESIDUALS == len(set(story.residuals))
    worst = story.mistakes[0]
    assert (worst.id, worst.target, worst.answer, worst.score) == ("rows.csv:1500", "500.167", "900.167", None)


def test_confidence_is_binned_with_the_share_that_is_right() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 5000)
    y = (rng.random(5000) > confidence).astype(np.int64)  # label 0 is as likely as its score says
    bins = reliability("softmax", y, np.column_stack([confidence, 1 - confidence]))
    assert sum(one["rows"] for one in bins) == 5000
    assert all(one["low"] <= one["share_right"] <= one["high"] for one in bins)
    assert sum(one["low"] <= one["confidence"] <= one["high"] for one in bins) >= len(bins) - 1
    assert [one["confidence"] for one in bins] == sorted(one["confidence"] for one in bins)


def test_so_many_answers_that_the_exact_interval_takes_long_have_nearly_the_same() -> None:
    scores = np.tile([0.97, 0.03], (60_000, 1))
    y = (np.arange(60_000) % 20 == 0).astype(np.int64)
    (only,) = reliability("softmax", y, scores)
    assert only["share_right"] == 0.95
    assert only["low"] == pytest.approx(0.9482, abs=2e-4) and only["high"] == pytest.approx(0.9517, abs=2e-4)
