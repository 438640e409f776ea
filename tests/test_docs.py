"""The tutorials are run as they stand: every console line and every Python block, in order, in one folder.

A console line begins with `$ ` and may go on after a backslash; it must end with 0, or as a comment `# exit 2` on it
or on the line below says. Python blocks of a page share one interpreter.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest

DOCS = Path(__file__).parent.parent / "docs"
FENCE = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE_LINE = re.compile(r"^\$ ((?:.*\\\n)*.*)(?=\n?(.*))", re.MULTILINE)
EXIT = re.compile(r"#\s*exit (\d+)")
# Reads a block as a line of JSON, runs it, and says on the first output what went wrong, or nothing.
INTERPRETER = """
import json, os, sys, traceback
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
space = {"__name__": "tutorial"}
for line in sys.stdin:
    try:
        exec(compile(json.loads(line), "tutorial", "exec"), space)
        fault = ""
    except BaseException:
        fault = traceback.format_exc()
    print(json.dumps(fault), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Line:
    """One console line of a page, and the exit code that the page promises."""

    command: str
    code: int


def console_lines(block: str) -> list[Line]:
    """The commands of a console block; what is printed between them is for the reader."""
    found = []
    for command, below in CONSOLE_LINE.findall(block):
        promised = EXIT.search(command) or (EXIT.match(below.strip()) if not below.startswith("$ ") else None)
        found.append(Line(command, int(promised[1]) if promised else 0))
    return found


class Page:
    """A page that is being followed: a folder, a shell for each line, and one Python for all blocks."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment

    def __enter__(self) -> Page:
        self._python = subprocess.Popen(
            [sys.executable, "-c", INTERPRETER],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._python.communicate()

    def follow(self, language: str, block: str) -> None:
        """Do what a block says."""
        if language == "python":
            fault = self._run(block)
            assert not fault, f"{block}\n{fault}"
            return
        for line in console_lines(block):
            result = subprocess.run(
                ["bash", "-c", line.command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            said = f"$ {line.command}\n{result.stdout}\n{result.stderr}"
            assert result.returncode == line.code, f"exit {result.returncode}, not {line.code}:\n{said}"

    def _run(self, block: str) -> str:
        assert self._python.stdin and self._python.stdout
        self._python.stdin.write(json.dumps(block) + "\n")
        self._python.stdin.flush()
        return str(json.loads(self._python.stdout.readline()))


def _environment(home: Path) -> dict[str, str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": programs, "TAILORBIRD_HOME": str(home)}


@pytest.mark.acceptance
@pytest.mark.parametrize("name", ["tutorial-texts.md", "tutorial-pictures.md"])
def test_a_tutorial_does_what_it_says(name: str, real_home: Path, tmp_path: Path) -> None:
    blocks = FENCE.findall((DOCS / name).read_text(encoding="utf-8"))
    assert blocks, f"{name} shows nothing to run"
    with Page(tmp_path, _environment(real_home)) as page:
        for language, block in blocks:
            page.follow(language, block)


def test_console_lines_are_told_from_their_output() -> None:
    block = "$ one --a \\\n    --b\noutput\n$ two  # exit 2\n$ three\n# exit 1\n"
    assert [line.code for line in console_lines(block)] == [0, 2, 1]
    assert console_lines(block)[0].command == "one --a \\\n    --b"


def test_a_page_is_followed_in_order_in_one_folder(tmp_path: Path) -> None:
    with Page(tmp_path, _environment(tmp_path)) as page:
        page.follow("python", "open('x', 'w').write('1')\nn = 5\nprint('noise')")
        page.follow("console", "$ test -e x\n$ false  # exit 1\n")
        page.follow("python", "assert n == 5")
        with pytest.raises(AssertionError, match="NameError"):
            page.follow("python", "m")
        with pytest.raises(AssertionError, match="exit 1, not 0"):
            page.follow("console", "$ false\n")
