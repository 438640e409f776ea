"""fit and check where all rows belong to two, three or four groups."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import tailorbird as tb

TOY: dict[str, Any] = {"target": "label", "group": "patient", "model": "toy:text", "threads": 1}


def grouped(path: Path, n: int, n_groups: int) -> Path:
    """Made sentences that one word tells apart, both kinds in every group."""
    dice = random.Random(0)
    words = ["film", "actor", "story", "light", "road", "music", "dog", "river", "house", "song"]
    told = [("good", "pos"), ("bad", "neg")]
    kinds = [(f"{' '.join(dice.choices(words, k=6))} {dice.random()}", *told[i % 2]) for i in range(n)]
    lines = [f"{text} {word},{label},p{i // 2 % n_groups}\n" for i, (text, word, label) in enumerate(kinds)]
    path.write_text("".join(["text,label,patient\n", *lines]))
    return path


@pytest.mark.parametrize(
    ("method", "n", "n_groups"), [("probe", 60, 2), ("finetune:epochs=1", 60, 3), ("auto", 240, 4)]
)
def test_few_groups_are_learned_from_and_each_is_measured_by_the_others(
    method: str, n: int, n_groups: int, tmp_path: Path
) -> None:
    data = grouped(tmp_path / "data.csv", n, n_groups)
    p = tb.fit(data, out=tmp_path / "model", method=method, runtime="torch", **TOY)
    assert p.report is not None and p.report.rows == {"train": n, "validation": 0, "test": n}


def test_two_groups_are_examined(tmp_path: Path) -> None:
    told = tb.check(grouped(tmp_path / "data.csv", 60, 2), **TOY)
    assert told.parts == {"train": 60, "folds": 2}
