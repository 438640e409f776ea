"""Run a command without a network: python tests/offline/run.py -- pytest -n 2

Where it is allowed the command runs in an empty network namespace of its own; elsewhere it runs as it is, and the
guard that tests/offline/network_watch.py brings into every Python process is alone.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import namespace

INSIDE = "TAILORBIRD_NAMESPACE"  # set for the command when it has a namespace of its own


def main(arguments: list[str]) -> None:
    """Become the command, inside a namespace if there can be one."""
    if arguments[:1] == ["--inside"]:
        namespace.raise_loopback()
        os.environ[INSIDE] = "1"
        _become(arguments[2:])
    entrance = namespace.entrance()
    if entrance is None:
        os.environ.pop(INSIDE, None)
        _become(arguments[1:])
    else:
        _become([*entrance, sys.executable, __file__, "--inside", *arguments])


def _become(command: list[str]) -> None:
    beside = str(Path(sys.executable).parent)  # `pytest` is this environment's pytest
    program = shutil.which(command[0], path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))
    if program is None:
        sys.exit(f"run.py: there is no command {command[0]!r}")
    os.execv(program, [program, *command[1:]])  # a Python finds its environment by the path that it is called by


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("--", "--inside"):
        sys.exit("usage: python tests/offline/run.py -- COMMAND [ARGUMENT ...]")
    main(sys.argv[1:])
