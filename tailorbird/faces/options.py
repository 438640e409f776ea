"""Command-line options made from a verb's signature, so that the command line and Python cannot differ.

A positional parameter becomes an argument, a keyword-only one an option; the text in its Annotated is the help.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import typer

Verb = Callable[..., Any]  # Any: each verb has its own parameters and its own value


def command_of(verb: Verb, run: Callable[[Verb, dict[str, Any], bool], int]) -> Callable[..., int]:
    """A function that typer can make a command of; it calls run(verb, arguments, as_json) and gives its exit code."""
    # The command line never holds a Predictor, and naming it here would import the engine for --help.
    hints = typing.get_type_hints(verb, localns={"Predictor": Any}, include_extras=True)
    hints.pop("return")
    parameters = [_parameter(one, hints[one.name]) for one in inspect.signature(verb).parameters.values()]
    parameters.append(_JSON)

    def command(**given: Any) -> int:  # Any: typer fills these in from the signature below
        as_json = given.pop("json")
        return run(verb, given, as_json)

    command.__name__ = verb.__name__
    command.__doc__ = inspect.getdoc(verb)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _parameter(one: inspect.Parameter, hint: Any) -> inspect.Parameter:
    plain, text = typing.get_args(hint)[:2]
    metavar = _metavar(one.name, plain)
    if one.kind is inspect.Parameter.KEYWORD_ONLY:
        info = typer.Option(f"--{one.name.replace('_', '-')}", help=text, metavar=metavar, show_default=_shown(one))
    else:
        info = typer.Argument(help=text, metavar=one.name.upper())
    return one.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[_simple(plain), info])


_JSON = inspect.Parameter(
    "json",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--json", help="print JSON on stdout and nothing else")],
)


def _simple(hint: Any) -> Any:
    """The one type that the command line can give: a text where a verb would take an object too."""
    if typing.get_origin(hint) not in (Union, types.UnionType):
        return hint
    kinds = typing.get_args(hint)
    if list[str] in kinds:
        return list[str]
    if str in kinds or Path in kinds:
        return str | None if type(None) in kinds else str
    return hint


def _metavar(name: str, hint: Any) -> str | None:
    is_choice = typing.get_origin(hint) is Literal
    return None if hint is bool or is_choice else name.upper()


def _shown(one: inspect.Parameter) -> bool:
    return one.default not in (None, False, inspect.Parameter.empty)
