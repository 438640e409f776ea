"""What a picture looks like from far away: how much of which colour, and which way the edges run in which corner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 32  # pixels a side of what is described; the thumbnail has a frame of one more, for the differences
CELLS = 4  # a side; edges are counted in each cell by itself
ANGLES = 8  # of edges, over half a turn: light-to-dark counts as dark-to-light
WIDTH = 4**3 + CELLS**2 * ANGLES  # numbers in a sketch

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's own conversion
_PLACES = np.arange(SIDE) * CELLS // SIDE
_CELL = (_PLACES[:, None] * CELLS + _PLACES) * ANGLES  # (SIDE, SIDE) where the bins of a pixel's cell begin


def sketch(picture: Image.Image) -> NDArray[np.float32]:
    """Colours in 4 x 4 x 4 boxes, then edges by cell and angle; both are square roots of shares: (WIDTH,)."""
    small = picture.resize((SIDE + 2, SIDE + 2), Image.Resampling.BILINEAR, reducing_gap=2.0)
    pixels = np.asarray(small)  # (SIDE + 2, SIDE + 2, 3) uint8
    return np.asarray(np.sqrt(np.concatenate([_colours(pixels), _edges(pixels @ GREY)])), np.float32)


def _colours(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    levels = (pixels >> 6).astype(np.intp)
    boxes = levels[..., 0] * 16 + levels[..., 1] * 4 + levels[..., 2]
    return np.bincount(boxes.ravel(), minlength=64) / boxes.size


def _edges(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    across = grey[1:-1, 2:] - grey[1:-1, :-2]
    down = grey[2:, 1:-1] - grey[:-2, 1:-1]
    angle = (np.arctan2(down, across) * (ANGLES / np.pi)).astype(np.intp) % ANGLES
    strength = np.hypot(across, down)
    counts = np.bincount((_CELL + angle).ravel(), strength.ravel(), minlength=CELLS**2 * ANGLES)
    return np.asarray(counts / max(counts.sum(), 1e-9))  # a picture of one colour has no edges
