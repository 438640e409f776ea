"""What the layers that stay as they are make of each row: computed once, and kept on disk while the others learn."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tailorbird.bodies.base import Body, layers_of
from tailorbird.bodies.cut import Cut
from tailorbird.engine.batches import Batch, Shelf
from tailorbird.errors import BadOutput
from tailorbird.progress import stage, tell
from tailorbird.store import states
from tailorbird.store.files import writing
from tailorbird.types import JSON

Rows = NDArray[np.int64]
_MOST_SHARE = 0.5  # of the free disk
_LARGEST = 6e4  # half precision ends a little above
_MOST_TIME = 0.3  # share of the time that is left
_TIMED_ROWS = 256  # after which it is told how long all of them take
_TOLERANCE = 1e-2  # of the features' largest: what half precision and noughts for padding may change


@dataclass(frozen=True)
class Terms:
    """What a prefix may take, and what it depends on. deadline: a time.monotonic(); digests: (n, 32) of the contents of
    all rows, or None where they are not known, and nothing is kept for another time; still: whether a row's content has
    its digest to this moment; key: what else the states depend on."""

    folder: Path
    device: str
    precision: torch.dtype
    deadline: float | None = None
    digests: NDArray[np.uint8] | None = None
    still: Callable[[int], bool] | None = None
    key: Mapping[str, JSON] = field(default_factory=dict)


class Prefix:
    """Hidden states below the layers that learn, of each row, in half precision and cut to its true length."""

    def __init__(self, cut: Cut, rows: Rows, terms: Terms, *, by_tokens: bool | None = None) -> None:
        """by_tokens: whether states are cut to the tokens of their rows; None: the first batch tells."""
        self._cut, self._terms, self._rows = cut, terms, rows
        self._path = terms.folder / f"prefix-{secrets.token_hex(4)}"
        self._place = {row: i for i, row in enumerate(rows.tolist())}
        self._states: states.States | None = None
        self.by_tokens = by_tokens

    def above(self, batch: Batch, given: dict[str, Tensor]) -> Tensor:
        """Features of the last depth of a batch's rows, (b, width). given: its arrays as tensors."""
        device = next(iter(given.values())).device
        return self._cut.above(self._stacked(batch).to(device), **given)

    def _stacked(self, batch: Batch) -> Tensor:
        """Hidden states of rows, padded with noughts as long as the batch is, (b, ...) float32."""
        assert self._states is not None, "fill comes first"
        parts = [self._states.of(self._place[row]) for row in batch.rows.tolist()]
        length = batch.arrays["attention_mask"].shape[1] if self.by_tokens else len(parts[0])
        found = np.zeros((len(parts), length, *parts[0].shape[1:]), np.float32)
        for out, one in zip(found, parts, strict=True):
            out[: len(one)] = one
        return torch.from_numpy(found)

    def fill(self, shelf: Shelf) -> bool:
        """Take from the cache what is asked for later, or compute and write it. False where that takes too much disk or
        time, or is too large for half precision."""
        key = self._key()
        self._states = states.find(key) if key else None
        if self._states is not None:
            return True
        try:
            if not self._written(shelf):
                return False
            self._states = states.States(self._path)
            if key and self._terms.still and all(map(self._terms.still, self._rows.tolist())):
                states.keep(self._path, key, body=self._terms.key["spelling"])
        finally:
            self._path.unlink(missing_ok=True)  # on POSIX what is mapped stays
        return True

    def _key(self) -> dict[str, JSON] | None:
        """All that the states of these rows depend on, to the last bit: which rows are in a batch together is one."""
        digests, terms = self._terms.digests, self._terms
        if digests is None or self._rows.max() >= len(digests):
            return None
        rows = hashlib.sha256(digests[self._rows].tobytes()).hexdigest()
        told = {"what": "states", "layers": self._cut.number, "rows": rows, "tokens": bool(self.by_tokens)}
        return {**terms.key, **told, "precision": str(terms.precision), "device": terms.device}

    def _written(self, shelf: Shelf) -> bool:
        n_done, began, n_rows = 0, time.monotonic(), len(self._rows)
        with self._path.open("wb") as file, torch.no_grad(), stage("the layers that stay", n_rows) as advance:
            writer = states.Writer(file, self._keys())
            for batch in shelf.once(self._rows):
                found = self._below(batch)
                if not n_done and not self._begun(found, batch):
                    return False
                if not np.abs(found).max() < _LARGEST:
                    tell("what the lower layers give is too large for half precision, so it is computed anew each time")
                    return False
                for row, one, n_true in zip(batch.rows.tolist(), found, self._lengths(batch, found), strict=True):
                    writer.add(self._place[row], one[:n_true])
                n_done += len(batch.rows)
                if n_done >= _TIMED_ROWS and not self._in_time(began, n_done):
                    return False
                advance(len(batch.rows))
            writer.finish()
        return True

    def _keys(self) -> NDArray[np.uint8]:
        known = self._terms.digests
        return np.zeros((len(self._rows), 32), np.uint8) if known is None or not self._key() else known[self._rows]

    def _below(self, batch: Batch) -> NDArray[np.float32]:
        terms = self._terms
        given = {name: torch.from_numpy(array).to(terms.device) for name, array in batch.arrays.items()}
        with torch.autocast(terms.device, terms.precision, terms.precision != torch.float32):
            found: NDArray[np.float32] = self._cut.below(**given).float().cpu().numpy()
        return found

    def _begun(self, found: NDArray[Any], batch: Batch) -> bool:
        """The first batch has the longest rows, so what is reckoned from it is too high rather than too low."""
        mask = batch.arrays.get("attention_mask")
        if self.by_tokens is None:
            self.by_tokens = mask is not None and found.ndim == 3 and found.shape[1] == mask.shape[1]
        needed = 2 * found[0].size * len(self._rows)
        fits = bool(needed <= _MOST_SHARE * shutil.disk_usage(self._path.parent).free)
        if not fits:
            tell(f"what the lower layers give might take {needed / 1e9:,.1f} GB, so it is computed anew each time")
        return fits

    def _in_time(self, began: float, n_done: int) -> bool:
        if self._terms.deadline is None:
            return True
        whole_s = (time.monotonic() - began) * len(self._rows) / n_done
        return whole_s <= _MOST_TIME * (self._terms.deadline - began)

    def _lengths(self, batch: Batch, found: NDArray[Any]) -> list[int]:
        """How much of each row's states is no padding: its tokens, or all of a picture's grid."""
        if self.by_tokens:
            return [int(n) for n in batch.arrays["attention_mask"].sum(1)]
        return [found.shape[1]] * len(found)


def prefix_of(body: Body, shelf: Shelf, rows: Rows, terms: Terms) -> Prefix | None:
    """The prefix of a body of which only upper layers learn, ready for these rows; None where all learn, or where it
    does not pay or cannot be kept."""
    number = _n_frozen(body)
    if not 0 < number < len(layers_of(body)):
        return None
    cut, costs = Cut(body, number), shelf.costs(rows)
    two = rows[[int(costs.argmin()), int(costs.argmax())]]
    if len(rows) < 2 or not cut.agrees(**{name: torch.from_numpy(x) for name, x in shelf.plain(two).arrays.items()}):
        return None
    try:
        with writing(terms.folder):
            few = Prefix(cut, two, replace(terms, digests=None))
            if not few.fill(shelf) or not _agrees(body, few, shelf.plain(two), terms):
                return None
            found = Prefix(cut, rows, terms, by_tokens=few.by_tokens)
            return found if found.fill(shelf) else None
    except BadOutput as error:  # it only saves time
        tell(f"what the lower layers give is not kept: {error.problem}")
        return None


def _agrees(body: Body, few: Prefix, batch: Batch, terms: Terms) -> bool:
    """Whether the shortest and the longest row are answered alike from what is kept: some bodies look at padding."""
    given = {name: torch.from_numpy(array).to(terms.device) for name, array in batch.arrays.items()}
    with torch.no_grad(), torch.autocast(terms.device, terms.precision, terms.precision != torch.float32):
        kept, whole = few.above(batch, given).float(), body.last(**given).float()
    return bool((kept - whole).abs().max() <= _TOLERANCE * whole.abs().max())


def _n_frozen(body: Body) -> int:
    """How many layers, from the bottom, stay as they are, with all that lies below them; 0 where something below
    learns."""
    layers = layers_of(body)
    if any(p.requires_grad for p in body.stages()[0]):
        return 0
    return next((i for i, layer in enumerate(layers) if any(p.requires_grad for p in layer.parameters())), len(layers))
