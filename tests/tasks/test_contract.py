"""What every task keeps."""

from __future__ import annotations

import numpy as np
import pytest

from tailorbird.kinds import Task
from tailorbird.lesson import Rival, Scores, Truth
from tailorbird.measure.names import title
from tailorbird.plug import load, names, parse
from tailorbird.types import Dataset, Rows

LABELS = ("a", "b", "c", "d")


def targets(task: Task, n: int, seed: int = 0) -> list[str]:
    """Made targets of the kind that the task is for."""
    rng = np.random.default_rng(seed)
    if task.link == "identity":
        return [repr(one) for one in np.round(rng.normal(50, 10, n), 3).tolist()]
    if task.link == "softmax":
        return [LABELS[i] for i in rng.integers(4, size=n)]
    return [
        "|".join(label for label, has in zip(LABELS, row, strict=True) if has) or "|"
        for row in rng.random((n, 4)) < 0.4
    ]


def certain(task: Task, y: Truth, n_labels: int) -> Scores:
    """The scores of a model that is right and sure."""
    return np.eye(n_labels)[y] if task.link == "softmax" else y.astype(np.float64)


def guessed(task: Task, y: Truth, n_labels: int, seed: int) -> Scores:
    """The scores of a model that knows nothing."""
    rng = np.random.default_rng(seed)
    if task.link == "softmax":
        return rng.dirichlet(np.ones(n_labels), len(y))
    return rng.random(y.shape) if task.link == "sigmoid" else rng.normal(50, 10, y.shape)


def dataset(cells: list[str | None]) -> Dataset:
    ids = tuple(f"a.csv:{i + 2}" for i in range(len(cells)))
    return Dataset(Rows(ids, {"text": ids}, tuple(cells)), "text", "text", "answer", "a.csv")


@pytest.fixture(params=names("task"))
def task(request: pytest.FixtureRequest) -> Task:
    return parse("task", request.param, Task)


def learned(task: Task, n: int = 60, seed: int = 0) -> tuple[list[str], tuple[str, ...], Truth]:
    cells = targets(task, n, seed)
    labels = task.labels(cells)
    return cells, labels, task.encode(cells, labels)


def test_targets_come_back_from_answers(task: Task) -> None:
    cells, labels, y = learned(task)
    for cell, scores in zip(cells, certain(task, y, len(labels)), strict=True):
        answer = task.answer("item", scores, labels, 0.5)
        assert (answer.item, answer.error) == ("item", None)
        told = getattr(answer, task.told[0])
        assert {"label": told, "value": repr(told)}.get(task.told[0], "|".join(told) if answer.labels else "|") == cell
        assert all(getattr(answer, field) is not None for field in task.told)


def test_truth_has_the_form_of_the_link(task: Task) -> None:
    _, labels, y = learned(task)
    shape, kind = {
        "softmax": ((60,), np.int64), "sigmoid": ((60, 4), np.float32), "identity": ((60, 1), np.float64),
    }[task.link]  # fmt: skip
    assert (y.shape, y.dtype) == (shape, kind)
    assert labels == (("value",) if task.link == "identity" else LABELS)


def test_strata_are_a_small_number_for_each_row(task: Task) -> None:
    _, _, y = learned(task)
    strata = task.strata(y)
    assert (strata.shape, strata.dtype) == ((60,), np.int64)
    assert 1 < len(np.unique(strata)) <= 5


def test_good_targets_pass_the_check_and_cells_without_any_are_passed_over(task: Task) -> None:
    assert task.check(dataset([*targets(task, 60), None, " "])) == ()


def test_each_task_suits_its_own_targets_best() -> None:
    plugs = {name: load("task", name) for name in names("task")}
    for name in plugs:
        cells = targets(parse("task", name, Task), 200)
        suits = {other: plug.suits(cells) for other, plug in plugs.items()}
        assert max(suits, key=suits.__getitem__) == name
        assert all(0 <= one <= 1 for one in suits.values())


def test_every_metric_has_an_interval_a_title_and_comes_again_from_its_seed(task: Task) -> None:
    _, labels, y = learned(task)
    scores, clusters = guessed(task, y, len(labels), 1), np.arange(60) // 2
    figures = task.measure(y, scores, 0.5, clusters, 3)
    assert figures == task.measure(y, scores, 0.5, clusters, 3)
    assert figures != task.measure(y, scores, 0.5, None, 3)
    assert task.metric in figures
    assert all(figure.low <= figure.value <= figure.high for figure in figures.values())
    assert all(title(name) != name or name == "accuracy" for name in figures)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_rows_are_measured_without_a_warning_and_prove_nothing(task: Task, n: int) -> None:
    _, labels, y = learned(task)
    scores, noise = certain(task, y, len(labels)), guessed(task, y, len(labels), 0)
    for clusters in (None, np.zeros(n, np.int64)):
        figures = task.measure(y[:n], noise[:n], 0.5, clusters, 0)
        assert all(np.isfinite([figure.low, figure.value, figure.high]).all() for figure in figures.values())
        told = task.compare(y[:n], scores[:n], {"b": Rival("guessing", noise[:n])}, clusters, 0)
        assert told.outcome == "not_distinguishable"


def test_a_model_that_knows_is_better_than_one_that_guesses_and_the_other_way_round(task: Task) -> None:
    _, labels, y = learned(task)
    sure, noise = certain(task, y, len(labels)), guessed(task, y, len(labels), 0)
    better = task.compare(y, sure, {"b": Rival("guessing", noise)}, None, 0)
    worse = task.compare(y, noise, {"b": Rival("knowing", sure)}, None, 0)
    even = task.compare(y, noise, {"b": Rival("guessing", noise)}, None, 0)
    assert (better.outcome, better.metric, better.baseline) == ("better", task.metric, "b")
    assert better.sentence.startswith(f"The model is better than guessing: {title(task.metric)} ")
    assert worse.outcome == "worse" and worse.difference.value == pytest.approx(-better.difference.value)
    assert even.outcome == "not_distinguishable" and even.difference.value == 0


def test_the_rival_that_is_best_by_the_metric_is_the_one_to_beat(task: Task) -> None:
    _, labels, y = learned(task)
    sure, noise = certain(task, y, len(labels)), guessed(task, y, len(labels), 0)
    rivals = {"first": Rival("guessing", noise), "second": Rival("knowing", sure), "third": Rival("guessing", noise)}
    assert task.compare(y, noise, rivals, None, 0).baseline == "second"


def test_on_random_labels_at_most_one_of_twenty_models_is_called_better(task: Task) -> None:
    outcomes = []
    for seed in range(20):
        _, labels, y = learned(task, 200, seed)
        model, *others = (guessed(task, y, len(labels), 100 * seed + i) for i in range(1, 4))
        rivals = {str(i): Rival(f"rival {i}", scores) for i, scores in enumerate(others)}
        outcomes.append(task.compare(y, model, rivals, None, seed).outcome)
    print(f"{task.name}: of 20 models of noise {outcomes.count('better')} better, {outcomes.count('worse')} worse")
    assert outcomes.count("better") <= 1


def test_right_answers_are_not_bad_and_worse_ones_are_worse(task: Task) -> None:
    _, labels, y = learned(task)
    sure = certain(task, y, len(labels))
    wrong = sure[:, ::-1] if task.link == "softmax" else 1 - sure if task.link == "sigmoid" else sure + 7
    half = 0.6 * wrong + 0.4 * sure
    assert (task.badness(y, sure, 0.5) <= 0).all()
    assert (task.badness(y, half, 0.5) > 0).all() and (task.badness(y, half, 0.5) < task.badness(y, wrong, 0.5)).all()


def test_the_table_has_a_line_for_each_label(task: Task) -> None:
    _, labels, y = learned(task)
    table = task.table(y, guessed(task, y, len(labels), 0), labels, 0.5)
    if task.link == "identity":
        assert table == ()
    else:
        assert [row["label"] for row in table] == list(labels)
        assert all({"precision", "recall", "f1", "support"} < row.keys() for row in table)


def test_scores_of_a_rival_are_left_as_they_are(task: Task) -> None:
    _, labels, y = learned(task)
    scores = guessed(task, y, len(labels), 0)
    before = scores.copy()
    task.measure(y, scores, 0.5, None, 0)
    task.badness(y, scores, 0.5)
    assert (scores == before).all()
