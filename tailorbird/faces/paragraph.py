"""Text in lines that are no wider than the terminal."""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.text import Text


def paragraph(text: str, console: Console, indent: str = "", style: str = "", *, whole_words: bool = False) -> None:
    """Print it. whole_words: one that is wider than the terminal stays whole, so that it can be copied."""
    lines = textwrap.wrap(
        text,
        console.width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=not whole_words,
        break_on_hyphens=False,
    )
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)
