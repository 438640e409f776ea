"""Whether the mirror image of a picture may have the same label."""

from __future__ import annotations

import re
from collections.abc import Sequence

_DIRECTION = re.compile(
    r"(?<![a-z])(left|right|east|west|clockwise|anti-?clockwise|counter-?clockwise|links|rechts|gauche|droite|izquierd|derech)"
)
_SIGN = re.compile(r"\d+|\w")  # a number or a single letter: what is read in the picture, and b would become d


def may_flip(labels: Sequence[str]) -> bool:
    """Whether the mirror image of a picture may have the same label: none is a number, a letter or a direction."""
    words = [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).casefold().strip() for label in labels]
    return not any(_SIGN.fullmatch(word) or _DIRECTION.search(word) for word in words)
