"""Finding a body: the catalogue searched by words and filters, beside what the store holds and this machine carries."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from tailorbird.errors import BadBody, BadSpelling
from tailorbird.store import files
from tailorbird.store.bodies import MANIFEST, read_json
from tailorbird.store.catalogue import CatalogueEntry, bodies

# May be used, changed and sold, with no more duty than to name the authors.
PERMISSIVE = frozenset(
    ["apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "zlib", "unlicense", "cc0-1.0", "cc-by-4.0"]
)
# Peak memory over the size of the weights in float32. To probe: the weights, the exported graph of them, and a batch.
# To finetune: the weights, their gradients, two moments of Adam, the best weights so far, and a batch.
PROBE_FACTOR, FINETUNE_FACTOR = 3, 6
# What a word is worth by where it stands; a body's limits are not searched: "English only" is no answer to "English".
_WORTH = {"name": 6, "title": 5, "family": 5, "what": 4, "modality": 3, "tasks": 3, "licence": 2}
_WORTH |= {"training_data": 1, "owner": 1}
_ALSO_CALLED = {"image": "image picture photograph vision", "text": "text document"}


@dataclass(frozen=True)
class Candidate(CatalogueEntry):
    """An entry of the catalogue as it stands on this machine."""

    pulled: bool  # it is in the store already
    fits: Literal["finetune", "probe", "no"] | None  # the most that the memory allows; None: memory is not known


@dataclass(frozen=True)
class Wanted:
    """What is looked for. An empty or absent field lets everything pass."""

    words: tuple[str, ...] = ()
    task: str | None = None
    modality: str | None = None
    licence: str = "any"
    max_bytes: int | None = None
    here: bool = False  # only what is in the store


def wanted(
    words: str, task: str | None, modality: str | None, licence: str, max_size: str | None, here: bool
) -> Wanted:
    """The wishes of a user, each checked. Raises BadSpelling that names the choices."""
    known = bodies()
    tasks = {task for entry in known for task in entry.tasks}
    return Wanted(
        words=_words(words),
        task=_one_of(task, "task", tasks),
        modality=_one_of(modality, "modality", {entry.modality for entry in known}),
        licence=_one_of(licence, "licence", {"any", "permissive", *PERMISSIVE, *(e.licence for e in known)}) or "any",
        max_bytes=None if max_size is None else _bytes(max_size),
        here=here,
    )


def candidates(memory_bytes: int | None) -> tuple[Candidate, ...]:
    """The whole catalogue as it stands here. memory_bytes: what may be used, or None if that is not known."""
    stored = set(_unversioned(in_store()))
    return tuple(
        Candidate(**vars(entry), pulled=entry.spelling.lower() in stored, fits=_fits(entry, memory_bytes))
        for entry in bodies()
    )


def chosen(among: Iterable[Candidate], wish: Wanted) -> tuple[Candidate, ...]:
    """The candidates that pass every filter, best first: by what the words are worth, then by size."""
    passing = [one for one in among if all(passes(one) for passes in _filters(wish).values())]
    return tuple(sorted(passing, key=lambda one: (-_worth(one, wish.words), one.size_bytes, one.spelling)))


def excluded(among: Iterable[Candidate], wish: Wanted) -> dict[str, int]:
    """How many candidates each filter leaves out by itself, the strictest first."""
    everything = tuple(among)
    counts = {name: sum(not passes(one) for one in everything) for name, passes in _filters(wish).items()}
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


def in_store() -> tuple[str, ...]:
    """The spellings of the bodies in the store, with their versions; a damaged one is none."""
    found = []
    for path in sorted((files.home() / "bodies").rglob(MANIFEST)):
        with suppress(BadBody):
            spelling = (read_json(path) or {}).get("spelling")
            if isinstance(spelling, str) and not path.parent.name.endswith(".part"):
                found.append(spelling)
    return tuple(found)


def strangers() -> tuple[str, ...]:
    """Bodies in the store that the catalogue does not know; made ones do not count."""
    known = {entry.spelling.lower() for entry in bodies()}
    stored = [spelling for spelling in in_store() if not spelling.startswith("toy:")]
    return tuple(one for one, name in zip(stored, _unversioned(stored), strict=True) if name not in known)


def free_memory_bytes() -> int | None:
    """What a process may still use: the machine's free memory, or its container's limit if that is lower."""
    numbers = [_meminfo(), _limit(Path("/sys/fs/cgroup/memory.max"))]
    known = [number for number in numbers if number is not None]
    return min(known, default=None)


def _filters(wish: Wanted) -> Mapping[str, Callable[[Candidate], bool]]:
    """The filters that were asked for, by the name of their option."""
    tests: dict[str, tuple[bool, Callable[[Candidate], bool]]] = {
        "words": (bool(wish.words), partial(_has_words, words=wish.words)),
        "task": (wish.task is not None, lambda one: wish.task in one.tasks),
        "modality": (wish.modality is not None, lambda one: one.modality == wish.modality),
        "licence": (wish.licence != "any", lambda one: _allowed(one.licence, wish.licence)),
        "max_size": (wish.max_bytes is not None, lambda one: one.size_bytes <= (wish.max_bytes or 0)),
        "here": (wish.here, lambda one: one.pulled),
    }
    return {name: test for name, (asked, test) in tests.items() if asked}


def _allowed(licence: str, asked: str) -> bool:
    return licence in PERMISSIVE if asked == "permissive" else licence == asked


def _has_words(entry: CatalogueEntry, words: tuple[str, ...]) -> bool:
    return all(_word_worth(entry, word) for word in words)


def _worth(entry: CatalogueEntry, words: tuple[str, ...]) -> int:
    return sum(_word_worth(entry, word) for word in words)


def _word_worth(entry: CatalogueEntry, word: str) -> int:
    """The best place where some word begins like this one, 0 for none; a plural finds its singular."""
    beginnings = {word, word[:-1] if len(word) > 3 and word.endswith("s") else word}
    owner, _, name = entry.spelling.partition(":")[2].rpartition("/")
    said = vars(entry) | {"modality": _ALSO_CALLED[entry.modality], "owner": owner, "name": name}
    places = [worth for field, worth in _WORTH.items() if any(_begins(str(said[field]), one) for one in beginnings)]
    return max(places, default=0)


def _begins(text: str, start: str) -> bool:
    return any(word.startswith(start) for word in _words(text))


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", text.casefold()))


def _fits(entry: CatalogueEntry, memory_bytes: int | None) -> Literal["finetune", "probe", "no"] | None:
    if memory_bytes is None:
        return None
    weights = 4 * entry.parameters
    if FINETUNE_FACTOR * weights <= memory_bytes:
        return "finetune"
    return "probe" if PROBE_FACTOR * weights <= memory_bytes else "no"


def _unversioned(spellings: Iterable[str]) -> list[str]:
    return [re.split(r"==|@", spelling, maxsplit=1)[0].lower() for spelling in spellings]


def _one_of(given: str | None, option: str, known: Iterable[str]) -> str | None:
    """The choice in lower case. Raises BadSpelling with the nearest and all of them."""
    if given is None:
        return None
    choices, low = sorted(known), given.strip().lower()
    if low in choices:
        return low
    near = difflib.get_close_matches(low, choices, n=1, cutoff=0)
    raise BadSpelling(
        f"there is no {option} {given!r} in the catalogue", f"--{option} {near[0]}, or one of: {', '.join(choices)}"
    )


def _bytes(size: str) -> int:
    found = files.bytes_of(size)
    if found is None:
        raise BadSpelling(f"--max-size is {size!r}, and must be a size", "--max-size 500MB")
    return found


def _meminfo() -> int | None:
    with suppress(OSError):
        match = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text("ascii"), re.MULTILINE)
        if match:
            return int(match[1]) * 1024
    with suppress(AttributeError, ValueError, OSError):  # not Linux: all that there is, used or not
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _limit(path: Path) -> int | None:
    with suppress(OSError, ValueError):  # no container, or one without a limit: "max"
        return int(path.read_text("ascii"))
    return None
