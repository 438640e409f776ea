"""The training loop, its schedule and its batches, on networks small enough to check by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tailorbird.bodies.base import precision
from tailorbird.engine import loop, schedule
from tailorbird.engine.batches import Feed, Shelf, alike
from tailorbird.engine.course import Course
from tailorbird.engine.loop import Diverged, train
from tailorbird.engine.optimizers import Group
from tailorbird.engine.schedule import Pace, looks, rate_share
from tailorbird.errors import BadData, BadItem
from tailorbird.progress import listening

Part = tuple[Tensor, Tensor, Tensor]  # rows, truth, weights
ROWS = 96


def rows() -> Part:
    made = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 8, generator=made)
    return x, (x[:, 0] > 0).long(), torch.rand(ROWS, generator=made) + 0.5


@dataclass
class Small:
    """A network of two layers that learns which side of a line a row lies on."""

    dropout: float = 0.0
    held: Callable[[nn.Module], float | None] = lambda network: None
    spoil: frozenset[int] = frozenset()  # the calls whose loss is not finite
    network: nn.Sequential = field(init=False)
    calls: int = 0

    def __post_init__(self) -> None:
        self.network = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(self.dropout), nn.Linear(16, 2))
        made = torch.Generator().manual_seed(1)
        for parameter in self.network.parameters():
            parameter.data = torch.randn(parameter.shape, generator=made) * 0.3

    def groups(self) -> Sequence[Group]:
        return [Group(list(self.network[0].parameters()), 0.5), Group(list(self.network[3].parameters()))]

    def step(self, batch: Part) -> tuple[Tensor, float]:
        x, y, weights = batch
        losses = F.cross_entropy(self.network(x).float(), y, reduction="none") * weights
        self.calls += 1
        return losses.sum() * (float("nan") if self.calls - 1 in self.spoil else 1.0), float(weights.sum())

    def halves(self, batch: Part) -> Sequence[Part]:
        middle = len(batch[0]) // 2
        parts = (slice(middle), slice(middle, None))
        return [(x[one], y[one], w[one]) for x, y, w in [batch] for one in parts] if middle else [batch]

    def held_out(self) -> float | None:
        return self.held(self.network)

    def state(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.network.load_state_dict(state)

    def weights(self) -> Tensor:
        return torch.cat([p.detach().ravel() for p in self.network.parameters()])


def steps(done: int = 0, pieces: int = 1, size: int = 32) -> Generator[list[Part], None, None]:
    """The rows in order, in steps of `size`, each cut into so many unequal pieces. done: steps to pass over."""
    data, number = rows(), done
    while True:
        places = np.arange(number * size, (number + 1) * size) % ROWS
        cuts = (np.linspace(0, 1, pieces + 1)[1:-1] ** 1.3 * size).astype(int)
        yield [tuple(column[torch.from_numpy(part)] for column in data) for part in np.split(places, cuts)]  # type: ignore[misc]
        number += 1


COURSE = Course(rate=0.01, n_steps=12, seed=3, most_norm=0.1)


# ---- the loop -------------------------------------------------------------------------------------------------------


def gradients(pieces: int, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[float, ...], list[Tensor], Tensor]:
    """The losses, the gradient of each step before it is cut, and the weights at the end."""
    found: list[Tensor] = []
    cut = loop.cut

    def watched(parameters: list[nn.Parameter], weight: float, most: float) -> float:
        found.append(torch.cat([p.grad.ravel() / weight for p in parameters if p.grad is not None]))
        return cut(parameters, weight, most)

    monkeypatch.setattr(loop, "cut", watched)
    given = Small()
    run = train(given, partial(steps, pieces=pieces), COURSE)
    monkeypatch.undo()
    assert given.calls == 12 * pieces
    return run.losses, found, given.weights()


@pytest.mark.parametrize("pieces", [2, 4, 8])
def test_a_step_in_pieces_is_the_same_step(pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = gradients(1, monkeypatch), gradients(pieces, monkeypatch)
    np.testing.assert_allclose(whole[0], cut[0], rtol=1e-6)
    assert max((one - other).abs().max() for one, other in zip(whole[1], cut[1], strict=True)) < 1e-6
    assert max(one.abs().max() for one in whole[1]) > 0.1
    assert (whole[2] - cut[2]).abs().max() < 1e-6


def test_the_loop_does_what_thirty_plain_lines_do() -> None:
    given, plain = Small(), Small()
    run = train(given, steps, COURSE)
    groups = [
        {"params": [p], "share": share, "weight_decay": 0.01 if p.ndim > 1 else 0.0}
        for layer, share in ((0, 0.5), (3, 1.0))
        for p in plain.network[layer].parameters()
    ]
    optimizer, losses, data = torch.optim.AdamW(groups, lr=0.0), [], steps()
    for number in range(12):
        ((x, y, weights),) = next(data)
        loss = (F.cross_entropy(plain.network(x), y, reduction="none") * weights).sum() / weights.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(plain.network.parameters(), 0.1)
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * group["share"] * (1.0 if number == 0 else (12 - number) / 12)
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(run.losses, losses, rtol=1e-6)
    assert (given.weights() - plain.weights()).abs().max() < 1e-6


def test_two_runs_are_the_same_to_the_last_bit_and_another_seed_is_not() -> None:
    torch.manual_seed(5)
    one, again, other = (Small(dropout=0.5) for _ in range(3))
    state = torch.get_rng_state()
    train(one, steps, COURSE)
    assert torch.equal(torch.get_rng_state(), state), "nobody else's random numbers change"
    torch.manual_seed(6)
    train(again, steps, COURSE)
    train(other, steps, Course(rate=0.01, n_steps=12, seed=4, most_norm=0.1))
    assert torch.equal(one.weights(), again.weights())
    assert not torch.equal(one.weights(), other.weights())


@dataclass
class Words:
    """A table of ten words, of which the steps look up some, and a head."""

    lazy: bool
    table: nn.Embedding = field(init=False)

    def __post_init__(self) -> None:
        self.table = nn.Embedding(10, 4, sparse=self.lazy)
        self.table.weight.data = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
        self.head = nn.Parameter(torch.ones(4))

    def groups(self) -> Sequence[Group]:
        return [Group([self.table.weight], 0.5, self.lazy), Group([self.head])]

    def step(self, batch: Tensor) -> tuple[Tensor, float]:
        return (self.table(batch) @ self.head).sum().square(), 2.0

    def halves(self, batch: Tensor) -> Sequence[Tensor]:
        return [batch]

    def held_out(self) -> float | None:
        return None

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        raise AssertionError


def test_of_a_large_table_only_the_rows_that_were_looked_up_move() -> None:
    batches = [torch.tensor([1, 3, 3]), torch.tensor([3, 5])]
    course = Course(rate=0.01, n_steps=2, seed=0, weight_decay=0.0)
    lazy, dense = Words(lazy=True), Words(lazy=False)
    before = lazy.table.weight.detach().clone()
    runs = [train(one, lambda done: ([batch] for batch in batches), course) for one in (lazy, dense)]
    moved = (lazy.table.weight.detach() != before).any(1)
    assert moved.nonzero().flatten().tolist() == [1, 3, 5]
    np.testing.assert_allclose(runs[0].losses, runs[1].losses, rtol=1e-6)
    same = lazy.table.weight - dense.table.weight  # not of 1 and 5: the dense one has momentum there
    assert same[[0, 2, 3, 4, 6]].abs().max() < 1e-6


class Narrow(Small):
    """Memory for ten rows at a time; what is too much fails after some of the gradient has been added."""

    def step(self, batch: Part) -> tuple[Tensor, float]:
        if len(batch[0]) > 10:
            super().step((batch[0][:3], batch[1][:3], batch[2][:3]))[0].backward()
            raise torch.OutOfMemoryError("out of memory")
        return super().step(batch)


def test_where_memory_is_short_batches_are_halved_and_the_steps_stay() -> None:
    whole, narrow = Small(), Narrow()
    runs = [train(one, steps, COURSE) for one in (whole, narrow)]
    np.testing.assert_allclose(runs[0].losses, runs[1].losses, rtol=1e-6)
    assert (whole.weights() - narrow.weights()).abs().max() < 1e-6
    assert runs[1].notes()["batches_halved"] == 2 and "batches_halved" not in runs[0].notes()


def test_memory_that_does_not_suffice_for_one_row_is_an_error() -> None:
    class Full(Small):
        def step(self, batch: Part) -> tuple[Tensor, float]:
            raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        train(Full(), steps, COURSE)


def test_another_fault_is_not_taken_for_a_lack_of_memory() -> None:
    class Faulty(Small):
        def step(self, batch: Part) -> tuple[Tensor, float]:
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        train(Faulty(), steps, COURSE)


def test_a_step_without_a_finite_loss_is_skipped_and_counted() -> None:
    given = Small(spoil=frozenset({2, 5, 6}))
    run = train(given, steps, COURSE)
    assert run.lost == (2, 5, 6) and run.notes()["steps_skipped"] == 3
    assert bool(given.weights().isfinite().all())


def test_a_skipped_step_moves_nothing() -> None:
    seen: list[Tensor] = []

    def held(network: nn.Module) -> float:
        seen.append(torch.cat([p.detach().ravel() for p in network.parameters()]))
        return 1.0

    train(Small(spoil=frozenset({3}), held=held), steps, Course(rate=0.01, n_steps=4, seed=0, n_looks=4))
    assert torch.equal(seen[3], seen[4]) and not torch.equal(seen[2], seen[3])


def test_steps_that_are_all_lost_end_it() -> None:
    with pytest.raises(Diverged, match="20 steps in a row gave no finite loss, from step 3 on"):
        train(Small(spoil=frozenset(range(2, 99))), steps, Course(rate=0.01, n_steps=99, seed=0))


def test_the_best_weights_on_held_out_rows_stay() -> None:
    said = iter([1.0, 0.8, 0.5, 0.7, float("nan"), 0.6])
    seen: list[Tensor] = []

    def held(network: nn.Module) -> float:
        seen.append(torch.cat([p.detach().ravel() for p in network.parameters()]))
        return next(said)

    given = Small(held=held)
    run = train(given, steps, replace(COURSE, n_looks=5))
    assert run.best == 5 and [step for step, _ in run.looked] == [0, 3, 5, 8, 10, 12]
    assert torch.equal(given.weights(), seen[2]) and not torch.equal(seen[2], seen[5])
    assert run.notes()["held_out_losses"][4] == [10, None]


def test_without_held_out_rows_the_last_weights_stay() -> None:
    run = train(Small(), steps, COURSE)
    assert run.best == run.n_steps == 12 and run.looked == ()


def test_half_precision_learns_the_same_and_keeps_whole_weights() -> None:
    whole, half = Small(), Small()
    first = train(whole, steps, COURSE)
    second = train(half, steps, Course(0.01, 12, 3, most_norm=0.1, precision=torch.bfloat16))
    np.testing.assert_allclose(first.losses, second.losses, rtol=0.02)
    assert first.losses != second.losses and half.weights().dtype == torch.float32


@pytest.mark.parametrize(
    ("able", "groups", "wanted"),
    [
        ({}, 1, torch.float32),
        ({"amx_bf16": True}, 1, torch.bfloat16),
        ({"avx512_bf16": True}, 1, torch.bfloat16),
        ({"amx_bf16": True}, 4, torch.float32),
    ],
)
def test_half_precision_is_used_where_the_processor_gains_by_it(
    monkeypatch: pytest.MonkeyPatch, able: dict[str, bool], groups: int, wanted: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert precision("cpu", nn.Sequential(nn.Conv2d(4, 4, 3, groups=groups))) == wanted


def test_progress_is_told_step_by_step_and_the_batches_are_put_away(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    class Listener:
        def start(self, name: str, total: int) -> Callable[[int], None]:
            told.append((name, total))
            return told.append

        def stop(self) -> None:
            told.append("stop")

        def tell(self, message: str) -> None:
            raise AssertionError

    data = steps()
    with listening(Listener()):
        train(Small(), lambda done: data, COURSE)
    assert told == [("tuning the body", 12), *[1] * 12, "stop"]
    assert data.gi_frame is None


# ---- the schedule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [1, 2, 10, 137])
def test_the_rate_rises_for_a_tenth_and_falls_to_nearly_nothing(n_steps: int) -> None:
    shares = [rate_share(step, n_steps) for step in range(n_steps)]
    top = int(np.argmax(shares))
    assert shares[top] == 1.0 and top == max(1, round(0.1 * n_steps)) - 1
    assert np.all(np.diff(shares[: top + 1]) > 0) and np.all(np.diff(shares[top:]) < 0) and shares[-1] > 0
    assert n_steps < 10 or shares[-1] < 0.12


def test_held_out_rows_are_looked_at_evenly_and_at_the_end() -> None:
    assert looks(12, 5) == {3, 5, 8, 10, 12} and looks(3, 5) == {1, 2, 3} and looks(100, 1) == {100}


class Clock:
    """A clock that only work moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def steered(clock: Clock, deadline: float | None, step_s: float, look_s: float, n_steps: int) -> tuple[Any, float]:
    began = clock.now

    def held(network: nn.Module) -> float:
        clock.now += look_s
        return 1.0

    def timed(done: int) -> Generator[list[Part], None, None]:
        for batches in steps(done):
            clock.now += step_s
            yield batches

    course = Course(0.01, n_steps, 0, None if deadline is None else began + deadline)
    return train(Small(held=held), timed, course), clock.now - began


@pytest.mark.parametrize(("deadline", "step_s", "look_s"), [(60, 1, 1), (60, 0.1, 2), (30, 5, 1), (100, 1, 30)])
def test_the_cycle_is_cut_to_end_before_the_deadline(
    monkeypatch: pytest.MonkeyPatch, deadline: float, step_s: float, look_s: float
) -> None:
    run, seconds = steered(Clock(monkeypatch), deadline, step_s, look_s, n_steps=1000)
    assert seconds <= deadline and run.n_steps < run.n_planned == 1000
    assert seconds > 0.5 * deadline or look_s > 0.1 * deadline
    assert run.looked[-1][0] == run.n_steps, "the cycle came to its end"


def test_a_deadline_far_away_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = steered(Clock(monkeypatch), 10_000, 1, 1, n_steps=40)
    assert run.n_steps == 40


def test_without_a_deadline_no_clock_says_how_many_steps_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = steered(Clock(monkeypatch), None, 1e6, 1e6, n_steps=15)
    assert run.n_steps == 15


def paced(clock: Clock, n_steps: int) -> Pace:
    """Of 1,000 steps in 100 s so many are done, a second each, and a look."""
    pace = Pace(clock.now + 100, 1000, 5)
    pace.looked(1.0)
    for done in range(1, n_steps + 1):
        clock.now += 1
        pace.stepped(done)
    return pace


def test_a_machine_that_becomes_slow_is_stopped_with_its_best_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = paced(clock, 10)
    assert 70 < pace.n_steps < 90 and not pace.is_over
    clock.now += 87.5
    assert pace.is_over and schedule._LAST_LOOKS == 3


def test_what_an_interruption_costs_does_not_end_what_was_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    before = paced(clock, 30)
    told = json.loads(json.dumps(before.plain()))
    clock.now += 500
    after = Pace(clock.now - 400, 1000, 5)
    after.resume(told, 30)
    assert after.n_steps == before.n_steps and not after.is_over
    clock.now += 68
    assert after.is_over, "it has the 70 s that were left, and no more"
    free = Pace(clock.now - 1, 40, 5)
    free.resume(json.loads(json.dumps(Pace(None, 40, 5).plain())), 3)
    assert not free.is_over


# ---- batches --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Numbers:
    """Values are lengths; each is read as so many ones, and varied by adding a random number."""

    budget: int = 256
    varies: bool = False

    def load(self, values: Sequence[Any]) -> list[Any]:
        return [BadItem("gone") if value < 0 else np.ones(1 if self.varies else value, np.int64) for value in values]

    def vary(self, values: Sequence[Any], rng: np.random.Generator, *, flip: bool) -> list[Any]:
        return [np.array([value + rng.random() + 1000 * flip]) for value in values]

    def cost(self, ready: NDArray[Any]) -> int:
        return len(ready)

    def stack(self, ready: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        padded = np.zeros((len(ready), max(map(len, ready))))
        for row, one in zip(padded, ready, strict=True):
            row[: len(one)] = one
        return {"x": padded}


def feed(values: Sequence[int], reader: Numbers = Numbers(), seed: int = 0, flip: bool = False) -> Feed:
    places = np.arange(len(values))
    return Feed(Shelf(reader, values, places, 2), places, seed, flip=flip)  # type: ignore[arg-type]


LENGTHS = np.random.default_rng(0).integers(1, 60, 3000).tolist()


def test_every_row_is_learned_from_once_an_epoch() -> None:
    given = feed(LENGTHS)
    batches = given.steps()
    for epoch in range(2):
        seen = [row for _ in given.plan(epoch) for batch in next(batches) for row in batch.rows.tolist()]
        assert sorted(seen) == list(range(3000))
    batches.close()
    first, second = ({frozenset(np.concatenate(step).tolist()) for step in given.plan(epoch)} for epoch in (0, 1))
    assert not first & second, "who is in a step with whom changes"


def test_batches_hold_rows_of_like_length_within_the_budget() -> None:
    plan = feed(LENGTHS).plan(0)
    costs = np.array(LENGTHS)
    padded = real = 0
    for step in plan:
        assert 8 <= sum(map(len, step)) <= 96
        for batch in step:
            padded, real = padded + len(batch) * costs[batch].max(), real + costs[batch].sum()
            assert len(batch) * costs[batch].max() <= 256
    assert padded < 1.1 * real
    means = [costs[np.concatenate(step)].mean() for step in plan]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3, "long and short ones come in no order"


def test_a_step_has_few_rows_only_where_there_are_few() -> None:
    assert [len(group) for group in alike(np.full(70, 500), 1000)] == [16, 16, 16, 22]
    assert [len(group) for group in alike(np.full(130, 1), 1000)] == [64, 66]
    assert [len(group) for group in alike(np.full(3, 1), 1000)] == [3]
    assert [len(group) for group in alike(np.full(100, 25), 1000)] == [40, 40, 20]


def test_a_part_of_an_epoch_is_that_share_of_its_steps() -> None:
    given = feed(LENGTHS)
    whole = len(given.plan(0))
    assert given.count(1) == whole and given.count(2) == whole + len(given.plan(1))
    assert given.count(0.25) == round(0.25 * whole) and given.count(1e-9) == 1


def test_how_a_row_is_varied_depends_on_seed_epoch_and_row_alone() -> None:
    reader = Numbers(varies=True)

    def seen(given: Feed, epochs: int = 1) -> dict[int, float]:
        batches = given.steps()
        found = {}
        for epoch in range(epochs):
            for _ in given.plan(epoch):
                for batch in next(batches):
                    found.update(zip(batch.rows.tolist(), batch.arrays["x"][:, 0].tolist(), strict=True))
        batches.close()
        return found

    first = seen(feed(LENGTHS, reader))
    assert first == seen(feed(LENGTHS, Numbers(budget=64, varies=True))), "nor on how batches are cut"
    assert first != seen(feed(LENGTHS, reader, seed=1)) and first != seen(feed(LENGTHS, reader), epochs=2)
    assert min(seen(feed(LENGTHS, reader, flip=True)).values()) > 1000
    assert set(seen(replace(feed(LENGTHS, reader), vary=False)).values()) == {1}


def test_rows_that_judge_are_seen_once_and_as_they_are() -> None:
    for varies in (False, True):
        given = feed(LENGTHS, Numbers(varies=varies))
        batches = list(given.shelf.once(np.arange(100, 300)))
        assert sorted(row for batch in batches for row in batch.rows) == list(range(100, 300))
        assert all(set(np.unique(batch.arrays["x"])) <= {0, 1} for batch in batches)


def test_a_row_that_can_no_longer_be_read_is_named() -> None:
    with pytest.raises(BadData, match=r"row 2 .* could be read a moment ago, and now not: gone"):
        feed([3, 4, -1])
