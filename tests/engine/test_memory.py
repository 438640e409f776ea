"""What a process held while something was done."""

from __future__ import annotations

import ctypes
import time

import numpy as np
import pytest

from tailorbird.engine import memory
from tailorbird.engine.memory import give_back, most_resident_bytes, resident_bytes, watched

MIB = 2**20


def test_a_peak_is_seen_although_it_is_over() -> None:
    before = resident_bytes()
    assert before is not None
    with watched() as peak:
        many = np.ones(64 * MIB // 8)
        time.sleep(0.1)  # the watcher looks every 20 ms
        del many
    assert peak.size_bytes is not None and peak.size_bytes >= before + 56 * MIB
    assert (most_resident_bytes() or 0) >= peak.size_bytes - 8 * MIB


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc's allocator can be asked")
def test_what_was_let_go_is_given_back() -> None:
    before = resident_bytes()
    many = [bytearray(60_000) for _ in range(2_000)]  # small enough that the allocator keeps them
    last = bytearray(60_000)  # above them, so that the heap cannot shrink by itself
    del many
    give_back()
    after = resident_bytes()
    assert before is not None and after is not None and len(last) == 60_000
    assert after < before + 60 * MIB


def test_where_the_file_is_missing_the_highest_so_far_is_told(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    monkeypatch.setattr(memory, "_STATM", Path("/nowhere"))
    assert resident_bytes() == most_resident_bytes()
