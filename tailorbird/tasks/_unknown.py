"""What is said of a label that a model does not know."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tailorbird.errors import BadData


def unknown(label: str, labels: Sequence[str], cell: str | None = None) -> BadData:
    """The error, with the nearest label. cell: in which the label stands among others."""
    close = difflib.get_close_matches(label, labels, n=1)
    listed = ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")
    hint = f"did you mean {close[0]!r}?" if close else "correct or leave out such rows;"
    where = "" if cell is None else f" in {cell!r}"
    problem = f"the label {label!r}{where} is not among the {len(labels):,} that the model knows"
    return BadData(problem, f"{hint} labels: {listed}")
