"""Pages show what a user named as it is: brackets in a path are no markup."""

from __future__ import annotations

import io

from rich.console import Console

from tailorbird.faces.bars import _bar
from tailorbird.faces.pages import page
from tailorbird.types import CacheEntry
from tailorbird.verbs.cache import CacheReport


def test_a_path_with_brackets_is_shown_as_it_is() -> None:
    entry = CacheEntry("ab", 3, 1000, {"body": "folder:/data/[/x]/m", "modality": "text:max_tokens=64"})
    console = Console(file=io.StringIO(), width=100)
    page(CacheReport("/home/[/y]/features", (entry,), 1000, 10**10, 5), console, 0.1)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "folder:/data/[/x]/m" in shown and "in /home/[/y]/features, of 10.0 GB" in shown


def test_a_stage_is_shown_as_it_is() -> None:
    console = Console(file=io.StringIO(), width=100)
    bar = _bar(console)
    bar.add_task("fetch [/x]", total=3)
    console.print(bar.get_renderable())
    assert isinstance(console.file, io.StringIO) and "fetch [/x]" in console.file.getvalue()
