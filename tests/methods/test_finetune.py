"""The body learns with the head, and what is written answers as what learned."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from tailorbird.bodies import base
from tailorbird.engine.batches import Shelf
from tailorbird.engine.features import columns, encode
from tailorbird.engine.loop import train
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Encoder, Method, Modality, Runtime, Source
from tailorbird.lesson import Head, Lesson, Link, Tailored, Workshop
from tailorbird.methods import _network, _tuning, _whole
from tailorbird.methods._first import head_first, parts_of, unit_of
from tailorbird.methods._mirror import may_flip
from tailorbird.methods._network import Learner, Network, Targets, judged
from tailorbird.methods._tuning import Tuning
from tailorbird.methods.finetune import Finetune
from tailorbird.plug import parse
from tailorbird.store.bodies import open_body, write_body
from tailorbird.types import BodyFolder, Value

N = 240


def texts(n: int = N, seed: int = 0) -> tuple[list[Value], NDArray[np.int64]]:
    """Words among noise: "wk" or "kw", and "jz" or "zj", as two bits."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(4, size=n)
    letters = np.array(list("abcdefgh "))
    made = []
    for bit in bits:
        words = ["".join(rng.choice(letters, 3)) for _ in range(rng.integers(3, 6))]
        words += ["kw" if bit & 1 else "wk", "zj" if bit >> 1 else "jz"]
        made.append(" ".join(rng.permutation(words)))
    return made, bits


def pictures(n: int = 120, seed: int = 0) -> tuple[list[Value], NDArray[np.int64]]:
    """Noise, in which stripes run along or across."""
    rng = np.random.default_rng(seed)
    bits, made = rng.integers(2, size=n), []
    for bit in bits:
        stripes = np.broadcast_to(np.arange(32) // 2 % 2 * 60, (32, 32))
        grey = (rng.integers(150, size=(32, 32)) + (stripes if bit else stripes.T)).astype(np.uint8)
        made.append(np.repeat(grey[..., None], 3, -1))
    return list(made), bits


def opened(body: BodyFolder) -> Encoder:
    return parse("runtime", "torch", Runtime).open(body, None, 1, "cpu")


def features(body: BodyFolder, values: list[Value]) -> dict[str, NDArray[np.float32]]:
    encoder = opened(body)
    found, errors = encode(encoder, parse("modality", body.modality, Modality).reader(body), values, threads=1)
    assert not errors
    return {name: columns(encoder.depths, (name,), found) for name, _ in encoder.depths}


def lesson(folder: Path, body: BodyFolder | str = "toy:text", link: Link = "softmax", n_validation: int = 60) -> Lesson:
    given = parse("source", body, Source).open() if isinstance(body, str) else body
    modality = parse("modality", given.modality, Modality)
    values, bits = pictures() if modality.name == "image" else texts()
    y: NDArray[Any] = bits & 1
    if link == "sigmoid":
        y = np.stack([bits & 1, bits >> 1, bits * 0], 1).astype(np.float32)
    elif link == "identity":
        y = 1e6 + 1000.0 * bits[:, None].astype(np.float64)
    shop = Workshop(given, modality, values, ("no", "yes"), folder, 1, "cpu")
    rows = np.arange(len(values))
    weights = np.ones(len(values), np.float32)
    n_labels = {"softmax": 2, "sigmoid": 3, "identity": 1}[link]
    train, validation = rows[n_validation:], rows[:n_validation]
    return Lesson(features(given, values), y, n_labels, weights, train, validation, 0, link=link, workshop=shop)


def unjudged(folder: Path, body: BodyFolder) -> Lesson:
    """A lesson of so few rows that none is held out: what was learned last stays."""
    given = lesson(folder, body, n_validation=0)
    return replace(given, train=given.train[:40])


def shop(given: Lesson) -> Workshop:
    assert given.workshop is not None
    return given.workshop


def tailored(given: Lesson, spelling: str) -> Tailored:
    return parse("method", spelling, Method).tailor(given)


def answers(done: Tailored, values: list[Value]) -> NDArray[np.float64]:
    assert done.body is not None
    return done.head.scores(features(done.body, values)["last"])


QUICK = "finetune:epochs=8,rate=0.01"


# ---- what is learned ------------------------------------------------------------------------------------------------


def test_a_body_learns_what_its_frozen_features_hardly_tell(tmp_path: Path) -> None:
    given = lesson(tmp_path)
    done, probe = tailored(given, "finetune:epochs=20,rate=0.02"), tailored(given, "probe:last")
    values, bits = texts(400, seed=1)
    right = (answers(done, values).argmax(1) == bits & 1).mean()
    frozen = (probe.head.scores(features(shop(given).body, values)["last"]).argmax(1) == bits & 1).mean()
    assert frozen < 0.9 < 0.95 < right, (frozen, right)


@pytest.mark.parametrize("link", ["softmax", "sigmoid", "identity"])
@pytest.mark.parametrize("body", ["toy:text", "toy:image", "bert"])
def test_what_is_written_answers_as_what_learned(
    tmp_path: Path, link: Link, body: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = lesson(tmp_path, request.getfixturevalue("tiny_bert") if body == "bert" else body, link)
    kept: list[Any] = []
    written = _tuning._written
    monkeypatch.setattr(_tuning, "_written", lambda *given: kept.append(given[1]) or written(*given))
    done = tailored(given, "finetune:epochs=2,rate=0.01")
    (learner,), rows = kept, np.arange(60)
    outputs = learner.outputs(rows)
    same = Head(("last",), np.eye(outputs.shape[1], dtype=np.float32), np.zeros(1, np.float32), 1.0, {}, link)
    if link == "identity":
        y = given.y[given.train, 0]
        expected = outputs * y.std() + y.mean()
        np.testing.assert_allclose(answers(done, list(shop(given).values[:60])), expected, atol=1e-5 * y.std())
        assert done.head.temperature == 1 and done.head.scale == pytest.approx(y.std(), rel=0.1)
    else:
        expected = same.scores(outputs / done.head.temperature)
        np.testing.assert_allclose(answers(done, list(shop(given).values[:60])), expected, atol=1e-5)
    assert done.head.depths == ("last",) and done.head.link == link and done.head.weight.dtype == np.float32
    assert json.loads(json.dumps(dict(done.head.notes))) == done.head.notes


def test_a_body_learns_as_in_thirty_plain_lines(
    tmp_path: Path, tiny_bert: BodyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tricks are off: no half precision, no dear table that is looked up sparsely."""
    monkeypatch.setattr(base, "precision", lambda *_: torch.float32)
    given = lesson(tmp_path, tiny_bert)
    method, parts = parse("method", "finetune:epochs=3", Tuning), parts_of(given)
    start, unit = head_first(given, parts), unit_of(given, parts.learn)
    learner, feed = method._prepared(given, shop(given), parts, start, unit)
    run = train(learner, feed.steps, method._course(given, learner, feed))

    body = base.build(tiny_bert).eval()
    reader = shop(given).modality.reader(tiny_bert)
    weight, bias = (torch.from_numpy(x.astype(np.float32)).requires_grad_() for x in unit.inside(start))
    stages = [list(stage) for stage in body.stages()]
    stages[-1] += [weight, bias]
    groups = []
    for i, stage in enumerate(stages):
        for p in stage:
            p.requires_grad_(True)
            decay = 0.01 if p.ndim > 1 else 0.0
            groups.append({"params": [p], "share": 0.9 ** (len(stages) - 1 - i), "weight_decay": decay})
    optimizer, losses = torch.optim.AdamW(groups, lr=0.0), []
    steps = [np.concatenate(step) for epoch in range(3) for step in feed.plan(epoch)]
    rise = max(1, round(0.1 * len(steps)))
    for number, rows in enumerate(steps):
        loaded: list[Any] = reader.load([shop(given).values[row] for row in rows])
        tokens = {name: torch.from_numpy(array) for name, array in reader.stack(loaded).items()}
        loss = F.cross_entropy(body.last(**tokens) @ weight + bias, torch.from_numpy(given.y[rows]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for stage in stages for p in stage], 1.0)
        share = (number + 1) / rise if number < rise else (len(steps) - number) / (len(steps) - rise + 1)
        for group in optimizer.param_groups:
            group["lr"] = 2e-4 * group["share"] * share
        optimizer.step()
        losses.append(loss.item())
    assert len(losses) == run.n_steps > 10
    np.testing.assert_allclose(run.losses, losses, atol=1e-6)
    assert losses[-1] != pytest.approx(losses[0], abs=1e-3), "something is learned"


@pytest.mark.parametrize(
    ("method", "keeps_below", "times"),
    [
        ("finetune", False, 6),
        ("bitfit", False, 4),
        ("finetune:last=1", True, 2),
        ("finetune:last=1", False, 2 + 4 / 3),
        ("finetune:last=2", True, 4),
    ],
)
def test_a_plan_counts_two_operations_for_each_weight_and_way(
    method: str, keeps_below: bool, times: float, tiny_bert: BodyFolder
) -> None:
    """Of three layers: forward through those that are computed, back to the lowest that learns, and to its weights."""
    network = Network(base.build(tiny_bert), np.zeros((16, 2)), np.zeros(2))
    n = sum(p.numel() for layer in base.layers_of(network.body) for p in layer.parameters() if p.ndim > 1)
    network.learn(parse("method", method, Tuning).stages(network.body, "bert", 0))
    assert _network.operations_a_token(network, keeps_below=keeps_below) == pytest.approx(times * n)


def test_numbers_far_from_nought_are_learned(tmp_path: Path) -> None:
    given = lesson(tmp_path, link="identity")
    values, bits = texts(200, seed=1)
    done = tailored(given, "finetune:epochs=20,rate=0.01")
    error = np.abs(answers(done, values)[:, 0] - (1e6 + 1000 * bits))
    assert error.mean() < 600  # half of what the mean of all would miss by: 1000


def test_labels_that_come_together_get_a_cut(tmp_path: Path) -> None:
    given = lesson(tmp_path, link="sigmoid")
    values, bits = texts(200, seed=1)
    done = tailored(given, "finetune:epochs=20,rate=0.01")
    given_labels = answers(done, values) >= done.head.cut
    truth = np.stack([bits & 1, bits >> 1, bits * 0], 1)
    assert (given_labels == truth).mean() > 0.9 and 0 < done.head.cut < 1


def test_the_same_lesson_gives_the_same_body_to_the_last_bit(tmp_path: Path, tiny_bert: BodyFolder) -> None:
    given = unjudged(tmp_path, tiny_bert)
    one, again = tailored(given, "finetune:epochs=1"), tailored(given, "finetune:epochs=1")
    other = tailored(replace(given, seed=1), "finetune:epochs=1")
    assert one.body and again.body and other.body
    assert one.body.fingerprint == again.body.fingerprint != other.body.fingerprint
    assert one.head.weight.tobytes() == again.head.weight.tobytes() and one.body.folder != again.body.folder


def noisy(given: Lesson) -> Lesson:
    """The same rows with labels that nothing tells."""
    return replace(given, y=np.random.default_rng(99).integers(2, size=N))


def test_rows_with_more_weight_count_for_more(tmp_path: Path) -> None:
    given = noisy(lesson(tmp_path))
    heavy = replace(given, row_weights=np.where(given.y == 1, 20, 1).astype(np.float32))
    shares = [(answers(tailored(one, QUICK), texts(200, 1)[0]).argmax(1) == 1).mean() for one in (given, heavy)]
    assert shares[0] < 0.8 < 0.95 < shares[1], shares


def test_what_is_kept_is_never_worse_on_the_rows_that_judge_than_the_head_it_began_with(tmp_path: Path) -> None:
    notes = tailored(noisy(lesson(tmp_path)), "finetune:epochs=40,rate=0.05").head.notes
    losses = dict(notes["held_out_losses"])
    assert losses[notes["best_after_steps"]] == min(losses.values()) < losses[notes["steps"]]
    assert losses[0] < losses[notes["steps"]], "it had learned by heart"


# ---- which layers ---------------------------------------------------------------------------------------------------


def changed(before: BodyFolder, after: BodyFolder) -> list[bool]:
    """Of each stage, whether any of its weights did."""
    pairs = zip(base.build(before).stages(), base.build(after).stages(), strict=True)
    return [any(not torch.equal(a, b) for a, b in zip(one, other, strict=True)) for one, other in pairs]


@pytest.mark.parametrize(
    ("spelling", "learned"),
    [
        ("finetune:epochs=1", [True, True, True, True]),
        ("finetune:epochs=1,embeddings=no", [False, True, True, True]),
        ("finetune:1,epochs=1", [False, False, False, True]),
        ("finetune:last=2,epochs=1", [False, False, True, True]),
        ("finetune:last=3,epochs=1,embeddings=yes", [True, True, True, True]),
    ],
)
def test_only_the_layers_that_were_named_learn(
    tmp_path: Path, tiny_bert: BodyFolder, spelling: str, learned: list[bool]
) -> None:
    done = tailored(unjudged(tmp_path, tiny_bert), f"{spelling},rate=0.001")
    assert done.body is not None
    assert changed(tiny_bert, done.body) == learned


def test_embeddings_that_dwarf_the_layers_stay(
    tmp_path: Path, tiny_bert: BodyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_whole, "_LARGE_BELOW", 0.5)
    done = tailored(unjudged(tmp_path, tiny_bert), "finetune:epochs=1")
    assert done.body is not None and changed(tiny_bert, done.body) == [False, True, True, True]


def test_more_layers_than_there_are_is_a_mistake_told_with_a_way_out(tiny_bert: BodyFolder) -> None:
    with pytest.raises(BadSpelling, match=r"'finetune:99' names 99 layers, and toy:bert has 3 layers") as caught:
        parse("method", "finetune:last=99", Method).check(tiny_bert)
    assert caught.value.hint == "--method finetune:3"
    for fine in ("finetune", "finetune:3"):
        parse("method", fine, Method).check(tiny_bert)


def learner(body: BodyFolder, decay: float = 1.0) -> Learner:
    """Of four rows, whose last one counts three times."""
    rows = np.arange(4)
    network = Network(base.build(body), np.random.default_rng(0).standard_normal((16, 2)), np.zeros(2))
    reader = parse("modality", body.modality, Modality).reader(body)
    targets = Targets("softmax", rows % 2, rows % 2, np.array([1, 1, 1, 3], np.float32))
    made = Learner(network, targets, Shelf(reader, ["warm", "dull", "a film", "long"], rows, 1), rows, "cpu")
    made.graded(network.body.stages()[1:], decay)
    return made


def test_lower_layers_learn_more_slowly(tiny_bert: BodyFolder) -> None:
    assert [group.share for group in learner(tiny_bert, decay=0.5).groups()] == [0.25, 0.5, 1.0]


def test_a_row_of_weight_three_is_three_rows(tiny_bert: BodyFolder) -> None:
    made = learner(tiny_bert)
    made.network.eval()
    outputs = made.outputs(np.arange(4)).astype(np.float64)
    losses = np.log(np.exp(outputs).sum(1)) - outputs[np.arange(4), np.arange(4) % 2]
    with torch.no_grad():
        loss, weight = made.step(made._shelf.plain(np.arange(4)))
    assert weight == 6 and float(loss) == pytest.approx(losses @ [1, 1, 1, 3], rel=1e-5)


def test_weights_are_judged_by_their_loss_at_the_best_temperature() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=500)
    outputs = 0.7 * np.eye(3)[y] + rng.standard_normal((500, 3))
    weights = np.ones(500, np.float32)
    (warmth, loss), (sure, same) = (judged("softmax", factor * outputs, y, weights) for factor in (1.0, 4.0))
    assert sure == pytest.approx(4 * warmth, rel=1e-3) and same == pytest.approx(loss, rel=1e-6)
    assert judged("identity", outputs[:, :1], outputs[:, 1:2], weights)[0] == 1.0


def test_convolutions_learn_at_a_higher_rate(tmp_path: Path, tiny_bert: BodyFolder) -> None:
    given = (lesson(tmp_path, "toy:image"), lesson(tmp_path, tiny_bert))
    assert [tailored(one, "finetune:epochs=1").head.notes["rate"] for one in given] == [5e-4, 2e-4]
    assert tailored(given[1], "finetune:1,epochs=1").head.notes["rate"] == 2e-4


def test_nothing_drops_out(tiny_bert: BodyFolder) -> None:
    network = Network(base.build(tiny_bert).train(), np.zeros((16, 2)), np.zeros(2))
    network.learn(network.body.stages())
    assert not any(module.training for module in network.modules())


def test_the_head_answers_in_full_precision_where_the_body_does_not(tiny_bert: BodyFolder) -> None:
    network = Network(base.build(tiny_bert), np.full((16, 2), 1 / 3), np.zeros(2)).eval()
    ids = torch.arange(8)[None]
    with torch.autocast("cpu", torch.bfloat16):
        answers = network({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    assert answers.dtype == torch.float32 and not torch.equal(answers, answers.bfloat16().float())


def test_statistics_of_batch_norms_stay_as_they_were(tmp_path: Path) -> None:
    from transformers import ResNetConfig, ResNetModel

    folder = tmp_path / "resnet"
    sizes = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "embedding_size": 8, "layer_type": "basic"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ResNetModel(ResNetConfig(**sizes)).save_pretrained(folder)
    settings = {"pixel_mean": [127.0] * 3, "pixel_std": [128.0] * 3}
    made = {"spelling": "toy:resnet", "architecture": "transformers", "modality": "image:size=32"}
    body = write_body(folder, **made, settings=settings, card={})
    done = tailored(unjudged(tmp_path, body), "finetune:epochs=1,rate=0.001")
    assert done.body is not None and changed(body, done.body) == [True] * 5
    before, after = (dict(base.build(one).named_buffers()) for one in (body, done.body))
    assert all(torch.equal(before[name], after[name]) for name in before)


# ---- the rest -------------------------------------------------------------------------------------------------------


def test_the_body_is_written_whole_into_the_workshop_and_tells_where_it_came_from(tmp_path: Path) -> None:
    given = lesson(tmp_path / "shop")
    body = shop(given).body
    done = tailored(given, "finetune:epochs=1")
    assert done.body is not None and done.body.folder.parent == tmp_path / "shop"
    assert open_body(done.body.folder) == done.body and done.body.fingerprint != body.fingerprint
    assert done.body.card["learned"] == "method finetune:epochs=1.0"
    assert done.body.card["learned_from"] == body.fingerprint


@pytest.mark.parametrize(
    ("n", "held"), [(180, "a fifth of the training clusters"), (40, "nothing: rows are too few to judge on")]
)
def test_without_validation_rows_some_clusters_judge_or_nothing_does(tmp_path: Path, n: int, held: str) -> None:
    given = lesson(tmp_path, n_validation=0)
    given = replace(given, train=given.train[:n], clusters=np.arange(N) // 2)
    done = tailored(given, "finetune:epochs=1")
    assert done.head.notes["held_out"] == held
    parts = parts_of(given)
    assert set(parts.learn) | set(parts.held) == set(given.train)
    assert not set(given.clusters[parts.learn]) & set(given.clusters[parts.held])  # type: ignore[index]
    assert done.head.notes["steps"] > 0 and (len(parts.held) > 0) == (done.head.temperature != 1.0)


def test_few_rows_are_seen_more_often(tmp_path: Path) -> None:
    given = lesson(tmp_path)
    few, fixed = (tailored(given, spelling).head.notes["steps"] for spelling in ("finetune", "finetune:epochs=2"))
    assert few == 5 * fixed


def test_a_deadline_that_has_passed_gives_the_head_on_the_body_as_it_was(tmp_path: Path) -> None:
    given = lesson(tmp_path)
    done = tailored(replace(given, deadline=time.monotonic() - 1), QUICK)
    assert done.head.notes["steps"] == 0 and done.head.notes["best_after_steps"] == 0
    assert not any(changed(shop(given).body, done.body))  # type: ignore[arg-type]


def test_a_rate_that_leads_nowhere_is_told_with_a_lower_one(tmp_path: Path) -> None:
    with pytest.raises(BadSpelling, match="steps in a row gave no finite loss") as caught:
        tailored(lesson(tmp_path), "finetune:epochs=50,rate=1e38")
    assert caught.value.hint == "--method finetune:epochs=50.0,rate=1e+37"
    parse("method", caught.value.hint.removeprefix("--method "), Method)


@pytest.mark.parametrize("field", ["last=0", "rate=0", "epochs=0", "decay=1.5", "flip=maybe"])
def test_fields_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(BadSpelling, match=field.partition("=")[0]):
        parse("method", f"finetune:{field}", Method)


def test_the_shortest_spelling_names_the_layers() -> None:
    assert parse("method", "finetune:last=3", Method) == Finetune(last=3) == parse("method", "finetune:3", Method)
    assert Finetune().spelling() == "finetune" and Finetune(last=3).spelling() == "finetune:3"


@pytest.mark.parametrize("labels", [("cat", "dog"), ("bright", "upright"), ("value",), ("T-shirt", "Bag"), ("Bleft",)])
def test_pictures_are_mirrored_where_no_label_tells_directions(labels: tuple[str, ...]) -> None:
    assert may_flip(labels)


@pytest.mark.parametrize(
    ("fields", "varied"),
    [("epochs=3", True), ("epochs=2", False), ("epochs=2,augment=yes", True), ("augment=no", False)],
)
def test_pictures_are_varied_where_each_is_seen_often(fields: str, varied: bool, tmp_path: Path) -> None:
    told = tailored(lesson(tmp_path, "toy:image"), f"finetune:{fields}").head.notes
    assert told["augment"] is varied
    assert "augment" not in tailored(lesson(tmp_path), "finetune:epochs=1").head.notes, "texts stay as they are"


DIRECTIONS = "turn left|TurnRight|arrow_left|clockwise|linksabbiegen|virage à gauche|WESTBOUND"


@pytest.mark.parametrize("label", ["0", "12", "b", "A", "é", *DIRECTIONS.split("|")])
def test_digits_letters_and_directions_are_never_mirrored(label: str) -> None:
    assert not may_flip(("Bag", label))
