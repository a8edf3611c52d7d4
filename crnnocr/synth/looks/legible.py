"""Whether a finished picture still shows its text, measured against the ink that was meant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LEAST_CORRELATION = 0.66
"""Between ink and picture, over the whole line."""
_LEAST_PART = 0.58
"""Between ink and picture, in each part of the line."""
_LEAST_CONTRAST = 34.0
"""Between paper and ink in each part of the line, in grey levels."""
_LEAST_EM = 10 / 32
"""The font's size as a share of the picture's height."""


def is_legible(picture: Image.Image, ink: Image.Image, em: float) -> bool:
    """Whether the picture's grey follows the ink all along the line, with enough contrast and one polarity.

    Both are of one size, `ink` (mode L) being 255 where all is ink; `em` is the font's size in the picture, in pixels.
    In each part of the line, half as wide as the picture is high, Pearson's correlation of grey and ink and the slope of
    the line that fits grey to ink (the contrast, as far as thin strokes reach full ink) must reach a minimum, with the same
    sign everywhere; the correlation must be better still over the whole line.
    """
    if em < _LEAST_EM * picture.height:
        return False
    mask = np.asarray(ink, dtype=np.float32) / 255
    rows = np.flatnonzero(mask.max(axis=1) > 0.3)
    if not len(rows):
        return False
    band = slice(max(0, rows[0] - 2), rows[-1] + 3)  # what lies above and below the text says nothing of it
    mask, grey = mask[band], np.asarray(picture.convert("L"), dtype=np.float32)[band]
    step = max(1, picture.height // 2)
    starts = np.arange(0, max(1, mask.shape[1] - step // 2), step)

    def sums(values: NDArray[Any]) -> NDArray[np.float64]:
        totals: NDArray[np.float64] = np.add.reduceat(values.sum(axis=0, dtype=np.float64), starts)
        return totals

    count = np.add.reduceat(np.full(mask.shape[1], float(mask.shape[0])), starts)
    ink_mean, grey_mean = sums(mask) / count, sums(grey) / count
    ink_variance = sums(mask * mask) / count - ink_mean**2
    grey_variance = sums(grey * grey) / count - grey_mean**2
    covariance = sums(mask * grey) / count - ink_mean * grey_mean
    peak = np.maximum.reduceat(mask.max(axis=0), starts)
    counts = ink_variance > 0.02  # parts with a space, or a point alone, say too little
    if not counts.any():
        counts = ink_variance >= ink_variance.max()
    sign = np.sign(covariance[counts].sum())
    contrast = sign * peak[counts] * covariance[counts] / np.maximum(ink_variance[counts], 1e-9)
    correlation = sign * covariance[counts] / np.sqrt(np.maximum(ink_variance[counts] * grey_variance[counts], 1e-9))
    if contrast.min() < _LEAST_CONTRAST or correlation.min() < _LEAST_PART:
        return False
    return bool(sign * np.corrcoef(mask.ravel(), grey.ravel())[0, 1] >= _LEAST_CORRELATION)
