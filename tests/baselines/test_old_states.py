"""States that lie in models of the first format, which knew one kind of target, are scored as they were then."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tailorbird.kinds import Baseline
from tailorbird.lesson import Evidence
from tailorbird.plug import parse

MODEL = Path(__file__).parents[1] / "golden" / "format-1"
SCORES_THEN = {
    "majority": [0.5, 0.5, 0.5],
    "neighbour": [7 / 12, 5 / 12, 5 / 12],
    "tfidf": [0.16159606340424376, 0.9088260341457316, 0.4706044251952175],
}


@pytest.mark.parametrize("name", SCORES_THEN)
def test_a_state_without_a_link_means_one_label_a_row(name: str) -> None:
    note = json.loads((MODEL / "baselines.json").read_bytes())[name]
    arrays = load_file(MODEL / "baselines.safetensors")
    own = {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(f"{name}/")}
    features = arrays["neighbour/features"][[0, 5, 9]].astype(np.float32) + 0.25
    evidence = Evidence(["a road good", "a road bad dog", "nothing known"], None, features)
    scores = parse("baseline", name, Baseline).scores((note, own), evidence)
    assert "link" not in note
    assert scores == pytest.approx(np.column_stack([SCORES_THEN[name], 1 - np.array(SCORES_THEN[name])]))
