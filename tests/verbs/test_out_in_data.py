"""fit where the model goes into the folder that it is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tailorbird as tb
from tailorbird.types import Report


def test_a_model_among_its_own_pictures_is_none_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0)
    for i in range(24):
        label, colour = (("red", 0), ("blue", 2))[i % 2]
        pixels = noise.integers(0, 80, (48, 40, 3), dtype=np.uint8)
        pixels[..., colour] += 150
        (tmp_path / label).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    monkeypatch.chdir(tmp_path)

    def fitted(force: bool) -> Report:
        p = tb.fit(".", out="model", force=force, model="toy:image", runtime="torch", method="probe")
        assert p.labels == ("blue", "red") and p.report is not None
        return p.report

    first, second = fitted(False), fitted(True)
    assert {one.kind for one in first.findings} == {one.kind for one in second.findings} == {"few_rows"}
    assert first.rows == second.rows == {"train": 24, "validation": 0, "test": 24}
