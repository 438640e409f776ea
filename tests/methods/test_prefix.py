"""What stays as it is is computed once, and what learns above it learns the same."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tailorbird.bodies import base
from tailorbird.bodies.cut import Cut
from tailorbird.engine.batches import Shelf
from tailorbird.kinds import Method, Modality
from tailorbird.lesson import Lesson, Tailored, Workshop
from tailorbird.methods import _prefix, _tuning
from tailorbird.methods._first import head_first, parts_of, unit_of
from tailorbird.methods._tuning import Tuning
from tailorbird.plug import parse
from tailorbird.store import cache
from tailorbird.types import BodyFolder

N, HELD = 120, 30


@pytest.fixture
def lesson(tiny_bert: BodyFolder, tmp_path: Path) -> Lesson:
    """Texts of many lengths, whose first word tells the label."""
    rng = np.random.default_rng(0)
    values = [f"{'kk' if i % 2 else 'ww'} {'film ' * rng.integers(1, 6)}{i}" for i in range(N)]
    modality = parse("modality", tiny_bert.modality, Modality)
    shop = Workshop(tiny_bert, modality, list(values), ("no", "yes"), tmp_path, 1, "cpu")
    rows, features = np.arange(N), {"last": rng.normal(size=(N, 16)).astype(np.float32)}
    return Lesson(features, rows % 2, 2, np.ones(N, np.float32), rows[HELD:], rows[:HELD], seed=0, workshop=shop)


def tailored(lesson: Lesson, spelling: str) -> Tailored:
    return parse("method", spelling, Method).tailor(lesson)


@pytest.mark.parametrize("method", ["finetune:last=1", "finetune:last=2", "lora:layers=1"])
def test_with_and_without_it_the_same_is_learned(method: str, lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "precision", lambda *_: torch.float32)  # so that what is kept is all that differs
    rate = "epochs=8,rate=0.01"
    with_it, without = (tailored(lesson, f"{method},{rate},prefix={one}") for one in ("yes", "no"))
    notes = [one.head.notes for one in (with_it, without)]
    assert notes[0]["prefix"] is True and "prefix" not in notes[1]
    assert notes[0]["steps"] == notes[1]["steps"] and notes[0]["learned"] == notes[1]["learned"]
    losses = [[loss for _, loss in one["held_out_losses"]] for one in notes]
    assert losses[0] == pytest.approx(losses[1], abs=5e-3) and losses[0] != losses[1], "half precision shows"
    assert losses[0][-1] < 0.9 * losses[0][0], "and something is learned"
    for one in (with_it, without):
        assert one.body is not None
    before, after = (base.build(one.body).weights() for one in (with_it, without) if one.body)
    assert before.keys() == after.keys()
    # Attention does not change with the biases of its keys, so their gradients are noise and AdamW follows it.
    told = [name for name in before if not name.endswith("key.bias")]
    assert all(torch.allclose(before[name], after[name], atol=0.02) for name in told)


def test_each_row_goes_through_the_lower_layers_once(lesson: Lesson, seen: list[int]) -> None:
    tailored(lesson, "finetune:last=1,epochs=5")
    assert sum(seen) == 4 + N, "two twice to see whether it can be cut and kept, and then each row"


@pytest.mark.parametrize("method", ["finetune", "bitfit", "lora", "finetune:last=1,embeddings=yes", "finetune:last=3"])
def test_where_something_below_learns_nothing_is_kept(method: str, lesson: Lesson) -> None:
    few = f"{method}{',' if ':' in method else ':'}epochs=1"
    notes = tailored(lesson, few).head.notes
    assert "prefix" not in notes


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("_LARGEST", 1e-6, "too large for half precision"), ("_MOST_SHARE", 0.0, "might take")],
)
def test_what_cannot_be_kept_is_computed_anew(
    name: str, value: float, said: str, lesson: Lesson, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_prefix, name, value)
    notes = tailored(lesson, "finetune:last=1,epochs=1").head.notes
    assert "prefix" not in notes and notes["steps"] > 0
    assert any(said in line for line in told) and left(lesson) == []


def digested(lesson: Lesson) -> Lesson:
    """The same with the digests of its rows known, as a fit has it."""
    shop = lesson.workshop
    assert shop is not None
    digests = np.stack([np.frombuffer(shop.modality.digest(value), np.uint8) for value in shop.values])
    return replace(lesson, workshop=replace(shop, digests=digests))


def weights_of(model: Tailored) -> dict[str, torch.Tensor]:
    assert model.body is not None
    return base.build(model.body).weights()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows went through the lower layers, call by call."""
    counts: list[int] = []
    below = Cut.below

    def counted(cut: Cut, **arrays: torch.Tensor) -> torch.Tensor:
        counts.append(len(arrays["input_ids"]))
        return below(cut, **arrays)

    monkeypatch.setattr(Cut, "below", counted)
    return counts


def test_what_was_computed_once_is_taken_from_the_cache_and_gives_the_same_bits(
    lesson: Lesson, seen: list[int]
) -> None:
    lesson, method = digested(lesson), "finetune:last=1,epochs=3"
    first = tailored(lesson, method)
    n_first = sum(seen)
    again = tailored(lesson, method)
    assert n_first == 4 + N and sum(seen) - n_first == 4, "only two are looked at to see whether it can be cut"
    one, other = weights_of(first), weights_of(again)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [entry.about["what"] for entry in cache.entries()] == ["states"] and cache.entries()[0].rows == N
    assert left(lesson) == []


@pytest.mark.parametrize("what", ["rows", "threads", "layers"])
def test_of_anything_else_it_is_computed_anew(what: str, lesson: Lesson, seen: list[int]) -> None:
    lesson = digested(lesson)
    tailored(lesson, "finetune:last=1,epochs=1")
    n_first, shop = sum(seen), lesson.workshop
    assert shop is not None and shop.digests is not None
    if what == "rows":
        tailored(replace(lesson, train=lesson.train[:-1]), "finetune:last=1,epochs=1")
    elif what == "threads":
        tailored(replace(lesson, workshop=replace(shop, threads=2)), "finetune:last=1,epochs=1")
    else:
        tailored(lesson, "finetune:last=2,epochs=1")
    assert sum(seen) - n_first >= N


def test_rows_that_changed_meanwhile_are_not_kept(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tuning, "_is_still", lambda _, row: row != 7)
    assert tailored(digested(lesson), "finetune:last=1,epochs=1").head.notes["prefix"] is True
    assert cache.entries() == []


def left(lesson: Lesson) -> list[str]:
    """Files of hidden states that are still there."""
    assert lesson.workshop is not None
    return [path.name for path in lesson.workshop.folder.glob("prefix-*")]


def test_a_full_disk_costs_time_alone(lesson: Lesson, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(prefix: _prefix.Prefix, *_: Any) -> bool:
        prefix._path.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_prefix.Prefix, "_written", full)
    notes = tailored(lesson, "finetune:last=1,epochs=1").head.notes
    assert "prefix" not in notes and notes["steps"] > 0 and left(lesson) == []
    assert any("is not kept" in line and "disk is full" in line for line in told)


def test_where_time_is_short_it_is_left_out(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_prefix, "_TIMED_ROWS", 1)
    monkeypatch.setattr(_prefix, "_MOST_TIME", 0.0)
    hurried = replace(lesson, deadline=time.monotonic() + 60)
    assert "prefix" not in tailored(hurried, "finetune:last=1,epochs=2").head.notes and left(lesson) == []
    assert "prefix" not in tailored(lesson, "finetune:last=1,epochs=0.5").head.notes, "less than a look at each row"


def test_halves_of_a_batch_are_as_long_as_the_whole(lesson: Lesson) -> None:
    shop = lesson.workshop
    assert shop is not None
    method = parse("method", "finetune:last=1", Tuning)
    parts = parts_of(lesson)
    learner, feed = method._prepared(lesson, shop, parts, head_first(lesson, parts), unit_of(lesson, parts.learn))
    batch = next(feed.steps())[0]
    loss, _ = learner.step(batch)
    assert learner.keep_below(np.arange(N), _prefix.Terms(shop.folder, "cpu", torch.float32))
    halves = learner.halves(batch)
    assert len(halves) == 2 and halves[0].arrays["input_ids"].shape[1] == halves[1].arrays["input_ids"].shape[1]
    with_it = sum(float(learner.step(half)[0].detach()) for half in halves)
    assert with_it == pytest.approx(float(loss.detach()), rel=1e-3)


def test_a_body_that_carries_more_upwards_is_computed_whole(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cut, "agrees", lambda *_, **__: False)
    assert "prefix" not in tailored(lesson, "finetune:last=1,epochs=1").head.notes


def test_rows_come_back_as_long_as_they_were(tiny_bert: BodyFolder, lesson: Lesson, tmp_path: Path) -> None:
    shop = lesson.workshop
    assert shop is not None
    shelf = Shelf(shop.modality.reader(tiny_bert), shop.values, np.arange(N), 1)
    body = base.build(tiny_bert)
    prefix = _prefix.Prefix(Cut(body, 2), np.arange(N), _prefix.Terms(tmp_path, "cpu", torch.float32))
    assert prefix.fill(shelf)
    batch = shelf.plain(np.array([3, 50, 7]))
    given = {name: torch.from_numpy(array) for name, array in batch.arrays.items()}
    with torch.no_grad():
        kept, whole = prefix.above(batch, given), body.last(**given)
    assert torch.allclose(kept, whole, atol=5e-3) and not torch.equal(kept, whole)
    n_tokens = sum(int(shelf.costs(np.array([i]))[0]) for i in range(N))
    assert prefix._states is not None
    assert prefix._states.rows.nbytes == 2 * 16 * n_tokens, "two bytes a number, and no padding"
