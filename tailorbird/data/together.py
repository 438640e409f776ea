"""Which rows belong together, when some pairs of them do: over any number of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tailorbird.data.check import Checked


def components(n: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each of n rows, in the order of the rows: (n,). pairs: (m, 2) rows that belong together."""
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]  # halves the way for the next one
            row = parent[row]
        return row

    for one, other in pairs.tolist():
        parent[root(other)] = root(one)
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(row), len(numbers)) for row in range(n)], np.int64)


def equal_pairs(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each row beside the first one with its key, (m, 2); the first ones are in no pair. keys: (n,), -1 is no key."""
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    earlier = first[place]
    later = np.flatnonzero((earlier != np.arange(len(keys))) & (keys >= 0))
    return np.stack([earlier[later], later], 1)


def numbered(digests: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A number for each digest, equal for equal ones: (n, 32) -> (n,)."""
    contents = np.ascontiguousarray(digests).view("V32").ravel()
    return np.unique(contents, return_inverse=True)[1].astype(np.int64)


def content_pairs(checked: Checked) -> NDArray[np.int64]:
    """Rows that mean the same, or nearly: (m, 2)."""
    return np.concatenate([equal_pairs(numbered(checked.twins)), checked.near])


def group_pairs(checked: Checked) -> NDArray[np.int64]:
    """Rows of one group: (m, 2)."""
    groups = checked.dataset.rows.groups or ()
    numbers: dict[str, int] = {}
    keys = [-1 if group is None else numbers.setdefault(group, len(numbers)) for group in groups]
    return equal_pairs(np.array(keys, np.int64))
