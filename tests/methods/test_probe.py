"""The probe: what it chooses, on which rows, and what it tells about it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from tailorbird.engine import binary
from tailorbird.engine.solve import log_loss, path, pose
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Method
from tailorbird.lesson import Head, Lesson
from tailorbird.methods._held_out import _folds, held_out
from tailorbird.methods.probe import Probe
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
    head = Probe().tailor(lesson(telling="layer1")).head
    assert head.depths == ("layer1", "last") and head.weight.shape == (24, 3) and head.bias.shape == (3,)


def test_the_last_depth_alone_is_taken_when_inner_ones_are_noise() -> None:
    assert Probe().tailor(lesson(telling="last")).head.depths == ("last",)


def test_the_strength_is_the_one_of_least_loss_on_validation_rows() -> None:
    given = lesson()
    head = Probe().tailor(given).head
    losses = [(loss, one["depths"]) for one in head.notes["candidates"] for _, loss in one["losses"]]
    assert (head.notes["held_out_loss"], list(head.depths)) == min(losses)
    assert head.notes["held_out"] == "validation"


def test_a_strength_that_is_named_is_the_only_one_tried() -> None:
    head = parse("method", "probe:last,strength=0.3", Method).tailor(lesson()).head
    (candidate,) = head.notes["candidates"]
    assert head.notes["strength"] == 0.3 and [pair[0] for pair in candidate["losses"]] == [0.3]


def test_what_chose_the_strength_teaches_too_in_the_end() -> None:
    given = lesson()
    head = Probe().tailor(given).head
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
    head = Probe().tailor(given).head
    assert head.notes["held_out"] == "leave-one-out"
    inside = log_loss(logits(head, given, given.train), given.y[given.train], np.ones(90))
    assert (
        inside < head.notes["held_out_loss"] < np.log(3)
    )  # less than the rows that were fitted promise, more than guessing


def test_the_path_ends_when_two_strengths_in_a_row_were_worse() -> None:
    notes = Probe(strengths=30).tailor(lesson(telling="last")).head.notes
    for candidate in notes["candidates"]:
        losses = [loss for _, loss in candidate["losses"]]
        assert len(losses) < 30 and min(losses) == losses[-3]


def test_the_temperature_undoes_overconfidence() -> None:
    given = lesson(n=120, n_validation=60)
    head = Probe(strengths=1).tailor(replace(given, train=given.train[:20])).head
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
    plain, turned = (Probe().tailor(one).head for one in (given, heavy))
    share = [(logits(head, given, given.train).argmax(1) == 1).mean() for head in (plain, turned)]
    assert share[0] < 0.6 < 0.8 < share[1]


def test_a_label_without_rows_to_learn_from_is_never_the_answer() -> None:
    given = replace(lesson(c=3), n_labels=5)
    head = Probe().tailor(given).head
    assert head.weight.shape[1] == 5 and logits(head, given, given.train).argmax(1).max() < 3


def test_the_same_lesson_gives_the_same_head() -> None:
    first, again = (Probe().tailor(lesson()).head for _ in range(2))
    assert first.weight.tobytes() == again.weight.tobytes() and first.temperature == again.temperature


@pytest.mark.parametrize("spelling, depths", [("probe:last", ("last",)), ("probe:inner", ("layer1", "last"))])
def test_the_depths_can_be_asked_for(spelling: str, depths: tuple[str, ...]) -> None:
    for telling in ("layer1", "last"):
        assert parse("method", spelling, Method).tailor(lesson(telling=telling)).head.depths == depths


def test_inner_depths_that_a_body_lacks_are_refused_with_a_way_out() -> None:
    given = lesson()
    with pytest.raises(BadSpelling, match="this one has none") as caught:
        Probe(depths="inner").tailor(replace(given, features={"last": given.features["last"]}))
    assert caught.value.hint == "--method probe"


def test_a_body_with_one_depth_gives_one_candidate() -> None:
    given = lesson()
    head = Probe().tailor(replace(given, features={"last": given.features["last"]})).head
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
    head = Probe().tailor(given).head
    p = head.scores(others.features["last"][others.train])
    real = -np.log(p[np.arange(len(p)), others.y[others.train]]).mean()
    assert head.notes["held_out"] == "cluster folds"
    assert head.notes["held_out_loss"] > 0.3 and real < 0.9  # leave-one-out promises 0.001 where 10 comes


def test_a_cluster_is_never_torn_and_labels_are_spread_over_the_folds() -> None:
    clusters = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 3)) * 7
    y = np.unique(clusters, return_inverse=True)[1] % 2
    folds = _folds(y, clusters, 5)
    assert all(len(set(folds[clusters == cluster])) == 1 for cluster in set(clusters))
    assert np.bincount(folds * 2 + y).tolist() == [12] * 10


def test_two_clusters_are_two_folds_and_one_is_none() -> None:
    given, _ = copies()
    assert held_out(replace(given, clusters=np.zeros(len(given.y), np.int64))).name == "leave-one-out"
    two = np.arange(len(given.y)) // 3 % 2
    held = held_out(replace(given, clusters=two))
    assert len(held.pairs) == 2 and held.name == "cluster folds"
    assert sorted(held.rows) == sorted(given.train)
    for rows, answered in held.pairs:
        assert not set(two[rows]) & set(two[answered])


def test_clusters_of_single_training_rows_are_left_out_one_by_one() -> None:
    given = replace(lesson(n=90, n_validation=0), clusters=np.arange(90))
    assert Probe().tailor(given).head.notes["held_out"] == "leave-one-out"


# ---- many labels --------------------------------------------------------------------------------------------------


def test_of_many_labels_little_is_tried_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailorbird.methods.probe._MANY_WEIGHTS", 24 * 3 - 1)
    told: list[str] = []
    monkeypatch.setattr("tailorbird.methods.probe.tell", told.append)
    head = Probe().tailor(lesson()).head
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
    whole = Probe().tailor(given).head
    monkeypatch.setattr("tailorbird.methods.probe._MANY_WEIGHTS", 10_000)
    little = Probe().tailor(given).head
    assert little.notes["most_rounds"] == 2
    fresh = 0.8 * centres + rng.standard_normal((c, 100)).astype(np.float32)
    right = [(head.scores(fresh).argmax(1) == np.arange(c)).mean() for head in (whole, little)]
    assert right[1] > right[0] - 0.05 > 0.6, right


# ---- any number of labels -----------------------------------------------------------------------------------------


def tagged(n: int = 300, n_validation: int = 60, c: int = 4, seed: int = 0) -> Lesson:
    """A body whose last depth tells labels from frequent to rare, in part."""
    rng = np.random.default_rng(seed)
    features = {depth: rng.standard_normal((n, 12)).astype(np.float32) for depth in ("layer1", "last")}
    logits = features["last"] @ rng.standard_normal((12, c)) / 2 - np.linspace(0, 3, c)
    y = (logits + rng.logistic(size=(n, c)) > 0).astype(np.float32)
    rows, ones = rng.permutation(n), np.ones(n, np.float32)
    train, validation = rows[n_validation:], rows[:n_validation]
    return Lesson(features, y, c, ones, train, validation, seed=0, link="sigmoid")


def test_each_label_gets_a_probability_of_its_own_that_tells_it() -> None:
    given, fresh = tagged(n=1000), tagged(n=1000)
    head = Probe().tailor(given).head
    scores = head.scores(fresh.features["last"])
    assert head.link == "sigmoid" and head.depths == ("last",) and scores.shape == (1000, 4)
    assert scores.mean(0) == pytest.approx(fresh.y.mean(0), abs=0.03)
    assert all(scores[fresh.y[:, k] == 1, k].mean() > scores[fresh.y[:, k] == 0, k].mean() + 0.1 for k in range(4))


def test_the_cut_is_the_one_of_highest_micro_f1_on_held_out_rows() -> None:
    given = tagged(n=400, n_validation=200)
    head = Probe().tailor(given).head
    assert head.cut == head.notes["cut"] and 0.05 <= head.cut <= 0.95
    x, y = given.features["last"], given.y
    problem = binary.pose(x[given.train], y[given.train], given.row_weights[given.train])
    *_, solution = binary.path(problem, np.geomspace(10, head.notes["strength"], 4).tolist())
    scores = expit((x[given.validation] @ solution.weight + solution.bias) / head.temperature)

    def micro_f1(cut: float) -> float:
        said, true = scores >= cut, y[given.validation] == 1
        return float(2 * (said & true).sum() / (said.sum() + true.sum()))

    assert micro_f1(head.cut) > max(micro_f1(cut) for cut in np.linspace(0.05, 0.95, 200)) - 0.01


def test_one_strength_serves_all_labels_and_is_that_of_least_mean_loss() -> None:
    notes = Probe().tailor(tagged()).head.notes
    losses = [loss for one in notes["candidates"] for _, loss in one["losses"]]
    assert notes["held_out_loss"] == min(losses) and notes["loss"] == "mean log-loss of the labels"


def test_a_label_that_nobody_has_is_never_given() -> None:
    given = tagged(n=120, n_validation=0)
    given = replace(given, y=np.column_stack([given.y, np.zeros(120)]).astype(np.float32), n_labels=5)
    head = Probe().tailor(given).head
    assert head.scores(given.features["last"])[:, 4].max() < 0.05 <= head.cut


def test_where_nobody_has_any_label_there_is_still_a_head() -> None:
    given = tagged(n=60, n_validation=0)
    head = Probe().tailor(replace(given, y=np.zeros_like(given.y))).head
    x = np.concatenate([given.features[depth] for depth in head.depths], axis=1)
    assert head.cut == 0.5 and head.scores(x).max() < 0.1


def test_row_weights_turn_labels_too() -> None:
    given = tagged(n=200, n_validation=0)
    heavy = replace(given, row_weights=np.where(given.y[:, 2] == 1, 20, 1).astype(np.float32))
    plain, turned = (Probe(depths="last").tailor(one).head for one in (given, heavy))
    means = [head.scores(given.features["last"])[:, 2].mean() for head in (plain, turned)]
    assert means[0] < 0.35 and means[1] > means[0] + 0.2


def test_few_labels_are_left_out_row_by_row_and_many_by_folds() -> None:
    assert Probe().tailor(tagged(n=60, n_validation=0)).head.notes["held_out"] == "leave-one-out"
    given = tagged(n=60, n_validation=0, c=12)
    held = held_out(given)
    assert held.name == "folds" and len(held.pairs) == 5 and sorted(held.rows) == sorted(given.train)
    assert Probe().tailor(given).head.notes["held_out"] == "folds"
    assert held_out(replace(given, train=given.train[:1])).name == "leave-one-out"


def test_clusters_of_a_rare_label_are_spread_over_the_folds() -> None:
    clusters = np.random.default_rng(0).permutation(60) // 2
    y = np.column_stack([np.ones(60), (clusters % 5 == 0) & (clusters < 25)]).astype(np.float32)
    given = replace(tagged(n=60, n_validation=0, c=2), y=y, train=np.arange(60), clusters=clusters)
    assert [int(y[rows, 1].sum()) for _, rows in held_out(given).pairs] == [2] * 5


# ---- numbers ------------------------------------------------------------------------------------------------------


def priced(n: int = 300, n_validation: int = 60, mean: float = 250_000.0, scale: float = 40_000.0) -> Lesson:
    """A body whose inner depth tells a number in the user's unit, in part."""
    rng = np.random.default_rng(0)
    features = {depth: rng.standard_normal((n, 12)).astype(np.float32) for depth in ("layer1", "last")}
    standard = features["layer1"] @ rng.standard_normal(12) / np.sqrt(12) + 0.5 * rng.standard_normal(n)
    rows, ones = rng.permutation(n), np.ones(n, np.float32)
    train, validation = rows[n_validation:], rows[:n_validation]
    return Lesson(features, (mean + scale * standard)[:, None], 1, ones, train, validation, 0, link="identity")


def explained(head: Head, given: Lesson) -> float:
    x = np.concatenate([given.features[depth] for depth in head.depths], axis=1)
    return float(1 - ((given.y - head.scores(x)) ** 2).mean() / given.y.var())


@pytest.mark.parametrize("n_validation", [0, 60])
def test_a_number_is_answered_in_the_users_unit(n_validation: int) -> None:
    given = priced(n_validation=n_validation)
    head = Probe().tailor(given).head
    assert head.link == "identity" and head.temperature == 1.0 and head.depths == ("layer1", "last")
    assert head.scale == pytest.approx(given.y.std(), rel=1e-6) and head.weight.shape == (24, 1)
    assert explained(head, given) > 0.6
    assert head.notes["held_out_loss"] < 0.5 and "squared error" in head.notes["loss"]


def test_the_unit_changes_nothing_but_the_unit() -> None:
    """Of points of time, float32 would keep no more than every second minute."""
    plain, moved = (Probe().tailor(priced(mean=mean, scale=scale)).head for mean, scale in ((0, 1), (1.7e9, 30.0)))
    x = np.concatenate([priced().features[depth] for depth in plain.depths], axis=1)
    assert plain.notes["candidates"][0]["losses"] == [
        pytest.approx(pair, rel=1e-5) for pair in moved.notes["candidates"][0]["losses"]
    ]
    assert moved.scores(x) - 1.7e9 == pytest.approx(30 * plain.scores(x), abs=1e-3)


def test_the_strength_of_a_number_is_that_of_least_error_on_rows_left_out() -> None:
    given = priced(n=90, n_validation=0)
    head = Probe(depths="inner").tailor(given).head
    assert head.notes["held_out"] == "leave-one-out"
    losses = [loss for _, loss in head.notes["candidates"][0]["losses"]]
    assert head.notes["held_out_loss"] == min(losses)
    inside = 1 - explained(head, given)  # less than rows that were fitted promise, more than the mean
    assert inside < head.notes["held_out_loss"] < 1


def test_row_weights_draw_a_number_towards_the_heavy_rows() -> None:
    given = priced(mean=0, scale=1)
    heavy = replace(given, row_weights=np.where(given.y[:, 0] > 0, 30, 1).astype(np.float32))
    plain, drawn = (Probe().tailor(one).head for one in (given, heavy))
    x = np.concatenate([given.features[depth] for depth in plain.depths], axis=1)
    assert drawn.scores(x).mean() > plain.scores(x).mean() + 0.2


def test_clusters_of_like_numbers_are_spread_over_the_folds() -> None:
    clusters = np.arange(90) // 3
    y = np.random.default_rng(0).permutation(30)[clusters][:, None].astype(float)
    held = held_out(replace(priced(n=90, n_validation=0), y=y, clusters=clusters))
    assert held.name == "cluster folds" and len(held.pairs) == 5
    assert np.ptp([y[rows].mean() for _, rows in held.pairs]) == pytest.approx(4)  # dealt out in the order of numbers


def test_the_same_number_everywhere_is_the_answer() -> None:
    given = priced(n=60, n_validation=0)
    head = Probe().tailor(replace(given, y=np.full((60, 1), 7.25))).head
    x = np.concatenate([given.features[depth] for depth in head.depths], axis=1)
    assert head.scores(x) == pytest.approx(np.full((60, 1), 7.25)) and head.scale == 1.0
