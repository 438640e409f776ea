"""How else a picture might have been taken: another part of it, other light, its mirror image."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
from PIL import Image, ImageEnhance

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels

_LEAST_AREA, _MOST_ASPECT = 0.7, 4 / 3  # of the largest square that fits; the aspect in both directions
_SMALL = 64  # pixels of the shorter side below which every pixel counts, as in drawings of signs: less is cut away
_SMALL_AREA, _SMALL_ASPECT = 0.85, 10 / 9
_LIGHT = 0.2  # brightness, contrast and colour change by up to this share


def another_box(width: float, height: float, rng: np.random.Generator) -> Box:
    """A part of a picture, nearly a square, anywhere in it."""
    side = min(width, height)
    least, aspect = (_SMALL_AREA, _SMALL_ASPECT) if side < _SMALL else (_LEAST_AREA, _MOST_ASPECT)
    area = side**2 * rng.uniform(least, 1)
    stretch = exp(rng.uniform(-log(aspect), log(aspect)))
    wide, high = min(width, sqrt(area * stretch)), min(height, sqrt(area / stretch))
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    return left, top, left + wide, top + high


def other_light(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brighter or darker, harder or softer, more or less coloured. What is grey stays grey."""
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = change(picture).enhance(rng.uniform(1 - _LIGHT, 1 + _LIGHT))
    return picture


def perhaps_mirrored(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture or, as often, its mirror image."""
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else picture
