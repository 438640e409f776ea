"""The verb report: the page that tells what a model was measured to do."""

from __future__ import annotations

import os
import shlex
import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tailorbird.errors import BadOutput
from tailorbird.progress import tell

if TYPE_CHECKING:
    from tailorbird.store.artifact import Artifact

_PAGE = "report.html"


@dataclass(frozen=True)
class Reported:
    """Where the page lies."""

    path: Path
    opened: bool  # whether a browser was asked to show it


def report(
    model: Annotated[str | Path, "a model folder"],
    *,
    out: Annotated[str | Path | None, "write the page to this file too; one file, to send to anyone"] = None,
    open: Annotated[bool, "show it in the browser"] = False,
    force: Annotated[bool, "replace a file that is there already"] = False,
) -> Reported:
    """Give the report of a model: one HTML file that needs nothing else."""
    from tailorbird.store.artifact import open_artifact

    artifact = open_artifact(Path(model))
    sealed = artifact.path / _PAGE if _PAGE in artifact.manifest["files"] else None
    if sealed is None and out is None:
        problem = f"the model {str(model)!r} has no {_PAGE}: an earlier version of tailorbird made it"
        raise BadOutput(problem, f"tailorbird report {shlex.quote(str(model))} --out {_PAGE}")
    path = sealed
    if out is not None:
        _check_place(Path(out), artifact.path, force)
        path = _write(Path(out), sealed.read_bytes() if sealed else _rendered(artifact))
    assert path is not None, "either the page was sealed or it was written"
    path = path.absolute()
    return Reported(path, _shown(path) if open else False)


def _check_place(out: Path, model: Path, force: bool) -> None:
    """Raise BadOutput for a place where the page must not be written."""
    from tailorbird.store.files import writing

    with writing(out):  # a name may be longer than any file's
        is_folder, exists = out.is_dir(), out.exists()
    if is_folder:
        raise BadOutput(f"--out {str(out)!r} is a folder", f"--out {out / _PAGE}")
    if out.resolve().is_relative_to(model.resolve()):
        problem = f"--out {str(out)!r} lies inside the model, whose files are sealed"
        raise BadOutput(problem, f"--out {out.name}")
    if exists and not force:
        raise BadOutput(f"{str(out)!r} exists already", "choose another --out, or replace it with --force")


def _write(out: Path, page: bytes) -> Path:
    from tailorbird.store.files import write

    write(out, page)
    return out


def _rendered(artifact: Artifact) -> bytes:
    """The page of a model that was made before there were pages."""
    from tailorbird.paper.page import html
    from tailorbird.paper.stored import read_report

    told, manifest = read_report(artifact.path / "report.json"), artifact.manifest
    machine = {"tailorbird": manifest.get("tailorbird"), **manifest.get("machine", {})}
    return html(told, call=manifest.get("call", {}), card=_card(artifact), environment=machine, thumbs={}).encode()


def _card(artifact: Artifact) -> dict[str, str]:
    """What the artifact itself says of its body: the body may be gone, and the page needs no more."""
    from tailorbird.store.bodies import open_body

    about = artifact.manifest["body"]
    given = open_body(artifact.path / "body").card if about["embedded"] else {}
    return {**given, "spelling": about["spelling"], "fingerprint": about["fingerprint"]}


def _shown(path: Path) -> bool:
    # Without a screen some browsers would take over the terminal instead; BROWSER is the user's own word.
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform == "linux" and not any(map(os.environ.get, screens)):
        tell(f"there is no screen here: open {path} where there is one")
        return False
    opened = webbrowser.open(path.as_uri())
    if not opened:
        tell(f"no browser was found: open {path} yourself")
    return opened
