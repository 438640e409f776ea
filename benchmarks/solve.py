"""The solver beside scikit-learn: 35,000 x 1,280 features, 10 labels, ten strengths.

The features are made: rectified mixtures of 64 hidden numbers with noise, so correlated and of fading spectrum as the
features of a picture body are. Loss gap: our objective over the peer's at the same strength, less 1; accuracies are
of both heads on other rows of the same make. The peer starts warm from its last strength too, on standardised features.

    python benchmarks/solve.py [--rows 35000] [--width 1280] [--labels 10] [--peer-strengths 10] [--json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from tailorbird.engine.solve import log_loss, path, pose

STRENGTHS = np.geomspace(10.0, 1e-4, 10).tolist()  # the probe's own
PEER_ROUNDS = 1000
TEST_ROWS = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=35_000)
    parser.add_argument("--width", type=int, default=1_280)
    parser.add_argument("--labels", type=int, default=10)
    parser.add_argument("--peer-strengths", type=int, default=len(STRENGTHS), help="the peer solves the first so many")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    x, y = made(args.rows + TEST_ROWS, args.width, args.labels)
    train, test = (x[: args.rows], y[: args.rows]), (x[args.rows :], y[args.rows :])
    ours = list(timed(solve(*train, args.labels)))
    peers = list(timed(solve_peer(*train, STRENGTHS[: args.peer_strengths])))
    triples = zip(STRENGTHS, ours, peers, strict=False)
    rows = [compare(strength, one, other, train, test) for strength, one, other in triples]
    seconds = sum(spent for _, spent in ours)
    total = {"seconds": seconds, "peer_seconds": sum(spent for _, spent in peers), "peer_strengths": len(peers)}
    total["seconds_same_strengths"] = sum(spent for _, spent in ours[: len(peers)])
    total["ratio"] = total["peer_seconds"] / total["seconds_same_strengths"]
    if args.json:
        print(json.dumps({**vars(args), **total, "strengths": rows}))
    else:
        show(rows, total)


def made(n: int, d: int, c: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features and labels: (n, d), (n,). The best head is right on about nine rows in ten."""
    rng = np.random.default_rng(0)
    y = rng.integers(c, size=n)
    hidden = 0.45 * rng.standard_normal((c, 64))[y] + rng.standard_normal((n, 64))
    fading = np.exp(0.7 * rng.standard_normal((64, 1))) / 8
    mixed = hidden.astype(np.float32) @ (fading * rng.standard_normal((64, d))).astype(np.float32)
    noise = 0.5 * rng.standard_normal((n, d), dtype=np.float32)
    return np.maximum(mixed + noise + rng.standard_normal(d, dtype=np.float32), 0), y


Head = tuple[NDArray[Any], NDArray[Any]]  # weight (d, c) and bias (c,) on the features as they were made


def solve(x: NDArray[np.float32], y: NDArray[np.int64], c: int) -> Iterator[Head]:
    """Our heads, strength by strength; the first includes the basis."""
    problem = pose(x, y, c, np.ones(len(y), np.float32))
    return ((solution.weight, solution.bias) for solution in path(problem, STRENGTHS))


def solve_peer(x: NDArray[np.float32], y: NDArray[np.int64], strengths: list[float]) -> Iterator[Head]:
    """The peer's heads; the first includes the standardising."""
    mean, scale = x.mean(0), np.maximum(x.std(0), 1e-6)
    x = (x - mean) / scale
    model = LogisticRegression(max_iter=PEER_ROUNDS, warm_start=True)
    for strength in strengths:
        model.set_params(C=1 / (strength * len(y))).fit(x, y)
        weight = model.coef_.T / scale[:, None]
        yield weight, model.intercept_ - mean @ weight


def timed(heads: Iterator[Head]) -> Iterator[tuple[Head, float]]:
    """Each head with the seconds that it took."""
    while True:
        started = perf_counter()
        head = next(heads, None)
        if head is None:
            return
        yield head, perf_counter() - started


Rows = tuple[NDArray[np.float32], NDArray[np.int64]]


def compare(
    strength: float, ours: tuple[Head, float], peer: tuple[Head, float], train: Rows, test: Rows
) -> dict[str, float]:
    """One line of the table."""
    deviation = train[0].std(0)
    mine, theirs = (objective(head, strength, deviation, train) for head in (ours[0], peer[0]))
    return {
        "strength": strength, "seconds": ours[1], "peer_seconds": peer[1], "loss": mine, "loss_gap": mine / theirs - 1,
        "accuracy": accuracy(ours[0], test), "peer_accuracy": accuracy(peer[0], test),
    }  # fmt: skip


def objective(head: Head, strength: float, deviation: NDArray[np.float32], rows: Rows) -> float:
    """What both minimise, in float64: mean log-loss, and the penalty on weights of standardised features."""
    penalty = strength / 2 * float(((head[0] * deviation[:, None]).astype(np.float64) ** 2).sum())
    return log_loss(rows[0] @ head[0] + head[1], rows[1], np.ones(len(rows[1]))) + penalty


def accuracy(head: Head, rows: Rows) -> float:
    return float(((rows[0] @ head[0] + head[1]).argmax(1) == rows[1]).mean())


def show(rows: list[dict[str, float]], total: dict[str, float]) -> None:
    print("strength   ours s  peer s      loss   loss gap  accuracy  peer's")
    for one in rows:
        print(
            f"{one['strength']:8.1e} {one['seconds']:8.2f} {one['peer_seconds']:7.2f} {one['loss']:9.5f}"
            f" {one['loss_gap']:+10.1e} {one['accuracy']:9.4f} {one['peer_accuracy']:7.4f}"
        )
    print(f"all {len(STRENGTHS)} strengths: ours {total['seconds']:.1f} s")
    same = f"{total['seconds_same_strengths']:.1f} s against {total['peer_seconds']:.1f} s"
    print(f"the {total['peer_strengths']} that both solved: {same}, {total['ratio']:.1f} times faster")


if __name__ == "__main__":
    main()
