"""Writing a model folder: everything beside, checked by a fresh process, then renamed into place."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tailorbird
from tailorbird.engine.predictor import Predictor, scores_of
from tailorbird.errors import BadItem, BadOutput
from tailorbird.kinds import Modality, Runtime
from tailorbird.paper.card import card
from tailorbird.paper.page import html
from tailorbird.plug import load
from tailorbird.progress import stage
from tailorbird.store import graphs
from tailorbird.store.artifact import is_artifact, read_manifest, seal
from tailorbird.store.bodies import copy_body, open_body
from tailorbird.store.files import canonical, check_writable, tensors, whole_folder, write
from tailorbird.store.graphs import copy_graph
from tailorbird.types import JSON, Device, Report, Value

GOLDEN_ROWS = 20
GOLDEN_LIMIT_BYTES = 200_000  # of one golden example: an artifact is no place for the user's largest pictures


@dataclass(frozen=True)
class Sealing:
    """What goes into a model folder: the predictor with its report, and what lies beside it."""

    predictor: Predictor
    call: Mapping[str, JSON]  # the exact call of fit
    golden: tuple[Value, ...]  # values to choose the golden examples from
    embed: bool
    thumbs: Mapping[str, bytes]  # the pictures that the report shows, small, by the names of their files

    @property
    def report(self) -> Report:
        assert self.predictor.report is not None, "fit measures what it seals"
        return self.predictor.report


def check_place(out: Path, force: bool) -> None:
    """Raise BadOutput now if a model cannot be written to `out` later."""
    try:
        there = os.path.lexists(os.fsencode(out).decode())
        out.with_name(f".{out.name}.00000000.part").exists()  # the longest name that will be needed
    except (OSError, ValueError) as error:
        raise BadOutput(f"{str(out)!r} cannot be the name of a model folder: {error}", "--out model") from error
    if there and not is_artifact(out):
        raise BadOutput(f"{str(out)!r} exists and is no model", "choose another --out")
    if there and not force:
        raise BadOutput(f"{str(out)!r} exists already", "choose another --out, or replace it with --force")
    check_writable(out)


def write_artifact(sealing: Sealing, out: Path, *, replace: bool, replay: bool = True) -> Predictor:
    """Write the model whole or not at all, and give it as it lies there. replay: a fresh process must give the golden
    answers before the rename."""
    with stage("sealing", 2) as advance, whole_folder(out, replace=replace) as folder:
        _fill(sealing, folder)
        advance(1)
        if replay:
            _reopen(folder, sealing.predictor.threads, sealing.predictor.device)
        advance(1)
        ours = read_manifest(folder)["digest"]
    if read_manifest(out)["digest"] != ours:  # another process was first, and a whole model is never torn down
        raise BadOutput(f"{str(out)!r} was made by another process meanwhile", "choose another --out, or use --force")
    p = sealing.predictor
    if not p.tuned:
        return p
    graphs.drop(p.body, p.modality)  # the model has its own
    return dataclasses.replace(p, body=open_body(out / "body"))


def _fill(sealing: Sealing, folder: Path) -> None:
    p = sealing.predictor
    write(
        folder / "head.safetensors",
        tensors({"weight": p.head.weight, "bias": p.head.bias, "seen": p.seen}),
    )
    write(folder / "baselines.json", canonical({name: state[0] for name, (_, state) in p.baselines.items()}))
    arrays = {f"{name}/{key}": array for name, (_, state) in p.baselines.items() for key, array in state[1].items()}
    write(folder / "baselines.safetensors", tensors(arrays))
    write(folder / "report.json", canonical(asdict(sealing.report)))
    environment = _machine(sealing)
    write(folder / "card.md", card(sealing.report, p.body.card, environment).encode())
    for name, content in sealing.thumbs.items():
        write(folder / name, content)
    page = html(sealing.report, call=sealing.call, card=p.body.card, environment=environment, thumbs=sealing.thumbs)
    write(folder / "report.html", page.encode())
    if sealing.embed:
        copy_body(p.body, folder / "body")
        copy_graph(p.body, p.modality, folder / "graph")
    golden = _write_golden(sealing, folder)
    seal(folder, _manifest(sealing, golden))


def _write_golden(sealing: Sealing, folder: Path) -> list[JSON]:
    chosen: list[str] = []
    for content, suffix in _saved(sealing.predictor.modality, sealing.golden):
        name = f"golden/{len(chosen):02}{suffix}"
        write(folder / name, content)
        chosen.append(name)
    answers = sealing.predictor.predict([folder / name for name in chosen])
    return [{"file": name, "scores": scores_of(one)} for name, one in zip(chosen, answers, strict=True)]


def _saved(modality: Modality, values: Sequence[Value]) -> list[tuple[bytes, str]]:
    """Contents of golden examples, and their suffixes: of the values that are still there, or else of a made one."""
    found = []
    for value in values:
        with suppress(BadItem):  # its file went away or changed while the model learned
            found.append(modality.save(value, GOLDEN_LIMIT_BYTES))
    return found or [modality.save(modality.example(), GOLDEN_LIMIT_BYTES)]


def _manifest(sealing: Sealing, golden: list[JSON]) -> dict[str, JSON]:
    p = sealing.predictor
    return {
        "tailorbird": version("tailorbird"),
        "modality": p.modality.spelling(full=True),
        "body": {
            "spelling": p.body.spelling,
            "fingerprint": p.body.fingerprint,
            "embedded": sealing.embed,
            "tuned": p.tuned,
        },
        "task": p.task.spelling(),
        "method": sealing.report.method,
        "runtime": {**sealing.report.notes["runtime"], "version": _runtime_version(p.runtime)},
        "labels": list(p.labels),
        "input": {"name": p.input, "modality": p.modality.name},
        "target": p.target,
        "threshold": p.head.cut,
        "temperature": p.head.temperature,
        "head": {**p.head.notes, "depths": list(p.head.depths), "link": p.head.link, "scale": p.head.scale},
        "golden": golden,
        "call": dict(sealing.call),
        "machine": _machine(sealing),
    }


def _machine(sealing: Sealing) -> dict[str, JSON]:
    return {
        "python": platform.python_version(),
        "cpu": platform.machine(),
        "threads": sealing.report.notes["threads"],
        "tailorbird": version("tailorbird"),
        "numpy": np.__version__,
        sealing.predictor.runtime: _runtime_version(sealing.predictor.runtime),
    }


def _runtime_version(name: str) -> str:
    plug = load("runtime", name)
    assert issubclass(plug, Runtime), f"runtimes/{name}.py holds no Runtime"
    return plug.version()


def _reopen(folder: Path, threads: int, device: Device) -> None:
    """Let a fresh process open the folder and answer the golden examples: what only lives in this one is found out."""
    # -P: the user's own folder may hold a tokenizers.py, and must not be where Python looks for ours.
    command = [sys.executable, "-P", "-m", "tailorbird", "verify", str(folder), "--json"]
    path = os.pathsep.join(filter(None, [str(Path(tailorbird.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [*command, "--threads", str(threads), "--device", device],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"a fresh process does not reproduce the model: {done.stdout}{done.stderr}")
    told = json.loads(done.stdout)
    assert told["ok"] and told["replayed"], f"a fresh process replayed nothing: {told}"


def golden_values(values: Sequence[Value], rows: NDArray[np.int64], seed: int) -> tuple[Value, ...]:
    """Values of the given rows in a random order, to choose golden examples from."""
    return tuple(values[i] for i in np.random.default_rng(seed).permutation(rows)[:GOLDEN_ROWS])
