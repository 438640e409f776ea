"""A number for each item, in the target's own unit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.data.labels import are_numbers, number, present
from tailorbird.errors import BadData
from tailorbird.kinds import Task
from tailorbird.lesson import Link, Rival, Scores, Truth
from tailorbird.measure.bootstrap import figures
from tailorbird.measure.numbers import METRICS, distances
from tailorbird.measure.verdict import verdict
from tailorbird.types import JSON, Dataset, Finding, Metrics, Prediction, Verdict

_NEARLY_ALL = 0.95  # of the cells, before a target is taken for numbers: then the others are named, and not learned
_LARGEST = 1e15  # squares and their sums stay exact enough; no user's unit needs more
_BINS = 5  # of equal counts, that every part shall have its share of
_ROWS_OF_A_BIN = 10
_CURRENCY = r"(?:[A-Z]{3}|[^\w.,+-])?"
_WRITTEN = re.compile(rf"([+-])?{_CURRENCY}([+-])?([\d.,]*\d){_CURRENCY}", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(,\d{3}|(,\d{2,3}){2,}|(\.\d{3}){2,})", re.ASCII)  # in India by two digits
_AMBIGUOUS = re.compile(r"[+-]?\d{1,3},\d{3}", re.ASCII)


class Regress(Task):
    """Cells are numbers with a point and without separators, as Python, JSON and most tools write them."""

    link: ClassVar[Link] = "identity"
    metric: ClassVar[str] = "mae"
    told: ClassVar[tuple[str, ...]] = ("value",)

    @classmethod
    def suits(cls, targets: Sequence[str]) -> float:
        plain = [text for text in map(_plain, targets) if text is not None]
        return 0.9 if len(plain) >= _NEARLY_ALL * len(targets) and are_numbers(plain) else 0.0

    def check(self, dataset: Dataset) -> tuple[Finding, ...]:
        pairs = present(dataset)
        odd = [(row, target) for row, target in pairs if number(target) is None]
        if odd:
            (row, target), more = odd[0], f", as have {len(odd) - 1:,} more rows" if len(odd) > 1 else ""
            problem = f"{row} has {target!r} in column {dataset.target!r}, which is no number{more}"
            others = "" if 2 * len(odd) < len(pairs) else ", or --task classify"
            raise BadData(problem, _hint(target) + others)
        values = {float(target): row for row, target in reversed(pairs)}
        where = f"column {dataset.target!r} of {dataset.origin!r}"
        if len(values) == 1:
            problem = f"{where} is {pairs[0][1]} in all {len(pairs):,} rows, and there is nothing to learn from it"
            raise BadData(problem, "name another column: --target NAME")
        largest = max(values, key=abs)
        if abs(largest) > _LARGEST:
            problem = f"{values[largest]} has {largest:g} in column {dataset.target!r}, and {_LARGEST:g} is the limit"
            raise BadData(problem, "write the numbers in a larger unit, or name another column: --target NAME")
        return ()

    def labels(self, targets: Sequence[str]) -> tuple[str, ...]:
        return ("value",)

    def encode(self, targets: Sequence[str], labels: Sequence[str]) -> Truth:
        for target in targets:
            if number(target) is None:
                raise BadData(f"the target {target!r} is no number", _hint(target))
        return np.array([float(target) for target in targets], np.float64)[:, None]

    def strata(self, y: Truth) -> NDArray[np.int64]:
        """Five bins of about as many rows each; fewer where rows are few or targets repeat."""
        n_bins = max(min(_BINS, len(y) // _ROWS_OF_A_BIN), 1)
        ends = np.unique(np.quantile(y[:, 0], np.arange(1, n_bins) / n_bins))
        return np.searchsorted(ends, y[:, 0]).astype(np.int64)  # of many zeros and a few amounts: two bins

    def answer(self, item: str, scores: Scores, labels: Sequence[str], cut: float) -> Prediction:
        return Prediction(item, value=float(scores[0]))

    def measure(self, y: Truth, scores: Scores, cut: float, clusters: NDArray[np.int64] | None, seed: int) -> Metrics:
        return figures(METRICS, y, scores, clusters, seed)

    def compare(
        self, y: Truth, model: Scores, rivals: Mapping[str, Rival], clusters: NDArray[np.int64] | None, seed: int
    ) -> Verdict:
        return verdict(self.metric, distances, y, model, rivals, clusters, seed)

    def table(self, y: Truth, scores: Scores, labels: Sequence[str], cut: float) -> tuple[Mapping[str, JSON], ...]:
        return ()

    def badness(self, y: Truth, scores: Scores, cut: float) -> NDArray[np.float64]:
        """How far off it is."""
        return distances(y, scores)


def _hint(target: str) -> str:
    """How to write this number, if it is one in another form."""
    plain = _plain(target)
    if plain is None:
        return "correct or leave out such rows, or name another column: --target NAME"
    other = f", or {target.replace(',', '.')} if the comma is a decimal sign" if _AMBIGUOUS.fullmatch(target) else ""
    return f"write it as {plain}{other}: with a point for decimals, and nothing else beside the digits"


def _plain(text: str) -> str | None:
    """The number in a text as it should be written, without currency and separators; None if there is none."""
    if number(text) is not None:
        return text
    found = _WRITTEN.fullmatch(re.sub(r"[\s'’]", "", text))
    if found is None:
        return None
    sign, digits = (found[1] or found[2] or "").replace("+", ""), found[3]
    marks = re.sub(r"\d", "", digits)
    if _GROUPED.fullmatch(digits) or not marks:
        decimal = ""
    elif marks.count(marks[-1]) > 1:
        return None
    else:
        decimal = marks[-1]  # of a comma and a point the last
    whole, _, rest = digits.rpartition(decimal) if decimal else (digits, "", "")
    plain = sign + re.sub(r"[.,]", "", whole) + (f".{rest}" if rest else "")
    return plain if number(plain) is not None else None
