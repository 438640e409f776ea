"""Files and functions stay short enough to be read in one go, and are named for what they hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tailorbird"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 40
LONGER: dict[str, str] = {}  # "engine/learn.py:name": the reason why this function is better in one piece
WORDS_THAT_SAY_NOTHING = re.compile(r"(^|_)(helpers?|utils?|utilities|commons?|misc|managers?|handlers?)(_|$)")


@pytest.mark.parametrize("file", FILES)
def test_a_file_can_be_read_in_one_go(file: str) -> None:
    assert len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_A_FILE


@pytest.mark.parametrize("file", FILES)
def test_a_function_does_one_thing(file: str) -> None:
    assert [name for name, lines in _long_functions(file) if name not in LONGER] == []


def test_no_exception_has_outlived_its_function() -> None:
    long = {name for file in FILES for name, _ in _long_functions(file)}
    assert set(LONGER) <= long


def test_names_of_files_say_what_is_in_them() -> None:
    steps = {step for file in FILES for step in Path(file).with_suffix("").parts}
    assert [step for step in sorted(steps) if WORDS_THAT_SAY_NOTHING.search(step)] == []


def _long_functions(file: str) -> list[tuple[str, int]]:
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = [(f"{file}:{node.name}", (node.end_lineno or 0) - node.lineno + 1) for node in functions]
    return [(name, lines) for name, lines in lengths if lines > MOST_LINES_OF_A_FUNCTION]
