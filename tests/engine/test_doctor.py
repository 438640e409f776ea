from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tailorbird.data.cases import findings_of
from tailorbird.data.check import Checked
from tailorbird.data.split import Split, clusters
from tailorbird.engine import doctor
from tailorbird.kinds import Task
from tailorbird.plug import parse
from tailorbird.types import Dataset, Finding, Rows

CLASSIFY = parse("task", "classify", Task)


def blobs(y: NDArray[np.int64], seed: int = 0, width: int = 40) -> NDArray[np.float32]:
    """Features of which each label has a place of its own."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(y.max() + 1, width))[y] + rng.normal(size=(len(y), width))).astype(np.float32)


def checked_of(targets: list[str], near: list[tuple[int, int]] | None = None) -> Checked:
    digests = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(len(targets)))
    twins = np.frombuffer(digests, np.uint8).reshape(-1, 32)
    rows = Rows(tuple(f"r{i}" for i in range(len(targets))), {"text": tuple(map(str, targets))}, tuple(targets))
    dataset = Dataset(rows, "text", "text", "label", "a.csv")
    return Checked(dataset, twins, twins, None, np.array(near or [], np.int64).reshape(-1, 2))


def split_of(checked: Checked) -> Split:
    nothing, n = np.zeros(0, np.int64), len(checked.twins)
    return Split(np.arange(n), nothing, nothing, np.arange(n) % 5, clusters(checked))


def examined(
    targets: list[str], x: NDArray[np.float32] | None, near: list[tuple[int, int]] | None = None, task: Task = CLASSIFY
) -> dict[str, Finding]:
    checked = checked_of(targets, near)
    labels = task.labels(targets)
    y = task.encode(targets, labels)
    return {one.kind: one for one in findings_of(doctor.cases(task, labels, y, checked, split_of(checked), x, 0))}


def turned(y: NDArray[np.int64], share: float, seed: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(y), int(share * len(y)), replace=False)
    given = y.copy()
    given[rows] = (y[rows] + rng.integers(1, y.max() + 1, len(rows))) % (y.max() + 1)
    return given, rows


def test_even_labels_that_are_right_have_no_finding() -> None:
    y = np.arange(300) % 3
    assert examined([str(k) for k in y], blobs(y)) == {}


def test_labels_of_few_rows_and_uneven_ones_are_told_without_features() -> None:
    told = examined(["much"] * 90 + ["some"] * 10 + ["rare"] * 2, None)
    assert set(told) == {"rare_label", "imbalance"}
    assert told["rare_label"].rows == 2
    assert "'rare'" in told["rare_label"].action
    assert "'much' has 88.2% of the rows and 'rare' 2.0%" in told["imbalance"].action
    assert "--weights balanced" in told["imbalance"].action


def test_labels_that_were_turned_are_named_with_what_they_were() -> None:
    y = np.arange(400) % 4
    given, rows = turned(y, 0.1)
    checked = checked_of([str(k) for k in given])
    cases = doctor.cases(CLASSIFY, tuple("0123"), given, checked, split_of(checked), blobs(y), 0)
    (case,) = [case for case in cases if case.finding.kind == "label_error"]
    named = {int(one.id[1:]): one for one in case.suspects}
    assert len(named.keys() & set(rows.tolist())) >= 0.8 * max(len(named), len(rows))
    right = [named[row].suggested == str(y[row]) for row in rows.tolist() if row in named]
    assert np.mean(right) > 0.95
    scores = [one.score or 0.0 for one in case.suspects]
    assert scores == sorted(scores)


def test_rows_that_are_only_hard_are_hardly_named() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1000)
    x = rng.normal(size=(1000, 20)).astype(np.float32)
    x[:, 0] += 1.7 * y  # one in five lies on the other label's side
    told = examined([str(k) for k in y], x).get("label_error")
    assert told is None or told.rows < 75


def test_a_number_that_was_mistyped_is_named_with_what_it_may_have_been() -> None:
    task = parse("task", "regress", Task)
    x = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    prices = 100 + 10 * x[:, 0] + np.random.default_rng(1).normal(size=300)
    prices[7] *= 10
    checked = checked_of([f"{price:.3f}" for price in prices])
    cases = doctor.cases(task, ("value",), prices[:, None], checked, split_of(checked), x, 0)
    (case,) = [case for case in cases if case.finding.kind == "value_error"]
    assert case.suspects[0].id == "r7"
    assert abs(float(case.suspects[0].suggested or 0) - prices[7] / 10) < 20


def test_of_many_labels_a_missing_one_is_suggested() -> None:
    task = parse("task", "multilabel", Task)
    rng = np.random.default_rng(0)
    y = (rng.random((400, 3)) < 0.4).astype(np.float32)
    x = (y @ rng.normal(size=(3, 8)) * 3 + 0.5 * rng.normal(size=(400, 8))).astype(np.float32)
    given = y.copy()
    rows = rng.choice(400, 20, replace=False)
    given[rows, 0] = 1 - given[rows, 0]
    checked = checked_of(["x"] * 400)
    cases = doctor.cases(task, tuple("abc"), given, checked, split_of(checked), x, 0)
    (case,) = [case for case in cases if case.finding.kind == "label_error"]
    named = {int(one.id[1:]): one.suggested for one in case.suspects}
    hit = [row for row in rows.tolist() if row in named]
    assert len(hit) >= 0.8 * max(len(named), len(rows))
    truth = ["|".join(np.array(list("abc"))[y[row] > 0].tolist()) or "|" for row in hit]
    assert [named[row] for row in hit] == truth


def test_the_score_with_twins_on_both_sides_is_shown_beside_the_honest_one() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    x = rng.normal(size=(300, 400)).astype(np.float32)  # nothing to learn, and room to know each row again
    twice = np.concatenate([x, x + 0.01 * rng.normal(size=x.shape).astype(np.float32)])
    near = [(i, 300 + i) for i in range(300)]
    told = examined([str(k) for k in np.tile(y, 2)], twice, near)["twins_flatter"]
    naive, honest = (float(word.strip(",")) for word in told.action.split() if word[0] == "0")
    assert told.rows == 600
    assert naive > 0.8
    assert honest < 0.6


def test_few_twins_are_not_worth_a_figure() -> None:
    y = np.arange(300) % 3
    assert "twins_flatter" not in examined([str(k) for k in y], blobs(y), [(0, 3)])


def test_rows_that_only_the_body_takes_for_the_same_are_told() -> None:
    y = np.arange(200) % 2
    x = blobs(y)
    x[7] = x[91] + 1e-3
    told = examined([str(k) for k in y], x)["look_alike"]
    assert told.rows == 2
    assert told.examples[0].startswith("r7: 1 like r91")
    assert "look_alike" not in examined([str(k) for k in y], x, [(7, 91)])


def test_look_alikes_among_many_rows_take_little_memory() -> None:
    y = np.arange(20_000) % 2
    x = np.random.default_rng(0).normal(size=(20_000, 32)).astype(np.float32)
    asked = np.random.default_rng(0).permutation(20_000)[[0, 1_999]]
    others = np.setdiff1d([0, 19_999, 10_000], asked)[:2]
    x[asked] = x[others]
    checked = checked_of([str(k) for k in y])
    ward = doctor._Ward(CLASSIFY, ("0", "1"), y, checked, split_of(checked), 0)
    tracemalloc.start()
    (case,) = ward.look_alikes(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {f"r{row}" for row in asked} <= {one.id for one in case.suspects}
    assert peak < 60e6  # all cosines at once: 200 MB


def test_one_seed_gives_one_answer() -> None:
    y = np.arange(200) % 2
    given, _ = turned(y, 0.1)
    targets = [str(k) for k in given]
    assert examined(targets, blobs(y)) == examined(targets, blobs(y))


def test_too_few_rows_are_only_counted() -> None:
    y = np.arange(40) % 2
    given, _ = turned(y, 0.2)
    assert examined([str(k) for k in given], blobs(y)) == {}


@pytest.mark.parametrize("n_labels", [2, 30])
def test_labels_of_one_row_each_do_not_stop_the_doctor(n_labels: int) -> None:
    y = np.concatenate([np.zeros(100, np.int64), np.arange(1, n_labels)])
    assert "rare_label" in examined([str(k) for k in y], blobs(y))


def test_the_examined_rows_are_left_as_they_were() -> None:
    y = np.arange(100) % 2
    x = blobs(y)
    before = x.copy()
    checked = replace(checked_of([str(k) for k in y]))
    doctor.cases(CLASSIFY, ("0", "1"), y, checked, split_of(checked), x, 0)
    assert np.array_equal(x, before)
