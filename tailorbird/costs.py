"""What plan and sweep say: what ways to a model would cost, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tailorbird.types import Figure, Metrics


@dataclass(frozen=True)
class Span:
    """A reckoned value with its 80 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """What tailoring a body in one way would cost."""

    body: str
    method: str
    seconds: Span
    memory_bytes: Span | None  # resident at most; None where the system does not tell
    disk_bytes: int  # the model folder, and the features in the cache
    price: Span | None  # in the money of the price that was given
    kwh: Span | None
    operations: float | None  # floating-point, of all matrix products of learning; of texts
    steps: int  # of a body that learns, else 0
    shares: Mapping[str, float]  # where the seconds go: read, features, check, learn, seal


@dataclass(frozen=True)
class Prospect:
    """A body, what its frozen features are worth, and what each way to tailor it would cost."""

    body: str
    modality: str
    evidence: Figure | None  # the task's metric of a linear head on some training rows, each answered by the others
    metric: str
    sample: int  # rows that were looked at
    rows_per_second: float
    ways: tuple[Estimate, ...]  # the cheapest first


@dataclass(frozen=True)
class Plan:
    """What each way to a model would cost here."""

    data: str
    rows: Mapping[str, int]
    target: str
    task: str
    threads: int
    processor: str
    prospects: tuple[Prospect, ...]  # the best evidence first
    left_out: Mapping[str, str]  # bodies in the store that cannot read these rows: why
    real: int  # fits of this machine that the intervals rest on
    seconds: float


@dataclass(frozen=True)
class Contender:
    """A body tailored in one way, in a comparison of several."""

    body: str
    method: str
    model: str | None  # the folder; None where there is none
    planned: Span  # seconds
    seconds: float | None
    test: Metrics  # as in the model's report
    outcome: str | None  # of the model's verdict on its baselines
    behind: Figure | None  # by how much the best one is better on the same test rows; None of the best, or by folds
    level: bool  # it cannot be told from the best
    problem: str | None = None  # why there is no model


@dataclass(frozen=True)
class Sweep:
    """Bodies and methods side by side on the same rows."""

    out: str
    data: str
    target: str
    task: str
    metric: str
    rows: Mapping[str, int]
    contenders: tuple[Contender, ...]  # the best first, those without a model last
    chosen: str | None  # the model to take: of those that are level with the best, the one reckoned to take least
    seconds: float
