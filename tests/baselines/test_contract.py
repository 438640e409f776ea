"""What every baseline keeps, with every kind of target that it judges."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from tailorbird.kinds import Baseline
from tailorbird.lesson import Evidence, Link, Quiz
from tailorbird.plug import names, parse

NAMES = names("baseline")
LINKS: tuple[Link, ...] = ("softmax", "sigmoid", "identity")
BLIND = {"majority", "frequency", "median"}  # they look at nothing, and learn nothing of an item
WORDS = ("warm funny film", "dull long film", "a plain story")


def plug(name: str) -> Baseline:
    return parse("baseline", name, Baseline)


CASES = [(name, link, modality) for name in NAMES for link in LINKS for modality in names("modality")]
CASES = [
    (name, link, modality)
    for name, link, modality in CASES
    if link in plug(name).links and modality in plug(name).modalities
]
PAIRS = sorted({(name, link) for name, link, _ in CASES})

# Reads what fits left behind and scores with it, in a process that cannot have the libraries of fitting.
ALONE = """
import sys, json
for module in ("sklearn", "scipy", "torch", "transformers"):
    sys.modules[module] = None
from pathlib import Path
import numpy as np
from safetensors.numpy import load_file
from tailorbird.kinds import Baseline
from tailorbird.lesson import Evidence
from tailorbird.plug import parse
for folder in Path(sys.argv[1]).iterdir():
    note, values = json.loads((folder / "note.json").read_bytes())
    state, seen = (note, load_file(folder / "state.safetensors")), load_file(folder / "seen.safetensors")
    plug = parse("baseline", folder.name.partition("-")[0], Baseline)
    np.save(folder / "scores.npy", plug.scores(state, Evidence(values, seen.get("sketches"), seen.get("features"))))
"""


def made(modality: str, n: int = 120) -> tuple[Evidence, np.ndarray]:
    """Rows of three kinds, (n,), that are seen in the words or the sketches, and in the features alike."""
    rng = np.random.default_rng(0)
    kind = np.arange(n) % 3
    values = [f"{WORDS[one]} number {i}" for i, one in enumerate(kind)]
    sketches, features = ((rng.standard_normal((n, 6)) + 2 * np.eye(3, 6)[kind]).astype(np.float32) for _ in range(2))
    return Evidence(values, sketches if modality == "image" else None, features), kind


def quiz(link: Link, kind: np.ndarray) -> Quiz:
    """What is asked of rows of these kinds: one label of four, which of four labels, or a number; one is never seen."""
    if link == "softmax":
        return Quiz(kind, 4, link, seed=0)
    if link == "sigmoid":
        return Quiz(np.column_stack([kind == 0, kind != 1, kind == 9, kind < 9]).astype(np.float32), 4, link, seed=0)
    return Quiz((1e10 + 100.0 * kind)[:, None], 1, link, seed=0)  # float32 could not tell them apart


def for_this(name: str, modality: str, n: int = 120) -> tuple[Evidence, np.ndarray]:
    """The same rows; features are withheld from who says that it does not read them."""
    evidence, kind = made(modality, n)
    return evidence if plug(name).reads_features else replace(evidence, features=None), kind


def test_every_link_and_modality_has_a_rival_that_looks_and_one_that_does_not() -> None:
    for link in LINKS:
        for modality in names("modality"):
            here = {name for name, served, read in CASES if served == link and read == modality}
            assert len(here & BLIND) == 1 and len(here - BLIND) == 2, (link, modality, here)


@pytest.mark.parametrize("name, link, modality", CASES)
def test_scores_have_the_form_of_the_link(name: str, link: Link, modality: str) -> None:
    evidence, kind = for_this(name, modality)
    asked = quiz(link, kind)
    scores = plug(name).scores(plug(name).fit(evidence, asked), evidence)
    assert scores.shape == (len(kind), asked.n_labels) and scores.dtype == np.float64 and np.isfinite(scores).all()
    if link != "identity":
        assert (scores > 0).all() and (scores < 1).all()
    if link == "softmax":
        assert scores.sum(1) == pytest.approx(np.ones(len(kind)))
    if name not in BLIND:
        assert knows(scores, asked)


def knows(scores: np.ndarray, asked: Quiz) -> bool:
    if asked.link == "softmax":
        return bool((scores.argmax(1) == asked.y).mean() > 0.8)
    return float(((scores - asked.y) ** 2).mean()) < 0.5 * float(((asked.y - asked.y.mean(0)) ** 2).mean())


@pytest.mark.parametrize("name", [name for name, link in PAIRS if link == "softmax"])
@pytest.mark.parametrize("labels", [lambda y: y + 1, lambda y: np.where(y == 2, 4, 1)])
def test_labels_without_rows_lie_anywhere(name: str, labels: object) -> None:
    assert callable(labels)
    evidence, kind = made("image")
    asked = Quiz(labels(kind), 6, "softmax", seed=0)
    scores = plug(name).scores(plug(name).fit(evidence, asked), evidence)
    assert scores.shape == (len(kind), 6) and (scores > 0).all() and scores.sum(1) == pytest.approx(np.ones(len(kind)))
    assert name in BLIND or knows(scores, asked)


@pytest.mark.parametrize("name, link, modality", CASES)
@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_handful_of_rows_is_enough_and_so_is_one_answer(name: str, link: Link, modality: str, n: int) -> None:
    evidence, kind = for_this(name, modality)
    few = evidence.take(np.arange(n))
    for kinds in (kind[:n], np.zeros(n, np.int64)):
        asked = quiz(link, kinds)
        scores = plug(name).scores(plug(name).fit(few, asked), evidence)
        assert np.isfinite(scores).all() and scores.shape == (len(kind), asked.n_labels)
    if link == "softmax":
        assert (scores.argmax(1) == 0).all()  # the one label that it saw
    elif link == "sigmoid":
        assert ((scores > 0.5) == (asked.y[0] == 1)).all()
    else:
        assert scores == pytest.approx(np.full((len(kind), 1), 1e10), abs=1e-3)


@pytest.mark.parametrize("name, link", PAIRS)
def test_the_state_says_its_link_is_plain_and_comes_again(name: str, link: Link) -> None:
    evidence, kind = made("image")
    note, arrays = plug(name).fit(evidence, quiz(link, kind))
    assert note["link"] == link
    assert json.loads(json.dumps(note, allow_nan=False)) == note
    assert load(save(arrays)).keys() == arrays.keys()
    again = plug(name).fit(evidence, quiz(link, kind))
    assert again[0] == note and all((again[1][key] == arrays[key]).all() for key in arrays)


@pytest.mark.parametrize("name, link", PAIRS)
def test_no_rows_get_no_scores(name: str, link: Link) -> None:
    evidence, kind = made("image")
    asked = quiz(link, kind)
    state = plug(name).fit(evidence, asked)
    assert plug(name).scores(state, evidence.take(np.arange(0))).shape == (0, asked.n_labels)


@pytest.mark.parametrize("name, link", PAIRS)
def test_a_baseline_has_a_title_that_tells_what_it_does_with_such_targets(name: str, link: Link) -> None:
    title = plug(name).title(link)
    assert title and ("logistic" in title) <= (link != "identity") and ("ridge" in title) <= (link == "identity")


def written(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every baseline's state in a folder of its own, beside what it sees; gives the folder's name and the scores."""
    for name, link, modality in CASES:
        evidence, kind = for_this(name, modality)
        note, arrays = plug(name).fit(evidence, quiz(link, kind))
        seen = {"sketches": evidence.sketches, "features": evidence.features}
        place = folder / f"{name}-{link}-{modality}"
        place.mkdir()
        (place / "note.json").write_text(json.dumps([note, list(evidence.values)]))
        (place / "state.safetensors").write_bytes(save({k: np.ascontiguousarray(one) for k, one in arrays.items()}))
        (place / "seen.safetensors").write_bytes(save({k: one for k, one in seen.items() if one is not None}))
        yield place.name, plug(name).scores((note, arrays), evidence)


def test_baselines_score_without_the_libraries_that_fitted_them(tmp_path: Path) -> None:
    ours = dict(written(tmp_path))
    subprocess.run([sys.executable, "-c", ALONE, str(tmp_path)], check=True)
    for name, scores in ours.items():
        assert np.load(tmp_path / name / "scores.npy") == pytest.approx(scores, abs=1e-9), name
