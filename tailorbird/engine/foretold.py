"""What a plan said of a fit beside what the fit took, kept for the next plan."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from tailorbird import __version__
from tailorbird.engine.choose import processor
from tailorbird.engine.resuming import identity
from tailorbird.engine.shop import Shop
from tailorbird.kinds import Method
from tailorbird.store import files, history
from tailorbird.types import JSON, Device

FEATURES = "features"  # the stage that a cache makes free, and that is not compared


def foretell(
    shop: Shop, method: Method, place: tuple[int, Device], shares: Mapping[str, float], memory: int | None
) -> None:
    """Keep what a plan reckoned, before any correction. place: threads and device; shares: seconds by stage."""
    history.say(_key(shop, method, place), _told(shares, sum(shares.values()), memory))


def settle(
    shop: Shop, method: Method, place: tuple[int, Device], seconds: Mapping[str, float], memory: int | None
) -> None:
    """Put down what a fit took, if a plan spoke of it: said and real. seconds: by stage, and "total"."""
    said = history.said(_key(shop, method, place))
    if said is None:
        return
    real = _told(seconds, seconds["total"], memory)
    history.add(
        {
            "body": shop.body.spelling,
            "method": method.spelling(),
            "rows": len(shop.y),
            "threads": place[0],
            "processor": processor(),
            "version": __version__,
            "said": said,
            "real": real,
        }
    )


def _told(seconds: Mapping[str, float], total: float, memory: int | None) -> dict[str, JSON]:
    return {"seconds": total - seconds.get(FEATURES, 0.0), "memory_bytes": memory}


def _key(shop: Shop, method: Method, place: tuple[int, Device]) -> str:
    told = {**identity(shop), "method": method.spelling(full=True), "place": [*place]}
    told |= {"version": __version__, "processor": processor()}
    return hashlib.sha256(files.canonical(told)).hexdigest()[:32]
