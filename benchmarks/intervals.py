"""How often the 95 % intervals hold the truth: models are simulated, of which it is known.

    python benchmarks/intervals.py [--models 1000] [--rows 60 300 2000] [--resamples 1000] [--json]

Aim: 93 to 97 % for every metric at 300 rows. The calibration error is told too, though it has no unbiased estimate.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping

import numpy as np

from tailorbird.measure import labels, numbers
from tailorbird.measure.bootstrap import RESAMPLES, figures
from tailorbird.measure.metrics import METRICS, Metric

Answers = tuple[np.ndarray, np.ndarray]
Maker = Callable[[np.random.Generator, int], Answers]


def one_label(rng: np.random.Generator, n: int) -> Answers:
    """Four labels of 40, 30, 20 and 10 % of the rows, of which 73 % are found."""
    y = np.searchsorted([0.4, 0.7, 0.9], rng.random(n))
    powers = np.exp(rng.normal(size=(n, 4)) + 1.6 * np.eye(4)[y])
    return y, powers / powers.sum(1, keepdims=True)


def many_labels(rng: np.random.Generator, n: int) -> Answers:
    """Five labels of 10 to 50 % of the rows."""
    y = (rng.random((n, 5)) < [0.5, 0.35, 0.25, 0.15, 0.1]).astype(np.float32)
    return y, 1 / (1 + np.exp(1.5 - 2 * y - rng.normal(size=y.shape)))


def a_number(rng: np.random.Generator, n: int) -> Answers:
    """A number of which some rows are harder to tell than others, so that errors have long tails."""
    known = rng.normal(size=(n, 1))
    return 3 * known + np.exp(rng.normal(0, 0.5, (n, 1))) * rng.normal(size=(n, 1)), 2.8 * known + 0.1


FAMILIES: Mapping[str, tuple[Maker, Mapping[str, Metric]]] = {
    "one label": (one_label, METRICS),
    "many labels": (many_labels, labels.metrics(0.5)),
    "a number": (a_number, numbers.METRICS),
}


def held(make: Maker, metrics: Mapping[str, Metric], n_models: int, n_rows: int, resamples: int) -> dict[str, float]:
    """The share of models of which the interval held the truth, for each metric."""
    whole = make(np.random.default_rng(1), 300_000)
    truth = {name: metric(*whole) for name, metric in metrics.items()}
    rng, counts = np.random.default_rng(2), dict.fromkeys(metrics, 0)
    for seed in range(n_models):
        for name, figure in figures(metrics, *make(rng, n_rows), seed=seed, resamples=resamples).items():
            counts[name] += figure.low <= truth[name] <= figure.high
    return {name: count / n_models for name, count in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=[60, 300, 2000])
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    shares = {
        family: {n: held(make, metrics, args.models, n, args.resamples) for n in args.rows}
        for family, (make, metrics) in FAMILIES.items()
    }
    if args.json:
        print(json.dumps(shares))
        return
    print("| | | " + " | ".join(f"{n:,} rows" for n in args.rows) + " |\n|---|---|" + "---|" * len(args.rows))
    for family, by_rows in shares.items():
        for name in FAMILIES[family][1]:
            print(f"| {family} | {name} | " + " | ".join(f"{100 * by_rows[n][name]:.1f} %" for n in args.rows) + " |")


if __name__ == "__main__":
    main()
