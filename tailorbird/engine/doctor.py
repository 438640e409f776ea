"""What the owner of the data should know that needs the task, the split or the body's features to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tailorbird.data.cases import Case, case, listed, overall, shown
from tailorbird.data.check import Checked
from tailorbird.data.split import Split
from tailorbird.data.together import components, content_pairs
from tailorbird.engine.cross import condensed, cross_scores, folds_of
from tailorbird.engine.suspects import doubts
from tailorbird.kinds import Task
from tailorbird.lesson import Scores, Truth
from tailorbird.types import Finding

FEW_ROWS = 50  # below it, heads that leave out a fifth say little of single rows
_RARE = 5  # rows of a label
_UNEVEN = 4  # times as many rows of one label as of another
_TWINS_SHARE, _TWINS_ROWS = 0.01, 20  # that have twins, before their effect is measured
_SAME_FEATURES = 0.95  # cosine, less the mean: among digits one pair of 1.6 million, among film reviews three of 56
_ASKED_ROWS = 2000  # that are compared with all others, the measured ones first
_CELLS = 2**22  # cosines that are held at once


def cases(
    task: Task,
    labels: Sequence[str],
    y: Truth,
    checked: Checked,
    parts: Split,
    features_last: NDArray[np.float32] | None,
    seed: int,
) -> list[Case]:
    """What is odd about labels and rows, with the rows. y: truth of the n rows; features_last: (n, d) of the frozen
    body, or None where it is not at hand: then only labels are counted."""
    ward = _Ward(task, labels, y, checked, parts, seed)
    found = list(ward.counts())
    if features_last is not None and len(y) >= FEW_ROWS:
        x = condensed(features_last)
        honest = ward.cross(x, parts.clusters)
        found += [*ward.doubtful(honest), *ward.twin_effect(x, honest), *ward.look_alikes(features_last)]
    return found


@dataclass(frozen=True)
class _Ward:
    """The rows that are examined, and what is known of them."""

    task: Task
    labels: Sequence[str]
    y: Truth
    checked: Checked
    parts: Split
    seed: int

    def counts(self) -> Iterator[Case]:
        """Labels of few rows, and labels of far more rows than others."""
        if self.task.link == "identity":
            return
        has = np.eye(len(self.labels), dtype=bool)[self.y] if self.task.link == "softmax" else self.y > 0
        counts = has.sum(0)
        rare = np.flatnonzero((counts > 0) & (counts < _RARE))
        if len(rare):
            action = (
                f"of labels with fewer than {_RARE} rows, {listed([self.labels[int(k)] for k in rare])}; kept, but "
            )
            action += "hardly anything can be learned or measured of them: add rows, or leave them out"
            yield case(self.checked.dataset, "rare_label", np.flatnonzero(has[:, rare].any(1)), action)
        if self.task.link == "softmax":
            yield from self._uneven(counts)

    def _uneven(self, counts: NDArray[np.int64]) -> Iterator[Case]:
        most, least = int(counts.argmax()), int(counts.argmin())
        if counts[most] < _UNEVEN * counts[least]:
            return
        shares = counts / len(self.y)
        action = f"{self.labels[most]!r} has {shares[most]:.1%} of the rows and {self.labels[least]!r} "
        action += f"{shares[least]:.1%}; every row counts the same: with --weights balanced every label does"
        yield Case(Finding("imbalance", len(self.y), action))

    def cross(self, x: NDArray[np.float32], together: NDArray[np.int64]) -> Scores:
        """Scores of each row by a quick head that learned from no row of its fold."""
        folds = folds_of(np.unique(self.task.strata(self.y), return_inverse=True)[1], together, self.seed)
        return cross_scores(x, self.y, len(self.labels), self.task.link, folds, self.seed)

    def doubtful(self, scores: Scores) -> Iterator[Case]:
        """Targets that are likely wrong."""
        found = doubts(self.task.link, self.y, scores, self.labels)
        if not found:
            return
        kind = "value_error" if self.task.link == "identity" else "label_error"
        action = "are likely wrong, say heads that did not learn from them; kept: look at them, the most doubtful first"
        yield case(
            self.checked.dataset,
            kind,
            [one.row for one in found],
            action,
            suggested={one.row: one.suggested for one in found},
            scores={one.row: one.score for one in found},
        )

    def twin_effect(self, x: NDArray[np.float32], honest: Scores) -> Iterator[Case]:
        """The score that twins would flatter to, beside the honest one: by quick heads, over all rows."""
        alike = components(len(self.y), content_pairs(self.checked))
        twins = np.flatnonzero(np.bincount(alike)[alike] > 1)
        if len(twins) < max(_TWINS_SHARE * len(self.y), _TWINS_ROWS):
            return
        naive = self.cross(x, np.arange(len(self.y)))
        naive_value, honest_value = self._value(naive), self._value(honest)
        action = (
            f"have twins. {self.task.metric.replace('_', ' ')} of a quick head is {naive_value:.3f} where twins may"
        )
        action += f" lie on both sides of the split, and {honest_value:.3f} where they stay on one side, as here"
        yield overall(case(self.checked.dataset, "twins_flatter", twins, action))

    def _value(self, scores: Scores) -> float:
        return self.task.measure(self.y, scores, 0.5, None, self.seed)[self.task.metric].value

    def look_alikes(self, x: NDArray[np.float32]) -> Iterator[Case]:
        """Rows that the body takes for the same, and that nothing else has shown to belong together."""
        asked = self.parts.test if len(self.parts.test) else np.arange(len(x))
        asked = np.random.default_rng(self.seed).permutation(asked)[:_ASKED_ROWS]
        unit = x - x.mean(0)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
        nearest, cosine = _nearest(unit, asked, self.parts.clusters)
        alike = np.flatnonzero(cosine >= _SAME_FEATURES)
        if len(alike):
            ids = self.checked.dataset.rows.ids
            notes = {
                int(asked[k]): f"{shown(self.checked.dataset, int(asked[k]))} like {ids[nearest[k]]}" for k in alike
            }
            action = (
                f"of {len(asked):,} that were compared are another row to the body; kept where they are: see whether "
            )
            yield case(self.checked.dataset, "look_alike", sorted(notes), f"{action}they are copies", notes=notes)


def _nearest(
    unit: NDArray[np.float32], asked: NDArray[np.int64], clusters: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The row outside of its cluster that is most like each asked one, and their cosine: (a,) each. unit: (n, d)."""
    found = []
    for part in np.array_split(asked, -(-len(asked) * len(unit) // _CELLS)):
        cosine = unit[part] @ unit.T  # (p, n)
        cosine[clusters[part][:, None] == clusters] = -1
        nearest = cosine.argmax(1)
        found.append((nearest, cosine[np.arange(len(part)), nearest]))
    return np.concatenate([rows for rows, _ in found]), np.concatenate([near for _, near in found])
