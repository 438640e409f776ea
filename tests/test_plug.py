"""Spellings: what a plug-in spells is what gives it again, whatever its values hold."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailorbird import plug
from tailorbird.errors import BadSpelling
from tailorbird.kinds import Source
from tailorbird.plug import Plug, escaped, parse
from tailorbird.sources.folder import Folder
from tailorbird.sources.wheel import Wheel


class Made(Plug):
    """A plug-in with two texts, one of them its main field."""

    kind: ClassVar[str] = "source"
    main: ClassVar[str | None] = "path"

    path: str = "."
    other: str = "none"


def again(spelling: str) -> Plug:
    """The plug-in of this spelling, where every name is the one above."""
    with patch.object(plug, "load", lambda kind, name: Made):
        return parse("source", spelling, Plug)


# Many of the characters that mean something, and some of all the others.
VALUES = st.text(st.sampled_from("a,=\\ \n:") | st.characters(exclude_categories=["Cs"]), max_size=12)


@given(VALUES, VALUES, st.booleans())
@example("x=1", "=", False)
@example("x==1", "==", False)
@example("path=x", "a\\", True)
@example("a\\,b\\", " ", False)
@example("", "", False)
@example("\x85a\u2003", "\n", True)
def test_any_two_values_come_back(path: str, other: str, full: bool) -> None:
    made = Made(path=path, other=other)
    assert again(made.spelling(full=full)) == made


@given(VALUES, st.booleans())
def test_any_folder_and_any_package_come_back(value: str, full: bool) -> None:
    for source in (Folder(path=Path(value)), Wheel(package=value)):
        assert parse("source", source.spelling(full=full), Source) == source


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        ("/a", "folder:/a"),
        ("/a,b", r"folder:/a\,b"),
        (r"C:\models", r"folder:C:\\models"),
        ("x=1", "folder:path=x=1"),
        ("x==1", "folder:x==1"),
        (" x ", r"folder:\ x\ "),
    ],
)
def test_a_value_is_spelled_as_simply_as_it_can_be(value: str, spelling: str) -> None:
    assert Folder(path=Path(value)).spelling() == spelling


@pytest.mark.parametrize(
    ("spelling", "path", "other"),
    [
        (r"made:C:\models\x", r"C:\models\x", "none"),  # a backslash before a letter needs no second one
        (r"made:a\,b,other=c\,d", "a,b", "c,d"),
        ("made: a , other=b , ", "a", "b"),
        ("made:a\\", "a\\", "none"),
        (r"made:other=\=,path=", "", "="),
    ],
)
def test_what_is_typed_is_understood(spelling: str, path: str, other: str) -> None:
    assert again(spelling) == Made(path=path, other=other)


@pytest.mark.parametrize(("spelling", "said"), [("made:a,b", "got 'path' twice"), ("made:x=1", "has no field 'x'")])
def test_what_means_nothing_is_refused(spelling: str, said: str) -> None:
    with pytest.raises(BadSpelling, match=said):
        again(spelling)


def test_plain_values_need_no_escape() -> None:
    assert escaped("/home/me/model-1.0 (new)") == "/home/me/model-1.0 (new)"
