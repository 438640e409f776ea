"""What the layers that stay as they are make of each row: computed once, and kept on disk while the others learn."""

from __future__ import annotations

import secrets
import shutil
import time
from dataclasses import dataclass
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
from tailorbird.store.files import writing

Rows = NDArray[np.int64]
_MOST_SHARE = 0.5  # of the free disk
_LARGEST = 6e4  # half precision ends a little above
_MOST_TIME = 0.3  # share of the time that is left
_TIMED_ROWS = 256  # after which it is told how long all of them take
_TOLERANCE = 1e-2  # of the features' largest: what half precision and noughts for padding may change


@dataclass(frozen=True)
class Terms:
    """What a prefix may take. deadline: a time.monotonic()."""

    folder: Path
    device: str
    precision: torch.dtype
    deadline: float | None = None


class Prefix:
    """Hidden states below the layers that learn, of each row, in half precision and cut to its true length."""

    def __init__(self, cut: Cut, rows: Rows, terms: Terms) -> None:
        self._cut, self._terms = cut, terms
        self._path = terms.folder / f"prefix-{secrets.token_hex(4)}"
        self._place = {row: i for i, row in enumerate(rows.tolist())}
        self._shapes: list[tuple[int, ...]] = [()] * len(rows)
        self._starts = np.zeros(len(rows), np.int64)
        self._states: NDArray[np.float16] = np.zeros(0, np.float16)
        self._has_tokens = False  # whether states are cut to the tokens of their rows

    def above(self, batch: Batch, given: dict[str, Tensor]) -> Tensor:
        """Features of the last depth of a batch's rows, (b, width). given: its arrays as tensors."""
        device = next(iter(given.values())).device
        return self._cut.above(self._stacked(batch).to(device), **given)

    def _stacked(self, batch: Batch) -> Tensor:
        """Hidden states of rows, padded with noughts as long as the batch is, (b, ...) float32."""
        places = [self._place[row] for row in batch.rows.tolist()]
        first = self._shapes[places[0]]
        length = batch.arrays["attention_mask"].shape[1] if self._has_tokens else first[0]
        found = np.zeros((len(places), length, *first[1:]), np.float32)
        for out, i in zip(found, places, strict=True):
            start, shape = self._starts[i], self._shapes[i]
            out[: shape[0]] = self._states[start : start + int(np.prod(shape))].reshape(shape)
        return torch.from_numpy(found)

    def fill(self, shelf: Shelf, rows: Rows) -> bool:
        """Compute and write what is asked for later. False where that takes too much disk or time, or is too large for
        half precision. The file goes with the process, or before."""
        try:
            if not self._written(shelf, rows):
                return False
            self._states = np.memmap(self._path, np.float16, "r")
        finally:
            self._path.unlink(missing_ok=True)  # on POSIX what is mapped stays
        return True

    def _written(self, shelf: Shelf, rows: Rows) -> bool:
        end, n_done, began = 0, 0, time.monotonic()
        with self._path.open("wb") as file, torch.no_grad(), stage("the layers that stay", len(rows)) as advance:
            for batch in shelf.once(rows):
                states = self._below(batch)
                if not end and not self._begun(states, batch, len(rows)):
                    return False
                if not np.abs(states).max() < _LARGEST:
                    tell("what the lower layers give is too large for half precision, so it is computed anew each time")
                    return False
                for row, one, n_true in zip(batch.rows.tolist(), states, self._lengths(batch, states), strict=True):
                    place, content = self._place[row], np.ascontiguousarray(one[:n_true], np.float16)
                    self._shapes[place], self._starts[place] = content.shape, end
                    file.write(content.data)
                    end += content.size
                n_done += len(batch.rows)
                if n_done >= _TIMED_ROWS and not self._in_time(began, n_done, len(rows)):
                    return False
                advance(len(batch.rows))
        return True

    def _below(self, batch: Batch) -> NDArray[np.float32]:
        terms = self._terms
        given = {name: torch.from_numpy(array).to(terms.device) for name, array in batch.arrays.items()}
        with torch.autocast(terms.device, terms.precision, terms.precision != torch.float32):
            found: NDArray[np.float32] = self._cut.below(**given).float().cpu().numpy()
        return found

    def _begun(self, states: NDArray[Any], batch: Batch, n_rows: int) -> bool:
        """The first batch has the longest rows, so what is reckoned from it is too high rather than too low."""
        mask = batch.arrays.get("attention_mask")
        self._has_tokens = mask is not None and states.ndim == 3 and states.shape[1] == mask.shape[1]
        needed = 2 * states[0].size * n_rows
        fits = bool(needed <= _MOST_SHARE * shutil.disk_usage(self._path.parent).free)
        if not fits:
            tell(f"what the lower layers give might take {needed / 1e9:,.1f} GB, so it is computed anew each time")
        return fits

    def _in_time(self, began: float, n_done: int, n_rows: int) -> bool:
        if self._terms.deadline is None:
            return True
        whole_s = (time.monotonic() - began) * n_rows / n_done
        return whole_s <= _MOST_TIME * (self._terms.deadline - began)

    def _lengths(self, batch: Batch, states: NDArray[Any]) -> list[int]:
        """How much of each row's states is no padding: its tokens, or all of a picture's grid."""
        if self._has_tokens:
            return [int(n) for n in batch.arrays["attention_mask"].sum(1)]
        return [states.shape[1]] * len(states)


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
            if not _agrees(body, cut, shelf, two, terms):
                return None
            found = Prefix(cut, rows, terms)
            return found if found.fill(shelf, rows) else None
    except BadOutput as error:  # it only saves time
        tell(f"what the lower layers give is not kept: {error.problem}")
        return None


def _agrees(body: Body, cut: Cut, shelf: Shelf, rows: Rows, terms: Terms) -> bool:
    """Whether the shortest and the longest row are answered alike from what is kept: some bodies look at padding."""
    few, batch = Prefix(cut, rows, terms), shelf.plain(rows)
    if not few.fill(shelf, rows):
        return False
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
