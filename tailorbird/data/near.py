"""Pairs of rows that nearly mean the same: texts by their words, pictures by their prints. Needs no body.

Letters: n rows, m pairs, b bits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.data.together import components

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of two texts, the words of both as a share of the words of either, rare ones counting more. On film reviews, among
# copies with one word changed, left out, added or mistyped, or two changed, 0.65 finds 96 %, and among the 56 million
# pairs of different sentences it takes 7.
LIKENESS = (0.65, 0.8, 0.9)
# The same without weights, so that no rare word alone makes two texts alike: "warm film 3", "dull film 3".
_PLAIN_LIKENESS = 0.62
SAME_LOOK = (0.995, 0.998, 0.9995)  # the cosine of two prints; modalities/_print.py tells what it was measured on
_SKETCH_COSINE = 0.95  # and the colours and edges must agree: 0.97 is exceeded by a JPEG of quality 60
MOST_SHARE, FEW = 0.2, 10  # the most rows that belong together, before only closer pairs are taken
_ANCHORS = 12  # of a text: its rarest words, of which it must share some with whatever resembles it
_WINDOW = 20  # texts with a word in common are compared with so many neighbours in length: all of a rare word's
_BLOCK = 1 << 18  # pairs that are looked at together
_CELLS = 1 << 23  # of a table of distances that is looked at together: 34 MB
_WAVES = 6  # frequencies a side of a print: 36 numbers rule out nearly all pairs, at a seventh of the work

# Scripts without spaces between words give a word for each character.
_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[^\s\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True)
class Near:
    """pairs: (m, 2) int64 places, the lower first; strict: only closer ones were taken, for too many rows resemble
    each other."""

    pairs: NDArray[np.int64]
    strict: bool = False


def near_texts(texts: Sequence[str]) -> Near:
    """Pairs of texts that differ by few words. texts: n different ones, without letter case and punctuation."""
    if len(texts) < 2:
        return Near(_NONE)
    words = _words(texts)
    pairs = _linked(*words.anchors(1 - LIKENESS[0]), least=2)
    likeness = _by_block(pairs, words.likeness)
    return _not_too_many(len(texts), pairs, lambda step: likeness >= LIKENESS[step])


def near_pictures(prints: NDArray[np.float32], sketches: NDArray[np.float32]) -> Near:
    """Pairs of pictures that look the same. prints: (n, p) of length 1; sketches: (n, k)."""
    pairs = _resembling(prints)
    cosine = _by_block(pairs, lambda some: _cosine(prints, some))
    alike = _by_block(pairs, lambda some: _cosine(sketches, some)) >= _SKETCH_COSINE
    return _not_too_many(len(prints), pairs, lambda step: alike & (cosine >= SAME_LOOK[step]))


_NONE = np.zeros((0, 2), np.int64)


def _by_block(
    pairs: NDArray[np.int64], look: Callable[[NDArray[np.int64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """What a look at each pair gives, some pairs at a time: (m,)."""
    parts = [look(pairs[i : i + _BLOCK]) for i in range(0, len(pairs), _BLOCK)]
    return np.concatenate([np.zeros(0), *parts])


def _not_too_many(n: int, pairs: NDArray[np.int64], close: Callable[[int], NDArray[np.bool_]]) -> Near:
    """The pairs that are close, at the first step at which they do not chain a great part of all rows together."""
    if not len(pairs):
        return Near(_NONE)
    for step in range(len(LIKENESS)):
        taken = pairs[close(step)]
        largest = np.bincount(components(n, taken)).max()
        if largest <= max(FEW, MOST_SHARE * n):
            return Near(taken, strict=step > 0)
    return Near(_NONE, strict=True)


def _linked(
    keys: NDArray[np.int64], rows: NDArray[np.int64], sizes: NDArray[np.float64], *, least: int
) -> NDArray[np.int64]:
    """Pairs of rows with keys in common: at least so many, or where a row has few keys, one. (m, 2)

    keys, rows, sizes: (k,), one entry for each key of each row. Of a key that many rows have, only those next to each
    other in size are linked, so the work grows with the number of entries and not with its square."""
    order = np.lexsort((sizes, keys))
    keys, rows = keys[order], rows[order]
    found = []
    for step in range(1, _WINDOW + 1):
        same = np.flatnonzero(keys[step:] == keys[:-step])
        one, other = rows[same], rows[same + step]
        found.append(np.minimum(one, other) << 32 | np.maximum(one, other))
    codes, counts = np.unique(np.concatenate(found), return_counts=True)
    pairs = np.stack([codes >> 32, codes & 0xFFFFFFFF], 1)
    few = np.bincount(rows) < 2 * least
    return pairs[(counts >= least) | few[pairs].any(1)]


# ---- texts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Words:
    """The different words of all texts, text by text, the rarest first.

    row, word: (k,) numbers; weight: (k,) by rarity; starts:
    (n + 1,) where each text begins; sums: (n,) of its weights; codes: (k,) sorted, of row and word together."""

    row: NDArray[np.int64]
    word: NDArray[np.int64]
    weight: NDArray[np.float64]
    starts: NDArray[np.int64]
    sums: NDArray[np.float64]
    codes: NDArray[np.int64]

    def anchors(self, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The rarest words of each text, of which two texts that differ by less than this share must have one in
        common; their texts; and the sums of those."""
        before = np.cumsum(self.weight) - self.weight
        before -= before[self.starts[self.row]]
        place = np.arange(len(self.row)) - self.starts[self.row]
        sums = self.sums[self.row]
        kept = (before <= share * sums) & (place < _ANCHORS) & (self.weight > 0)
        return self.word[kept], self.row[kept], sums[kept]

    def likeness(self, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        """The weight of the words of both as a share of that of the words of either: (m, 2) -> (m,)."""
        sizes = np.diff(self.starts)
        one, other = pairs.T
        of = np.repeat(np.arange(len(pairs)), sizes[one])  # the pair of each word of the first texts
        within = np.arange(len(of)) - np.repeat(np.cumsum(sizes[one]) - sizes[one], sizes[one])
        entry = self.starts[one[of]] + within
        wanted = other[of] << 32 | self.word[entry]
        shared = self.codes[np.minimum(np.searchsorted(self.codes, wanted), len(self.codes) - 1)] == wanted
        weight = np.bincount(of, self.weight[entry] * shared, len(pairs))
        count = np.bincount(of, shared, len(pairs))
        weighted = weight / np.maximum(self.sums[one] + self.sums[other] - weight, 1e-9)
        plain = count / (sizes[one] + sizes[other] - count)
        return np.where(plain >= _PLAIN_LIKENESS, weighted, 0.0)


def _words(texts: Sequence[str]) -> _Words:
    numbers: dict[str, int] = {}
    lists = [{numbers.setdefault(word, len(numbers)) for word in _WORD.findall(text)} for text in texts]
    word = np.array([number for one in lists for number in one], np.int64)
    row = np.repeat(np.arange(len(texts)), [len(one) for one in lists])
    # Other texts, so that a word that a pair alone has counts as much as a word that one text alone has; and so that
    # what all texts say, as "sentence number 17" and "sentence number 18" do, is no likeness. The root, for a word that
    # was mistyped is as rare as can be: without it a tenth of the typos was missed where the other words are common.
    others = np.maximum(np.bincount(word, minlength=len(numbers)) - 1, 1)
    weight = np.sqrt(np.maximum(np.log(len(texts) / others), 0))[word]
    order = np.lexsort((word, -weight, row))
    sums = np.bincount(row, weight, len(texts)).astype(np.float64)
    starts = np.searchsorted(row, np.arange(len(texts) + 1))
    return _Words(row, word[order], weight[order], starts, sums, np.sort(row << 32 | word))


# ---- pictures -----------------------------------------------------------------------------------------------------


def _resembling(prints: NDArray[np.float32]) -> NDArray[np.int64]:
    """Pairs whose lowest frequencies do not rule out that the prints are as near as they must be: (m, 2)."""
    low = prints @ _waves(prints.shape[1])
    # What two prints have in common beyond these frequencies is at most the product of what each has there.
    beyond = np.sqrt(np.maximum((prints**2).sum(1) - (low**2).sum(1), 0))
    marks = np.column_stack([low, beyond])  # (n, _WAVES**2 + 1)
    step = max(1, _CELLS // max(len(marks), 1))
    found = [_NONE]
    for start in range(0, len(marks), step):
        most = marks[start : start + step] @ marks[start:].T
        one, other = np.divmod(np.flatnonzero(most >= SAME_LOOK[0] - 1e-5), most.shape[1])
        found.append(np.stack([one, other], 1)[other > one] + start)
    return np.concatenate(found)


def _waves(n_places: int) -> NDArray[np.float32]:
    """The lowest frequencies of a square of places, each of length 1 and upright on the others: (p, _WAVES**2)."""
    side = round(n_places**0.5)
    cosines = np.cos(np.pi * np.outer(2 * np.arange(side) + 1, np.arange(_WAVES)) / (2 * side))  # (side, _WAVES)
    cosines /= np.linalg.norm(cosines, axis=0)
    return np.kron(cosines, cosines).astype(np.float32)


def _cosine(rows: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    one, other = rows[pairs[:, 0]], rows[pairs[:, 1]]
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(1) / np.maximum(lengths, 1e-30), np.float64)
