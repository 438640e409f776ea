"""The floors of docs/architecture.md: imports point downwards, and plug-ins of one folder do not know each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tailorbird"
GROUND = ("errors", "plug", "types", "costs", "kinds", "lesson", "progress")
FLOORS = [
    {"__init__", *GROUND},
    {"store"},
    {"measure"},
    {"data", "bodies", "paper"},
    {"modalities", "sources", "tasks", "runtimes", "baselines"},
    {"engine"},
    {"methods"},
    {"verbs"},
    {"faces"},
    {"__main__"},
]
PLUGINS = {*FLOORS[4], *FLOORS[6]}
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names that are imported when the code runs: inside functions too, under `if TYPE_CHECKING` not."""
    if isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.dump(tree.test):
        return
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    if isinstance(tree, ast.ImportFrom):
        assert tree.level == 0, "imports are absolute here"
        yield from (f"{tree.module}.{alias.name}" for alias in tree.names)
    for child in ast.iter_child_nodes(tree):
        yield from imports(child)


def fault(importer: Path, imported: str) -> str | None:
    """What is wrong with this import, if anything."""
    steps = imported.split(".")
    if steps[0] != "tailorbird":
        return None
    here = importer.parts[0].removesuffix(".py")
    there = steps[1] if len(steps) > 1 and _exists(steps[1]) else "__init__"
    if here == there:
        other = steps[2] if len(steps) > 2 else ""
        own = other in ("", importer.stem) or other.startswith("_")
        return None if own or here not in PLUGINS else "a plug-in imports another one of its folder"
    if here == "engine" and there in PLUGINS:
        return "the engine knows plug-ins by kinds.py, never by name"
    if there in FLOORS[0] and here in FLOORS[0]:
        return None
    return None if _floor(there) < _floor(here) else f"{here}/ imports {there}/, which is not below it"


def _exists(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()


def _floor(name: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if name in names)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_point_downwards(file: Path) -> None:
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    faults = {f"{name}: {problem}" for name in imports(tree) if (problem := fault(file, name))}
    assert not faults


@pytest.mark.parametrize(
    ("importer", "code", "allowed"),
    [
        ("store/files.py", "from tailorbird.errors import BadData", True),
        ("store/files.py", "from tailorbird import errors", True),
        ("store/files.py", "from tailorbird.store import cache", True),
        ("store/files.py", "from tailorbird.engine import solve", False),
        ("store/files.py", "def f():\n    from tailorbird.engine import solve", False),
        ("store/files.py", "if TYPE_CHECKING:\n    from tailorbird.engine import solve", True),
        ("data/read.py", "import tailorbird.bodies.toy", False),
        ("types.py", "from tailorbird.store.files import home", False),
        ("sources/wheel.py", "from tailorbird.sources._pth import convert", True),
        ("sources/wheel.py", "from tailorbird.sources.folder import Folder", False),
        ("sources/wheel.py", "from tailorbird.tasks.classify import Classify", False),
        ("engine/learn.py", "from tailorbird.runtimes.torch import Torch", False),
        ("engine/learn.py", "from tailorbird.data.split import split", True),
        ("verbs/fit.py", "from tailorbird.verbs.verify import verify", True),
    ],
)
def test_the_floors_are_told_apart(importer: str, code: str, allowed: bool) -> None:
    faults = [problem for name in imports(ast.parse(code)) if (problem := fault(Path(importer), name))]
    assert faults == [] if allowed else faults
