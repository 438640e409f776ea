"""evaluate: what a model does on labelled rows, beside the baselines that it was sealed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailorbird.data.check import Checked, check
from tailorbird.data.read import read
from tailorbird.data.split import clusters
from tailorbird.engine.choose import reopen
from tailorbird.engine.features import cores
from tailorbird.engine.judge import judge
from tailorbird.engine.learn import head_scores, rivals_answers
from tailorbird.engine.material import beginnings, facts_memory, known_features
from tailorbird.engine.predictor import Predictor, load
from tailorbird.engine.shop import targets_of
from tailorbird.errors import BadBody, BadData, MissingExtra, check_seed
from tailorbird.kinds import Source
from tailorbird.lesson import Evidence, Rival, Truth
from tailorbird.plug import parse
from tailorbird.progress import tell, tell_finding
from tailorbird.types import Dataset, Device, Evaluation, Finding


def evaluate(
    model: str | Path | Predictor,
    data: str | Path,
    *,
    target: str | None,
    input: str | None,
    group: str | None,
    seed: int,
    threads: int,
    device: Device,
) -> Evaluation:
    """Measure a model on labelled rows, beside its baselines."""
    check_seed(seed)
    p = model if isinstance(model, Predictor) else load(model, threads=threads, device=device)
    checked = check(
        _read(p, data, target, input, group), p.modality, memory=facts_memory(p.modality), threads=cores(p.threads)
    )
    y = _truth(p, checked)
    features = known_features(p.choice, p.body, p.modality, checked)
    findings = (*checked.dataset.findings, *_seen(p, checked))
    for finding in findings:
        tell_finding(finding)
    frozen = _frozen_features(p, checked) if p.tuned else features["last"]
    evidence = Evidence(checked.values, checked.sketches, frozen)
    rivals = {name: one for name, one in p.baselines.items() if frozen is not None or not one[0].reads_features}
    ours = Rival("this model", head_scores(p.head, features), p.head.cut)
    theirs = rivals_answers(rivals, evidence, p.task.link)
    judged = judge(p.task, p.labels, y, ours, theirs, clusters(checked), seed)
    return Evaluation(model=str(p.path), rows=len(y), findings=findings, **vars(judged))


def _truth(p: Predictor, checked: Checked) -> Truth:
    """Raises BadData that names the row whose target this model cannot know."""
    targets = targets_of(checked)
    try:
        return p.task.encode(targets, p.labels)
    except BadData:
        for row, target in zip(checked.dataset.rows.ids, targets, strict=True):
            try:
                p.task.encode([target], p.labels)
            except BadData as error:
                raise BadData(f"{row}: {error.problem}", error.hint) from error
        raise


def _frozen_features(p: Predictor, checked: Checked) -> NDArray[np.float32] | None:
    """Features of the body as it was before it learned, which some baselines read; None if it cannot be run here."""
    try:
        frozen = parse("source", p.body.spelling, Source).open()
        choice = reopen(frozen, p.modality, p.runtime, threads=p.threads, device=p.device)
    except (BadBody, MissingExtra) as error:
        tell(f"baselines on frozen features are left out: {error.problem}; {error.hint}")
        return None
    return known_features(choice, frozen, p.modality, checked)["last"]


def _read(p: Predictor, data: str | Path, target: str | None, column: str | None, group: str | None) -> Dataset:
    dataset = read(data, target=target, input=column, group=group, expected=(p.input, p.target))
    if dataset.modality != p.modality.name:
        problem = f"{str(data)!r} holds {dataset.modality}s, and this model reads {p.modality.name}s"
        raise BadData(problem, "give it the kind of data that it was made with")
    for line in dataset.told:
        tell(line)
    return dataset


def _seen(p: Predictor, checked: Checked) -> list[Finding]:
    known: NDArray[np.bool_] = np.isin(beginnings(checked.twins), p.seen)
    if not known.any():
        return []
    examples = tuple(checked.dataset.rows.ids[i] for i in np.flatnonzero(known)[:5])
    return [Finding("seen_in_training", int(known.sum()), "kept, and they flatter the figures", examples)]
