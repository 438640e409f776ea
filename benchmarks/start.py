"""What it costs to begin: processor seconds of importing and of `--help`, beside bare Python and the peers.

    python benchmarks/start.py [--repeats 7] [--json]

Aims: under 0.3 s for the import, under 0.6 s for the help. Fresh processes, in turns; the median is told.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

WAYS = {
    "python, nothing": ["-c", "pass"],
    "import tailorbird": ["-c", "import tailorbird"],
    "tailorbird --help": ["-m", "tailorbird", "--help"],
    "import torch": ["-c", "import torch"],
    "import transformers": ["-c", "import transformers"],
    "from sklearn import linear_model": ["-c", "from sklearn import linear_model"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(args.repeats):
        for way, words in WAYS.items():
            spent[way].append(cpu_seconds(words))
    medians = {way: statistics.median(seconds) for way, seconds in spent.items()}
    if args.json:
        print(json.dumps(medians))
        return
    print("| what | processor seconds | of `import tailorbird` |\n|---|---|---|")
    for way, seconds in medians.items():
        print(f"| {way} | {seconds:.2f} | {seconds / medians['import tailorbird']:.1f} |")


def cpu_seconds(words: list[str]) -> float:
    """Processor seconds, the kernel's included, of a fresh Python with these arguments."""
    child = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, f"{words} ended with {child.returncode}"
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
