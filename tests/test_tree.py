"""What may lie in the repository: small files, a lock that is true, and no registry's address."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
MOST_BYTES = 1_000_000
# A mirror or a firewall decides where packages come from: the user's pip and apt know, and nobody else.
REGISTRY = re.compile(r"https?://[\w.-]*(pypi|pythonhosted|debian|npmjs|pytorch)\.\w+", re.IGNORECASE)
LOCKED = (ROOT / "constraints.txt").read_text().splitlines()


def _kept() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_is_over_a_megabyte() -> None:
    assert [path for path in _kept() if path.stat().st_size > MOST_BYTES] == []


def test_no_file_names_a_registry() -> None:
    texts = {path: path.read_bytes().decode("utf-8", "ignore") for path in _kept()}
    assert {path: found[0] for path, text in texts.items() if (found := REGISTRY.search(text))} == {}


def test_a_registry_would_be_recognised() -> None:
    assert REGISTRY.search("index-url = https" + "://pypi.org/simple")
    assert REGISTRY.search("http" + "://deb.debian.org/debian")


def test_the_lock_holds_plain_versions_only() -> None:
    assert [line for line in LOCKED if not re.fullmatch(r"[a-z0-9.-]+==[0-9][\w.]*", line)] == []
    assert sorted(LOCKED) == LOCKED


def test_the_lock_covers_what_is_installed() -> None:
    locked = dict(line.split("==") for line in LOCKED)
    installed = {name: version(name).partition("+")[0] for name in _needed("tailorbird", frozenset({"dev"}), set())}
    del installed["tailorbird"]
    assert installed.items() <= locked.items(), "type: make lock"


def _needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> Iterator[str]:
    """Every distribution that this one needs here, and itself."""
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    yield name
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        given = extras or {""}
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in given):
            yield from _needed(canonicalize_name(requirement.name), frozenset(requirement.extras), seen)
