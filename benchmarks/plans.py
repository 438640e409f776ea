"""How often does what plan says of a fit hold?

    python benchmarks/plans.py [--sizes 8603,5000,...] [--methods probe,finetune:last=2,...] [--rows F.jsonl] [--json]

Film reviews, split as in adapt_text.py: the first so many rows to learn from, and 2,000 test rows. For each number of
rows and each method a plan is made of this method alone, and then the fit; each is a fresh process. All share one
store, which begins with the body alone, so that later plans know what earlier fits took, as they would on a user's
machine; the largest number of rows comes first, so that what all later fits find in the cache was its. Told are the
seconds and the memory that were said, with the 80 % interval, and what the fit took: its report's own total, and its
highest resident memory.

--rows: a line is added for each fit as it is done. A run that was broken off begins anew, for its store is gone.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from _race import Outcome, alone, machine, machine_line, quiet
from adapt_text import BODY, write_rows

from tailorbird.kinds import Source
from tailorbird.plug import parse
from tailorbird.store import files

SIZES = "8603,5000,2500,1000"
METHODS = "probe,finetune:last=2,bitfit,finetune,lora"


def main() -> None:
    options = _options()
    quiet(options.threads)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_rows(place)
        store = _store(place)
        for n in map(int, options.sizes.split(",")):
            data = _first(place, n)
            for method in options.methods.split(","):
                order = {"target": "sentiment", "input": "text", "test": place / "test.csv", "threads": options.threads}
                found.append(line(n, method, *planned_and_fitted(data, store, {**order, "method": method})))
                print(json.dumps(found[-1]), file=sys.stderr, flush=True)
                if options.rows:
                    with Path(options.rows).open("a") as file:
                        file.write(json.dumps(found[-1]) + "\n")
    told = {"machine": machine(), "fits": found, "held": held(found)}
    print(json.dumps(told, indent=1) if options.json else f"{machine_line(told['machine'])}\n\n{table(found)}")


def planned_and_fitted(data: Path, store: Path, order: Mapping[str, Any]) -> tuple[dict[str, Any], Outcome]:
    """What was said of a fit, and what it took."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        said = pool.submit(_planned, data, store, order).result()
    return said, alone(partial(_fitted, data, store, order), 0)


def _planned(data: Path, store: Path, order: Mapping[str, Any]) -> dict[str, Any]:
    os.environ["TAILORBIRD_HOME"] = str(store)
    import tailorbird as tb

    with redirect_stdout(sys.stderr):
        told = tb.plan(data, device="cpu", **order)
    return asdict(told.prospects[0].ways[0])


def _fitted(data: Path, store: Path, order: Mapping[str, Any], number: int) -> Outcome:
    os.environ["TAILORBIRD_HOME"] = str(store)
    import tailorbird as tb

    with tempfile.TemporaryDirectory() as scratch:
        report = tb.fit(data, out=Path(scratch) / "model", seed=number, device="cpu", **order).report
    assert report is not None, "fit measures what it made"
    return Outcome(report.test["accuracy"].value, report.rows["test"], report.seconds["total"], ())


def line(n: int, method: str, said: Mapping[str, Any], took: Outcome) -> dict[str, Any]:
    """What was said beside what it took."""
    memory = said["memory_bytes"] or {}
    return {
        "rows": n,
        "method": method,
        "said_s": {name: round(value, 1) for name, value in said["seconds"].items()},
        "took_s": round(took.seconds, 1),
        "said_mib": {name: round(value / 2**20) for name, value in memory.items()},
        "took_mib": round(took.peak_mib),
    }


def held(fits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many of the intervals held, of all fits and of the later half."""
    later = fits[len(fits) // 2 :]
    told = {}
    for name, some in (("all", fits), ("later half", later)):
        seconds = sum(_inside(one["took_s"], one["said_s"]) for one in some)
        memory = sum(_inside(one["took_mib"], one["said_mib"]) for one in some)
        told[name] = {"fits": len(some), "seconds": seconds, "memory": memory}
    return told


def _inside(value: float, span: Mapping[str, float]) -> bool:
    return bool(span) and span["low"] <= value <= span["high"]


def table(fits: Sequence[Mapping[str, Any]]) -> str:
    """A line for each fit."""
    lines = ["| rows | method | said, s (80 %) | took, s | said, MiB (80 %) | took, MiB |", "|---" * 6 + "|"]
    for one in fits:
        spans = [_span(one["said_s"]), _span(one["said_mib"])]
        took = [f"{one['took_s']:.0f}", f"{one['took_mib']:,}"]
        lines.append(f"| {one['rows']:,} | {one['method']} | {spans[0]} | {took[0]} | {spans[1]} | {took[1]} |")
    ends = [
        f"{name}: of {count['fits']} fits the seconds held in {count['seconds']}, the memory in {count['memory']}"
        for name, count in held(fits).items()
    ]
    return "\n".join([*lines, "", *ends])


def _span(told: Mapping[str, float]) -> str:
    return f"{told['value']:,.0f} ({told['low']:,.0f} to {told['high']:,.0f})" if told else ""


def _store(folder: Path) -> Path:
    """A store with the body alone."""
    body, home = parse("source", BODY, Source).open().folder, files.home()
    shutil.copytree(body, folder / "store" / body.relative_to(home))
    return folder / "store"


def _first(folder: Path, n: int) -> Path:
    """The first n rows to learn from."""
    path = folder / f"train-{n}.csv"
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows[: n + 1])
    return path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", help="a file of lines, one for each fit")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
