"""What a verb's value looks like: one JSON document (or a line an item), or a page for people."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, is_dataclass

from rich.console import Console

from tailorbird.errors import BadOutput
from tailorbird.faces.pages import page
from tailorbird.types import JSON, Prediction, Verification


def show(value: object, *, as_json: bool, seconds: float) -> int:
    """Print a verb's value on stdout, and give the exit code that it deserves."""
    value = getattr(value, "report", value)  # a Predictor is shown by what was measured of it
    try:
        if as_json:
            sys.stdout.write(document(value))
        else:
            page(value, _Paper(), seconds)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is left in the buffer goes nowhere, or Python would fail on it once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise BadOutput(
            f"cannot write the answer to stdout: {error.strerror}", "send it to a disk with space"
        ) from error
    code = _code(value)
    if code:
        print(*_shortcoming(value), sep="\n", file=sys.stderr)
    return code


def _shortcoming(value: object) -> tuple[str, str]:
    """The problem line and the hint of an answer that is not whole."""
    if isinstance(value, list):
        failed = [one for one in value if one.error]
        problem = f"error: {len(failed):,} of {len(value):,} items could not be answered; the first: {failed[0].item!r}"
        return problem, "hint:  mend or leave out the items whose answer is an error"
    return (
        "error: the model is not as it was sealed",
        "hint:  fetch it again from where it came, or fit again with --force",
    )


class _Paper(Console):
    """A console that lets `| head` be seen by whoever ends the program: rich would exit with 1 on the spot."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def show_refusal(problem: str, hint: str, *, as_json: bool) -> None:
    """Print a mistake and the way out on stderr; with --json, on stdout too, as one document."""
    if as_json:
        print(_dump({"error": {"problem": problem, "hint": hint}}))
    print(f"error: {problem}\nhint:  {hint}", file=sys.stderr)


def document(value: object) -> str:
    """A verb's value as JSON: a document, or for predictions a line for each item."""
    if isinstance(value, list):
        return "".join(f"{_dump(_prediction(one))}\n" for one in value)
    return f"{_dump(_plain(value))}\n"


def _code(value: object) -> int:
    failed = isinstance(value, list) and any(one.error for one in value)
    wrong = isinstance(value, Verification) and not value.ok
    return 2 if failed or wrong else 0


def _prediction(one: Prediction) -> dict[str, JSON]:
    return {name: told for name, told in vars(one).items() if told is not None}


def _plain(value: object) -> JSON:
    assert is_dataclass(value) and not isinstance(value, type), f"a verb gives a dataclass, not {value!r}"
    return asdict(value)


def _dump(value: JSON) -> str:
    return json.dumps(value, allow_nan=False, default=str)  # ASCII: no terminal or pipe can fail on it
