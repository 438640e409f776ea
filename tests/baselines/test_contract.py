"""What every baseline keeps."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from tailorbird.kinds import Baseline, Evidence
from tailorbird.plug import names, parse

NAMES = names("baseline")
WORDS = ("warm funny film", "dull long film", "a plain story")

# Reads what a fit left behind and scores with it, in a process that cannot have the libraries of fitting.
ALONE = """
import sys, json
for module in ("sklearn", "scipy", "torch", "transformers"):
    sys.modules[module] = None
import numpy as np
from safetensors.numpy import load_file
from tailorbird.kinds import Baseline, Evidence
from tailorbird.plug import parse
name, folder = sys.argv[1:]
seen = load_file(f"{folder}/seen.safetensors")
note, values = json.load(open(f"{folder}/note.json"))
state = note, load_file(f"{folder}/state.safetensors")
scores = parse("baseline", name, Baseline).scores(state, Evidence(values, **seen))
np.save(f"{folder}/scores.npy", scores)
"""


def made(n: int = 120) -> tuple[Evidence, np.ndarray]:
    """Rows of three labels, seen in the words, the sketches and the features alike."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    values = [f"{WORDS[label]} number {i}" for i, label in enumerate(y)]
    sketches, features = ((rng.standard_normal((n, 6)) + 2 * np.eye(3, 6)[y]).astype(np.float32) for _ in range(2))
    return Evidence(values, sketches, features), y


@pytest.mark.parametrize("name", NAMES)
def test_a_baseline_scores_without_the_libraries_that_fitted_it(name: str, tmp_path: Path) -> None:
    evidence, y = made()
    baseline = parse("baseline", name, Baseline)
    note, arrays = baseline.fit(evidence, y, 3, seed=0)
    (tmp_path / "note.json").write_text(json.dumps([note, list(evidence.values)]))
    (tmp_path / "state.safetensors").write_bytes(save({key: np.ascontiguousarray(one) for key, one in arrays.items()}))
    (tmp_path / "seen.safetensors").write_bytes(save({"sketches": evidence.sketches, "features": evidence.features}))
    subprocess.run([sys.executable, "-c", ALONE, name, str(tmp_path)], check=True)
    assert np.load(tmp_path / "scores.npy") == pytest.approx(baseline.scores((note, arrays), evidence), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_probabilities_of_all_labels_even_of_those_without_rows(name: str) -> None:
    evidence, y = made()
    baseline = parse("baseline", name, Baseline)
    for labels, n_labels in ((y, 3), (y + 1, 6), (np.where(y == 2, 4, 1), 6)):
        scores = baseline.scores(baseline.fit(evidence, labels, n_labels, seed=0), evidence)
        assert scores.shape == (len(y), n_labels) and scores.dtype == np.float64
        assert (scores > 0).all() and scores.sum(1) == pytest.approx(np.ones(len(y)))
        if name != "majority":
            assert (scores.argmax(1) == labels).mean() > 0.8


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_handful_of_rows_is_enough_and_so_is_one_label(name: str, n: int) -> None:
    evidence, y = made()
    baseline = parse("baseline", name, Baseline)
    few = evidence.take(np.arange(n))
    for labels in (y[:n], np.zeros(n, np.int64)):
        scores = baseline.scores(baseline.fit(few, labels, 3, seed=0), evidence)
        assert scores.sum(1) == pytest.approx(np.ones(len(y)))
    assert (scores.argmax(1) == 0).all()  # the one label that it saw


@pytest.mark.parametrize("name", NAMES)
def test_the_state_goes_through_json_and_safetensors_and_a_fit_gives_it_again(name: str) -> None:
    evidence, y = made()
    baseline = parse("baseline", name, Baseline)
    note, arrays = baseline.fit(evidence, y, 3, seed=0)
    assert json.loads(json.dumps(note, allow_nan=False)) == note
    assert load(save(arrays)).keys() == arrays.keys()
    again = baseline.fit(evidence, y, 3, seed=0)
    assert again[0] == note and all((again[1][key] == arrays[key]).all() for key in arrays)


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_get_no_scores(name: str) -> None:
    evidence, y = made()
    baseline = parse("baseline", name, Baseline)
    state = baseline.fit(evidence, y, 3, seed=0)
    assert baseline.scores(state, evidence.take(np.arange(0))).shape == (0, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_baseline_has_a_title_and_judges_known_modalities(name: str) -> None:
    baseline = parse("baseline", name, Baseline)
    assert baseline.title and baseline.modalities and baseline.modalities <= set(names("modality"))
