"""The verb report: where the page of a model lies, or a copy of it."""

from __future__ import annotations

import json
import shutil
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest

import tailorbird as tb
from tailorbird.errors import BadArtifact, BadOutput, TailorbirdError
from tailorbird.store import artifact
from tailorbird.store.artifact import open_artifact

OLD = Path(__file__).parents[1] / "golden" / "format-1"
PAGE = "<!DOCTYPE html><title>made</title>"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with a page."""
    folder = tmp_path / "my model"
    shutil.copytree(OLD, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").unlink()
    (folder / "report.html").write_text(PAGE)
    with monkeypatch.context() as patched:  # the fields are those of its own format
        patched.setattr(artifact, "FORMAT", manifest["format"])
        artifact.seal(folder, {name: told for name, told in manifest.items() if name not in ("files", "digest")})
    return folder


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser on a screen was asked to open."""
    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    return opened


def test_the_sealed_page_is_named_and_nothing_is_changed(model: Path) -> None:
    told = tb.report(model)
    assert told.path == model / "report.html" and told.path.is_absolute() and not told.opened
    open_artifact(model)


def test_a_copy_goes_where_it_is_wanted_and_replaces_nothing_unasked(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "page.html"
    assert tb.report(model, out=out).path == out
    assert out.read_text() == PAGE
    out.write_text("mine")
    with pytest.raises(BadOutput, match="exists already") as refused:
        tb.report(model, out=out)
    assert "--force" in refused.value.hint and out.read_text() == "mine"
    tb.report(model, out=out, force=True)
    assert out.read_text() == PAGE


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("my model/page.html", "lies inside the model"),
        ("other/../my model/golden/page.html", "lies inside the model"),
        ("folder", "is a folder"),
        ("file/page.html", "cannot write"),
        ("x" * 300, "cannot write"),
    ],
)
def test_a_place_that_will_not_do_is_refused(model: Path, tmp_path: Path, place: str, problem: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(BadOutput, match=problem):
        tb.report(model, out=tmp_path / place)
    open_artifact(model)


def test_a_model_of_before_there_were_pages_gets_one_when_asked_for(tmp_path: Path) -> None:
    with pytest.raises(BadOutput, match=r"has no report\.html") as refused:
        tb.report(OLD)
    assert refused.value.hint.endswith("--out report.html")
    page = tb.report(OLD, out=tmp_path / "page.html").path.read_text()
    assert "No gain over TF-IDF + logistic regression is shown" in page
    assert "tailorbird fit made.csv" in page and "CC0-1.0" in page and "random weights" in page


def test_a_damaged_model_is_not_reported(model: Path) -> None:
    (model / "report.html").write_text(PAGE.replace("made", "forged"))
    with pytest.raises(BadArtifact, match=r"report\.html: its content has changed"):
        tb.report(model)


def test_a_browser_gets_the_address_of_a_local_file(model: Path, shown: list[str]) -> None:
    assert tb.report(model, open=True).opened
    assert shown == [f"file://{model}/report.html".replace(" ", "%20")]


def test_without_a_screen_the_path_is_told_instead(
    model: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., object]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert not tb.report(model, open=True).opened and shown == []
    result = run_cli("report", model, "--open")
    assert "there is no screen here" in result.stderr  # type: ignore[attr-defined]
    assert "report.html" in result.stdout  # type: ignore[attr-defined]


def test_a_browser_that_will_not_start_is_no_fault(
    model: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert not tb.report(model, open=True).opened


def test_the_command_line_gives_json(model: Path, run_cli: Callable[..., object]) -> None:
    told = json.loads(run_cli("report", model, "--json").stdout)  # type: ignore[attr-defined]
    assert told == {"path": str(model / "report.html"), "opened": False}


def test_there_is_no_model_there(tmp_path: Path) -> None:
    with pytest.raises(TailorbirdError, match="there is no model folder"):
        tb.report(tmp_path / "missing")
