"""Plug-ins: a frozen model found by its file's name, and the one spelling `name:piece,piece`.

A piece is `field=value`; a piece without `=` fills the plug-in's one main field. In a value, a comma is written `\\,`
and a backslash `\\\\`. The kinds of plug-in are the packages named in PACKAGES; a file there is a plug-in unless its
name begins with an underscore.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from itertools import groupby
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tailorbird.errors import BadSpelling, MissingExtra

PACKAGES = {
    "modality": "tailorbird.modalities",
    "source": "tailorbird.sources",
    "task": "tailorbird.tasks",
    "method": "tailorbird.methods",
    "runtime": "tailorbird.runtimes",
    "baseline": "tailorbird.baselines",
}
# Every kind is asked for by an option of the same name, but a source: the user gives it as --model.
_OPTION = {"source": "--model"}


class Plug(BaseModel):
    """The parent of every plug-in. Its fields are all that is stored and all that a user may set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    main: ClassVar[str | None] = None  # the field that a piece without "=" fills

    @property
    def name(self) -> str:
        """The name of the file that the plug-in lives in, as the user types it."""
        return type(self).__module__.rpartition(".")[2]

    def spelling(self, *, full: bool = False) -> str:
        """The shortest spelling that gives this plug-in again; with `full`, every field is named."""
        return ":".join(filter(None, [self.name, ",".join(self._pieces(full))]))

    def _pieces(self, full: bool) -> list[str]:
        values = self.model_dump(mode="json", exclude_defaults=not full)
        ordered = sorted(values.items(), key=lambda pair: pair[0] != self.main)
        bare = None if full else self.main
        return [_piece(name, str(value), bare=name == bare) for name, value in ordered if value is not None]


P = TypeVar("P", bound=Plug)


@cache
def names(kind: str) -> tuple[str, ...]:
    """The names of all plug-ins of a kind, sorted. Imports none of them."""
    package = importlib.import_module(PACKAGES[kind])
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def load(kind: str, name: str) -> type[Plug]:
    """The plug-in class in the file of this name. Raises MissingExtra if a library that it needs is not installed."""
    if name not in names(kind):
        raise BadSpelling(f"there is no {kind} {name!r}", _nearest(name, names(kind), f"{kind}s"))
    try:
        module = importlib.import_module(f"{PACKAGES[kind]}.{name}")
    except ModuleNotFoundError as error:
        raise missing_extra(f"{kind} {name!r}", error.name or str(error)) from error
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    plugs = [value for value in own if issubclass(value, Plug) and not value.__name__.startswith("_")]
    assert len(plugs) == 1, f"{module.__name__} must hold exactly one plug-in, and holds {plugs}"
    return plugs[0]


def parse(kind: str, spelling: str, parent: type[P]) -> P:
    """The plug-in that `spelling` names. parent: the kind's contract in kinds.py, for the type of the value."""
    name, _, rest = spelling.partition(":")
    plug = load(kind, name.strip())
    assert issubclass(plug, parent), f"{plug} is no {parent}"
    return make(plug, _fields(plug, name, rest), spelling)


def make(plug: type[P], values: dict[str, Any], spelling: str) -> P:
    """The plug-in with these fields. Any: the values are what a user typed, and pydantic is their judge."""
    name = plug.__module__.rpartition(".")[2]
    for given in values:
        if given not in plug.model_fields:
            raise BadSpelling(
                f"{plug.kind} {name!r} has no field {given!r} (in {spelling!r})",
                _nearest(given, tuple(plug.model_fields), "fields"),
            )
    try:
        return plug(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or name
        problem = f"{spelling!r}: {where} cannot be {first.get('input')!r}: {first['msg']}"
        raise BadSpelling(problem, _usage(plug, name)) from error


def missing_extra(what: str, module: str) -> MissingExtra:
    """The error for a library that is not installed, with the pip command that brings it."""
    package = module.partition(".")[0]
    extra = _extras().get(_DISTRIBUTIONS.get(package, package))
    install = f"pip install 'tailorbird[{extra}]'" if extra else f"pip install {package}"
    return MissingExtra(f"{what} needs the package {package!r}, which is not installed", install)


def needs(what: str, *modules: str) -> None:
    """Raise MissingExtra now, before costly work, if one of these modules is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise missing_extra(what, module)


# Where the name to import differs from the name to install.
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow"}


@cache
def _extras() -> dict[str, str]:
    try:
        lines = requires("tailorbird") or []
    except PackageNotFoundError:  # run from a folder that was never installed: the hint names the package itself
        lines = []
    found: dict[str, str] = {}
    for line in lines:
        match = re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", line)
        if match and match[2] not in ("all", "dev"):
            found.setdefault(match[1].lower(), match[2])
    return found


def _fields(plug: type[Plug], name: str, rest: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for piece in _split(rest):
        match = _NAMED.match(piece)
        key, written = (match[1], piece[match.end() :]) if match else (plug.main, piece)
        value = _ESCAPED.sub(r"\1", written)
        if key is None:
            raise BadSpelling(f"{plug.kind} {name!r} takes no bare value, and got {piece!r}", _usage(plug, name))
        if key in values:
            problem = f"{plug.kind} {name!r} got {key!r} twice: {values[key]!r} and {value!r}"
            raise BadSpelling(problem, _usage(plug, name))
        values[key] = value
    return values


# Only the head of a piece can be a field's name: "==" inside a version belongs to the value.
_NAMED = re.compile(r"([A-Za-z_]\w*)=(?!=)")
_ESCAPED = re.compile(r"\\([\\,=\s])")


def escaped(value: str) -> str:
    """A value as it is written in a spelling, where a comma, a space at an end and an `=` in front mean something."""
    written = value.replace("\\", "\\\\").replace(",", "\\,")
    return re.sub(r"^[=\s]|\s\Z", r"\\\g<0>", written)


def _piece(name: str, value: str, *, bare: bool) -> str:
    written = escaped(value)
    return written if bare and written and not _NAMED.match(written) else f"{name}={written}"


def _split(rest: str) -> Iterator[str]:
    """The pieces between commas, as written but for the spaces around them."""
    marks = re.findall(r"\\[\\,=\s]|.", rest, re.DOTALL)  # an escaped character is one mark, and no comma or space
    for is_comma, run in groupby(marks, ",".__eq__):
        piece = [] if is_comma else list(run)
        inked = [i for i, mark in enumerate(piece) if not mark.isspace()]
        if inked:
            yield "".join(piece[inked[0] : inked[-1] + 1])


def _usage(plug: type[Plug], name: str) -> str:
    option = _OPTION.get(plug.kind, f"--{plug.kind}")
    shown = [f"{key}={field.get_default()}" for key, field in plug.model_fields.items() if not field.is_required()]
    needed = [f"{key.upper()}" for key, field in plug.model_fields.items() if field.is_required()]
    pieces = ",".join(needed + shown)
    return f"{option} {name}:{pieces}" if pieces else f"{option} {name}"


def _nearest(word: str, known: tuple[str, ...], what: str) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    listed = f"{what}: {', '.join(known) or 'none'}"
    return f"did you mean {close[0]!r}? {listed}" if close else listed
