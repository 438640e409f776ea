"""Does a fit end when it was told to, and what does more time buy?

    python benchmarks/budgets.py [--budgets 30s,45s,1m,...] [--method auto] [--rows FILE.jsonl] [--json]

Film reviews, split as in adapt_text.py, and the same body; each fit is a fresh process that starts from a store with
the body alone and has a budget. Told are the seconds from before the imports to the sealed model, by how much they
exceed the budget, and what the model does on the 2,000 test rows. A budget that is refused as too small is told.

--rows: a line is added for each fit as it is done, and lines that are there already count.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from _race import alone, machine, machine_line, quiet, tailored
from adapt_text import BODY, write_rows

from tailorbird.engine.budget import seconds_of
from tailorbird.errors import TailorbirdError
from tailorbird.kinds import Source
from tailorbird.plug import parse
from tailorbird.store import files

BUDGETS = "30s,45s,60s,90s,2m,3m,4m,5m,7m,10m"
MOST_OVERRUN = 0.1  # share of the budget: what the product promises


def main() -> None:
    options = _options()
    quiet(options.threads)
    path = Path(options.rows) if options.rows else None
    known = [json.loads(line) for line in path.read_text().splitlines()] if path and path.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder))
        for typed in options.budgets.split(","):
            if any(one["budget"] == typed for one in known):
                continue
            known.append(fitted(Path(folder), typed, options))
            if path:
                with path.open("a") as file:
                    file.write(json.dumps(known[-1]) + "\n")
    told = {"machine": machine(), "method": options.method, "fits": known}
    print(json.dumps(told, indent=1) if options.json else f"{machine_line(told['machine'])}\n\n{table(known)}")


def fitted(folder: Path, typed: str, options: argparse.Namespace) -> dict[str, Any]:
    """One fit with a budget, from an empty store."""
    body = parse("source", BODY, Source).open().folder
    order = {"target": "sentiment", "input": "text", "test": folder / "test.csv", "threads": options.threads}
    way = partial(
        tailored, folder / "train.csv", body, files.home(), {**order, "method": options.method, "budget": typed}
    )
    budget_s = seconds_of(typed, "--budget")
    try:
        outcome = alone(way, 0)
    except TailorbirdError as error:
        return {"budget": typed, "budget_s": budget_s, "refused": f"{error.problem}; {error.hint}"}
    head = outcome.notes.get("head", {})
    return {
        "budget": typed,
        "budget_s": budget_s,
        "seconds": round(outcome.seconds, 1),
        "overrun": round(outcome.seconds / budget_s - 1, 3),
        "accuracy": outcome.accuracy,
        "steps": head.get("steps", 0),
        "reason": head.get("auto", {}).get("reason", ""),
    }


def table(fits: list[dict[str, Any]]) -> str:
    """A line for each budget."""
    lines = ["| budget | seconds | overrun | accuracy % | steps of the body |", "|---" * 5 + "|"]
    for one in fits:
        if "refused" in one:
            lines.append(f"| {one['budget']} | refused: {one['refused']} | | | |")
        else:
            share = f"{100 * max(one['overrun'], 0):.0f} %"
            lines.append(
                f"| {one['budget']} | {one['seconds']} | {share} | {100 * one['accuracy']:.1f} | {one['steps']:,} |"
            )
    ended = [one for one in fits if "refused" not in one]
    kept = sum(one["overrun"] <= MOST_OVERRUN for one in ended)
    return "\n".join([*lines, "", f"{kept} of {len(ended)} ended within the budget and {MOST_OVERRUN:.0%} of it"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", default=BUDGETS)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", help="a file of lines, one for each fit")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
