"""fit, predict, evaluate and verify together, on toy bodies and made data."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tailorbird as tb
from tailorbird.engine.predictor import Predictor
from tailorbird.errors import BadArtifact, BadData, BadOutput, BadSpelling
from tailorbird.store.cache import entries

FIT = {"target": "label", "model": "toy:text", "runtime": "torch", "method": "probe"}


def sentences(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Made sentences that one word tells apart."""
    dice = random.Random(seed)
    words = ["film", "actor", "story", "light", "road", "music", "dog", "river", "house", "song"]
    told = [("good", "pos"), ("bad", "neg")]
    return [
        (f"{' '.join(dice.choices(words, k=6))} {told[i % 2][0]} {dice.random()}", told[i % 2][1]) for i in range(n)
    ]


def table(path: Path, n: int, seed: int = 0) -> Path:
    """A made table of sentences."""
    path.write_text("".join(["text,label\n", *(f"{text},{label}\n" for text, label in sentences(n, seed))]))
    return path


def pictures(folder: Path, n: int = 24) -> Path:
    """Made pictures: red or blue, with noise."""
    noise = np.random.default_rng(0)
    for i in range(n):
        label, colour = (("red", 0), ("blue", 2))[i % 2]
        pixels = noise.integers(0, 80, (48, 40, 3), dtype=np.uint8)
        pixels[..., colour] += 150
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / label / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Predictor]:
    """A folder with a store, a table and the model that was made of it, once for all tests here."""
    folder = tmp_path_factory.mktemp("workshop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILORBIRD_HOME", str(folder / "home"))
        return folder, tb.fit(table(folder / "data.csv", 60), out=folder / "model", **FIT)


@pytest.fixture
def model(workshop: tuple[Path, Predictor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Predictor:
    """A copy of the model and its table in the test's own folder, and of the store."""
    for name in ("home", "model"):
        shutil.copytree(workshop[0] / name, tmp_path / name)
    shutil.copy(workshop[0] / "data.csv", tmp_path)
    shutil.move(tmp_path / "home", os.environ["TAILORBIRD_HOME"] + "/copy")
    monkeypatch.setenv("TAILORBIRD_HOME", os.environ["TAILORBIRD_HOME"] + "/copy")
    return dataclasses.replace(workshop[1], path=tmp_path / "model")


def test_the_python_api_goes_from_a_folder_to_answers(tmp_path: Path) -> None:
    p = tb.fit(pictures(tmp_path / "pets"), out=tmp_path / "model", model="toy:image", runtime="torch", method="probe")
    one = next((tmp_path / "pets" / "red").iterdir())
    answer = p.predict([str(one)])[0]
    assert answer.label == "red" and answer.scores is not None and abs(sum(answer.scores.values()) - 1) < 1e-9
    assert tb.evaluate(p, tmp_path / "pets").metrics["accuracy"].value == 1.0


def test_few_rows_are_measured_out_of_fold(model: Predictor) -> None:
    assert model.report is not None
    assert model.report.rows == {"train": 60, "validation": 0, "test": 60}
    assert model.report.notes["out_of_fold"] is True
    assert sum(map(sum, model.report.confusion)) == 60


def test_many_rows_are_split(tmp_path: Path) -> None:
    p = tb.fit(table(tmp_path / "data.csv", 800), out=tmp_path / "model", **FIT)
    assert p.report is not None
    rows = p.report.rows
    assert sum(rows.values()) == 800
    assert 0.15 < rows["test"] / 800 < 0.25 and 0.06 < rows["validation"] / 800 < 0.14


@pytest.mark.parametrize("method", ["finetune:epochs=1", "auto"])
def test_what_began_in_half_precision_answers_in_full(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """auto, without time to let the body learn, keeps the frozen one."""
    from tailorbird.engine import choose, opening
    from tailorbird.methods import auto
    from tailorbird.plug import load

    plug = load("runtime", "openvino")
    monkeypatch.setattr(plug, "halves", classmethod(lambda cls, device: True))
    monkeypatch.setattr(load("runtime", "torch"), "halves", classmethod(lambda cls, device: False))
    monkeypatch.setattr(auto, "_LEAST_SECONDS", float("inf"))
    asked: list[tuple[bool, str]] = []

    def watched(*given: object, **named: object) -> choose.Choice:
        found = choose.choose(*given, **named)  # type: ignore[arg-type]
        asked.append((bool(named.get("half")), found.runtime))
        return found

    monkeypatch.setattr("tailorbird.engine.material.choose", watched)
    monkeypatch.setattr(opening, "choose", watched)
    named = {**FIT, "method": method, "runtime": "openvino"}
    p = tb.fit(table(tmp_path / "data.csv", 800), out=tmp_path / "model", **named)
    assert asked == [(True, "openvino:precision=bf16"), (False, "openvino")]
    assert p.report is not None and p.report.runtime == p.runtime == "openvino"
    assert p.tuned == (method != "auto")
    assert tb.verify(tmp_path / "model").ok and (p.tuned == (tmp_path / "model" / "graph").is_dir())


def test_a_tuned_model_of_few_rows_has_its_graph_too(tmp_path: Path) -> None:
    named = {**FIT, "method": "finetune:epochs=1", "runtime": "onnx"}
    p = tb.fit(table(tmp_path / "data.csv", 60), out=tmp_path / "model", **named)
    assert p.report is not None and p.report.notes["out_of_fold"] and p.runtime == "onnx"
    assert (tmp_path / "model" / "graph" / "body.onnx").is_file()


def test_a_reopened_model_answers_as_it_did(model: Predictor) -> None:
    assert model.path is not None
    texts = ["a good film", "a bad film", ""]
    again = tb.load(model.path)
    assert again.predict(texts) == model.predict(texts)


def test_an_item_that_cannot_be_read_leaves_the_others_their_answers(model: Predictor) -> None:
    answers = model.predict(["good", "   ", "bad"])
    assert [one.error is None for one in answers] == [True, False, True]


def test_the_model_folder_holds_no_path_to_code(model: Predictor) -> None:
    assert model.path is not None
    kinds = {path.suffix for path in model.path.rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors", ".md", ".html", ".txt"}


@pytest.mark.parametrize("damage", ["flip", "drop", "add", "cut"])
def test_a_damaged_model_is_found_by_verify_and_by_loading(model: Predictor, damage: str) -> None:
    assert model.path is not None
    victim = model.path / "head.safetensors"
    content = victim.read_bytes()
    if damage == "flip":
        victim.write_bytes(content[:-9] + bytes([content[-9] ^ 4]) + content[-8:])
    elif damage == "drop":
        victim.unlink()
    elif damage == "add":
        (model.path / "extra.pkl").write_bytes(b"\x80\x04.")
    else:
        victim.write_bytes(content[:-1])
    told = tb.verify(model.path)
    assert not told.ok and ("extra.pkl" if damage == "add" else "head.safetensors") in told.problems[0]
    with pytest.raises(BadArtifact):
        tb.load(model.path)


def _sealed_again(path: Path, change: Callable[[dict[str, object], dict[str, np.ndarray]], None]) -> None:
    """Change what a model holds and seal it soundly: only the golden examples can tell."""
    from tailorbird.store.artifact import MANIFEST, seal
    from tailorbird.store.files import tensors
    from tailorbird.store.tensors import read_tensors

    manifest = json.loads((path / MANIFEST).read_bytes())
    arrays = {name: array.copy() for name, array in read_tensors(path / "head.safetensors").items()}
    change(manifest, arrays)
    (path / "head.safetensors").write_bytes(tensors(arrays))
    seal(path, manifest)


@pytest.mark.parametrize("what", ["head zeroed", "labels swapped", "temperature lost"])
def test_a_model_that_answers_otherwise_does_not_verify(model: Predictor, what: str) -> None:
    def change(manifest: dict[str, object], arrays: dict[str, np.ndarray]) -> None:
        if what == "head zeroed":
            arrays["weight"][:] = 0
        elif what == "labels swapped":
            manifest["labels"] = ["pos", "neg"]
        else:
            manifest["temperature"] = 100.0

    assert model.path is not None and tb.verify(model.path).ok
    _sealed_again(model.path, change)
    told = tb.verify(model.path)
    assert not told.ok and "golden/" in told.problems[0]


def test_a_model_is_only_replaced_by_force_and_by_a_whole_one(model: Predictor, tmp_path: Path) -> None:
    with pytest.raises(BadOutput, match="exists"):
        tb.fit(tmp_path / "data.csv", out=tmp_path / "model", **FIT)
    before = (tmp_path / "model" / "manifest.json").read_bytes()
    with pytest.raises(BadData):
        tb.fit(tmp_path / "nothing.csv", out=tmp_path / "model", force=True, **FIT)
    assert (tmp_path / "model" / "manifest.json").read_bytes() == before
    tb.fit(table(tmp_path / "other.csv", 70, seed=1), out=tmp_path / "model", force=True, **FIT)
    assert (tmp_path / "model" / "manifest.json").read_bytes() != before
    assert tb.verify(tmp_path / "model").ok
    assert {path.name for path in tmp_path.iterdir()} == {"data.csv", "other.csv", "model"}


def test_the_same_call_gives_the_same_model(model: Predictor, tmp_path: Path) -> None:
    again = tb.fit(tmp_path / "data.csv", out=tmp_path / "again", **FIT)
    assert np.array_equal(again.head.weight, model.head.weight) and again.head.temperature == model.head.temperature


def test_a_row_is_encoded_once_for_all_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(tmp_path / "data.csv", 60).read_text().splitlines()
    tb.fit(tmp_path / "data.csv", out=tmp_path / "a", **FIT)
    counted: list[int] = []
    from tailorbird.runtimes import torch as runtime

    encode = runtime.TorchEncoder.encode

    def spy(self: object, arrays: dict[str, np.ndarray]) -> np.ndarray:
        counted.append(len(arrays["input_ids"]))
        return encode(self, arrays)  # type: ignore[arg-type]

    monkeypatch.setattr(runtime.TorchEncoder, "encode", spy)
    (tmp_path / "data.csv").write_text("\n".join([*rows, "ten new,pos", "words here,neg"]) + "\n")
    tb.fit(tmp_path / "data.csv", out=tmp_path / "b", **FIT)
    # besides the two new rows only golden examples are answered anew
    assert sum(counted) <= 2 + 20
    assert any(entry.rows == 62 for entry in entries())


def test_twins_of_a_given_test_set_are_dropped_and_told(tmp_path: Path) -> None:
    train, test = table(tmp_path / "data.csv", 60), table(tmp_path / "test.csv", 20, seed=5)
    with train.open("a") as file:
        file.write(test.read_text().splitlines()[1].upper() + "\n")
    text = train.read_text().replace("POS", "pos").replace("NEG", "neg")
    train.write_text(text)
    p = tb.fit(train, out=tmp_path / "model", test=test, **FIT)
    assert p.report is not None and p.report.rows["test"] == 20 and p.report.rows["train"] == 60
    assert [one.rows for one in p.report.findings if one.kind == "twin_of_test"] == [1]


def test_a_test_set_that_was_learned_from_is_told_by_evaluate(model: Predictor, tmp_path: Path) -> None:
    told = tb.evaluate(model, tmp_path / "data.csv")
    assert [one.rows for one in told.findings if one.kind == "seen_in_training"] == [60]
    fresh = tb.evaluate(model, table(tmp_path / "fresh.csv", 30, seed=9))
    assert not [one for one in fresh.findings if one.kind == "seen_in_training"]
    assert set(fresh.baselines) == {"majority", "tfidf", "neighbour"}


def test_balanced_weights_find_the_rare_label_more_often(tmp_path: Path) -> None:
    rows = [(text, "rare" if i % 12 == 0 else "common") for i, (text, _) in enumerate(sentences(240))]
    (tmp_path / "data.csv").write_text("".join(["text,label\n", *(f"{text},{label}\n" for text, label in rows)]))
    plain = tb.fit(tmp_path / "data.csv", out=tmp_path / "plain", **FIT)
    even = tb.fit(tmp_path / "data.csv", out=tmp_path / "even", weights="balanced", **FIT)

    def named(p: Predictor) -> int:
        assert p.report is not None
        return sum(row[p.labels.index("rare")] for row in p.report.confusion)

    assert named(even) > named(plain)


def test_random_labels_are_never_called_a_gain(tmp_path: Path) -> None:
    dice = random.Random(3)
    rows = [f"{text},{dice.choice('ab')}\n" for text, _ in sentences(300)]
    (tmp_path / "data.csv").write_text("".join(["text,label\n", *rows]))
    p = tb.fit(tmp_path / "data.csv", out=tmp_path / "model", **FIT)
    assert p.report is not None and p.report.verdict.outcome != "better"


@pytest.mark.parametrize("name", ["scored.csv", "scored.tsv", "scored.jsonl", "scored.parquet"])
def test_scored_tables_keep_the_users_columns(model: Predictor, tmp_path: Path, name: str) -> None:
    from tailorbird.data.tables import table as read_table

    (tmp_path / "new.csv").write_text('id,text,label\n007,"good, really",mine\n008,bad,mine\n')
    tb.predict(model, [str(tmp_path / "new.csv")], out=tmp_path / name)
    columns = read_table(tmp_path / name).columns
    assert list(columns) == ["id", "text", "label", "predicted_label", "score"]
    assert list(columns["id"]) == ["007", "008"] and list(columns["text"]) == ["good, really", "bad"]
    expected = model.predict(["good, really", "bad"])
    assert list(columns["predicted_label"]) == [one.label for one in expected]
    assert [float(score) for score in columns["score"]] == [one.score for one in expected]


def test_a_failed_row_is_marked_in_the_table(model: Predictor, tmp_path: Path) -> None:
    from tailorbird.data.tables import table as read_table

    (tmp_path / "new.csv").write_text("id,text\n1,good\n2,  \n")
    answers = tb.predict(model, [str(tmp_path / "new.csv")], out=tmp_path / "scored.csv")
    assert [one.error is None for one in answers] == [True, False]
    columns = read_table(tmp_path / "scored.csv").columns
    assert list(columns) == ["id", "text", "label", "score", "error"]


def test_an_embedded_body_needs_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = tb.fit(table(tmp_path / "data.csv", 40), out=tmp_path / "model", embed=True, **{**FIT, "runtime": "auto"})
    expected = p.predict(["a good film"])
    monkeypatch.setenv("TAILORBIRD_HOME", str(tmp_path / "elsewhere"))
    assert tb.verify(tmp_path / "model").ok
    again = tb.load(tmp_path / "model").predict(["a good film"])
    assert again[0].label == expected[0].label
    assert not (tmp_path / "elsewhere").exists()


def test_a_fresh_process_that_disagrees_leaves_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tailorbird.engine import seal

    write = seal._manifest

    def forgetful(*arguments: object) -> dict[str, object]:
        return {**write(*arguments), "temperature": 50.0}  # type: ignore[arg-type]

    monkeypatch.setattr(seal, "_manifest", forgetful)
    with pytest.raises(AssertionError, match="fresh process"):
        tb.fit(table(tmp_path / "data.csv", 60), out=tmp_path / "model", **FIT)
    assert {path.name for path in tmp_path.iterdir()} == {"data.csv"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_fit_leaves_no_model(tmp_path: Path, number: signal.Signals) -> None:
    table(tmp_path / "data.csv", 4000)
    words = ["fit", "data.csv", "--target", "label", "--model", "toy:text", "--runtime", "torch", "--out", "model"]
    child = subprocess.Popen(
        [sys.executable, "-m", "tailorbird", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    home = Path(os.environ["TAILORBIRD_HOME"])
    while not list(home.rglob("*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)  # until it is at work
    child.send_signal(number)
    _, stderr = child.communicate(timeout=60)
    assert child.returncode == (-9 if number == signal.SIGKILL else 130), stderr.decode()
    assert b"Traceback" not in stderr
    assert not (tmp_path / "model").exists()
    if number != signal.SIGKILL:
        assert {path.name for path in tmp_path.iterdir()} == {"data.csv"}


def test_a_report_is_plain_json(model: Predictor) -> None:
    assert model.report is not None
    assert json.loads(json.dumps(dataclasses.asdict(model.report)))["verdict"]["outcome"]


def test_code_beside_the_users_data_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tokenizers.py", "numpy.py", "tailorbird.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    tb.fit(table(tmp_path / "data.csv", 40), out="model", **FIT)
    assert not (tmp_path / "ran").exists()


def test_a_test_table_without_the_target_is_refused(model: Predictor, tmp_path: Path) -> None:
    rows = (f"{text},{i % 3}" for i, (text, _) in enumerate(sentences(30, seed=4)))
    (tmp_path / "stars.csv").write_text("\n".join(["text,stars", *rows]) + "\n")
    with pytest.raises(BadData, match="no column 'label'"):
        tb.evaluate(model, tmp_path / "stars.csv")
    with pytest.raises(BadData, match="no column 'label'"):
        tb.fit(tmp_path / "data.csv", out=tmp_path / "other", test=tmp_path / "stars.csv", **FIT)


def test_a_row_whose_label_the_model_does_not_know_is_named(model: Predictor, tmp_path: Path) -> None:
    labels = sorted(model.labels)
    rows = [f"{text},{labels[i % 2]}" for i, (text, _) in enumerate(sentences(30, seed=4))]
    rows[6] = rows[6].rpartition(",")[0] + ",dragon"
    (tmp_path / "later.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    with pytest.raises(BadData, match=r"later.csv:8: .*'dragon'"):
        tb.evaluate(model, tmp_path / "later.csv")


def test_a_text_alone_is_one_item(model: Predictor) -> None:
    one = model.predict(["a good film"])
    assert model.predict("a good film") == one
    assert tb.predict(model, "a good film") == one
    assert tb.predict(model, "data: a good film")[0].label in model.labels


@pytest.mark.parametrize("option", ["seed", "threads"])
def test_a_number_below_zero_is_refused(model: Predictor, tmp_path: Path, option: str) -> None:
    with pytest.raises(BadSpelling, match=f"--{option} is -1"):
        tb.fit(tmp_path / "data.csv", out=tmp_path / "other", **{**FIT, option: -1})


def test_a_reader_that_goes_away_is_no_fault(model: Predictor, tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("text\n" + "a good film\n" * 3000)
    command = f"{sys.executable} -m tailorbird predict model many.csv; echo $? >&2"
    done = subprocess.run(
        f"({command}) | head -1", shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("many.csv:2") and done.stderr.splitlines()[-1] == "0", done.stderr
