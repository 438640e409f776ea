"""What a fit tells of what it learned: the report, and the predictor that goes into the model folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tailorbird.data.split import Split
from tailorbird.engine.choose import Choice
from tailorbird.engine.judge import Judgement
from tailorbird.engine.learn import Learned, Trial
from tailorbird.engine.material import Material, beginnings
from tailorbird.engine.predictor import Predictor
from tailorbird.engine.shop import Order, Shop, learned_from
from tailorbird.types import JSON, Finding, Report, Story


@dataclass(frozen=True)
class Ground:
    """What a fit stands on before it learns. bodies: those that were compared, and how they did; budget_s: None where
    there is none."""

    order: Order
    shop: Shop
    material: Material
    findings: tuple[Finding, ...]
    bodies: list[dict[str, JSON]]
    threads: int
    budget_s: float | None


@dataclass(frozen=True)
class Attempt:
    """What was learned, answers for its figures, and what the answers come from. method: as it was spelled."""

    method: str
    learned: Learned
    trial: Trial
    choice: Choice


def report_of(
    ground: Ground, attempt: Attempt, out: Path, judged: Judgement, story: Story, seconds: Mapping[str, float]
) -> Report:
    """The report of a model that goes to `out`. seconds: of each stage."""
    shop, trial = ground.shop, attempt.trial
    head = attempt.learned.tailored.head
    return Report(
        model=str(out),
        task=shop.task.spelling(),
        body=(attempt.learned.tailored.body or shop.body).spelling,
        method=attempt.method,
        modality=shop.modality.spelling(full=True),
        labels=shop.labels,
        rows=_counts(shop.parts, attempt),
        test=judged.metrics,
        baselines=judged.baselines,
        verdict=judged.verdict,
        confusion=judged.confusion,
        per_class=judged.per_class,
        seconds=seconds,
        findings=ground.findings,
        runtime=attempt.choice.runtime,
        notes={
            "out_of_fold": shop.parts.folds is not None,
            "head": dict(head.notes),
            "runtime": attempt.choice.notes(),
            "threads": ground.threads,
            "budget_s": ground.budget_s,
            **({"bodies": ground.bodies} if ground.bodies else {}),
            "titles": {name: rival.title for name, rival in trial.rivals.items()},
        },
        story=story,
    )


def predictor_of(ground: Ground, attempt: Attempt, report: Report, out: Path) -> Predictor:
    """What answers from now on. It says that it lies in `out`."""
    order, shop, dataset = ground.order, ground.shop, ground.shop.checked.dataset
    assert dataset.target is not None, "read asks for a target unless told otherwise"
    tuned = attempt.learned.tailored.body
    return Predictor(
        body=tuned or shop.body,
        tuned=tuned is not None,
        modality=shop.modality,
        task=shop.task,
        labels=shop.labels,
        head=attempt.learned.tailored.head,
        baselines=attempt.learned.baselines,
        runtime=attempt.choice.runtime,
        threads=order.threads,
        device=order.device,
        input=dataset.input,
        target=dataset.target,
        seen=np.unique(beginnings(shop.checked.twins[learned_from(shop.parts)])),
        report=report,
        path=out,
    )


def _counts(parts: Split, attempt: Attempt) -> dict[str, int]:
    n_tested = len(attempt.trial.rows)
    some = attempt.learned.tailored.head.notes.get("rows", len(parts.train))  # auto's probe may take a part of many
    n_train = n_tested if parts.folds is not None else int(some)
    return {"train": n_train, "validation": len(parts.validation), "test": n_tested}
