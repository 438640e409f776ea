"""Kill a fit at random moments, go on, and compare: is a model ever half there, and are its bits the same?

    python benchmarks/kills.py [--kills 200] [--workers 2] [--seed 0] [--rows FILE.jsonl] [--json]

A body of three small layers with random weights (made here) learns from 600 made sentences. A first fit is left alone;
each other one is killed with SIGKILL, and taken up again with --resume; every third one is killed a second time. The
moment is drawn evenly from the time that the first one took; of every second fit it is drawn from when a checkpoint is
there until four tenths of that time later, so that many have something to go on from. Each begins with a store of its
own that holds the body, its graph and the choice of a runtime, and no features. Counted is after how many kills the
model folder was absent or whole (verified byte by byte), and how many models have the same weights, body and head, as
the first one, bit for bit.

--rows: a line is added for each kill as it is done, and lines that are there already count: so a long run can be broken
off and taken up again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tailorbird.errors import BadArtifact
from tailorbird.store.artifact import open_artifact
from tailorbird.store.bodies import write_body

N_SENTENCES = 600
WEIGHTS = ("body/model.safetensors", "head.safetensors")
GRACE = 1.1  # kills are drawn from this share of an undisturbed fit's time, so that some come after the end
LATE = 0.4  # the same of kills that wait for a checkpoint


@dataclass(frozen=True)
class Kill:
    """What came of one fit that was killed. found: what lay there after each kill."""

    number: int
    at_s: list[float]
    found: list[str]  # "absent", "whole" or "broken"
    learned: bool  # whether there were checkpoints to go on from
    same: bool  # the weights are those of the undisturbed fit
    seconds: float


@dataclass(frozen=True)
class Bench:
    """Where the fits run. seconds: what an undisturbed one takes; weights: its digests."""

    folder: Path
    seconds: float
    weights: tuple[str, ...]


def main() -> None:
    options = _options()
    rows = Path(options.rows) if options.rows else None
    known = [Kill(**json.loads(line)) for line in rows.read_text().splitlines()] if rows and rows.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        bench = prepared(Path(folder))
        done = {kill.number for kill in known}
        numbers = [number for number in range(options.kills) if number not in done]
        with ThreadPoolExecutor(options.workers) as pool:
            for kill in pool.map(lambda number: killed(bench, number, options.seed), numbers):
                known.append(kill)
                print(json.dumps(asdict(kill)), file=sys.stderr)
                if rows:
                    with rows.open("a") as file:
                        file.write(json.dumps(asdict(kill)) + "\n")
    told = summary(known, bench.seconds)
    print(json.dumps(told) if options.json else "\n".join(f"{name}: {value}" for name, value in told.items()))


def summary(kills: list[Kill], seconds: float) -> dict[str, Any]:
    """Counts over all kills."""
    found = [one for kill in kills for one in kill.found]
    return {
        "fits": len(kills),
        "kills": len(found),
        "absent_or_whole": sum(one != "broken" for one in found),
        "went_on_from_a_checkpoint": sum(kill.learned for kill in kills),
        "same_bits": sum(kill.same for kill in kills),
        "undisturbed_s": round(seconds, 1),
    }


def prepared(folder: Path) -> Bench:
    """The data, the body, a store that knows both, and the fit that is left alone."""
    write_sentences(folder / "rows.csv")
    write_bert(folder / "bert")
    _run(folder, "warm", [])
    shutil.rmtree(folder / "home-warm" / "features")
    shutil.copytree(folder / "home-warm", folder / "store")
    began = time.perf_counter()
    _run(folder, "first", [])
    return Bench(folder, time.perf_counter() - began, digests(folder / "first"))


def killed(bench: Bench, number: int, seed: int) -> Kill:
    """One fit, killed once or twice, and taken up again until it is done."""
    rng, began = random.Random(f"{seed}/{number}"), time.perf_counter()
    out, found, at, learned = bench.folder / f"m{number}", [], [], False
    for _ in range(2 if number % 3 == 2 else 1):
        is_late, since = number % 2 == 1, time.perf_counter()
        process = _start(bench.folder, out.name, ["--resume"] if _is_begun(out) else [])
        while is_late and process.poll() is None and not _has_learned(out):
            time.sleep(0.01)
        try:
            process.wait(rng.uniform(0, LATE if is_late else GRACE) * bench.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        at.append(round(time.perf_counter() - since, 3))
        found.append(state(out))
        learned = learned or _has_learned(out)
    if found[-1] != "whole":
        _run(bench.folder, out.name, ["--resume"] if _is_begun(out) else [])
    same = digests(out) == bench.weights
    for path in (out, bench.folder / f"home-{out.name}"):
        shutil.rmtree(path)
    return Kill(number, at, found, learned, same, round(time.perf_counter() - began, 1))


def state(out: Path) -> str:
    """Whether a model is there."""
    if not out.exists():
        return "absent"
    try:
        open_artifact(out)
    except BadArtifact:
        return "broken"
    return "whole"


def digests(out: Path) -> tuple[str, ...]:
    """Of the files that hold weights."""
    return tuple(hashlib.sha256((out / name).read_bytes()).hexdigest() for name in WEIGHTS)


def write_sentences(path: Path) -> None:
    """Made sentences of two kinds, which differ in some of their letters."""
    rng = random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for i in range(N_SENTENCES):
            letters = "abcdefgh" if i % 2 else "efghijkl"
            words = " ".join("".join(rng.choices(letters, k=4)) for _ in range(rng.randint(2, 9)))
            writer.writerow((f"{words} {i}", "odd" if i % 2 else "even"))


def write_bert(folder: Path) -> None:
    """Three layers of random weights that read letters."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 128}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=64, **sizes), add_pooling_layer=False).save_pretrained(folder)
    letters = {name: i for i, name in enumerate(["[PAD]", "[UNK]", *"abcdefghijklmnopqrstuvwxyz0123456789"])}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"spelling": "made:bert", "architecture": "transformers", "modality": "text:max_tokens=48"}
    write_body(folder, **told, settings={}, card={"title": "made: three layers of random weights"})


def _has_learned(out: Path) -> bool:
    return any(out.with_name(f"{out.name}.part").glob("laps/*/step-*/manifest.json"))


def _is_begun(out: Path) -> bool:
    return out.with_name(f"{out.name}.part").is_dir()


def _run(folder: Path, name: str, more: list[str]) -> None:
    process = _start(folder, name, more)
    if process.wait():
        raise SystemExit(
            f"{name} {more} ended with {process.returncode}: {(folder / f'{name}.log').read_text()[-2000:]}"
        )


def _start(folder: Path, name: str, more: list[str]) -> subprocess.Popen[bytes]:
    home = folder / f"home-{name}"
    if not home.exists() and (folder / "store").exists():
        shutil.copytree(folder / "store", home)
    command = [sys.executable, "-m", "tailorbird", "fit", "rows.csv", "--target", "label", "--model", "folder:bert"]
    command += ["--method", "finetune:epochs=6", "--out", name, "--threads", "1", "--checkpoint-every", "0.2s", *more]
    environment = {**os.environ, "TAILORBIRD_HOME": str(home)}
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="fits to kill")
    parser.add_argument("--workers", type=int, default=2, help="at a time")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--rows", help="a file of lines, one for each kill")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
