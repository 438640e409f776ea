"""check: the data doctor alone. It reads, divides and encodes rows as fit does, and learns no model to keep."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailorbird.data import doctor as rows_doctor
from tailorbird.data.cases import findings_of, suspects_of
from tailorbird.data.check import Checked, check
from tailorbird.data.split import Split, split
from tailorbird.data.tables import write_table
from tailorbird.engine import doctor
from tailorbird.engine.asking import task_of
from tailorbird.engine.choose import choose
from tailorbird.engine.features import cores
from tailorbird.engine.material import facts_memory, known_features
from tailorbird.engine.outputs import check_table
from tailorbird.engine.shop import DEFAULT_BODY, rows_of, targets_of
from tailorbird.errors import BadBody, check_seed
from tailorbird.kinds import Modality, Source, Task
from tailorbird.plug import needs, parse
from tailorbird.progress import tell
from tailorbird.types import BodyFolder, Dataset, Device, Examination, Suspect


@dataclass(frozen=True)
class Request:
    """What a user asked for: the parameters of the verb, which explains them."""

    data: str | Path
    target: str | None
    input: str | None
    group: str | None
    test: str | Path | None
    validation: str | Path | None
    model: str | None
    modality: str | None
    task: str | None
    out: str | Path | None
    force: bool
    quick: bool
    seed: int
    threads: int
    device: Device


def run(request: Request) -> Examination:
    """Everything that the doctor finds. Raises TailorbirdError before anything costly is done."""
    start = time.perf_counter()
    check_seed(request.seed)
    if request.out is not None:
        given = [path for path in (request.data, request.test, request.validation) if path is not None]
        check_table(Path(request.out), given, "findings", force=request.force)
    if request.task is not None:
        parse("task", request.task, Task)  # a misspelling ends here, before any file is opened
    threads = cores(request.threads)
    with _limited(threads, request.quick):
        dataset = rows_of(request)
        task = task_of(request.task, dataset)
        dataset = dataset.with_rows(dataset.rows, *task.check(dataset))
        body = None if request.quick else _body(request.model, dataset)
        modality = _modality(request, dataset, body)
        checked = check(dataset, modality, memory=facts_memory(modality), threads=threads)
        return _examine(request, _Patient(task, checked, body, modality, threads), start)


def _limited(threads: int, quick: bool) -> AbstractContextManager[object]:
    """Linear algebra on so many threads. Raises MissingExtra for what more than a quick look needs."""
    if quick:
        return nullcontext()
    needs("check without --quick", "sklearn", "scipy", "cleanlab", "threadpoolctl")
    from threadpoolctl import threadpool_limits  # scikit-learn brings it; a quick look does without both

    limits: AbstractContextManager[object] = threadpool_limits(threads)
    return limits


@dataclass(frozen=True)
class _Patient:
    """The rows, and what they are looked at with."""

    task: Task
    checked: Checked
    body: BodyFolder | None
    modality: Modality
    threads: int

    def features(self, device: Device) -> NDArray[np.float32] | None:
        """Features of the body's last layer, (n, d); None without a body."""
        if self.body is None:
            return None
        choice = choose(self.body, self.modality, self.checked.values, threads=self.threads, device=device)
        return known_features(choice, self.body, self.modality, self.checked)["last"]


def _examine(request: Request, patient: _Patient, start: float) -> Examination:
    task, checked = patient.task, patient.checked
    targets = targets_of(checked)
    labels = task.labels(targets)
    y = task.encode(targets, labels)
    parts = split(checked, task.strata(y))
    cases = [*rows_doctor.cases(checked), *parts.cases]
    cases += doctor.cases(task, labels, y, checked, parts, patient.features(request.device), request.seed)
    suspects = suspects_of([*checked.cases, *cases])
    if request.out is not None:
        _write(Path(request.out), suspects)
    dataset = checked.dataset
    return Examination(
        data=str(request.data),
        rows=len(targets),
        input=dataset.input,
        target=str(dataset.target),
        modality=patient.modality.spelling(full=True),
        task=task.spelling(),
        labels=labels,
        parts=_sizes(parts),
        body=None if patient.body is None else patient.body.spelling,
        findings=(*dataset.findings, *findings_of(cases)),
        suspects=suspects,
        seconds=time.perf_counter() - start,
        out=None if request.out is None else str(request.out),
    )


def _body(spelling: str | None, dataset: Dataset) -> BodyFolder | None:
    """The body that was named, or the usual one; None, which is told, if that is not in the store."""
    if spelling is not None:
        return parse("source", spelling, Source).open()
    usual = DEFAULT_BODY[dataset.modality]
    try:
        return parse("source", usual, Source).open()
    except BadBody as error:
        tell(f"{error.problem}, so nothing is looked for that needs it: wrong labels, look-alikes; {error.hint}")
        return None


def _modality(request: Request, dataset: Dataset, body: BodyFolder | None) -> Modality:
    usual = dataset.modality if body is None else body.modality
    modality = parse("modality", request.modality or usual, Modality)
    if modality.name != dataset.modality:
        said = f"--modality {request.modality!r}" if request.modality else repr(request.model)
        problem = f"{said} does not fit {dataset.origin!r}, which holds {dataset.modality}s"
        raise BadBody(problem, f"--model {DEFAULT_BODY[dataset.modality]}, or leave it out")
    return modality


def _sizes(parts: Split) -> dict[str, int]:
    sizes = {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)}
    return sizes if parts.folds is None else {"train": len(parts.train), "folds": int(parts.folds.max()) + 1}


def _write(out: Path, suspects: tuple[Suspect, ...]) -> None:
    names = [field.name for field in fields(Suspect)]
    write_table(out, {name: [getattr(one, name) for one in suspects] for name in names})
