"""Whether a fit that goes on has the rows and the body that it began with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from tailorbird.engine.journal import Journal
from tailorbird.engine.shop import Shop, targets_of
from tailorbird.errors import BadData
from tailorbird.types import JSON


def check_same(journal: Journal, shop: Shop) -> None:
    """Raise BadData if rows, targets, groups, parts or the body are others than when this fit began."""
    if found := journal.differences("data", identity(shop)):
        problem = f"{shop.checked.dataset.origin!r} is not what the interrupted fit began with: {'; '.join(found)}"
        raise BadData(problem, "restore the data, or begin anew with --force instead of --resume")


def identity(shop: Shop) -> dict[str, JSON]:
    """What tells these rows, their parts and this body from any others."""
    parts = shop.parts
    folds = () if parts.folds is None else parts.folds.tolist()
    return {
        "rows": len(shop.y),
        "input": hashlib.sha256(shop.checked.digests.tobytes()).hexdigest(),
        "target": _digest(targets_of(shop.checked)),
        "groups": _digest(shop.checked.dataset.rows.groups or ()),
        "parts": _digest((*parts.train.tolist(), "|", *parts.validation.tolist(), "|", *parts.test.tolist(), *folds)),
        "body": shop.body.fingerprint,
        "modality": shop.modality.spelling(full=True),
    }


def _digest(values: Iterable[object]) -> str:
    whole = hashlib.sha256()
    for value in values:
        whole.update(f"{value}\0".encode(errors="surrogatepass"))
    return whole.hexdigest()
