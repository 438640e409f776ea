"""Several ways to the same end, each in a fresh process, in turns: what the adapt benchmarks share.

A way gives an Outcome. Its clock begins before it imports anything, and stands still while a peer is only evaluated.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from math import inf
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

PACKAGES = ("tailorbird", "torch", "transformers", "accelerate", "scikit-learn", "numpy", "openvino", "onnxruntime")


@dataclass(frozen=True)
class Outcome:
    """What one run came to. curve: (seconds, accuracy on the test rows) whenever the model was looked at."""

    accuracy: float
    n_test: int
    seconds: float  # from before the imports to the model; evaluation that a user could leave out is not counted
    curve: tuple[tuple[float, float], ...]
    cut: str = ""  # how far it came, where it was stopped before its end
    notes: Mapping[str, Any] = field(default_factory=dict)
    peak_mib: float = 0.0  # resident memory of the process, or of a child of it

    def seconds_to(self, percent: float) -> float | None:
        """When this accuracy was first seen; None: never."""
        return next((seconds for seconds, accuracy in self.curve if 100 * accuracy >= percent), None)


Way = Callable[[int], Outcome]  # given the number of the round, for its seed; it must be possible to pickle it


class Stopwatch:
    """Seconds since it was made, less those that were left out."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._start

    @contextmanager
    def paused(self) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._start += time.perf_counter() - begun


def quiet(threads: int) -> None:
    """What the processes to come inherit: no network, no chatter, so many threads."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ[name] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # every way runs on the processor
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)


def race(ways: Mapping[str, Way], repeats: int) -> dict[str, list[Outcome]]:
    """Every way in turn, `repeats` times. Each outcome is told on stderr as it comes: whole races take hours."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in ways}
    for number in range(repeats):
        for name, way in ways.items():
            outcome = alone(way, number)
            outcomes[name].append(outcome)
            print(json.dumps({"way": name, "round": number, **asdict(outcome)}), file=sys.stderr, flush=True)
    return outcomes


def alone(way: Way, number: int) -> Outcome:
    """A way's outcome in a fresh process, so that neither imports nor memory nor caches are shared."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, way, number).result()


def _measured(way: Way, number: int) -> Outcome:
    with redirect_stdout(sys.stderr):
        outcome = way(number)
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return replace(outcome, peak_mib=max(own, children) / 1024)  # Linux counts KiB


def tailored(
    data: Path, body: Path, store: Path, order: Mapping[str, Any], number: int, metric: str = "accuracy"
) -> Outcome:
    """tailorbird, from an empty store that has nothing but this body, to the model that `fit` returns.

    body: its folder in `store`; order: what `fit` is given besides. All that fit does is counted: import, reading,
    encoding, learning, baselines, measuring on the test rows, sealing."""
    with tempfile.TemporaryDirectory() as scratch:
        cold = Path(scratch) / "store"
        shutil.copytree(body, cold / body.relative_to(store))
        os.environ["TAILORBIRD_HOME"] = str(cold)
        watch = Stopwatch()
        import tailorbird as tb

        model = tb.fit(data, out=Path(scratch) / "model", seed=number, device="cpu", **order)
        seconds, report = watch.seconds(), model.report
    assert report is not None, "fit measures what it made"
    accuracy = report.test[metric].value
    notes = {"rows": dict(report.rows), "stages": dict(report.seconds), **report.notes}
    return Outcome(accuracy, report.rows["test"], seconds, ((seconds, accuracy),), notes=notes)


def summary(outcomes: Sequence[Outcome], levels: Sequence[float]) -> dict[str, Any]:
    """Medians over the rounds; the accuracy with Wilson's 95 % interval for the test rows of one round."""
    accuracy = median(outcome.accuracy for outcome in outcomes)
    low, high = interval(accuracy, outcomes[0].n_test)
    return {
        "accuracy": {"value": accuracy, "low": low, "high": high},
        "rows": outcomes[0].n_test,
        "seconds": median(outcome.seconds for outcome in outcomes),
        "seconds_to": {f"{level:g}": median_or_none([one.seconds_to(level) for one in outcomes]) for level in levels},
        "peak_mib": median(outcome.peak_mib for outcome in outcomes),
        "cut": sorted({outcome.cut for outcome in outcomes if outcome.cut}),
        "rounds": [asdict(outcome) for outcome in outcomes],
    }


def interval(accuracy: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of an accuracy over n rows."""
    from scipy.stats import binomtest

    found = binomtest(round(accuracy * n), n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def median_or_none(values: Sequence[float | None]) -> float | None:
    """The median, where None stands above every number; None if that is the median."""
    middle = median(inf if value is None else value for value in values)
    return middle if middle < inf else None


def table(told: Mapping[str, Mapping[str, Any]]) -> str:
    """The summaries of several ways as a table; "-": that accuracy was never seen."""
    levels = list(next(iter(told.values()))["seconds_to"])
    lines = [
        f"| way | accuracy % (95 %) | seconds | {' | '.join(f's to {level} %' for level in levels)} | peak MiB |",
        "|---" * (4 + len(levels)) + "|",
    ]
    for name, one in told.items():
        value, low, high = (100 * one["accuracy"][key] for key in ("value", "low", "high"))
        to = " | ".join(
            "-" if one["seconds_to"][level] is None else f"{one['seconds_to'][level]:.0f}" for level in levels
        )
        lines.append(
            f"| {name} | {value:.1f} ({low:.1f} to {high:.1f}) | {one['seconds']:.0f} | {to} | {one['peak_mib']:.0f} |"
        )
    return "\n".join([*lines, "", *_remarks(told)]).rstrip()


def _remarks(told: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    most = max(one["rows"] for one in told.values())
    for name, one in told.items():
        yield from (f"{name}: {cut}" for cut in one["cut"])
        if one["rows"] < most:
            yield f"{name}: measured on {one['rows']:,} of the {most:,} test rows"
        notes = one["rounds"][0]["notes"]
        if stages := notes.get("stages"):
            yield f"{name}, seconds: {', '.join(f'{stage} {seconds:.0f}' for stage, seconds in stages.items())}"
        if losses := notes.get("head", {}).get("held_out_losses"):
            shown = ("not finite" if loss is None else f"{loss:.3f}" for _, loss in losses)
            steps = ", ".join(f"{step:,}" for step, _ in losses)
            yield f"{name}, held-out loss after {steps} steps: {', '.join(shown)}"


def machine() -> dict[str, Any]:
    """Where this runs: processor, cores, memory, load, versions."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "load_before": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def machine_line(told: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    where = f"{told['processor']}, {told['cores']} cores, {told['memory_gib']} GiB, load before {told['load_before']}"
    return f"{where}; {told['system']}; {versions}"
