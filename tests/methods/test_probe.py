"""The probe: what it chooses, on which rows, and what it tells about it."""

from dataclasses import replace

import numpy as np
import pytest

from tailorbird.engine.solve import log_loss, path, pose
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Head, Lesson, Method
from tailorbird.methods.probe import Probe, _folds, _held_out
from tailorbird.plug import parse


def lesson(n: int = 300, n_validation: int = 60, c: int = 3, telling: str = "layer1", seed: int = 0) -> Lesson:
    """A body of two depths, of which one tells the label apart and the other is noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(c, size=n)
    features = {depth: rng.standard_normal((n, 12)).astype(np.float32) for depth in ("layer1", "last")}
    features[telling] += 0.5 * rng.standard_normal((c, 12)).astype(np.float32)[y]
    rows = rng.permutation(n)
    train, validation = rows[n_validation:], rows[:n_validation]
    return Lesson(features, y, c, np.ones(n, np.float32), train, validation, seed=0)


def logits(head: Head, given: Lesson, rows: np.ndarray) -> np.ndarray:
    x = np.concatenate([given.features[depth][rows] for depth in head.depths], axis=1)
    return x @ head.weight + head.bias


def test_inner_depths_are_taken_when_they_tell_more() -> None:
    head = Probe().tailor(lesson(telling="layer1"))
    assert head.depths == ("layer1", "last") and head.weight.shape == (24, 3) and head.bias.shape == (3,)


def test_the_last_depth_alone_is_taken_when_inner_ones_are_noise() -> None:
    assert Probe().tailor(lesson(telling="last")).depths == ("last",)


def test_the_strength_is_the_one_of_least_loss_on_validation_rows() -> None:
    given = lesson()
    head = Probe().tailor(given)
    losses = [(loss, one["depths"]) for one in head.notes["candidates"] for _, loss in one["losses"]]
    assert (head.notes["log_loss"], list(head.depths)) == min(losses)
    assert head.notes["held_out"] == "validation"


def test_what_chose_the_strength_teaches_too_in_the_end() -> None:
    given = lesson()
    head = Probe().tailor(given)
    rows = np.concatenate([given.train, given.validation])
    x = np.concatenate([given.features[depth][rows] for depth in head.depths], axis=1)
    problem = pose(x, given.y[rows], given.n_labels, given.row_weights[rows])
    alike = next(path(problem, [head.notes["strength"]]))
    np.testing.assert_allclose(head.weight, alike.weight, atol=2e-3)
    x, y = x[: len(given.train)], given.y[given.train]
    without = next(path(pose(x, y, given.n_labels, np.ones(len(y), np.float32)), [head.notes["strength"]]))
    assert np.abs(head.weight - without.weight).max() > 0.02


def test_without_validation_rows_leave_one_out_chooses() -> None:
    given = lesson(n=90, n_validation=0)
    head = Probe().tailor(given)
    assert head.notes["held_out"] == "leave-one-out"
    inside = log_loss(logits(head, given, given.train), given.y[given.train], np.ones(90))
    assert (
        inside < head.notes["log_loss"] < np.log(3)
    )  # less than the rows that were fitted promise, more than guessing


def test_the_path_ends_when_two_strengths_in_a_row_were_worse() -> None:
    notes = Probe(strengths=30).tailor(lesson(telling="last")).notes
    for candidate in notes["candidates"]:
        losses = [loss for _, loss in candidate["losses"]]
        assert len(losses) < 30 and min(losses) == losses[-3]


def test_the_temperature_undoes_overconfidence() -> None:
    given = lesson(n=120, n_validation=60)
    head = Probe(strengths=1).tailor(replace(given, train=given.train[:20]))
    x = np.concatenate([given.features[depth][given.validation] for depth in head.depths], axis=1)
    y = given.y[given.validation]
    tempered, plain = head.scores(x), replace(head, temperature=1.0).scores(x)
    losses = [-np.log(p[np.arange(len(y)), y]).mean() for p in (tempered, plain)]
    assert losses[0] < losses[1] and head.notes["temperature"] == head.temperature


def test_row_weights_turn_the_head_towards_the_heavy_label() -> None:
    given = lesson(c=2, telling="last")
    given = replace(
        given, y=np.where(np.random.default_rng(1).random(300) < 0.3, 1 - given.y, given.y)
    )  # not separable
    heavy = replace(given, row_weights=np.where(given.y == 1, 20, 1).astype(np.float32))
    plain, turned = (Probe().tailor(one) for one in (given, heavy))
    share = [(logits(head, given, given.train).argmax(1) == 1).mean() for head in (plain, turned)]
    assert share[0] < 0.6 < 0.8 < share[1]


def test_a_label_without_rows_to_learn_from_is_never_the_answer() -> None:
    given = replace(lesson(c=3), n_labels=5)
    head = Probe().tailor(given)
    assert head.weight.shape[1] == 5 and logits(head, given, given.train).argmax(1).max() < 3


def test_the_same_lesson_gives_the_same_head() -> None:
    first, again = (Probe().tailor(lesson()) for _ in range(2))
    assert first.weight.tobytes() == again.weight.tobytes() and first.temperature == again.temperature


@pytest.mark.parametrize("spelling, depths", [("probe:last", ("last",)), ("probe:inner", ("layer1", "last"))])
def test_the_depths_can_be_asked_for(spelling: str, depths: tuple[str, ...]) -> None:
    for telling in ("layer1", "last"):
        assert parse("method", spelling, Method).tailor(lesson(telling=telling)).depths == depths


def test_inner_depths_that_a_body_lacks_are_refused_with_a_way_out() -> None:
    given = lesson()
    with pytest.raises(BadSpelling, match="this one has none") as caught:
        Probe(depths="inner").tailor(replace(given, features={"last": given.features["last"]}))
    assert caught.value.hint == "--method probe"


def test_a_body_with_one_depth_gives_one_candidate() -> None:
    given = lesson()
    head = Probe().tailor(replace(given, features={"last": given.features["last"]}))
    assert head.depths == ("last",) and len(head.notes["candidates"]) == 1


# ---- rows that belong together ------------------------------------------------------------------------------------


def copies(n_clusters: int = 60, rep: int = 6, d: int = 64) -> tuple[Lesson, Lesson]:
    """Clusters of near copies to learn from, and others like them."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((2 * n_clusters, d)).astype(np.float32)
    y = np.repeat(base[:, 0] + 1.5 * rng.standard_normal(len(base)) > 0, rep).astype(np.int64)
    x = (np.repeat(base, rep, 0) + 0.05 * rng.standard_normal((len(y), d))).astype(np.float32)
    rows, nothing = np.arange(len(y)), np.zeros(0, np.int64)
    first, second = rows[: len(y) // 2], rows[len(y) // 2 :]
    clusters = np.repeat(np.arange(2 * n_clusters), rep)
    learn = Lesson({"last": x}, y, 2, np.ones(len(y), np.float32), first, nothing, seed=0, clusters=clusters)
    return learn, replace(learn, train=second)


def test_siblings_of_a_row_do_not_answer_for_it() -> None:
    given, others = copies()
    head = Probe().tailor(given)
    p = head.scores(others.features["last"][others.train])
    real = -np.log(p[np.arange(len(p)), others.y[others.train]]).mean()
    assert head.notes["held_out"] == "cluster folds"
    assert head.notes["log_loss"] > 0.3 and real < 0.9  # leave-one-out promises 0.001 where 10 comes


def test_a_cluster_is_never_torn_and_labels_are_spread_over_the_folds() -> None:
    clusters = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 3)) * 7
    y = np.unique(clusters, return_inverse=True)[1] % 2
    folds = _folds(y, clusters, 5)
    assert all(len(set(folds[clusters == cluster])) == 1 for cluster in set(clusters))
    assert np.bincount(folds * 2 + y).tolist() == [12] * 10


def test_two_clusters_are_two_folds_and_one_is_none() -> None:
    given, _ = copies()
    assert _held_out(replace(given, clusters=np.zeros(len(given.y), np.int64))).name == "leave-one-out"
    two = np.arange(len(given.y)) // 3 % 2
    held = _held_out(replace(given, clusters=two))
    assert len(held.pairs) == 2 and held.name == "cluster folds"
    assert sorted(held.rows) == sorted(given.train)
    for rows, answered in held.pairs:
        assert not set(two[rows]) & set(two[answered])


def test_clusters_of_single_training_rows_are_left_out_one_by_one() -> None:
    given = replace(lesson(n=90, n_validation=0), clusters=np.arange(90))
    assert Probe().tailor(given).notes["held_out"] == "leave-one-out"


# ---- many labels --------------------------------------------------------------------------------------------------


def test_of_many_labels_little_is_tried_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailorbird.methods.probe._MANY_WEIGHTS", 24 * 3 - 1)
    told: list[str] = []
    monkeypatch.setattr("tailorbird.methods.probe.tell", told.append)
    head = Probe().tailor(lesson())
    assert told == ["3 labels: only the last depth and 3 strengths are tried, in few rounds"]
    assert head.depths == ("last",) and head.notes["most_rounds"] == 2
    (candidate,) = head.notes["candidates"]
    assert [strength for strength, _ in candidate["losses"]] == [1e-2, 1e-3, 1e-4][: len(candidate["losses"])]


def test_many_labels_are_told_apart_in_few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, c = np.random.default_rng(0), 150
    y = np.arange(4 * c) % c
    centres = rng.standard_normal((c, 100)).astype(np.float32)
    x = 0.8 * centres[y] + rng.standard_normal((len(y), 100)).astype(np.float32)
    rows = np.arange(len(y))
    given = Lesson({"last": x}, y, c, np.ones(len(y), np.float32), rows[: 3 * c], rows[3 * c :], seed=0)
    whole = Probe().tailor(given)
    monkeypatch.setattr("tailorbird.methods.probe._MANY_WEIGHTS", 10_000)
    little = Probe().tailor(given)
    assert little.notes["most_rounds"] == 2
    fresh = 0.8 * centres + rng.standard_normal((c, 100)).astype(np.float32)
    right = [(head.scores(fresh).argmax(1) == np.arange(c)).mean() for head in (whole, little)]
    assert right[1] > right[0] - 0.05 > 0.6, right
