"""Text that hardly differs from its paper, made visible; noise that only looks like it is left alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnnocr.images.ink import flattened

_FLAT = 48
"""Gray values between the darkest and the lightest pixel of a nearly flat image, at most."""

_MIN = 1.0
"""Gray values between the means of ink and paper, at least."""

_SEPARABLE = 0.67
"""Share of the variance that lies between ink and paper, at least; of noise, even after the blur, it is 2 / π = 0.64."""

_BLOCK = 8
"""Side of the blocks of JPEG, in pixels."""

_ON_GRID = 0.5
"""Share of the edges that lie on the borders of JPEG's blocks, which the blur makes two pixels wide, from which on they are its
noise. By chance it is a quarter.
"""

_BINS = 64
"""Of the histogram: about one for each gray value that a nearly flat image has."""

_DARK, _LIGHT = 30.0, 225.0
"""Gray values that the two classes get."""


def stretched(gray: Image.Image) -> Image.Image | None:
    """Give a nearly flat image the contrast of print. None if it is not flat, or only noise.

    What is ink is seen in a blurred copy, in which noise is weaker by two thirds, without the gradient of the paper.
    """
    darkest, lightest = gray.getextrema()
    if lightest == darkest or lightest - darkest > _FLAT:  # type: ignore[operator]
        return None
    values = flattened(gray)
    blurred = _blurred(values)
    found = _threshold(blurred)
    if found is None:
        return None
    dark = blurred <= found
    if _is_blocky(dark):
        return None
    low, high = float(values[dark].mean()), float(values[~dark].mean())
    if high - low < _MIN:
        return None
    wide = (values - low) * ((_LIGHT - _DARK) / (high - low)) + _DARK
    return Image.fromarray(np.clip(wide, 0, 255).astype(np.uint8))


def _blurred(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 3 by 3 pixels."""
    padded = np.pad(values, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    means: NDArray[np.float32] = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    return means


def _threshold(values: NDArray[np.float32]) -> float | None:
    """Where two classes of values are best divided (Otsu 1979); None if they are hardly two."""
    counts, edges = np.histogram(values, _BINS)
    middles = (edges[1:] + edges[:-1]) / 2
    count, total = np.cumsum(counts), np.cumsum(counts * middles)
    apart = (count * (count[-1] - count)).astype(float)
    between = np.divide((total[-1] * count / count[-1] - total) ** 2, apart, out=np.zeros(_BINS), where=apart > 0)
    variance = float(counts @ (middles - total[-1] / count[-1]) ** 2) / count[-1]
    best = int(between.argmax())
    return float(edges[best + 1]) if between[best] > _SEPARABLE * variance > 0 else None


def _is_blocky(dark: NDArray[np.bool_]) -> bool:
    """Whether many edges lie on one grid of JPEG's blocks."""
    for changes in ((dark[:, 1:] != dark[:, :-1]).sum(axis=0), (dark[1:] != dark[:-1]).sum(axis=1)):
        padded = np.pad(changes, (0, -len(changes) % _BLOCK))
        phases = padded.reshape(-1, _BLOCK).sum(axis=0)
        if phases.sum() and (phases + np.roll(phases, 1)).max() > _ON_GRID * phases.sum():
            return True
    return False
