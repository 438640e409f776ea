"""Where there is nothing to learn, no method may claim to have learned it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tailorbird.data.split import Split
from tailorbird.engine.choose import reopen
from tailorbird.engine.features import columns, encode
from tailorbird.engine.judge import judge
from tailorbird.engine.learn import baselines_for, learn_and_try
from tailorbird.kinds import Method, Modality, Task
from tailorbird.lesson import Evidence, Lesson, Link, Truth, Workshop
from tailorbird.plug import names, parse
from tailorbird.types import BodyFolder

ROWS, TRAIN, HELD = 240, 120, 40
SEEDS = range(20)
TASKS = {"softmax": "classify", "sigmoid": "multilabel", "identity": "regress"}


@pytest.fixture
def lesson(tmp_path: Path, method: str, suited: Callable[[str], BodyFolder]) -> Lesson:
    """Made sentences, seen by a small body; what they mean is filled in by each test."""
    rng = np.random.default_rng(0)
    words = np.array(["film", "actor", "story", "light", "road", "music", "dog", "river", "house", "song"])
    texts = [" ".join(rng.choice(words, 5)) for _ in range(ROWS)]
    body, modality = suited(method), parse("modality", "text:max_tokens=16", Modality)
    choice = reopen(body, modality, "torch", threads=1, device="cpu")
    found, errors = encode(choice.encoder, modality.reader(body), texts, threads=1)
    assert not errors
    features = {name: columns(choice.encoder.depths, (name,), found) for name, _ in choice.encoder.depths}
    shop = Workshop(body, modality, texts, ("a", "b"), tmp_path, 1, "cpu")
    rows, weights = np.arange(ROWS), np.ones(ROWS, np.float32)
    train, held = rows[:TRAIN], rows[TRAIN : TRAIN + HELD]
    return Lesson(features, rows, 2, weights, train, held, 0, rows, workshop=shop)


def chance(link: Link, seed: int) -> Truth:
    """Targets that no sentence tells anything of."""
    rng = np.random.default_rng((seed, 1))
    if link == "softmax":
        return rng.integers(0, 2, ROWS)
    return rng.integers(0, 2, (ROWS, 2)).astype(np.float32) if link == "sigmoid" else rng.standard_normal((ROWS, 1))


def outcome(method: Method, lesson: Lesson, seed: int) -> str:
    task = parse("task", TASKS[lesson.link], Task)
    labels = ("value",) if lesson.link == "identity" else ("a", "b")
    asked = replace(lesson, y=chance(lesson.link, seed), n_labels=len(labels), seed=seed)
    test, rows = np.arange(TRAIN + HELD, ROWS), np.arange(ROWS)
    split = Split(asked.train, asked.validation, test, None, rows)
    shop = lesson.workshop
    assert shop is not None
    evidence = Evidence(shop.values, None, lesson.features["last"])
    _, trial = learn_and_try(
        method, baselines_for("text", lesson.link), asked, evidence, split,
        lambda made: made.body and reopen(made.body, shop.modality, "torch", threads=1, device="cpu"),
    )  # fmt: skip
    judged = judge(task, labels, asked.y[test], trial.model, trial.rivals, rows[test], seed)
    return judged.verdict.outcome


@pytest.mark.parametrize("link", TASKS)
@pytest.mark.parametrize("method", names("method"))
def test_of_twenty_models_of_chance_one_at_most_is_called_better(
    method: str, link: Link, lesson: Lesson, spelled: Callable[..., str]
) -> None:
    labels = ("value",) if link == "identity" else ("a", "b")
    chosen = parse("method", spelled(method, link, labels), Method)
    outcomes = [outcome(chosen, replace(lesson, link=link), seed) for seed in SEEDS]
    assert outcomes.count("better") <= 1, outcomes
