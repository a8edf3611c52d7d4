"""Whether a finished picture still shows its text, measured against the ink that was meant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

_LEAST_CORRELATION = 0.7
"""Between ink and picture, over the whole line."""
_LEAST_IN_PIECE = 0.66
"""Between ink and picture, in and around each piece of ink."""
_LEAST_CONTRAST = 34.0
"""Between paper and ink in and around each piece, in grey levels."""
_LEAST_EM = 10 / 32
"""The font's size as a share of the picture's height."""
_INKED = 0.25
"""Coverage from which a pixel counts as ink."""
_NEAR = 3
"""Pixels of paper around ink that it is seen against."""


def is_legible(picture: Image.Image, ink: Image.Image, em: float) -> bool:
    """Whether the picture's grey follows the ink everywhere, with enough contrast and one polarity.

    Both are of one size, `ink` (mode L) being 255 where all is ink; `em` is the font's size in the picture, in pixels.
    The line is taken in pieces, split where a column has no ink, and long pieces again, so that a piece is a character or a
    few. In each one's ink and the paper next to it, Pearson's correlation of grey and ink and the slope of the line that fits
    grey to ink (the contrast, as far as thin strokes reach full ink) must reach a minimum, with the same sign everywhere. Over
    the whole line the correlation must be better still.
    """
    if em < _LEAST_EM * picture.height:
        return False
    mask, grey = np.asarray(ink, np.float32) / 255, np.asarray(picture.convert("L"), np.float32)
    starts = _pieces(mask, step=max(1, picture.height // 2))
    if not len(starts):
        return False
    near = np.asarray(ink.filter(ImageFilter.BoxBlur(_NEAR))) > 0

    def sums(values: NDArray[Any]) -> NDArray[np.float64]:
        totals: NDArray[np.float64] = np.add.reduceat((values * near).sum(axis=0, dtype=np.float64), starts)
        return totals

    count = np.maximum(sums(np.ones_like(mask)), 1)
    ink_mean, grey_mean = sums(mask) / count, sums(grey) / count
    ink_variance = np.maximum(sums(mask * mask) / count - ink_mean**2, 1e-9)
    grey_variance = np.maximum(sums(grey * grey) / count - grey_mean**2, 1e-9)
    covariance = sums(mask * grey) / count - ink_mean * grey_mean
    covariance *= np.sign(covariance.sum())
    contrast = np.maximum.reduceat(mask.max(axis=0), starts) * covariance / ink_variance
    if contrast.min() < _LEAST_CONTRAST or (covariance / np.sqrt(ink_variance * grey_variance)).min() < _LEAST_IN_PIECE:
        return False
    rows = np.flatnonzero(near.any(axis=1))
    band = slice(rows[0], rows[-1] + 1)  # what lies above and below the text says nothing of it
    return bool(abs(np.corrcoef(mask[band].ravel(), grey[band].ravel())[0, 1]) >= _LEAST_CORRELATION)


def _pieces(mask: NDArray[Any], step: int) -> NDArray[np.intp]:
    """The columns at which pieces of ink begin, with the paper just before them; none is much wider than `step`."""
    inked = np.concatenate(([False], mask.max(axis=0) > _INKED))
    starts = np.flatnonzero(inked[1:] & ~inked[:-1])
    widths = np.diff(np.append(starts, mask.shape[1]))
    split = [start + part * step for start, width in zip(starts, widths, strict=True) for part in range(max(1, width // step))]
    return np.unique(np.maximum(np.array(split, np.intp) - _NEAR + 1, 0))
