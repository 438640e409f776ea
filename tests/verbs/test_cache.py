"""The verb `cache`."""

from __future__ import annotations

import numpy as np

from tailorbird.store.cache import Namespace
from tailorbird.verbs.cache import cache


def test_an_empty_cache_is_listed_and_cleared_in_peace() -> None:
    assert cache().entries == ()
    assert cache("clear").cleared_bytes == 0


def test_rows_are_listed_with_their_origin_and_gone_when_cleared() -> None:
    space = Namespace.open({"what": "features"}, body="toy:text")
    space.put(np.zeros((1, 32), np.uint8), np.zeros((1, 5), np.float32))
    listed = cache("list")
    (entry,) = listed.entries
    assert (entry.rows, entry.about["body"], listed.limit_bytes) == (1, "toy:text", 10**10)
    assert listed.size_bytes == entry.size_bytes > 0
    cleared = cache("clear")
    assert cleared.entries == ()
    assert cleared.cleared_bytes >= listed.size_bytes
