"""cache: what the feature cache holds, and how to empty it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from tailorbird.types import CacheEntry


@dataclass(frozen=True)
class CacheReport:
    """What the cache holds now, and what was removed."""

    folder: str
    entries: tuple[CacheEntry, ...]
    size_bytes: int
    limit_bytes: int
    cleared_bytes: int = 0


def cache(
    action: Annotated[Literal["list", "clear"], "list what is kept, or clear it all"] = "list",
) -> CacheReport:
    """List or clear the features that were computed once and kept. $TAILORBIRD_CACHE_SIZE limits their size."""
    from tailorbird.store import cache as store

    limit = store.limit_bytes()
    cleared = store.clear() if action == "clear" else 0
    entries = tuple(store.entries())
    return CacheReport(str(store.root()), entries, sum(e.size_bytes for e in entries), limit, cleared)
