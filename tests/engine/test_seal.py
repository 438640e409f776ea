"""The golden examples of a model whose data went away while it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tailorbird as tb
from tailorbird.engine import fitting


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0)
    for i in range(24):
        pixels = noise.integers(0, 80, (40, 40, 3), dtype=np.uint8) + np.array([150 * (i % 2), 0, 0], np.uint8)
        path = tmp_path / "pets" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "pets"


@pytest.mark.parametrize(("n_gone", "n_golden"), [(3, 17), (20, 1)])
def test_a_picture_that_went_away_during_a_fit_is_no_golden_example(
    pets: Path, monkeypatch: pytest.MonkeyPatch, n_gone: int, n_golden: int
) -> None:
    chosen = fitting.golden_values

    def vanishing(*given: Any) -> tuple[Any, ...]:
        values = chosen(*given)
        for path in values[:n_gone]:
            path.unlink()
        return values

    monkeypatch.setattr(fitting, "golden_values", vanishing)
    tb.fit(pets, out=pets.parent / "model", model="toy:image", runtime="torch", method="probe")
    told = tb.verify(pets.parent / "model")
    assert told.ok and told.replayed == n_golden
