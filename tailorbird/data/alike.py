"""Rows that repeat each other: exactly, nearly, or with another target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.data.cases import Case, case, shown
from tailorbird.data.near import Near, near_pictures, near_texts
from tailorbird.data.together import equal_pairs, numbered
from tailorbird.types import Dataset, Facts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def near_pairs(facts: Sequence[Facts]) -> Near:
    """Pairs of rows that nearly mean the same and are no twins; of twins the first stands for all."""
    twins: dict[bytes, int] = {}
    first = [i for i, fact in enumerate(facts) if twins.setdefault(fact.twin, i) == i]
    texts = [fact.plain for fact in (facts[i] for i in first) if fact.plain is not None]
    near = near_texts(texts) if len(texts) == len(first) else near_pictures(*_looks([facts[i] for i in first]))
    return Near(np.array(first, np.int64)[near.pairs].reshape(-1, 2), near.strict)


def _looks(facts: Sequence[Facts]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The prints and the sketches: (n, p), (n, k)."""
    looks = [(fact.print, fact.sketch) for fact in facts if fact.print is not None and fact.sketch is not None]
    assert len(looks) == len(facts), "a modality gives a text's words, or a print and a sketch"
    return np.stack([mark for mark, _ in looks]), np.stack([sketch for _, sketch in looks])


def alike(dataset: Dataset, twins: NDArray[np.uint8], near: Near) -> list[Case]:
    """Rows that repeat an earlier one, that nearly do, and that mean the same and have different targets."""
    same, targets = numbered(twins), dataset.rows.targets or (None,) * len(twins)
    repeats = equal_pairs(same)
    torn = {same[later] for first, later in repeats.tolist() if targets[first] != targets[later]}
    found = [
        _repeated(dataset, "duplicate", repeats, "repeat an earlier row"),
        _repeated(dataset, "near_duplicate", near.pairs, f"nearly repeat an earlier row{_strictness(near)}"),
        case(dataset, "conflict", np.flatnonzero(np.isin(same, list(torn))), _CONFLICT),
    ]
    return [one for one in found if one.finding.rows]


_CONFLICT = "mean the same and have different targets; kept, and at most one of each can be right"


def _strictness(near: Near) -> str:
    return " (only the closest are counted, for too many rows resemble each other)" if near.strict else ""


def _repeated(dataset: Dataset, kind: str, pairs: NDArray[np.int64], what: str) -> Case:
    """The later row of each pair, with a word on the earlier one."""
    first = dict(reversed(pairs[:, ::-1].tolist()))  # of several earlier rows the first
    notes = {later: _likeness(dataset, later, earlier) for later, earlier in first.items()}
    parts = np.array([part or "train" for part in dataset.rows.parts or ()])
    n_across = int((parts[pairs[:, 0]] != parts[pairs[:, 1]]).sum()) if len(parts) else 0
    across = f"; {n_across:,} pairs lie across the given parts, and their rows leave training" if n_across else ""
    return case(dataset, kind, sorted(first), f"{what}; kept on one side of the split{across}", notes=notes)


def _likeness(dataset: Dataset, later: int, earlier: int) -> str:
    texts = shown(dataset, later), shown(dataset, earlier)
    like = f"like {dataset.rows.ids[earlier]}"
    return f"{texts[0]}, {like}: {texts[1]}" if all(texts) else like
