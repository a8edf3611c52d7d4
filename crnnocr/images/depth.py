"""Values of any number type as gray levels of 8 bits, scaled by what they hold.

- Integers from 0: white is the smallest of 1, 8, 10, 12, 14 and 16 bits that holds them all, and above that the largest value.
- Fractions: likewise, with 1 for white below the others; a tenth more than white is taken for overshoot.
- If some are below zero (for fractions, by more than overshoot), the range from the least to the largest value is taken.

An array of bytes is left as it is, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_WHITES = tuple(float(2**bits - 1) for bits in (1, 8, 10, 12, 14, 16))
_OVERSHOOT = 0.1
"""What resampling may add to the values of fractions at edges, as a share of white."""
_STRIP = 2**20
"""Values that are converted at a time, so that a large image takes little memory."""

_Strips: TypeAlias = Callable[[], Iterator[NDArray[Any]]]


def array_to_8_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The gray levels, or channels, of an array of booleans, integers or fractions, in its own shape.

    Of four channels the last one, which is opacity, is scaled by itself.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values * np.uint8(255)
    if values.ndim == 3 and values.shape[2] == 4:
        return np.concatenate((array_to_8_bit(values[:, :, :3]), array_to_8_bit(values[:, :, 3:])), axis=2)
    rows = max(1, _STRIP // max(1, values[:1].size))
    return _to_8_bit(lambda: (values[top : top + rows] for top in range(0, len(values), rows)), values.shape)


def image_to_8_bit(image: Image.Image) -> Image.Image:
    """A Pillow image of one channel of more than 8 bits (mode I;16, I or F) in mode L."""
    rows = max(1, _STRIP // image.width)

    def strips() -> Iterator[NDArray[Any]]:
        for top in range(0, image.height, rows):
            yield np.asarray(image.crop((0, top, image.width, min(image.height, top + rows))))

    return Image.fromarray(_to_8_bit(strips, (image.height, image.width)))


def _to_8_bit(strips: _Strips, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    black, white = _range(strips)
    levels = np.empty(shape, np.uint8)
    top = 0
    for strip in strips():
        values = np.clip((np.nan_to_num(strip.astype(np.float64), nan=black) - black) / (white - black), 0, 1)
        levels[top : top + len(strip)] = np.round(values * 255)
        top += len(strip)
    return levels


def _range(strips: _Strips) -> tuple[float, float]:
    """The values of black and white."""
    least, largest, is_fraction = 0.0, 0.0, False
    for strip in strips():
        is_fraction = strip.dtype.kind == "f"
        finite = strip[np.isfinite(strip)] if is_fraction else strip
        if finite.size:
            least, largest = min(least, float(finite.min())), max(largest, float(finite.max()))
    overshoot = 1 + _OVERSHOOT if is_fraction else 1.0
    white = next((white for white in _WHITES if largest <= white * overshoot), largest)
    return (least, largest) if least < (-_OVERSHOOT * white if is_fraction else 0) else (0.0, white)
