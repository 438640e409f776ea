"""How soon others get where they get with the same pretrained body, rows and cores, and how soon tailorbird does.

    python benchmarks/peers.py [--scenes reviews,reviews-64,reviews-16,tweets,clothes,clothes-100]
                               [--only finetune,trainer] [--repeats 3] [--threads 2] [--data FOLDER]
                               [--out peers.jsonl] [--json]

Film reviews as adapt_text.py divides them: all rows to learn from, or 64 or 16 of each label (those whose text has the
lowest sha256; every round the next ones). Tweets: their mean rating, a number; of 4,200 the 1,000 with the lowest
sha256 are tested on, and R² is measured. Clothes: Fashion-MNIST at 64 pixels, the first 10,000 rows to learn from, or
100 of each label (in the file's order; every round the next ones), and all 10,000 test rows.

The peers, each with what its own documentation shows:
  trainer       Hugging Face's Trainer, its defaults, whole body, to its end (three epochs)
  lora          the same with peft: rank 8, rate 1e-3, batches of 32, two epochs; of texts only
  head          sentence-transformers' encode and scikit-learn's LogisticRegression or Ridge; of pictures the frozen
                body in eager PyTorch and LogisticRegression on its standardised features
  setfit        SetFit's defaults; of few texts only, as it is meant
and of tailorbird auto (budget 10 minutes), finetune and probe, from an empty store to the sealed model.
No lora of pictures, for peft refuses convolutions of more groups than its rank, such as this body's filters.
Each run is a fresh process and its clock begins before the imports; evaluation of peers is not counted. Told is by what
factor tailorbird's quickest model that is no less accurate (95 % interval of the difference; of R²: that is no lower)
was there sooner than the peer was at its end.

--out: a line is added for each run as it is done, and lines that are there already are not run again.
Texts need what adapt_text.py needs, `tailorbird pull data:tweets`, and for two of the peers
`pip install sentence-transformers "setfit>=1.2"` (1.1 cannot be imported beside transformers 5). Clothes need what
adapt_image.py needs.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from math import inf, sqrt
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import adapt_image
from _race import Outcome, Stopwatch, Way, alone, machine, machine_line, quiet, tailored
from adapt_text import BODY, LABELS, MAX_TOKENS, TRAINER_SEED, write_rows

from tailorbird.data import samples
from tailorbird.kinds import Modality, Reader, Source
from tailorbird.plug import parse
from tailorbird.store import files
from tailorbird.types import BodyFolder, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tailorbird.bodies.base import Body

OURS, PEERS = ("auto", "finetune", "probe"), ("trainer", "lora", "head", "setfit")
N_TEST_TWEETS, N_CLOTHES = 1_000, 10_000
LOOKS = 8  # how often the Trainer is evaluated
EAGER_BATCH = 64


@dataclass(frozen=True)
class Peer:
    """Another way to the same end. needed: modules that it cannot do without."""

    run: Callable[[Path, BodyFolder, Scene, int, int], Outcome]  # the rows' folder, body, scene, threads, round
    needed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """What is to be learned, and the functions that serve it. each: rows of each label, None for all.

    The scenes stand below those functions, in SCENES."""

    modality: str
    body: str
    write: Callable[[Path, Scene, int, Path | None], None]  # a round's rows into a folder; the last one is --data
    give: Callable[[Path, Scene], tuple[Path, dict[str, Any]]]  # what fit is given of that folder, and what besides
    peers: Mapping[str, Peer]
    target: str = "label"
    metric: str = "accuracy"
    each: int | None = None

    @property
    def is_number(self) -> bool:
        return self.metric == "r2"


def main() -> None:
    options = _options()
    quiet(options.threads)
    out = Path(options.out) if options.out else None
    known = [json.loads(line) for line in out.read_text().splitlines()] if out and out.exists() else []
    for line in _runs(options, known):
        known.append(line)
        if out:
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")
        print(
            json.dumps({name: line[name] for name in ("scene", "way", "round", "accuracy", "seconds")}), file=sys.stderr
        )
    told = {
        "machine": machine(),
        "threads": options.threads,
        "scenes": {name: _scene(known, name) for name in options.scenes},
    }
    if options.json:
        print(json.dumps(told, indent=1))
        return
    print(machine_line(told["machine"]))
    for name, found in told["scenes"].items():
        print(f"\n## {name}\n\n{_table(found)}")


def _runs(options: argparse.Namespace, known: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every way of every scene in turns, but those that are known."""
    done = {(one["scene"], one["way"], one["round"]) for one in known}
    for number in range(options.repeats):
        for name in options.scenes:
            scene = SCENES[name]
            with tempfile.TemporaryDirectory() as folder:
                scene.write(Path(folder), scene, number, options.data)
                for way, run in _ways(Path(folder), scene, options).items():
                    if (name, way, number) in done:
                        continue
                    try:
                        outcome = alone(run, number)
                    except Exception as error:  # noqa: BLE001 (a peer's fault must not end a race of hours)
                        print(f"{name}, {way}: {type(error).__name__}: {error}", file=sys.stderr)
                        continue
                    yield {"scene": name, "way": way, "round": number, **asdict(outcome)}


def write_reviews(folder: Path, scene: Scene, number: int, data: Path | None) -> None:
    """train.csv and test.csv: text and sentiment. Which rows depends on their texts, and of few ones on the round."""
    write_rows(folder)
    if scene.each is not None:
        rows, n, start = sorted(_read(folder / "train.csv"), key=_digest), scene.each, number * scene.each
        by_label = [[row for row in rows if row[scene.target] == label] for label in LABELS]
        _write(folder / "train.csv", [row for some in by_label for row in some[start : start + n]], scene)


def write_tweets(folder: Path, scene: Scene, number: int, data: Path | None) -> None:
    """train.csv and test.csv: text and rating, in every round the same."""
    with samples.open("tweets").open(encoding="utf-8", newline="") as file:
        rows = sorted({row["text"]: row for row in csv.DictReader(file)}.values(), key=_digest)
    _write(folder / "test.csv", rows[:N_TEST_TWEETS], scene)
    _write(folder / "train.csv", rows[N_TEST_TWEETS:], scene)


def write_clothes(folder: Path, scene: Scene, number: int, data: Path | None) -> None:
    """Fashion-MNIST's four files with rows to learn from in their order; of few ones the round tells which."""
    assert data is not None, "the options are refused without it"
    if scene.each is None:
        adapt_image.write_rows(data, folder, N_CLOTHES)
        return
    _, y = adapt_image.read_parts(data)[0]
    n, start = scene.each, number * scene.each
    by_label = [[i for i, label in enumerate(y) if label == one] for one in range(adapt_image.N_LABELS)]
    adapt_image.write_chosen(data, folder, sorted(i for some in by_label for i in some[start : start + n]))


def _digest(row: Mapping[str, str]) -> bytes:
    return hashlib.sha256(row["text"].encode()).digest()


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Sequence[Mapping[str, str]], scene: Scene) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", scene.target], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def give_texts(folder: Path, scene: Scene) -> tuple[Path, dict[str, Any]]:
    """The rows to learn from; the columns, and the rows to test on."""
    return folder / "train.csv", {"target": scene.target, "input": "text", "test": folder / "test.csv"}


def give_pictures(folder: Path, scene: Scene) -> tuple[Path, dict[str, Any]]:
    """The four files, whose names tell the parts; how a picture is read."""
    return folder, {"modality": scene.modality}


def _ways(folder: Path, scene: Scene, options: argparse.Namespace) -> dict[str, Way]:
    body, peers = parse("source", scene.body, Source).open(), scene.peers
    data, asked = scene.give(folder, scene)
    order = {**asked, "threads": options.threads}
    every: dict[str, Way] = {
        name: partial(tailored, data, body.folder, files.home(), {**order, "method": name}, metric=scene.metric)
        for name in OURS
    }
    every |= {name: partial(peer.run, folder, body, scene, options.threads) for name, peer in peers.items()}
    missing = {name: [one for one in peer.needed if find_spec(one) is None] for name, peer in peers.items()}
    for name in [name for name in options.only if missing.get(name)]:
        print(f"{name} is left out: pip install {' '.join(missing[name]).replace('_', '-')}", file=sys.stderr)
    return {name: every[name] for name in options.only if name in every and not missing.get(name)}


def _parts(folder: Path, scene: Scene) -> tuple[tuple[list[str], list[Any]], tuple[list[str], list[Any]]]:
    """Texts and truths of both parts."""
    truth: Callable[[str], float] = float if scene.is_number else LABELS.index
    both = [_read(folder / name) for name in ("train.csv", "test.csv")]
    train, test = (([row["text"] for row in rows], [truth(row[scene.target]) for row in rows]) for rows in both)
    return train, test


def score(scene: Scene, answers: Sequence[Any], truth: Sequence[Any]) -> float:
    """Accuracy, or R²."""
    from sklearn.metrics import accuracy_score, r2_score

    return float((r2_score if scene.is_number else accuracy_score)(truth, answers))


def _look_steps(n: int) -> int:
    """Steps from look to look of the Trainer that learns from n rows."""
    return max(1, n * adapt_image.TRAINER_EPOCHS // adapt_image.TRAINER_BATCH // LOOKS)


def trainer(folder: Path, body: BodyFolder, scene: Scene, threads: int, number: int) -> Outcome:
    """Trainer's defaults on the whole body."""
    watch = Stopwatch()
    from _trainer import Limits, run

    model, tokenizer, train, test = _classifier(folder, body, scene, threads, number)
    limits = Limits(_look_steps(len(train)))

    def scored(answers: Any) -> float:
        given = answers.predictions[:, 0] if scene.is_number else answers.predictions.argmax(-1)
        return score(scene, given, answers.label_ids)

    return run(model, (train, test), limits, watch, TRAINER_SEED + number, score=scored, processing_class=tokenizer)


def lora(folder: Path, body: BodyFolder, scene: Scene, threads: int, number: int) -> Outcome:
    """Trainer with peft, as peft's quicktour sets it."""
    watch = Stopwatch()
    import torch
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import Trainer, TrainingArguments

    model, tokenizer, train, test = _classifier(folder, body, scene, threads, number)
    model = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS, r=8, lora_alpha=32, lora_dropout=0.1))
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch, learning_rate=1e-3, per_device_train_batch_size=32, num_train_epochs=2,
            weight_decay=0.01, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
            seed=TRAINER_SEED + number,
        )  # fmt: skip
        Trainer(model, arguments, train_dataset=train, processing_class=tokenizer).train()
    seconds, answers = watch.seconds(), []
    model.eval()
    for i in range(0, len(test), 64):
        batch = tokenizer.pad({"input_ids": [row["input_ids"] for row in test[i : i + 64]]}, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**batch).logits
        answers += (logits[:, 0] if scene.is_number else logits.argmax(-1)).tolist()
    return _outcome(score(scene, answers, [row["labels"] for row in test]), len(test), seconds)


def _classifier(folder: Path, body: BodyFolder, scene: Scene, threads: int, number: int) -> tuple[Any, ...]:
    """The body with a new head, its tokenizer, and both parts as rows of tokens, the test rows by their length."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed

    torch.set_num_threads(threads)
    set_seed(TRAINER_SEED + number)
    tokenizer = AutoTokenizer.from_pretrained(body.folder)
    n_labels = 1 if scene.is_number else len(LABELS)
    model = AutoModelForSequenceClassification.from_pretrained(body.folder, num_labels=n_labels)
    parts = []
    for texts, y in _parts(folder, scene):
        tokens = tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        parts.append([{"input_ids": ids, "labels": label} for ids, label in zip(tokens, y, strict=True)])
    return model, tokenizer, parts[0], sorted(parts[1], key=lambda row: len(row["input_ids"]))


def head(folder: Path, body: BodyFolder, scene: Scene, threads: int, number: int) -> Outcome:
    """sentence-transformers' embeddings and a linear model, both with their defaults. Deterministic."""
    watch = Stopwatch()
    import torch
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression, Ridge

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(body.folder), device="cpu")
    (texts, y), (test_texts, test_y) = _parts(folder, scene)
    found = (Ridge() if scene.is_number else LogisticRegression(max_iter=1000)).fit(model.encode(texts), y)
    seconds = watch.seconds()
    return _outcome(score(scene, found.predict(model.encode(test_texts)), test_y), len(test_y), seconds)


def setfit(folder: Path, body: BodyFolder, scene: Scene, threads: int, number: int) -> Outcome:
    """SetFit (Tunstall et al. 2022, arXiv:2209.11055) with its defaults."""
    watch = Stopwatch()
    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    torch.set_num_threads(threads)
    (texts, y), (test_texts, test_y) = _parts(folder, scene)
    model = SetFitModel.from_pretrained(str(body.folder), device="cpu")
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # it writes checkpoints where it stands
        arguments = TrainingArguments(
            output_dir=scratch, seed=TRAINER_SEED + number, report_to="none", save_strategy="no"
        )
        rows = Dataset.from_dict({"text": texts, "label": y})
        Trainer(model=model, args=arguments, train_dataset=rows).train()
        os.chdir("/")
    seconds = watch.seconds()
    return _outcome(score(scene, [int(one) for one in model.predict(test_texts)], test_y), len(test_y), seconds)


def picture_trainer(folder: Path, body: BodyFolder, scene: Scene, threads: int, number: int) -> Outcome:
    """adapt_image.py's, to its end."""
    n = N_CLOTHES if scene.each is None else scene.each * adapt_image.N_LABELS
    return adapt_image.trainer(folder, body, scene.modality, (_look_steps(n), inf, inf), threads, number)


def picture_head(folder: Path, body: BodyFolder, scene: Scene, threads: int, number: int) -> Outcome:
    """The frozen body as torch runs it, and a linear model with its defaults. Deterministic."""
    watch = Stopwatch()
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from tailorbird.bodies.base import build

    torch.set_num_threads(threads)
    module, reader = build(body), parse("modality", scene.modality, Modality).reader(body)
    (pictures, y), (test_pictures, test_y) = adapt_image.read_parts(folder)
    found = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    found.fit(_features(module, reader, pictures), y)
    seconds = watch.seconds()
    answers = found.predict(_features(module, reader, test_pictures))
    return _outcome(score(scene, answers, test_y), len(test_y), seconds)


def _features(module: Body, reader: Reader, pictures: Sequence[Value]) -> NDArray[np.float32]:
    """Of the last depth: (n, d)."""
    import torch

    found = []
    with torch.inference_mode():
        for i in range(0, len(pictures), EAGER_BATCH):
            loaded: list[Any] = reader.load(pictures[i : i + EAGER_BATCH])
            found.append(module.last(pixels=torch.from_numpy(reader.stack(loaded)["pixels"])))
        return torch.cat(found).numpy()


def _outcome(value: float, n_test: int, seconds: float) -> Outcome:
    return Outcome(value, n_test, seconds, ((seconds, value),))


TEXT_PEERS = {
    "trainer": Peer(trainer, ("accelerate",)),
    "lora": Peer(lora, ("peft", "accelerate")),
    "head": Peer(head, ("sentence_transformers",)),
}
# Of many rows its pairs would take hours, and it is not meant for that.
FEW_TEXT_PEERS = {**TEXT_PEERS, "setfit": Peer(setfit, ("setfit",))}
PICTURE_PEERS = {"trainer": Peer(picture_trainer, ("accelerate",)), "head": Peer(picture_head)}
REVIEWS = Scene("text", BODY, write_reviews, give_texts, TEXT_PEERS, "sentiment")
CLOTHES = Scene("image:size=64", adapt_image.BODY, write_clothes, give_pictures, PICTURE_PEERS)
SCENES = {
    "reviews": REVIEWS,
    "reviews-64": replace(REVIEWS, each=64, peers=FEW_TEXT_PEERS),
    "reviews-16": replace(REVIEWS, each=16, peers=FEW_TEXT_PEERS),
    "tweets": replace(REVIEWS, write=write_tweets, target="rating", metric="r2"),
    "clothes": CLOTHES,
    "clothes-100": replace(CLOTHES, each=100),
}


def _scene(runs: Sequence[Mapping[str, Any]], scene: str) -> dict[str, Any]:
    """Medians of each way, and for each peer by what factor the quickest of ours that is as good was sooner."""
    mine = [one for one in runs if one["scene"] == scene]
    ways = {}
    for name in (*OURS, *PEERS):
        rounds = [one for one in mine if one["way"] == name]
        if rounds:
            keys = ("accuracy", "seconds", "peak_mib")
            ways[name] = {key: median(one[key] for one in rounds) for key in keys}
            ways[name] |= {"rounds": len(rounds), "n_test": rounds[0]["n_test"], "cut": rounds[0]["cut"]}
    sooner = {peer: _sooner(ways, peer, scene) for peer in PEERS if peer in ways}
    return {"ways": ways, "sooner": sooner}


def _sooner(ways: Mapping[str, Mapping[str, Any]], peer: str, scene: str) -> dict[str, Any] | None:
    """The quickest of ours that is not less accurate beyond the interval of a difference of two shares."""
    theirs, able = ways[peer], []
    for name in [name for name in OURS if name in ways]:
        shares = () if SCENES[scene].is_number else (ways[name], theirs)  # of R² no lower one will do
        spread = sqrt(sum(one["accuracy"] * (1 - one["accuracy"]) / one["n_test"] for one in shares))
        if ways[name]["accuracy"] >= theirs["accuracy"] - 1.96 * spread:
            able.append((ways[name]["seconds"], name))
    if not able:
        return None
    seconds, name = min(able)
    memory = ways[name]["peak_mib"] / theirs["peak_mib"]
    return {"way": name, "factor": theirs["seconds"] / seconds, "memory_share": memory}


def _table(found: Mapping[str, Any]) -> str:
    lines = [
        "| way | accuracy %, or 100 R² | seconds | peak MiB | rounds | ours is as good and sooner by |",
        "|---" * 6 + "|",
    ]
    for name, one in found["ways"].items():
        ahead = found["sooner"].get(name, "")
        shown = (
            "no way of ours is as good" if ahead is None else f"{ahead['factor']:.1f} ({ahead['way']})" if ahead else ""
        )
        accuracy = f"{100 * one['accuracy']:.1f}"
        lines.append(
            f"| {name} | {accuracy} | {one['seconds']:.0f} | {one['peak_mib']:.0f} | {one['rounds']} | {shown} |"
        )
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    everyone = (*OURS, *PEERS)
    ways = f"{','.join(everyone)}; a scene runs those that it has"
    parser.add_argument("--scenes", type=lambda given: given.split(","), default=tuple(SCENES), help=",".join(SCENES))
    parser.add_argument("--only", type=lambda given: given.split(","), default=everyone, help=ways)
    parser.add_argument("--repeats", type=int, default=3, help="rounds: every way of every scene once in each")
    parser.add_argument("--threads", type=int, default=2)
    absent = adapt_image.add_data(parser)
    parser.add_argument("--out", help="lines of JSON, to go on with")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for given, known in ((options.only, everyone), (options.scenes, tuple(SCENES))):
        if unknown := set(given) - set(known):
            parser.error(f"known are {','.join(known)}, and not {','.join(sorted(unknown))}")
    if options.data is None and any(SCENES[name].modality.startswith("image") for name in options.scenes):
        parser.error(absent)
    return options


if __name__ == "__main__":
    main()
