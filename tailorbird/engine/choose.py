"""Which runtime a body runs on: the fastest installed one whose features agree with torch's on real rows."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailorbird import __version__
from tailorbird.engine.features import cores, flow
from tailorbird.errors import BadBody, BadItem, BadOutput, BadSpelling, MissingExtra
from tailorbird.kinds import Encoder, Modality, Reader, Runtime
from tailorbird.plug import load, missing_extra, names, needs
from tailorbird.progress import stage, tell
from tailorbird.store import files, graphs
from tailorbird.types import JSON, BodyFolder, Device, Value

REFERENCE = "torch"
LEAST_COSINE = 0.9999  # on every row
_SAMPLE_ROWS = 32
_RUNS, _ENOUGH_SECONDS = 4, 4.0  # the first warms up; a round that begins after so many seconds is left out

Runtimes = Mapping[str, type[Runtime]]


@dataclass(frozen=True)
class Choice:
    """A runtime, open, and why it was taken."""

    runtime: str
    encoder: Encoder
    graph: Path | None
    parity: Mapping[str, float]  # runtime -> the lowest cosine of any row with torch's features
    speeds: Mapping[str, float]  # runtime -> rows a second
    threads: int  # that it runs on, and that load what it reads

    def notes(self) -> dict[str, JSON]:
        """What a report says of the choice."""
        return {"name": self.runtime, "parity": dict(self.parity), "rows_per_second": dict(self.speeds)}


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

    def graph(self, runtime: type[Runtime]) -> Path | None:
        """The graph for this runtime, exported now if it is not in the store; None if it needs none."""
        if runtime.needs == "module":
            return None
        return graphs.find(self.body, self.modality) or _export(self.body, self.modality)

    def open(self, runtime: type[Runtime]) -> Encoder:
        return runtime().open(self.body, self.graph(runtime), self.threads, self.device)


def choose(
    body: BodyFolder,
    modality: Modality,
    values: Sequence[Value],
    *,
    runtime: str | None = None,
    threads: int = 0,
    device: Device = "auto",
    remember: bool = True,
) -> Choice:
    """The fastest installed runtime whose features agree with torch's, open; remembered for this machine and these
    versions. values: real rows, of which a few dozen are compared on; runtime: the name of the only one to consider."""
    runtimes = _installed() if runtime is None else {runtime: _runtime(runtime)}
    where = _Place(body, modality, cores(threads), _device(device, runtimes))
    able = {name: plug for name, plug in runtimes.items() if where.device in plug.devices}
    if not able:
        raise missing_extra("running a body", REFERENCE)
    memory = files.home() / "choices" / f"{_key(where, able)}.json"
    found = _recalled(memory)
    if found is None:
        found = _compare(where, able, values) if _has_reference(body) else _earlier(where, able)
        if remember:
            _remember(memory, found)
    plug = able[found.runtime]
    return Choice(found.runtime, where.open(plug), where.graph(plug), found.parity, found.speeds, where.threads)


def reopen(body: BodyFolder, modality: Modality, runtime: str, *, threads: int = 0, device: Device = "auto") -> Choice:
    """The body in the runtime that was chosen before, or in another if that is not installed or has no graph here.
    Measures and exports nothing. Raises MissingExtra if no runtime can open the body."""
    installed = _installed()
    where = _Place(body, modality, cores(threads), device if device == "auto" else _device(device, installed))
    has_graph = graphs.find(body, modality) is not None
    for name in sorted(installed, key=lambda name: (name != runtime, name == REFERENCE, name)):
        plug = installed[name]
        if (has_graph or plug.needs == "module") and (device == "auto" or device in plug.devices):
            if name != runtime:
                tell(f"{runtime} cannot run the body here, so {name} does; their features agree")
            return Choice(name, where.open(plug), where.graph(plug), {}, {}, where.threads)
    raise missing_extra(f"running {body.spelling!r}, whose graph is not in the store,", REFERENCE)


def _installed() -> Runtimes:
    return dict(_each_installed())


def _each_installed() -> Iterator[tuple[str, type[Runtime]]]:
    for name in names("runtime"):
        try:
            yield name, _runtime(name)
        except MissingExtra:
            continue


def _runtime(name: str) -> type[Runtime]:
    plug = load("runtime", name)
    assert issubclass(plug, Runtime), f"runtimes/{name}.py holds no Runtime"
    return plug


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
    rows = _sample(where.modality, reader, values)
    encoders = {REFERENCE: where.open(_runtime(REFERENCE))}
    for name in sorted(able.keys() - {REFERENCE}):
        try:
            encoders[name] = where.open(able[name])
        except (BadBody, BadOutput, MissingExtra) as error:  # a graph cannot be put into a store that is read-only
            if len(able) == 1:
                raise
            tell(f"{name} cannot run this body: {error.problem}")
    features, speeds = _race(encoders, reader, rows, where.threads)
    parity = {name: _least_cosine(features[name], features[REFERENCE]) for name in encoders if name in able}
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


def _sample(modality: Modality, reader: Reader, values: Sequence[Value]) -> list[Value]:
    step = max(1, len(values) // _SAMPLE_ROWS)
    return _loadable(reader, values[::step][:_SAMPLE_ROWS]) or [modality.example()]


def _loadable(reader: Reader, values: Sequence[Value]) -> list[Value]:
    loaded = reader.load(values)
    return [value for value, ready in zip(values, loaded, strict=True) if not isinstance(ready, BadItem)]


def _race(
    encoders: Mapping[str, Encoder], reader: Reader, rows: Sequence[Value], threads: int
) -> tuple[dict[str, NDArray[np.float32]], dict[str, float]]:
    """Each encoder's features of the rows, and its best run in rows a second, loading included."""
    features: dict[str, NDArray[np.float32]] = {}
    best = dict.fromkeys(encoders, float("inf"))
    begun = time.perf_counter()
    with stage("comparing runtimes", _RUNS * len(encoders)) as advance:
        for _ in range(_RUNS):  # in turns, so that whatever else the machine does slows all of them alike
            for name, encoder in encoders.items():
                features[name], seconds = _timed(encoder, reader, rows, threads)
                best[name] = min(best[name], seconds)
                advance(1)
            if time.perf_counter() - begun > _ENOUGH_SECONDS:
                break
    return features, {name: len(rows) / seconds for name, seconds in best.items()}


def _timed(encoder: Encoder, reader: Reader, rows: Sequence[Value], threads: int) -> tuple[NDArray[np.float32], float]:
    features = np.empty((len(rows), sum(width for _, width in encoder.depths)), dtype=np.float32)
    start = time.perf_counter()
    for places, found in flow(encoder, reader, list(enumerate(rows)), {}, threads):
        features[places] = found
    return features, time.perf_counter() - start


def _least_cosine(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    """The lowest cosine of any row of x with its row of y: (n, d) each."""
    a, b = x.astype(np.float64), y.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.where((a == b).all(1), 1.0, (a * b).sum(1) / np.maximum(lengths, 1e-30))
    return float(cosines.min()) if np.isfinite(cosines).all() else -1.0


def _key(where: _Place, able: Runtimes) -> str:
    told = {
        "fingerprint": where.body.fingerprint,
        "modality": where.modality.spelling(full=True),
        "reading": where.modality.version(),
        "tailorbird": __version__,
        "versions": {name: plug.version() for name, plug in able.items()},
        "threads": where.threads,
        "device": where.device,
        "processor": _processor(),
    }
    return hashlib.sha256(files.canonical(told)).hexdigest()[:32]


def _processor() -> str:
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
