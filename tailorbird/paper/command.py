"""The command line that makes a model again, from the recorded call."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from tailorbird.types import JSON


def command(call: Mapping[str, JSON]) -> str:
    """A command for a shell: the data, and a line for every option that was set. call: the recorded call of fit."""
    data = shlex.quote(str(call.get("data", "DATA")))
    given = (
        (name, value) for name, value in call.items() if name != "data" and value is not None and value is not False
    )
    options = [_option(f"--{name.replace('_', '-')}", value) for name, value in given]
    lines = [f"tailorbird fit {data}", *options] if data[:1] != "-" else ["tailorbird fit", *options, f"-- {data}"]
    return " \\\n    ".join(lines)


def _option(name: str, value: JSON) -> str:
    if value is True:
        return name
    # A value that looks like an option would be taken for one if it stood alone.
    between = "=" if str(value).startswith("-") else " "
    return f"{name}{between}{shlex.quote(str(value))}"
