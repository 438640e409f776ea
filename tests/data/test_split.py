from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tailorbird.data import split as module
from tailorbird.data.check import Checked
from tailorbird.data.split import Split, clusters
from tailorbird.errors import BadData
from tailorbird.types import Dataset, Part, Rows

quick = settings(max_examples=30, deadline=None)


def made(
    contents: Sequence[int | str],
    targets: Sequence[str] | None = None,
    groups: Sequence[str | None] | None = None,
    parts: Sequence[Part | None] | None = None,
) -> Checked:
    """Checked rows whose twins are the digests of these contents."""
    digests = [hashlib.sha256(str(content).encode()).digest() for content in contents]
    twins = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
    rows = Rows(
        tuple(map(str, range(len(contents)))),
        {"text": tuple(map(str, contents))},
        tuple(targets or [("neg", "pos")[digest[31] % 2] for digest in digests]),
        None if groups is None else tuple(groups),
        None if parts is None else tuple(parts),
    )
    return Checked(Dataset(rows, "text", "text", "label", "a.csv"), twins, twins, None)


def split(checked: Checked) -> Split:
    """The split whose strata are the labels."""
    return module.split(checked, np.unique(np.array(checked.dataset.rows.targets), return_inverse=True)[1])


def names(parts: Split, n: int) -> NDArray[np.str_]:
    where = np.full(n, "out", dtype="<U10")
    for name in ("train", "validation", "test"):
        where[getattr(parts, name)] = name
    return where


def test_a_fifth_is_test_and_a_tenth_validation() -> None:
    found = split(made(range(5000)))
    assert abs(len(found.test) / 5000 - 0.2) < 0.02
    assert abs(len(found.validation) / 5000 - 0.1) < 0.02
    assert len(found.train) + len(found.validation) + len(found.test) == 5000
    assert found.folds is None
    assert {array.dtype for array in (found.train, found.validation, found.test, found.clusters)} == {
        np.dtype(np.int64)
    }


@quick
@given(st.integers(0, 2**32), st.integers(500, 900), st.integers(2, 60))
def test_no_cluster_is_torn_apart(seed: int, n: int, every: int) -> None:
    contents = np.random.default_rng(seed).integers(0, 800, n).tolist()
    groups = [None if content % every else f"g{content * 7 % 97}" for content in contents]
    found = split(made(contents, groups=groups))
    where = names(found, len(contents))
    assert "out" not in where
    for key in (np.array(contents), found.clusters, np.array([group or f"own {i}" for i, group in enumerate(groups)])):
        pairs = set(zip(key.tolist(), where.tolist(), strict=True))
        assert len(pairs) == len(set(key.tolist()))


@quick
@given(st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_rows_changes_nothing(random, grouped: bool) -> None:
    contents = [i % 650 for i in range(700)]
    mixed = random.sample(contents, len(contents))
    first, second = (
        made(one, groups=[f"g{content // 3}" if grouped else None for content in one]) for one in (contents, mixed)
    )
    assert dict(zip(contents, names(split(first), 700), strict=True)) == dict(
        zip(mixed, names(split(second), 700), strict=True)
    )


@quick
@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 300)), min_size=1, max_size=60))
def test_new_rows_never_move_a_test_row_out_of_test(new: list[tuple[int, int]]) -> None:
    contents, groups = list(range(700)), [f"g{i // 3}" for i in range(700)]
    before = names(split(made(contents, groups=groups)), 700)
    more = made(contents + [content for content, _ in new], groups=groups + [f"g{group}" for _, group in new])
    after = names(split(more), 700 + len(new))[:700]
    assert (after[before == "test"] == "test").all()


def test_neither_path_nor_position_nor_label_decides() -> None:
    whole = names(split(made(range(2000))), 2000)
    part = names(split(made(range(1000, 2000))), 1000)
    assert (whole[1000:] == part).all()


def test_clusters_join_twins_and_groups_over_any_number_of_steps() -> None:
    found = clusters(made(["a", "b", "c", "a", "d", "e"], groups=["1", "1", "2", "2", None, None]))
    assert found.tolist() == [0, 0, 0, 0, 1, 2]
    assert clusters(made(["a", "a", "b"])).tolist() == [0, 0, 1]


def test_a_group_and_a_content_of_the_same_name_are_two_things() -> None:
    assert len(set(clusters(made(["x", "y"], groups=["y", None])).tolist())) == 2


def test_a_label_missing_from_train_is_brought_back() -> None:
    plain = split(made(range(1000)))
    rare = np.concatenate([plain.test[:2], plain.validation[:1]])
    targets = ["rare" if i in set(rare.tolist()) else ("a", "b")[i % 2] for i in range(1000)]
    found = split(made(range(1000), targets))
    where = names(found, 1000)
    assert where[rare].tolist().count("train") == 1
    assert where[rare].tolist().count("test") == 2, "one cluster is enough"
    alone = split(made(range(1000), ["rare" if i == plain.test[0] else ("a", "b")[i % 2] for i in range(1000)]))
    assert names(alone, 1000)[plain.test[0]] == "train"


def test_a_label_missing_from_test_gets_what_train_can_spare() -> None:
    plain = split(made(range(1000)))
    rare = plain.train[:3]
    targets = ["rare" if i in set(rare.tolist()) else ("a", "b")[i % 2] for i in range(1000)]
    found = split(made(range(1000), targets))
    assert sorted(names(found, 1000)[rare].tolist()) == ["test", "train", "train"]
    others = np.setdiff1d(np.arange(1000), rare)
    assert (names(found, 1000)[others] == names(plain, 1000)[others]).all()


def test_a_given_test_set_stays_whole_and_its_twins_leave_training() -> None:
    contents = [*range(1000), *range(5), 2000, 2001]
    parts: list[Part | None] = [None] * 1000 + ["test"] * 7
    found = split(made(contents, parts=parts))
    assert found.test.tolist() == list(range(1000, 1007))
    where = names(found, 1007)
    assert (where[:5] == "out").all()
    assert not (where[5:] == "out").any()
    (finding,) = found.findings
    assert (finding.kind, finding.rows, len(finding.examples)) == ("twin_of_test", 5, 3)
    assert [one.id for one in found.cases[0].suspects] == ["0", "1", "2", "3", "4"]
    assert 50 < len(found.validation) < 150


def test_rows_that_nearly_repeat_a_test_row_leave_training() -> None:
    parts: list[Part | None] = [None] * 998 + ["test"] * 2
    near = np.array([[3, 998], [3, 4]])
    found = split(replace(made(range(1000), parts=parts), near=near))
    assert np.flatnonzero(names(found, 1000) == "out").tolist() == [3, 4]
    assert [(one.kind, one.rows) for one in found.findings] == [("twin_of_test", 2)]


@quick
@given(st.lists(st.tuples(st.integers(0, 699), st.integers(0, 699)), max_size=40))
def test_near_twins_never_straddle_a_split(pairs: list[tuple[int, int]]) -> None:
    near = np.array(pairs, np.int64).reshape(-1, 2)
    where = names(split(replace(made(range(700)), near=near)), 700)
    assert all(where[one] == where[other] for one, other in pairs)


def test_strata_that_are_no_labels_are_not_told_to_be_missing() -> None:
    parts: list[Part | None] = [None] * 600 + ["test"] * 2
    numbers = [str(i / 7) for i in range(602)]
    found = module.split(made(range(602), numbers, parts=parts), np.arange(602) // 301 + np.arange(602) // 601)
    assert found.findings == ()


def test_a_group_of_the_test_set_leaves_training() -> None:
    parts: list[Part | None] = [None] * 998 + ["test"] * 2
    groups = [f"g{i % 499}" for i in range(1000)]
    found = split(made(range(1000), groups=groups, parts=parts))
    assert (found.findings[0].kind, found.findings[0].rows) == ("group_of_test", 4)
    assert [one.id for one in found.cases[0].suspects] == ["0", "1", "499", "500"]


def test_a_given_validation_part_stays_and_its_twins_leave_training() -> None:
    contents = [*range(1000), 0, 1, 3000]
    parts: list[Part | None] = ["train"] * 1000 + ["validation"] * 3
    found = split(made(contents, parts=parts))
    assert found.validation.tolist() == [1000, 1001, 1002]
    assert [(one.kind, one.rows) for one in found.findings] == [("twin_of_validation", 2)]
    assert abs(len(found.test) - 200) < 50


def test_a_validation_row_that_is_a_twin_of_a_test_row_leaves_too() -> None:
    parts: list[Part | None] = [None] * 600 + ["validation", "validation", "test"]
    found = split(made([*range(600), 700, 701, 700], parts=parts))
    assert found.validation.tolist() == [601]
    assert found.test.tolist() == [602]


@pytest.mark.parametrize(("n_rest", "validated"), [(499, False), (500, True)])
def test_validation_is_taken_only_where_enough_is_left(n_rest: int, validated: bool) -> None:
    parts: list[Part | None] = [None] * n_rest + ["test"] * 100
    found = split(made(range(n_rest + 100), parts=parts))
    assert bool(len(found.validation)) is validated
    assert found.folds is None


def test_labels_of_the_test_set_alone_are_told() -> None:
    parts: list[Part | None] = [None] * 600 + ["test"] * 2
    found = split(made(range(602), ["a", "b"] * 300 + ["a", "new"], parts=parts))
    (finding,) = found.findings
    assert (finding.kind, finding.rows, finding.examples) == ("only_in_test", 1, ("601: 601 (new)",))
    assert 601 in found.test


def test_few_rows_are_measured_in_folds_and_all_learned_from() -> None:
    targets = ["a"] * 300 + ["b"] * 100 + ["c"] * 99
    found = split(made(range(499), targets))
    assert found.folds is not None
    assert found.train.tolist() == list(range(499))
    assert len(found.test) == len(found.validation) == 0
    for label in "abc":
        counts = np.bincount(found.folds[np.array(targets) == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    counts = np.bincount(found.folds)
    assert counts.max() - counts.min() <= 2
    (finding,) = found.findings
    assert (finding.kind, finding.rows) == ("few_rows", 499)
    assert "5 folds" in finding.action
    assert split(made(range(500))).folds is None


@quick
@given(st.lists(st.integers(0, 60), min_size=12, max_size=120))
def test_folds_tear_no_cluster_and_do_not_depend_on_the_order(contents: list[int]) -> None:
    if len(set(contents)) < 2:
        return
    folds = split(made(contents)).folds
    again = split(made(contents[::-1])).folds
    assert folds is not None
    assert again is not None
    place = dict(zip(contents, folds.tolist(), strict=True))
    assert [place[content] for content in contents] == folds.tolist()
    assert again[::-1].tolist() == folds.tolist()


def test_a_validation_part_of_few_rows_is_used_like_the_others() -> None:
    parts: list[Part | None] = [None] * 50 + ["validation"] * 10
    found = split(made(range(60), parts=parts))
    assert found.folds is not None
    assert len(found.train) == 60
    assert "validate" in found.findings[0].action


def test_rows_that_all_belong_together_are_refused() -> None:
    for n in (20, 600):
        with pytest.raises(BadData) as caught:
            split(made(range(n), groups=["one"] * n))
        assert "a.csv" in caught.value.problem
        assert caught.value.hint


def test_a_test_set_that_is_the_training_set_is_refused() -> None:
    parts: list[Part | None] = [None] * 600 + ["test"] * 600
    with pytest.raises(BadData, match=r"0 rows of 0 labels are left to learn from in 'a\.csv'") as caught:
        split(made([*range(600), *range(600)], parts=parts))
    assert "--test" in caught.value.hint
