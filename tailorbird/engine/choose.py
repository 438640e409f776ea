"""Which runtime a body runs on: the fastest installed one whose features agree with torch's on real rows."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird import __version__
from tailorbird.engine.features import cores
from tailorbird.engine.race import least_cosine, race, sample
from tailorbird.errors import BadBody, BadItem, BadOutput, BadSpelling, MissingExtra
from tailorbird.kinds import Encoder, Modality, Runtime
from tailorbird.plug import load, missing_extra, names, needs
from tailorbird.progress import stage, tell
from tailorbird.store import files, graphs
from tailorbird.types import JSON, BodyFolder, Device, Value

REFERENCE = "torch"
LEAST_COSINE = 0.9999  # on every row

Runtimes = Mapping[str, Runtime]  # by their spellings


@dataclass(frozen=True)
class Choice:
    """A runtime, open, and why it was taken."""

    runtime: str
    encoder: Encoder
    graph: Path | None
    parity: Mapping[str, float]  # runtime -> the lowest cosine of any row with torch's features
    speeds: Mapping[str, float]  # runtime -> rows a second
    threads: int  # that it runs on, and that load what it reads
    device: Device  # that it runs on; never "auto"

    def closed(self) -> Choice:
        """The same with its encoder let go, which holds some hundred megabytes."""
        return replace(self, encoder=_Closed(self.encoder.depths))

    def notes(self) -> dict[str, JSON]:
        """What a report says of the choice."""
        return {"name": self.runtime, "parity": dict(self.parity), "rows_per_second": dict(self.speeds)}


class _Closed:
    """An encoder that was let go: all that is left of it is what its columns are."""

    def __init__(self, depths: tuple[tuple[str, int], ...]) -> None:
        self.depths, self.lanes = depths, 1

    def encode(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        raise AssertionError("this encoder was let go")


@dataclass(frozen=True)
class _Found:
    """What a comparison found, as it is remembered."""

    runtime: str
    parity: dict[str, float]
    speeds: dict[str, float]
    fingerprint: str
    modality: str


@dataclass(frozen=True)
class _Place:
    """What is to be run, and where."""

    body: BodyFolder
    modality: Modality
    threads: int
    device: Device
    like: BodyFolder | None = None  # a body of the same shape, whose graph may be there

    def graph(self, runtime: Runtime) -> Path | None:
        """The graph for this runtime, exported now if it is not in the store; None if it needs none."""
        if runtime.needs == "module":
            return None
        return graphs.find(self.body, self.modality) or self._regrafted() or _export(self.body, self.modality)

    def _regrafted(self) -> Path | None:
        if self.like is None:
            return None
        needs(f"exporting {self.body.spelling!r}", "onnx")
        from tailorbird.bodies.regraft import regraft  # it needs onnx, which answering does without

        return regraft(self.body, self.like, self.modality)

    def open(self, runtime: Runtime) -> Encoder:
        return runtime.open(self.body, self.graph(runtime), self.threads, self.device)

    def chosen(self, name: str, runtime: Runtime, parity: Mapping[str, float], speeds: Mapping[str, float]) -> Choice:
        device = _device("auto", {name: runtime}) if self.device == "auto" else self.device
        return Choice(name, self.open(runtime), self.graph(runtime), parity, speeds, self.threads, device)


def choose(
    body: BodyFolder,
    modality: Modality,
    values: Sequence[Value],
    *,
    runtime: str | None = None,
    threads: int = 0,
    device: Device = "auto",
    remember: bool = True,
    half: bool = False,
    like: BodyFolder | None = None,
) -> Choice:
    """The fastest installed runtime whose features agree with torch's, open; remembered for this machine and these
    versions. values: real rows, of which a few dozen are compared on; runtime: the name of the only one to consider;
    half: it may compute in bfloat16, for features that are only learned from; like: the body that this one was before
    it learned."""
    runtimes = _installed() if runtime is None else {runtime: _runtime(runtime)}
    where = _Place(body, modality, cores(threads), _device(device, runtimes), like)
    able = {name: plug for name, plug in runtimes.items() if where.device in plug.devices}
    if not able:
        raise missing_extra("running a body", REFERENCE)
    if half and (halved := _halved(able, where.device)):
        try:
            return _chosen(where, halved, values, remember)
        except (BadBody, MissingExtra) as error:  # it loses too much so, or was never compared while torch was here
            tell(f"{body.spelling} is run in full precision: {error.problem}")
    if like is not None:
        try:
            return _chosen(where, able, values, remember)
        except BadBody:  # what the exporter made of several weights, and regraft could not see
            graphs.drop(body, modality)
            where = replace(where, like=None)
    return _chosen(where, able, values, remember)


def _chosen(where: _Place, able: Runtimes, values: Sequence[Value], remember: bool) -> Choice:
    memory = files.home() / "choices" / f"{_key(where, able)}.json"
    found = _recalled(memory)
    if found is None:
        found = _compare(where, able, values) if _has_reference(where.body) else _earlier(where, able)
        if remember:
            _remember(memory, found)
    return where.chosen(found.runtime, able[found.runtime], found.parity, found.speeds)


def reopen(body: BodyFolder, modality: Modality, runtime: str, *, threads: int = 0, device: Device = "auto") -> Choice:
    """The body in the runtime that was chosen before, or in another if that is not installed or has no graph here.
    Measures and exports nothing. Raises MissingExtra if no runtime can open the body."""
    where = _Place(body, modality, cores(threads), _device(device, _installed()) if device == "cuda" else device)
    has_graph = graphs.find(body, modality) is not None
    order = sorted(names("runtime"), key=lambda name: (name != runtime, name == REFERENCE, name))
    for name, plug in _each_installed(order):  # one at a time: to import torch takes longer than to answer
        if (has_graph or plug.needs == "module") and (device == "auto" or device in plug.devices):
            if name != runtime:
                tell(f"{runtime} cannot run the body here, so {name} does; their features agree")
            return where.chosen(name, plug, {}, {})
    raise missing_extra(f"running {body.spelling!r}, whose graph is not in the store,", REFERENCE)


def _installed() -> Runtimes:
    return dict(_each_installed(names("runtime")))


def _halved(runtimes: Runtimes, device: Device) -> Runtimes:
    """The same in bfloat16, of those that are quicker so."""
    found = [type(plug)(precision="bf16") for plug in runtimes.values() if plug.halves(device)]
    return {plug.spelling(): plug for plug in found}


def _each_installed(order: Iterable[str]) -> Iterator[tuple[str, Runtime]]:
    for name in order:
        try:
            yield name, _runtime(name)
        except MissingExtra:
            continue


def _runtime(name: str) -> Runtime:
    plug = load("runtime", name)  # by name alone: its fields are chosen here, and not by a user
    assert issubclass(plug, Runtime), f"runtimes/{name}.py holds no Runtime"
    return plug()


def _device(device: Device, runtimes: Runtimes) -> Device:
    """The device to use. Raises BadSpelling for one that no runtime can reach."""
    reached = any("cuda" in plug.devices and plug.reaches("cuda") for plug in runtimes.values())
    if device == "cuda" and not reached:
        problem = f"device 'cuda' was asked for, and {' and '.join(runtimes) or 'no runtime'} cannot reach one here"
        raise BadSpelling(problem, "use --device cpu")
    return "cuda" if reached and device != "cpu" else "cpu"


def _has_reference(body: BodyFolder) -> bool:
    try:
        _runtime(REFERENCE)
        needs(body.spelling, *(["transformers"] if body.architecture == "transformers" else []))
    except MissingExtra:
        return False
    return True


def _compare(where: _Place, able: Runtimes, values: Sequence[Value]) -> _Found:
    """Every runtime that can run the body, against torch. A single one that cannot, or differs, is an error."""
    reader = where.modality.reader(where.body)
    rows = sample(where.modality, reader, values)
    encoders = {REFERENCE: where.open(_runtime(REFERENCE))}
    for name in sorted(able.keys() - {REFERENCE}):
        try:
            encoders[name] = where.open(able[name])
        except (BadBody, BadOutput, MissingExtra) as error:  # a graph cannot be put into a store that is read-only
            if len(able) == 1:
                raise
            tell(f"{name} cannot run this body: {error.problem}")
    features, speeds = race(encoders, reader, rows, where.threads)
    parity = {name: least_cosine(features[name], features[REFERENCE]) for name in encoders if name in able}
    return _fastest(where, parity, {name: speeds[name] for name in parity})


def _fastest(where: _Place, parity: dict[str, float], speeds: dict[str, float]) -> _Found:
    agreeing = [name for name, cosine in parity.items() if cosine >= LEAST_COSINE]
    if not agreeing:
        worst = ", ".join(f"{name} {cosine:.6f}" for name, cosine in parity.items())
        problem = f"features of {where.body.spelling!r} differ from torch's (lowest cosine: {worst or 'none'})"
        raise BadBody(problem, "let torch run it: --runtime torch")
    best = max(agreeing, key=lambda name: speeds[name])
    return _Found(best, parity, speeds, where.body.fingerprint, where.modality.spelling(full=True))


def _earlier(where: _Place, able: Runtimes) -> _Found:
    """Without torch: what was compared here before, in whichever versions, if the graph is still there."""
    if graphs.find(where.body, where.modality) is not None:
        mine = (where.body.fingerprint, where.modality.spelling(full=True))
        for path in sorted((files.home() / "choices").glob("*.json")):
            found = _recalled(path)
            if found is None or (found.fingerprint, found.modality) != mine:
                continue
            agreed = {name: cosine for name, cosine in found.parity.items() if name in able and name in found.speeds}
            if any(cosine >= LEAST_COSINE for cosine in agreed.values()):
                return _fastest(where, agreed, found.speeds)
    raise missing_extra(f"the first use of {where.body.spelling!r}", REFERENCE)


def _export(body: BodyFolder, modality: Modality) -> Path:
    """The body's graph, made with torch and put into the store. Raises MissingExtra, or BadBody if it cannot be."""
    needs(f"exporting {body.spelling!r}", REFERENCE, "onnx", "onnxscript")
    # Here and not above: this is the one place of the engine that needs torch, and answering must do without.
    from tailorbird.bodies.base import build
    from tailorbird.bodies.export import export

    reader = modality.reader(body)
    example = [ready for ready in reader.load([modality.example()]) if not isinstance(ready, BadItem)]
    with stage("exporting the body, once", 1) as advance:
        folder = export(body, build(body), modality, reader.stack(example))
        advance(1)
    return folder


def _key(where: _Place, able: Runtimes) -> str:
    told = {
        "fingerprint": where.body.fingerprint,
        "modality": where.modality.spelling(full=True),
        "reading": where.modality.version(),
        "tailorbird": __version__,
        "versions": {name: plug.version() for name, plug in able.items()},
        "threads": where.threads,
        "device": where.device,
        "processor": processor(),
    }
    return hashlib.sha256(files.canonical(told)).hexdigest()[:32]


def processor() -> str:
    """The model of this machine's processor."""
    described = Path("/proc/cpuinfo")  # on Linux, where the platform module knows no more than "x86_64"
    lines = described.read_text().splitlines() if described.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return model or platform.processor() or platform.machine()


def _recalled(path: Path) -> _Found | None:
    try:
        return _Found(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):  # none yet, or damaged: it is measured again
        return None


def _remember(path: Path, found: _Found) -> None:
    try:
        files.write(path, files.canonical(asdict(found)))
    except BadOutput as error:  # the store is read-only or full; all that this costs is the next comparison
        tell(f"the choice of {found.runtime} is not remembered: {error.problem}")
