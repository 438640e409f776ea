"""A body that learns another model's answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tailorbird.engine.predictor import load
from tailorbird.errors import BadArtifact, BadData, BadSpelling
from tailorbird.kinds import Method, Modality
from tailorbird.lesson import Lesson, Workshop
from tailorbird.methods._first import parts_of
from tailorbird.methods.distill import Distill
from tailorbird.plug import parse
from tailorbird.progress import listening
from tailorbird.types import BodyFolder

N = 80


@pytest.fixture
def lesson(suited: Callable[[str], BodyFolder], tmp_path: Path) -> Lesson:
    body = suited("finetune")
    values = [f"{'kw' if i % 2 else 'wk'} film {i}" for i in range(N)]
    modality = parse("modality", body.modality, Modality)
    shop = Workshop(body, modality, values, ("a", "b"), tmp_path, 1, "cpu")
    rows = np.arange(N)
    features = {"last": np.random.default_rng(0).normal(size=(N, 16)).astype(np.float32)}
    return Lesson(features, rows % 2, 2, np.ones(N, np.float32), rows[20:], rows[:20], seed=0, workshop=shop)


def test_what_is_gone_after_is_a_mixture_of_answers_and_labels(lesson: Lesson, spelled: Callable[..., str]) -> None:
    shop, spelling = lesson.workshop, spelled("distill")
    assert shop is not None
    answers = [one.scores for one in load(spelling.partition(":")[2]).predict(list(shop.values))]
    taught = np.array([[scores["a"], scores["b"]] for scores in answers])
    for share in (0.25, 1.0):
        method = parse("method", f"{spelling},share={share}", Distill)
        goal = method.goal(lesson, shop, parts_of(lesson))
        wanted = share * taught + (1 - share) * np.eye(2)[lesson.y]
        assert goal.rows.tolist() == lesson.train.tolist() and goal.aims is not None
        np.testing.assert_allclose(goal.aims[goal.rows], wanted[goal.rows], atol=1e-6)


def test_another_teacher_or_other_unlabelled_rows_are_refused_when_a_fit_goes_on(
    lesson: Lesson, spelled: Callable[..., str], tmp_path: Path
) -> None:
    notes, table = dict[str, Any](), tmp_path / "more.csv"
    shop = replace(lesson.workshop, noted=lambda name, measure: notes.setdefault(name, measure()))  # type: ignore[type-var]
    method = parse("method", f"{spelled('distill')},unlabelled={table}", Distill)
    table.write_text("text\nwk house 1\n", encoding="utf-8")
    for _ in range(2):
        method.goal(lesson, shop, parts_of(lesson))
    table.write_text("text\nwk house 2\n", encoding="utf-8")
    with pytest.raises(BadData, match=r"more\.csv' changed since the interrupted fit began"):
        method.goal(lesson, shop, parts_of(lesson))
    notes["teacher"] = {**notes["teacher"], "teacher": "0" * 64}
    with pytest.raises(BadData, match="changed since") as caught:
        method.goal(lesson, shop, parts_of(lesson))
    assert repr(method.teacher) in caught.value.problem


def test_labels_are_found_by_name_and_not_by_place(lesson: Lesson, spelled: Callable[..., str]) -> None:
    spelling, shop = spelled("distill"), lesson.workshop
    assert shop is not None
    method = parse("method", f"{spelling},share=1.0", Distill)
    one, other = (method._answers(shop.values, labels) for labels in (("a", "b"), ("b", "a")))
    np.testing.assert_allclose(one, other[:, ::-1])
    assert np.abs(one - other).max() > 1e-3


def test_rows_without_labels_teach_too_and_known_ones_are_left_out(
    lesson: Lesson, spelled: Callable[..., str], tmp_path: Path
) -> None:
    shop = lesson.workshop
    assert shop is not None
    more = ["wk house 1", "kw river 2", "kw river 2", '" "', str(shop.values[3]), str(shop.values[50]).upper()]
    (tmp_path / "more.csv").write_text("\n".join(["text", *more]), encoding="utf-8")
    method = parse("method", f"{spelled('distill')},unlabelled={tmp_path / 'more.csv'}", Distill)
    goal = method.goal(lesson, shop, parts_of(lesson))
    assert list(goal.values[N:]) == ["wk house 1", "kw river 2"]
    assert goal.rows.tolist() == [*lesson.train.tolist(), N, N + 1] and len(goal.row_weights) == N + 2
    assert goal.aims is not None and goal.aims[N:].sum(1) == pytest.approx([1, 1])
    head = method.tailor(lesson).head
    assert head.weight.shape == (16, 2) and head.notes["rows"] == len(lesson.train)


@pytest.mark.parametrize(
    ("labels", "link", "modality", "problem"),
    [
        (("a", "c"), "softmax", "text", "has other labels: 'b', 'c' on one side only"),
        (("a", "b"), "sigmoid", "text", "answers the task 'classify'"),
        (("a", "b"), "softmax", "image", "reads texts, and the data holds images"),
    ],
)
def test_a_teacher_of_something_else_is_refused(
    labels: tuple[str, ...], link: Any, modality: str, problem: str, spelled: Callable[..., str]
) -> None:
    method = parse("method", spelled("distill"), Method)
    method.check_rows(("b", "a"), "softmax", parse("modality", "text", Modality))
    with pytest.raises(BadSpelling, match=problem):
        method.check_rows(labels, link, parse("modality", modality, Modality))


def test_a_teacher_that_is_no_model_is_refused(suited: Callable[[str], BodyFolder], tmp_path: Path) -> None:
    with pytest.raises(BadArtifact, match="no model folder"):
        parse("method", f"distill:{tmp_path / 'nothing'}", Method).check(suited("finetune"))


def test_a_teacher_that_has_seen_the_test_rows_is_told_of(
    lesson: Lesson, spelled: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Listener:
        def tell(self, message: str) -> None:
            told.append(message)

    method, shop = parse("method", spelled("distill"), Distill), lesson.workshop
    assert shop is not None
    part = Lesson(**{**vars(lesson), "train": lesson.train[:40]})
    with listening(Listener()):  # type: ignore[arg-type]
        method._tell_seen(part, shop)
        assert told == []
        twin = shop.modality.facts(shop.values[79]).twin
        monkeypatch.setitem(vars(method._model), "seen", np.frombuffer(twin[:8], np.uint64))
        method._tell_seen(part, shop)
    assert told == ["the teacher has learned from 1 of the 20 rows to test on: figures will flatter"]
