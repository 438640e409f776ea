"""What can be learned from: every row is looked at once, and what is left out is counted and told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from tailorbird.data.alike import alike, near_pairs
from tailorbird.data.cases import Case, case, findings_of
from tailorbird.data.labels import missing
from tailorbird.errors import BadData, BadItem
from tailorbird.progress import stage
from tailorbird.types import Dataset, Facts, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tailorbird.kinds import Modality

LIMIT_SHARE = 0.2  # of rows that may be left out: beyond it something else is wrong
_THREADS = 2  # unless the caller knows better; decoding leaves the interpreter free
_CHUNK_ROWS = 64
_TWIN = 32  # bytes

S = TypeVar("S")
T = TypeVar("T")


class Memory(Protocol):
    """Where facts are kept by content, so that a picture is decoded once only.

    A row of it is float32: the 32 bytes of the twin, a number each (no bit pattern that a cache could take for a
    broken number), the length of the print, the print, and the sketch. Texts are not kept. The namespace is the
    caller's: it must name the modality."""

    def get(self, keys: NDArray[np.uint8], /) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Which of the keys (n, 32) are known: (n,); and the rows of those, in their order: (m, k)."""

    def put(self, keys: NDArray[np.uint8], rows: NDArray[Any], /) -> None:
        """Keep these rows. (n, 32), (n, k)."""


@dataclass(frozen=True)
class Checked:
    """Rows that can be learned from, and what is known of each without a body."""

    dataset: Dataset  # without the rows that were left out, with findings that say so
    digests: NDArray[np.uint8]  # (n, 32) the content as it was given
    twins: NDArray[np.uint8]  # (n, 32) equal for rows that mean the same
    sketches: NDArray[np.float32] | None  # (n, k)
    near: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))  # (m, 2) nearly mean the same
    cases: tuple[Case, ...] = ()  # what was found here, with every row of it

    @property
    def values(self) -> tuple[Value, ...]:
        """The input of each row."""
        return self.dataset.rows.inputs[self.dataset.input]


def check(dataset: Dataset, modality: Modality, *, memory: Memory | None = None, threads: int = 0) -> Checked:
    """Leave out what cannot be learned from. Raises BadData if that is more than a fifth of the rows.

    threads: that look at rows; 0 takes two."""
    values = dataset.rows.inputs[dataset.input]
    with stage("checking", 2 * len(values)) as advance, ThreadPoolExecutor(threads or _THREADS) as pool:
        look = _Look(modality, pool, advance)
        digests = look.digests(values)
        looked = look.facts(values, digests, memory)
    bad = _bad(dataset, looked)
    _refuse(dataset, bad)
    kept = [i for i in range(len(values)) if i not in bad]
    facts = [fact for fact in (looked[i] for i in kept) if isinstance(fact, Facts)]
    clean = dataset.with_rows(dataset.rows.take(kept))
    twins, near = _bytes([fact.twin for fact in facts]), near_pairs(facts)
    cases = (*_left_out(dataset, bad), *alike(clean, twins, near))
    sketches = [fact.sketch for fact in facts if fact.sketch is not None]
    return Checked(
        clean.with_rows(clean.rows, *findings_of(cases)),
        _bytes([digest for digest in (digests[i] for i in kept) if isinstance(digest, bytes)]),
        twins,
        np.stack(sketches) if sketches else None,
        near.pairs,
        cases,
    )


@dataclass(frozen=True)
class _Look:
    """Looks at every value, by a few threads."""

    modality: Modality
    pool: ThreadPoolExecutor
    advance: Callable[[int], None]

    def digests(self, values: Sequence[Value]) -> list[bytes | BadItem]:
        """The digest of each value."""
        return self._each(self.modality.digest, values)

    def facts(
        self, values: Sequence[Value], digests: Sequence[bytes | BadItem], memory: Memory | None
    ) -> list[Facts | BadItem]:
        """The facts of each value: remembered, or found and then remembered."""
        facts: dict[int, Facts | BadItem] = {i: one for i, one in enumerate(digests) if isinstance(one, BadItem)}
        if memory is not None:
            facts |= _recall(digests, memory)
        self.advance(len(facts))
        unknown = [i for i in range(len(values)) if i not in facts]
        looked = self._each(self._sure_facts, [(values[i], digests[i]) for i in unknown])
        found: dict[int, Facts | BadItem] = dict(zip(unknown, looked, strict=True))
        if memory is not None:
            _remember(digests, found, memory)
        facts |= found
        return [facts[i] for i in range(len(values))]

    def _sure_facts(self, known: tuple[Value, bytes | BadItem]) -> Facts:
        """The facts of the content that has this digest, and of no other: a file may change between two looks."""
        value, digest = known
        facts = self.modality.facts(value)
        if isinstance(value, Path) and self.modality.digest(value) != digest:
            raise BadItem("it changed while it was being read")
        return facts

    def _each(self, look: Callable[[S], T], values: Sequence[S]) -> list[T | BadItem]:
        """What is seen in each value, in order."""

        def some(start: int) -> list[T | BadItem]:
            return [_one(look, value) for value in values[start : start + _CHUNK_ROWS]]

        seen: list[T | BadItem] = []
        for part in self.pool.map(some, range(0, len(values), _CHUNK_ROWS)):
            seen += part
            self.advance(len(part))
        return seen


def _one(look: Callable[[S], T], value: S) -> T | BadItem:
    try:
        return look(value)
    except BadItem as error:
        return error


def _recall(digests: Sequence[bytes | BadItem], memory: Memory) -> dict[int, Facts | BadItem]:
    places = [i for i, digest in enumerate(digests) if isinstance(digest, bytes)]
    known, rows = memory.get(_bytes([digest for digest in digests if isinstance(digest, bytes)]))
    places = [i for i, there in zip(places, known, strict=True) if there]
    return {i: _facts(row) for i, row in zip(places, rows, strict=True)}


def _remember(digests: Sequence[bytes | BadItem], found: dict[int, Facts | BadItem], memory: Memory) -> None:
    rows = {digests[i]: _row(fact) for i, fact in found.items() if isinstance(fact, Facts) and fact.print is not None}
    if rows:  # once for equal contents
        memory.put(_bytes([digest for digest in rows if isinstance(digest, bytes)]), np.stack(list(rows.values())))


def _row(fact: Facts) -> NDArray[np.float32]:
    assert fact.print is not None and fact.sketch is not None, "only what was seen in a picture is remembered"
    twin = np.frombuffer(fact.twin, np.uint8).astype(np.float32)
    return np.concatenate([twin, np.array([len(fact.print)], np.float32), fact.print, fact.sketch])


def _facts(row: NDArray[np.float32]) -> Facts:
    mark, sketch = np.split(row[_TWIN + 1 :], [int(row[_TWIN])])
    return Facts(row[:_TWIN].astype(np.uint8).tobytes(), sketch, mark)


def _bytes(digests: Sequence[bytes]) -> NDArray[np.uint8]:
    """Digests as an array: (n, 32)."""
    return np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), _TWIN)


def _bad(dataset: Dataset, looked: Sequence[Facts | BadItem]) -> dict[int, tuple[str, str]]:
    """Kind and reason of each row that cannot be learned from."""
    targets = dataset.rows.targets or ("",) * len(looked)
    bad = {i: (one.kind, str(one)) for i, one in enumerate(looked) if isinstance(one, BadItem)}
    if dataset.rows.targets is not None:
        bad |= {i: ("missing_target", "it has no target") for i, one in enumerate(targets) if missing(one)}
    return bad


def _refuse(dataset: Dataset, bad: dict[int, tuple[str, str]]) -> None:
    n_rows = len(dataset.rows)
    if len(bad) <= LIMIT_SHARE * n_rows:
        return
    counts = Counter(kind for kind, _ in bad.values())
    shown = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common())
    i, (_, reason) = next(iter(bad.items()))
    first = dataset.rows.ids[i]
    raise BadData(
        f"{len(bad):,} of {n_rows:,} rows of {dataset.origin!r} cannot be used ({shown}), and the limit is "
        f"{LIMIT_SHARE:.0%}; the first is {first!r}: {reason}",
        f"mend or remove them, beginning with {first}; or name other columns: --input NAME --target NAME",
    )


def _left_out(dataset: Dataset, bad: dict[int, tuple[str, str]]) -> list[Case]:
    rows: dict[str, list[int]] = defaultdict(list)
    for i, (kind, _) in sorted(bad.items()):
        rows[kind].append(i)
    notes = {i: reason for i, (_, reason) in bad.items()}
    return [case(dataset, kind, places, "left out", notes=notes) for kind, places in sorted(rows.items())]
