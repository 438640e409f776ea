"""Tables that verbs write: whether they may be written, asked before anything costly is done."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tailorbird.data.tables import SUFFIXES
from tailorbird.errors import BadOutput
from tailorbird.store.files import check_writable, writing


def check_table(out: Path, read: Iterable[str | Path], usual: str, *, force: bool) -> None:
    """Raise BadOutput if no table can be written to `out` later. read: what stays as it is, force or not; usual: a name
    for such a table; force: replace what is there."""
    if out.suffix.lower() not in SUFFIXES:
        problem = f"cannot write a table to {str(out)!r}: its suffix is {out.suffix!r}"
        raise BadOutput(problem, f"--out {out.stem or usual}.csv")
    with writing(out):  # a name may be longer than any file's
        is_folder, exists = out.is_dir(), out.exists()
    if is_folder:
        raise BadOutput(f"cannot write {str(out)!r}: it is a folder", f"name a file: --out {out / usual}.csv")
    if exists and any(_is_same(out, given) for given in read):
        problem = f"{str(out)!r} is read from, and cannot be written to as well"
        raise BadOutput(problem, f"--out {out.stem}-{usual}{out.suffix}")
    if exists and not force:
        raise BadOutput(f"{str(out)!r} exists already", "choose another --out, or replace it with --force")
    check_writable(out)


def _is_same(out: Path, given: str | Path) -> bool:
    try:
        return out.samefile(given)
    except (OSError, ValueError):  # there is no such file; a text may be too long for a path, or hold a NUL
        return False
