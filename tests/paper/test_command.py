"""The recorded call is given back as a command that a shell takes apart in the same way."""

from __future__ import annotations

import shlex

import pytest

from tailorbird.paper.command import command


def test_what_was_set_is_there_and_what_was_not_is_not() -> None:
    call = {"data": "rows.csv", "out": "m", "target": None, "seed": 0, "embed": True, "force": False, "max_rows": 3}
    words = ["tailorbird", "fit", "rows.csv", "--out", "m", "--seed", "0", "--embed", "--max-rows", "3"]
    assert shlex.split(command(call).replace("\\\n", "")) == words


@pytest.mark.parametrize("name", ["my data.csv", "it's.csv", "$HOME/`x`.csv", "a\nb.csv", "ünï.csv", 'a"b', "*"])
def test_a_shell_gives_every_name_back(name: str) -> None:
    line = command({"data": name, "out": name})
    assert shlex.split(line.replace(" \\\n    ", " ")) == ["tailorbird", "fit", name, "--out", name]


def test_what_looks_like_an_option_is_not_taken_for_one() -> None:
    words = shlex.split(command({"data": "-rows.csv", "target": "-x"}).replace("\\\n", ""))
    assert words == ["tailorbird", "fit", "--target=-x", "--", "-rows.csv"]
