"""Which method `auto` takes, and what it says of its choice."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tailorbird.errors import BadOutput, BadSpelling
from tailorbird.kinds import Method, Modality, Source
from tailorbird.lesson import Effort, Head, Lesson, Tailored, Workshop
from tailorbird.methods import auto
from tailorbird.plug import parse


class Fixed(Method):
    """A method that always gives the same head, and remembers what it was asked to learn from."""

    sharpness: float  # of the one weight: the truth is in the sign of the one feature
    seconds: float = 1.0  # that it says it takes of all rows

    def tailor(self, lesson: Lesson) -> Tailored:
        self.__dict__.setdefault("lessons", []).append(lesson)
        weight = np.array([[-self.sharpness, self.sharpness]], np.float32)
        return Tailored(Head(("last",), weight, np.zeros(2, np.float32), 1.0, {}))

    def effort(self, lesson: Lesson, n_train: int, n_held: int) -> Effort:
        return Effort(self.seconds)


def made(tmp_path: Path, n: int = 400) -> Lesson:
    """Rows whose one feature tells the label by its sign."""
    x = np.random.default_rng(0).standard_normal((n, 1)).astype(np.float32)
    y, places = (x[:, 0] > 0).astype(np.int64), np.arange(n)
    body, modality = parse("source", "toy:text", Source).open(), parse("modality", "text", Modality)
    shop = Workshop(body, modality, [f"word {i}" for i in range(n)], ("no", "yes"), tmp_path, 1, "cpu")
    weights, train, held = np.ones(n, np.float32), places[: 3 * n // 4], places[3 * n // 4 :]
    return Lesson({"last": x}, y, 2, weights, train, held, 0, np.arange(n), workshop=shop)


@pytest.fixture
def rivals(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fixed]:
    """A weak probe and a strong finetune; a test may exchange them."""
    methods = {"probe": Fixed(sharpness=0.5), "probe:last": Fixed(sharpness=0.5), "finetune": Fixed(sharpness=3.0)}
    monkeypatch.setattr(auto, "_method", methods.__getitem__)
    monkeypatch.setattr(auto, "_ENTRANTS", ("finetune",))
    return methods


def test_the_body_learns_if_a_trial_lowers_the_loss_on_rows_that_neither_saw(
    tmp_path: Path, rivals: dict[str, Fixed]
) -> None:
    lesson = made(tmp_path)
    tailored = auto.Auto(rows=100).tailor(lesson)
    assert tailored.head.weight[0, 1] == 3.0
    trial, whole = rivals["finetune"].__dict__["lessons"]
    assert len(trial.train) == 100 and not len(trial.validation) and len(whole.train) == 300
    told = tailored.head.notes["auto"]["tried"]
    assert [one["method"] for one in told] == ["probe", "probe:last", "finetune", "finetune"]
    assert told[1]["loss"] > told[2]["loss"]


def test_a_trial_that_does_not_help_keeps_the_probe(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    rivals["finetune"] = Fixed(sharpness=0.1)
    tailored = auto.Auto().tailor(made(tmp_path))
    assert tailored.head.weight[0, 1] == 0.5
    assert "did not lower" in tailored.head.notes["auto"]["reason"]


def test_where_nothing_can_be_told_apart_the_cheaper_method_is_taken(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    rivals["finetune"] = Fixed(sharpness=0.5)
    assert len(auto.Auto().tailor(made(tmp_path)).head.notes["auto"]["tried"]) == 3


class Failing(Fixed):
    """A method that learns as often as it may, and then ends with an error."""

    error: Any
    after: int  # learnings

    def tailor(self, lesson: Lesson) -> Tailored:
        tailored = super().tailor(lesson)
        if len(self.__dict__["lessons"]) > self.after:
            raise self.error
        return tailored


@pytest.fixture
def four(rivals: dict[str, Fixed], monkeypatch: pytest.MonkeyPatch) -> dict[str, Fixed]:
    """Four ways to let the body learn, of which the third is best."""
    sharpness = {"finetune": 1.0, "a": 0.8, "b": 3.0, "c": 0.7}
    rivals |= {name: Fixed(sharpness=value, seconds=100.0) for name, value in sharpness.items()}
    monkeypatch.setattr(auto, "_ENTRANTS", tuple(sharpness))
    return rivals


def raced(tailored: Tailored) -> list[tuple[str, int | None, int]]:
    """What was tried: the way, the round, and the rows."""
    return [(one["method"], one["round"], one["rows"]) for one in tailored.head.notes["auto"]["tried"]]


def test_of_four_ways_the_better_two_learn_from_twice_as_many_rows(tmp_path: Path, four: dict[str, Fixed]) -> None:
    tailored = auto.Auto(rows=200).tailor(made(tmp_path))
    first = [("finetune", 1, 100), ("a", 1, 100), ("b", 1, 100), ("c", 1, 100)]
    second = [("finetune", 2, 200), ("b", 2, 200)]
    assert raced(tailored) == [("probe", None, 300), ("probe:last", None, 200), *first, *second, ("b", None, 300)]
    assert tailored.head.weight[0, 1] == 3.0
    early, late, whole = (set(one.train) for one in four["b"].__dict__["lessons"])
    assert early < late < whole, "the rows of a round are among those of the next"


def test_of_what_cannot_be_told_apart_the_cheapest_goes_on(tmp_path: Path, four: dict[str, Fixed]) -> None:
    four |= {"finetune": Fixed(sharpness=3.0, seconds=90.0), "c": Fixed(sharpness=3.0, seconds=5.0)}
    assert raced(auto.Auto().tailor(made(tmp_path)))[-1] == ("c", None, 300)


class Judged(Fixed):
    """A method that tells how it did on the validation part, at each of its looks."""

    losses: tuple[float, ...]
    steps: int = 300

    def tailor(self, lesson: Lesson) -> Tailored:
        tailored = super().tailor(lesson)
        looked = [[i, loss] for i, loss in enumerate(self.losses)]
        told = {"held_out": "validation", "held_out_losses": looked, "steps": self.steps, "steps_planned": 300}
        return replace(tailored, head=replace(tailored.head, notes=told))


@pytest.mark.parametrize(("losses", "kept"), [((0.9, 0.8), 0.5), ((0.9, 0.1), 3.0)])
def test_a_body_that_learned_next_to_nothing_of_all_rows_leaves_the_probe(
    losses: tuple[float, ...], kept: float, tmp_path: Path, rivals: dict[str, Fixed]
) -> None:
    rivals["finetune"] = Judged(sharpness=3.0, losses=losses)
    tailored = auto.Auto().tailor(made(tmp_path))
    assert tailored.head.weight[0, 1] == kept
    told = tailored.head.notes["auto"]
    assert ("all rows" in told["reason"]) == (kept == 0.5)
    assert 0.1 < told["tried"][0]["loss"] < 0.8 and told["tried"][-1]["loss"] == min(losses)


class Hurried(Fixed):
    """A method that shows nothing in its first learnings, for the clock lets it take few steps only."""

    steps: int
    after: int  # learnings, from which on it has time enough

    def tailor(self, lesson: Lesson) -> Tailored:
        tailored = super().tailor(lesson)
        if len(self.__dict__["lessons"]) > self.after:
            return tailored
        notes = {"steps": self.steps, "steps_planned": 300}
        weak = np.zeros_like(tailored.head.weight)
        return replace(tailored, head=replace(tailored.head, weight=weak, notes=notes))


@pytest.mark.parametrize(("steps", "after", "winner"), [(10, 2, "finetune"), (10, 1, "b"), (200, 2, "b")])
def test_who_had_no_time_to_show_anything_is_not_beaten_by_a_later_one(
    steps: int, after: int, winner: str, tmp_path: Path, four: dict[str, Fixed]
) -> None:
    """A way that comes first and could not learn on a busy machine; one that could in the second round, and was worse;
    one that had time enough, and is worse."""
    four["finetune"] = Hurried(sharpness=1.0, seconds=100.0, steps=steps, after=after)
    tailored = auto.Auto().tailor(made(tmp_path))
    assert raced(tailored)[-1][0] == winner
    told = tailored.head.notes["auto"]
    assert ("too short to tell" in told["reason"]) == (winner == "finetune")
    assert [one["method"] for one in told["tried"] if one["is_short"]] == ["finetune"] * (after if steps == 10 else 0)


def test_the_only_way_that_has_shown_anything_stays_in_the_race(tmp_path: Path, four: dict[str, Fixed]) -> None:
    """Two ways before it had no time in either round: the first of them wins, for what the third one showed."""
    for name in ("finetune", "a"):
        four[name] = Hurried(sharpness=1.0, seconds=10.0, steps=10, after=9)
    tailored = auto.Auto(rows=200).tailor(made(tmp_path))
    assert raced(tailored)[6:] == [("finetune", 2, 200), ("b", 2, 200), ("finetune", None, 300)]
    assert "too short to tell" in tailored.head.notes["auto"]["reason"]


def test_a_way_that_was_alone_and_hurried_is_no_other_ways_merit(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    rivals["finetune"] = Judged(sharpness=3.0, losses=(0.9, 0.1), steps=10)
    told = auto.Auto().tailor(made(tmp_path)).head.notes["auto"]
    assert told["reason"] == "finetune, for no trial had time enough to tell"
    assert [one["is_short"] for one in told["tried"] if one["round"]] == [True]


@pytest.mark.parametrize(("losses", "kept"), [((0.9, 0.8), 0.5), ((0.9, 0.1), 0.4)])
def test_where_no_trial_had_time_to_tell_the_rest_of_the_time_is_used(
    losses: tuple[float, ...], kept: float, tmp_path: Path, rivals: dict[str, Fixed]
) -> None:
    """The trial is worse than a probe; what all rows make of it is compared in the end."""
    rivals["finetune"] = Judged(sharpness=0.4, losses=losses, steps=10)
    tailored = auto.Auto().tailor(made(tmp_path))
    assert tailored.head.weight[0, 1] == np.float32(kept)


def test_what_was_there_early_is_not_learned_again(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    lesson = made(tmp_path)
    early = Fixed(sharpness=0.4).tailor(lesson)
    early = replace(early, head=replace(early.head, notes={"seconds": 7.5}))
    rivals["finetune"] = Fixed(sharpness=0.1)
    tailored = auto.Auto().tailor(replace(lesson, early=early))
    assert tailored.head.weight[0, 1] == np.float32(0.4) and tailored.head.notes["auto"]["tried"][0]["seconds"] == 7.5
    assert "lessons" not in rivals["probe"].__dict__


def test_there_is_an_early_model_where_the_body_may_learn(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    lesson = made(tmp_path)
    found = auto.Auto().early(lesson)
    assert found == (rivals["probe"], lesson)
    for without in (replace(lesson, workshop=None), replace(lesson, deadline=time.monotonic() + 1)):
        assert auto.Auto().early(without) is None


def test_what_takes_longer_than_there_is_time_for_is_not_let_in(tmp_path: Path, four: dict[str, Fixed]) -> None:
    four["b"] = Fixed(sharpness=3.0, seconds=2000.0)
    tailored = auto.Auto().tailor(replace(made(tmp_path), deadline=time.monotonic() + 1000))
    assert "b" not in {name for name, _, _ in raced(tailored)} and raced(tailored)[-1][0] == "finetune"


def test_what_has_time_for_most_of_its_learning_is_let_in(tmp_path: Path, four: dict[str, Fixed]) -> None:
    """What is measured in some seconds on a busy machine is too much, and the best way must not be lost for it."""
    four["finetune"] = Fixed(sharpness=4.0, seconds=1200.0)
    tailored = auto.Auto().tailor(replace(made(tmp_path), deadline=time.monotonic() + 1000))
    assert raced(tailored)[-1][0] == "finetune"


def test_where_all_take_too_long_the_quickest_learns_as_long_as_it_can(tmp_path: Path, four: dict[str, Fixed]) -> None:
    four |= {name: Fixed(sharpness=3.0, seconds=5000.0 + i) for i, name in enumerate(("c", "b", "a", "finetune"))}
    tailored = auto.Auto().tailor(replace(made(tmp_path), deadline=time.monotonic() + 1000))
    assert {name for name, _, _ in raced(tailored)} == {"probe", "probe:last", "c"}


def test_where_time_is_short_the_last_ways_are_not_tried(
    tmp_path: Path, four: dict[str, Fixed], told: list[str]
) -> None:
    """Of 190 s the whole needs 130; 30 s a round are too short for 400 or 300 s of learning, 60 s not for 200."""
    tailored = auto.Auto(rows=200).tailor(replace(made(tmp_path), deadline=time.monotonic() + 190))
    assert [name for name, round_, _ in raced(tailored) if round_] == ["finetune", "a"]
    assert [line for line in told if "no time" in line] == [f"method auto: no time to try {name}" for name in "cb"]


def test_a_race_that_was_run_before_an_interruption_is_not_run_again(tmp_path: Path, four: dict[str, Fixed]) -> None:
    lesson, kept = made(tmp_path), dict[str, Any]()

    def noted(name: str, measure: Any) -> Any:
        return kept[name] if name in kept else kept.setdefault(name, json.loads(json.dumps(measure())))

    shop = replace(lesson.workshop, noted=noted)  # type: ignore[type-var]  # it has one
    first = auto.Auto(rows=200).tailor(replace(lesson, workshop=shop))
    learned = {name: len(method.__dict__.get("lessons", ())) for name, method in four.items()}
    again = auto.Auto(rows=200).tailor(replace(lesson, workshop=shop))
    assert len(kept) == 1 and raced(again) == raced(first)
    more = {name: len(method.__dict__.get("lessons", ())) - learned[name] for name, method in four.items()}
    assert more == {"probe": 1, "probe:last": 0, "finetune": 0, "a": 0, "b": 1, "c": 0}


def test_what_has_learned_before_an_interruption_is_not_lost_for_want_of_time(
    tmp_path: Path, four: dict[str, Fixed]
) -> None:
    lesson, kept = made(tmp_path), dict[str, Any]()
    shop = replace(lesson.workshop, noted=lambda name, measure: kept.setdefault(name, measure()))  # type: ignore[type-var]
    auto.Auto(rows=200).tailor(replace(lesson, workshop=shop))
    late = {"deadline": time.monotonic() - 60}
    shop = replace(shop, noted=lambda name, measure: kept[name])
    assert raced(auto.Auto(rows=200).tailor(replace(lesson, workshop=shop, **late)))[-1][0] == "probe"
    begun = replace(shop, is_begun=True)
    assert raced(auto.Auto(rows=200).tailor(replace(lesson, workshop=begun, **late)))[-1][0] == "b"


def test_of_many_rows_the_probe_takes_as_many_as_its_time_lets_it(
    tmp_path: Path, rivals: dict[str, Fixed], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "_MANY_ROWS", 100)
    monkeypatch.setattr(auto, "_SAMPLE_ROWS", 10)
    rivals["probe"] = Fixed(sharpness=0.5, seconds=100.0)
    lesson = replace(made(tmp_path), deadline=time.monotonic() + 40)
    auto.Auto(rows=100).tailor(lesson)
    (probed,) = rivals["probe"].__dict__["lessons"]
    assert 50 < len(probed.train) <= 60, "20 of 100 s, so a fifth of 300 rows"
    assert any("a probe of all 300 rows takes too long" in line for line in told)
    rivals["probe"].__dict__["lessons"].clear()
    auto.Auto(rows=100).tailor(replace(lesson, deadline=time.monotonic() + 1000))
    assert len(rivals["probe"].__dict__["lessons"][0].train) == 300


def test_in_little_time_the_first_way_alone_is_tried(tmp_path: Path, four: dict[str, Fixed]) -> None:
    tailored = auto.Auto().tailor(replace(made(tmp_path), deadline=time.monotonic() + 60))
    assert {name for name, round_, _ in raced(tailored) if round_} == {"finetune"}


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            BadSpelling("method 'finetune': 20 steps in a row gave no finite loss", "--method finetune:rate=1e-05"),
            "20 st",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "memory"),
        (MemoryError(), "memory"),
        (BadOutput("cannot write 'm.part': the disk is full", "free some space"), "the disk is full"),
    ],
)
def test_a_body_that_cannot_learn_to_the_end_leaves_the_probe(
    error: Exception,
    reason: str,
    after: int,
    tmp_path: Path,
    rivals: dict[str, Fixed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(auto, "tell", said.append)
    rivals["finetune"] = Failing(sharpness=3.0, error=error, after=after)
    tailored = auto.Auto().tailor(made(tmp_path))
    notes = tailored.head.notes["auto"]
    assert tailored.head.weight[0, 1] == 0.5
    assert reason in notes["reason"] and said[-1] == f"method auto: probe, for {notes['reason']}"
    tried = ["probe", "finetune"] if after == 0 else ["probe", "probe:last", "finetune", "finetune"]
    assert [one["method"] for one in notes["tried"]] == tried


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("expected scalar type Float but found Half")])
def test_what_is_no_fault_of_the_data_or_the_machine_is_not_swallowed(
    error: BaseException, tmp_path: Path, rivals: dict[str, Fixed]
) -> None:
    rivals["finetune"] = Failing(sharpness=3.0, error=error, after=1)
    with pytest.raises(type(error)):
        auto.Auto().tailor(made(tmp_path))


@pytest.mark.parametrize("case", ["features", "rows", "time"])
def test_without_a_chance_for_the_body_no_trial_is_made(case: str, tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    lesson = {
        "features": lambda: replace(made(tmp_path), workshop=None),
        "rows": lambda: made(tmp_path, n=40),
        "time": lambda: replace(made(tmp_path), deadline=time.monotonic() + 1),
    }[case]()
    tailored = auto.Auto().tailor(lesson)
    assert tailored.head.weight[0, 1] == 0.5 and "lessons" not in rivals["finetune"].__dict__


def test_the_trial_has_a_quarter_of_the_time_and_the_whole_the_rest(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    now = time.monotonic()
    auto.Auto().tailor(replace(made(tmp_path), deadline=now + 1000))
    trial, whole = rivals["finetune"].__dict__["lessons"]
    assert trial.deadline - now == pytest.approx(250, abs=10) and whole.deadline == now + 1000


def test_where_time_is_plenty_the_race_takes_no_longer_than_the_dearest_way(
    tmp_path: Path, four: dict[str, Fixed]
) -> None:
    four["a"] = Fixed(sharpness=0.8, seconds=150.0)
    now = time.monotonic()
    auto.Auto(rows=200).tailor(replace(made(tmp_path), deadline=now + 9000))
    trials = [lesson for name in ("finetune", "a", "b", "c") for lesson in four[name].__dict__["lessons"]]
    deadlines = [one.deadline - now for one in trials if one.deadline != now + 9000]
    assert len(deadlines) == 6 and 130 < max(deadlines) < 155


def test_few_rows_without_a_validation_part_hold_out_whole_clusters(tmp_path: Path, rivals: dict[str, Fixed]) -> None:
    lesson = made(tmp_path)
    lesson = replace(lesson, train=np.arange(400), validation=np.zeros(0, np.int64), clusters=np.arange(400) // 4)
    auto.Auto().tailor(lesson)
    seen = set(rivals["finetune"].__dict__["lessons"][0].train // 4)
    assert len(seen) == 80 and len(rivals["finetune"].__dict__["lessons"][0].train) == 320
