"""Every command that README.md and docs/ show exists, with every option that they give it."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"(?:^|\$ |/|&& )tailorbird ([a-z]+)([^\n]*)", re.MULTILINE)
MAKE = re.compile(r"(?:^|[\s`$])make ([a-z-]+)", re.MULTILINE)


def commands(text: str) -> list[tuple[str, frozenset[str]]]:
    """Verbs and their options, as code shows them: in fenced blocks and between backticks."""
    return [
        (verb, frozenset(re.findall(r"(?<![\w-])--[a-z][\w-]*", rest.partition(" #")[0])))
        for verb, rest in COMMAND.findall("\n".join(_code(text)))
    ]


def _code(text: str) -> list[str]:
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    plain = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [block.replace("\\\n", " ") for block in fenced] + re.findall(r"`([^`\n]+)`", plain)


@cache
def _help(*verb: str) -> str:
    command = [sys.executable, "-m", "tailorbird", *verb, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_exists(page: Path) -> None:
    for verb, options in commands(page.read_text(encoding="utf-8")):
        assert re.search(rf"^\W*{verb}\b", _help(), re.MULTILINE), f"there is no verb {verb!r}"
        known = set(re.findall(r"--[a-z][\w-]*", _help(verb)))
        assert options <= known, f"{verb} has no {options - known}"


def test_both_commands_of_the_readme_are_in_the_makefile() -> None:
    shown = set(MAKE.findall("\n".join(_code((ROOT / "README.md").read_text(encoding="utf-8")))))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test"} <= shown
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in shown)


PAGE = """tailorbird is fine
```python
import tailorbird as tb
```
```console
$ .venv/bin/tailorbird fit x \\
  --out m  # --not
```
`tailorbird cache --json`, not `import tailorbird as tb`.
"""


def test_commands_are_found_where_code_is_shown() -> None:
    assert commands(PAGE) == [("fit", frozenset({"--out"})), ("cache", frozenset({"--json"}))]
