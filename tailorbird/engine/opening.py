"""How the model to keep is run: by the fastest runtime whose features agree with torch's, in full precision."""

from __future__ import annotations

from collections.abc import Mapping

from tailorbird.engine.choose import REFERENCE, Choice, choose
from tailorbird.engine.material import Material
from tailorbird.engine.memory import give_back
from tailorbird.engine.shop import Order, Shop
from tailorbird.errors import BadBody, BadOutput, MissingExtra
from tailorbird.lesson import Tailored
from tailorbird.progress import tell
from tailorbird.store import graphs
from tailorbird.types import JSON, BodyFolder

_FEW_STEPS = 0.5  # share of the steps that were planned, below which it is told that time was short


class Opening:
    """The choice of a runtime for what was tailored, made when it is first asked for."""

    def __init__(self, order: Order, threads: int, shop: Shop, material: Material) -> None:
        self._order, self._threads, self._shop, self._material = order, threads, shop, material
        self._choice: Choice | None = None

    def __call__(self, tailored: Tailored) -> Choice | None:
        if tailored.body is None and not self._material.half:
            return None  # what gave the features gives the answers
        if self._choice is None:
            _tell_steps(tailored.head.notes)
            give_back()  # a body that learned is written and gone
            self._choice = self._opened(tailored.body)
        return self._choice

    def _opened(self, tuned: BodyFolder | None) -> Choice:
        asked = self._order.runtime
        if tuned is None:
            return self._chosen(None, None if asked == "auto" else asked)
        wanted = self._material.choice.runtime.partition(":")[0]  # of a body of the same shape it was the fastest
        try:
            return self._chosen(tuned, wanted)
        except (BadBody, BadOutput, MissingExtra) as error:  # hours of learning are worth more than a fast runtime
            if wanted == REFERENCE:
                raise
            tell(f"{error.problem}, so torch runs it")
            graphs.drop(tuned, self._shop.modality)  # or one that disagrees would be sealed, to answer without torch
            return self._chosen(tuned, REFERENCE)

    def _chosen(self, tuned: BodyFolder | None, runtime: str | None) -> Choice:
        order, shop = self._order, self._shop
        return choose(
            tuned or shop.body, shop.modality, shop.checked.values, runtime=runtime, threads=self._threads,
            device=order.device, remember=tuned is None, like=None if tuned is None else shop.body,
        )  # fmt: skip


def _tell_steps(notes: Mapping[str, JSON]) -> None:
    """Say so where the body learned for much less time than was planned."""
    done, planned = notes.get("steps", 0), notes.get("steps_planned", 0)
    if done < _FEW_STEPS * planned:
        tell(f"the body learned in {done:,} of {planned:,} steps, for time was short: give a larger --budget")
