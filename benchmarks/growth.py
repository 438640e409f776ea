"""What twice as many rows cost: seconds a row, and memory.

    python benchmarks/growth.py [--method probe] [--times 1,2,4,8] [--rows 5000] [--threads 2] [--out F.jsonl] [--json]

Made sentences: words drawn from those of the film reviews, as long as reviews are, with the label of a review whose
words they share; never two alike. Each fit is a fresh process and starts from a store with the default text body alone.
Seconds count from before the imports to the sealed model.

--out: a line is added for each fit as it is done, and fits that are there already are not run again.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from _race import alone, machine, machine_line, quiet, tailored
from adapt_text import BODY

from tailorbird.data import samples
from tailorbird.kinds import Source
from tailorbird.plug import parse
from tailorbird.store import files


def main() -> None:
    options = _options()
    quiet(options.threads)
    body, out = parse("source", BODY, Source).open().folder, Path(options.out) if options.out else None
    known = [json.loads(line) for line in out.read_text().splitlines()] if out and out.exists() else []
    found = [one for one in known if one["method"] == options.method]
    with tempfile.TemporaryDirectory() as folder:
        for times in map(int, options.times.split(",")):
            path, n = Path(folder) / "rows.csv", times * options.rows
            if any(one["rows"] == n for one in found):
                continue
            write_made(path, n)
            order = {"target": "label", "input": "text", "method": options.method, "threads": options.threads}
            outcome = alone(partial(tailored, path, body, files.home(), order), 0)
            told = line(n, outcome.seconds, outcome.peak_mib, outcome.notes["stages"])
            found.append({"method": options.method, **told})
            if out:
                with out.open("a") as file:
                    file.write(json.dumps(found[-1]) + "\n")
    told = {"machine": machine(), "method": options.method, "fits": found}
    print(json.dumps(told, indent=1) if options.json else f"{machine_line(told['machine'])}\n\n{table(found)}")


def line(n: int, seconds: float, peak_mib: float, stages: dict[str, float]) -> dict[str, Any]:
    """What a fit of n rows cost."""
    rounded = {name: round(value, 1) for name, value in stages.items()}
    return {"rows": n, "seconds": round(seconds, 1), "ms_a_row": round(1000 * seconds / n, 2),
            "peak_mib": round(peak_mib), "stages": rounded}  # fmt: skip


def table(found: list[dict[str, Any]]) -> str:
    """A line for each number of rows."""
    lines = ["| rows | seconds | ms a row | peak MiB | stages |", "|---" * 5 + "|"]
    for one in found:
        stages = ", ".join(f"{name} {value:.0f}" for name, value in one["stages"].items())
        lines.append(f"| {one['rows']:,} | {one['seconds']} | {one['ms_a_row']} | {one['peak_mib']:,} | {stages} |")
    return "\n".join(lines)


def write_made(path: Path, n: int) -> None:
    """n made sentences with labels."""
    with samples.open("film-reviews").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"].split(), row["sentiment"]) for row in csv.DictReader(file)]
    rng = random.Random(0)
    by_label = {label: [words for words, other in rows if other == label] for label in ("neg", "pos")}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for i in range(n):
            label = ("neg", "pos")[i % 2]
            one, other = rng.sample(by_label[label], 2)
            words = rng.sample(one, len(one)) + rng.sample(other, len(other))
            writer.writerow((" ".join(words[: rng.choice((len(one), len(other)))]) + f" {i}", label))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="probe")
    parser.add_argument("--times", default="1,2,4,8")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", help="lines of JSON, to go on with")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
