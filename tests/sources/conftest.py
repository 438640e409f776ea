"""Made wheels with made entries in the catalogue, served from a folder."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tailorbird.store import catalogue as module
from tailorbird.store.catalogue import Catalogue
from tailorbird.store.files import tensors

CHILD = """
import json, os, sys, time
from tailorbird.store import catalogue
made = catalogue.Catalogue.model_validate_json(os.environ["MADE_CATALOGUE"])
catalogue.catalogue = lambda: made
"""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Shelf:
    """A folder of archives that pip's find-links names, and the catalogue that fits it."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def wheel(self, files: dict[str, bytes], **changes: object) -> dict[str, object]:
        """A wheel `made-body` with these files and its entry; the entry's fields may be changed."""
        path = self.folder / "made_body-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(f"made_body/{name}", content)
            archive.writestr("made_body/__init__.py", "raise SystemExit('imported')")
        return self.enter(path, files, **changes)

    def enter(self, path: Path, files: dict[str, bytes], **changes: object) -> dict[str, object]:
        content = path.read_bytes()
        entry = {
            "package": "made-body",
            "version": "1.0",
            "archive": {"file": path.name, "size_bytes": len(content), "sha256": digest(content)},
            "architecture": "toy",
            "modality": "text:max_tokens=64",
            "settings": {"input": "text"},
            "card": {"licence": "MIT"},
            "members": [
                {"path": f"made_body/{name}", "name": name, "size_bytes": len(content), "sha256": digest(content)}
                for name, content in files.items()
            ],
        }
        self.use({**entry, **changes})
        return entry

    def use(self, entry: dict[str, object]) -> None:
        made = Catalogue.model_validate({"wheels": [entry], "samples": []})
        self.monkeypatch.setattr(module, "catalogue", lambda: made)
        self.monkeypatch.setenv("MADE_CATALOGUE", made.model_dump_json())


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A shelf that is the only place pip's configuration names."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    (tmp_path / "shelf").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    return Shelf(tmp_path / "shelf", monkeypatch)


@pytest.fixture
def body_files() -> dict[str, bytes]:
    """Files of a body for texts."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((64, 64), np.float32)}
    return {"model.safetensors": tensors(weights), "tokenizer.json": json.dumps({"made": True}).encode()}


@pytest.fixture
def child() -> Callable[[str], subprocess.Popen[str]]:
    """Start Python code in a process that has the made catalogue."""

    def start(code: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", CHILD + code], stdout=subprocess.PIPE, text=True)

    return start
