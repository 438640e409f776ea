"""The command line: every verb of the Python API as a command, errors in two lines, exit codes 0, 1 and 2."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from types import FrameType
from typing import Any, NoReturn

import typer
from rich.console import Console

from tailorbird import __version__
from tailorbird.errors import TailorbirdError
from tailorbird.faces.bars import Bars, asked_to_stop
from tailorbird.faces.options import Verb, command_of
from tailorbird.faces.show import show, show_refusal
from tailorbird.progress import listening

VERBS = ("find", "pull", "check", "plan", "fit", "sweep", "predict", "evaluate", "report", "verify", "cache", "demo")
USER_CAN_MEND, INTERRUPTED = 2, 130  # 1 is Python's own, with a traceback: an internal fault

app = typer.Typer(
    name="tailorbird",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# The parent of all of typer's complaints about what was typed, under whatever module typer keeps it.
_COMPLAINT: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> NoReturn:
    """Run the command line on sys.argv, and exit."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    _steady_streams()
    try:
        code = _answered()
    except BrokenPipeError:  # whoever read our output has gone, as in `tailorbird ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"tailorbird {__version__}")
        raise typer.Exit


def _answered() -> int:
    try:
        return app(prog_name="tailorbird", standalone_mode=False) or 0
    except TailorbirdError as error:
        return _refuse(error.problem, error.hint)
    except typer.Exit as done:
        return done.exit_code
    except _COMPLAINT as complaint:
        return _refuse(*_mistyped(complaint))
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted: nothing was left half-written", file=sys.stderr)
        return INTERRUPTED


def _steady_streams() -> None:
    """Output that was closed goes nowhere, and a letter that the terminal does not know is shown as a question mark."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 (open as long as the process lives)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@app.callback()
def _top(
    version: bool = typer.Option(
        False, "--version", help="print the version and stop", is_eager=True, callback=_version
    ),
) -> None:
    """Off-the-rack models, tailored to you: adapt a pretrained model to your own data, measured honestly."""


def _run(verb: Verb, arguments: dict[str, Any], as_json: bool) -> int:  # Any: each verb has its own parameters
    with listening(Bars(Console(stderr=True))):
        start = time.perf_counter()
        value = verb(**arguments)
        return show(value, as_json=as_json, seconds=time.perf_counter() - start)


def _refuse(problem: str, hint: str) -> int:
    show_refusal(problem, hint, as_json="--json" in sys.argv)
    return USER_CAN_MEND


def _mistyped(complaint: Exception) -> tuple[str, str]:
    """The problem, with the value received, and the hint of a command line that typer could not read."""
    told = getattr(complaint, "format_message", lambda: str(complaint))().replace("\n", " ")
    names = getattr(getattr(complaint, "param", None), "opts", [])
    received = [sys.argv[i + 1] for i, word in enumerate(sys.argv[:-1]) if word in names]
    if received and received[-1] not in told:
        told = f"{told} (received {received[-1]!r})"
    context = getattr(complaint, "ctx", None)
    return told, f"{getattr(context, 'command_path', 'tailorbird')} --help"


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    asked_to_stop.set()
    raise KeyboardInterrupt


for _name in VERBS:
    app.command(_name)(command_of(getattr(importlib.import_module(f"tailorbird.verbs.{_name}"), _name), _run))
