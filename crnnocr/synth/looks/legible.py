"""Whether a finished picture still shows its text, measured against the ink that was meant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

_LEAST_CORRELATION = 0.66
"""Between ink and picture, over the whole line."""
_LEAST_IN_PIECE = 0.58
"""Between ink and picture, in and around each piece of ink."""
_LEAST_CONTRAST = 30.0
"""Between paper and ink in and around each piece, in grey levels."""
_LEAST_EM = 12 / 32
"""The font's size as a share of the picture's height."""
_INKED = 0.25
"""Coverage from which a pixel counts as ink."""
_BANDS = 8
"""Bands of rows that each piece is looked at in."""
_LEAST_INK = 0.15
"""Ink from which a piece's part in a band counts, as a share of a square as high as the band."""
_LEAST_SEEN = 0.15
"""How dark ink in a band must be, as a share of what the whole piece lets expect."""
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
    ink_near, grey_near = mask * near, grey * near
    products = (near, ink_near, grey_near, ink_near * mask, grey_near * grey, ink_near * grey)
    sums = np.add.reduceat(np.array([values.sum(axis=0, dtype=np.float64) for values in products]), starts, axis=1)
    paper, slope, correlation = _fit(sums)
    _, whole_slope, whole_correlation = _fit(sums.sum(axis=1, keepdims=True))
    sign = np.sign(whole_slope)
    contrast = sign * slope * np.maximum.reduceat(mask.max(axis=0), starts)
    return bool(
        contrast.min() >= _LEAST_CONTRAST
        and (sign * correlation).min() >= _LEAST_IN_PIECE
        and abs(whole_correlation[0]) >= _LEAST_CORRELATION
        and _shows_all_parts(mask, grey, starts, paper, slope)
    )


def _shows_all_parts(
    mask: NDArray[Any], grey: NDArray[Any], starts: NDArray[np.intp], paper: NDArray[np.float64], slope: NDArray[np.float64]
) -> bool:
    """Whether no dot or accent is missing: in each band of rows of each piece, ink is seen about as it is in the whole piece.

    `paper` and `slope` are each piece's own grey without ink, and what full ink adds to it.
    """
    rows = max(1, mask.shape[0] // _BANDS)
    edges = np.arange(0, mask.shape[0], rows)

    def in_cells(values: NDArray[Any]) -> NDArray[np.float64]:
        cells: NDArray[np.float64] = np.add.reduceat(np.add.reduceat(values, edges, axis=0), starts, axis=1)
        return cells

    ink = in_cells(mask)
    seen, meant = in_cells(mask * grey) - ink * paper, in_cells(mask * mask) * slope
    counts = ink >= _LEAST_INK * rows * rows
    return bool((seen[counts] / meant[counts]).min(initial=1.0) >= _LEAST_SEEN)


def _fit(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Value at 0, slope, and correlation of y over x, from (6, N) sums of 1, x, y, x², y², xy."""
    count, x, y, xx, yy, xy = sums
    count = np.maximum(count, 1)
    x_variance = np.maximum(xx / count - (x / count) ** 2, 1e-9)
    y_variance = np.maximum(yy / count - (y / count) ** 2, 1e-9)
    covariance = xy / count - x * y / count**2
    slope = covariance / x_variance
    return (y - slope * x) / count, slope, covariance / np.sqrt(x_variance * y_variance)


def _pieces(mask: NDArray[Any], step: int) -> NDArray[np.intp]:
    """The columns at which pieces of ink begin, with the paper just before them; none is much wider than `step`."""
    inked = np.concatenate(([False], mask.max(axis=0) > _INKED))
    starts = np.flatnonzero(inked[1:] & ~inked[:-1])
    widths = np.diff(np.append(starts, mask.shape[1]))
    split = [start + part * step for start, width in zip(starts, widths, strict=True) for part in range(max(1, width // step))]
    return np.unique(np.maximum(np.array(split, np.intp) - _NEAR + 1, 0))
