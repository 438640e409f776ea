"""What the adapt benchmarks stand on, on made rows: their clocks, their rows, and the peers' code."""

from __future__ import annotations

import csv
import gzip
import struct
import time
from collections.abc import Iterator
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def race() -> Any:
    import _race

    return _race


def test_time_that_is_left_out_is_not_counted(race: Any) -> None:
    watch = race.Stopwatch()
    with watch.paused():
        time.sleep(0.2)
    assert watch.seconds() < 0.2


def test_an_accuracy_is_reached_when_it_is_first_seen(race: Any) -> None:
    outcome = race.Outcome(0.85, 100, 4.0, ((1.0, 0.79), (2.0, 0.86), (3.0, 0.84), (4.0, 0.87)))
    assert [outcome.seconds_to(level) for level in (80, 86, 87, 88)] == [2.0, 2.0, 4.0, None]


def test_a_round_that_never_reached_it_is_slower_than_all_others(race: Any) -> None:
    assert race.median_or_none([3.0, None, 1.0]) == 3.0
    assert race.median_or_none([None, 1.0, None]) is None


def test_each_way_runs_in_a_process_of_its_own(race: Any) -> None:
    outcome = race.alone(partial(race.Outcome, 0.5, 10, 1.0, ()), 7)  # the round's number falls on `cut`
    assert outcome.cut == 7 and outcome.peak_mib > 1


def test_a_table_says_what_was_cut_and_what_was_measured_on_fewer_rows(race: Any) -> None:
    whole = race.Outcome(0.86, 200, 5.0, ((5.0, 0.86),))
    cut = race.Outcome(0.80, 100, 9.0, ((9.0, 0.80),), cut="stopped after 1 of 3 steps")
    shown = race.table({name: race.summary([one], (80, 86)) for name, one in (("ours", whole), ("peer", cut))})
    assert "| ours | 86.0 (80.5 to 90.1) | 5 | 5 | 5 | 0 |" in shown  # Wilson's interval of 172 in 200
    assert "peer: stopped after 1 of 3 steps" in shown and "peer: measured on 100 of the 200 test rows" in shown


def test_a_table_says_where_the_time_went_and_how_the_loss_fell(race: Any) -> None:
    notes = {"stages": {"read": 1.2, "fit": 30.4}, "head": {"held_out_losses": [[0, 0.44], [150, None]]}}
    shown = race.table({"ours": race.summary([race.Outcome(0.8, 9, 32.0, (), notes=notes)], (80,))})
    assert "ours, seconds: read 1, fit 30" in shown
    assert "ours, held-out loss after 0, 150 steps: 0.440, not finite" in shown


def test_no_test_text_means_the_same_as_one_that_is_learned_from(tmp_path: Path, monkeypatch: Any) -> None:
    import adapt_text

    texts = [f"film number {i // 2}{'!' * (i % 2)}" for i in range(60)]  # each with a twin
    with (tmp_path / "all.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "rating", "sentiment"), *((text, "1", "pos") for text in texts)])
    monkeypatch.setattr(adapt_text.samples, "open", lambda name: tmp_path / "all.csv")
    monkeypatch.setattr(adapt_text, "N_TEST", 10)
    assert adapt_text.write_rows(tmp_path) == {"train": 20, "test": 10}
    (train, _), (test, _) = (adapt_text.read_rows(tmp_path / f"{part}.csv") for part in ("train", "test"))
    assert set(train) | set(test) == set(texts[::2])


def test_the_aim_is_judged_round_by_round(race: Any) -> None:
    import adapt_text

    ours = [race.Outcome(0.86, 9, 40.0, ((40.0, 0.86),)), race.Outcome(0.85, 9, 40.0, ((40.0, 0.85),))]
    theirs = [race.Outcome(0.86, 9, 150.0, ((100.0, 0.861), (150.0, 0.86)))] * 2
    told = adapt_text.ratio({"finetune": ours, "trainer": theirs})
    assert told["rounds"] == [0.4, None] and "missed" in adapt_text.verdict(told)
    assert "0.40" in adapt_text.verdict(adapt_text.ratio({"finetune": ours[:1], "trainer": theirs}))


def test_words_are_counted(tmp_path: Path) -> None:
    import adapt_text

    for part in ("train", "test"):
        with (tmp_path / f"{part}.csv").open("w", newline="") as file:
            rows = [("good film", "pos"), ("bad film", "neg")] * 5
            csv.writer(file).writerows([("text", "sentiment"), *rows])
    assert adapt_text.tfidf(tmp_path, 0).accuracy == 1


@pytest.fixture
def few_threads() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def clothes(tmp_path: Path) -> Path:
    """Fashion-MNIST in small: a folder with 640 rows to learn from, light or dark, and 16 to test on."""
    (tmp_path / "all").mkdir()
    for part, n in (("train", 640), ("t10k", 16)):
        y = np.arange(n, dtype=np.uint8) % 2
        x = np.full((n, 28, 28), 40, np.uint8) + (170 * y)[:, None, None]
        x[:, 0, 0] = np.arange(n) % 256  # tells the rows apart
        _write(tmp_path / "all" / f"{part}-images-idx3-ubyte.gz", struct.pack(">4I", 0x803, n, 28, 28), x)
        _write(tmp_path / "all" / f"{part}-labels-idx1-ubyte.gz", struct.pack(">2I", 0x801, n), y)
    return tmp_path / "all"


def _write(path: Path, header: bytes, array: Any) -> None:
    with gzip.open(path, "wb") as file:
        file.write(header + array.tobytes())


def test_the_first_rows_are_learned_from_and_all_are_tested(clothes: Path, tmp_path: Path) -> None:
    import adapt_image

    (tmp_path / "some").mkdir()
    adapt_image.write_rows(clothes, tmp_path / "some", 8)
    (x, y), (test_x, test_y) = adapt_image.read_parts(tmp_path / "some")
    assert y == [0, 1] * 4 and [picture[0, 0] for picture in x] == list(range(8))
    assert len(test_x) == len(test_y) == 16


@pytest.mark.usefixtures("few_threads")
def test_lenet_learns_light_from_dark(clothes: Path) -> None:
    import adapt_image

    outcome = adapt_image.lenet(clothes, 5, inf, 1, 0)
    assert outcome.accuracy == 1 and len(outcome.curve) == 5 and outcome.cut == "stopped after 5 of 10 epochs"


@pytest.mark.filterwarnings("ignore::UserWarning")  # of the peer's, about memory that only a GPU could pin
@pytest.mark.usefixtures("few_threads")
def test_the_peer_follows_its_defaults_until_it_is_stopped() -> None:
    pytest.importorskip("accelerate")
    import _trainer
    import torch
    from _race import Stopwatch

    torch.set_num_threads(1)
    rows = [{"pixels": np.full(4, i % 2, np.float32), "labels": i % 2} for i in range(80)]
    model = _trainer.PictureClassifier(torch.nn.Linear(4, 6), 3, 2)
    outcome = _trainer.run(model, (rows, rows[:20]), _trainer.Limits(4, 6), Stopwatch(), 0)
    assert outcome.cut == "stopped after 6 of 30 steps"  # 80 rows in batches of 8, three times
    assert outcome.notes["evaluated_at_steps"] == [4, 6] and outcome.n_test == 20
    assert 0 < outcome.curve[0][0] <= outcome.curve[1][0] and outcome.accuracy == outcome.curve[1][1]
