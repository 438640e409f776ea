"""What is known of something, as names and values to list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tailorbird.types import JSON

_FIRST = ("title", "what")  # of a card; JSON keeps no order that a reader would choose


def facts(told: Mapping[str, JSON], above: str = "") -> Iterator[tuple[str, str]]:
    """Names in words with their values; what is nested is listed under both names, what is empty not at all."""
    for name, value in sorted(told.items(), key=lambda one: one[0] not in _FIRST):
        words = f"{above} {name.replace('_', ' ')}".strip()
        if isinstance(value, Mapping):
            yield from facts(value, words)
        elif value not in (None, "", [], ()):
            yield words, _shown(value)


def _shown(value: JSON) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if type(value) is int else str(value)
