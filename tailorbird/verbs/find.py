"""The verb find: which pretrained body suits. It looks into the catalogue and the store, and opens no connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from tailorbird.engine.finding import Candidate


@dataclass(frozen=True)
class Found:
    """The bodies that suit, best first, and what was left out on the way."""

    entries: tuple[Candidate, ...]
    known: int  # bodies in the catalogue
    excluded: dict[str, int]  # how many of them each filter leaves out by itself, the strictest first
    strangers: tuple[str, ...]  # bodies in the store that the catalogue does not know
    memory_bytes: int | None  # what `fits` was judged by


def find(
    words: Annotated[str | list[str] | None, "what you look for: all words must be there, beginnings count"] = None,
    *,
    task: Annotated[str | None, "only bodies that suit this: classify, regress, multilabel, similarity, search"] = None,
    modality: Annotated[str | None, "only bodies for this kind of input: text, image"] = None,
    licence: Annotated[str, "apache-2.0, mit, ...; or permissive; or any"] = "any",
    max_size: Annotated[str | None, "the largest download: 500MB, 2GB"] = None,
    here: Annotated[bool, "only what is in the store already"] = False,
) -> Found:
    """Find a pretrained body in the catalogue; without words and options, all of it. Nothing is fetched.

    Shown with each: its size, its licence, whether it is pulled already, and what this machine's memory allows."""
    from tailorbird.engine import finding

    text = words if isinstance(words, str) else " ".join(words or ())
    wish = finding.wanted(text, task, modality, licence, max_size, here)
    memory_bytes = finding.free_memory_bytes()
    everything = finding.candidates(memory_bytes)
    return Found(
        entries=finding.chosen(everything, wish),
        known=len(everything),
        excluded=finding.excluded(everything, wish),
        strangers=finding.strangers(),
        memory_bytes=memory_bytes,
    )
