"""From a decoded image of any mode to gray values: 0 black to 255 white."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from crnnocr.images.depth import DEEP_MODES, image_to_8_bit

_MAX_OPAQUE = 0.9
"""Mean opacity from which on what shows through does not matter."""

_CONTRAST = 80
"""Gray values between an image's own dark and light parts from which on it needs no paper that stands out from it."""

_DULL = 64
"""Gray values between dark and light below which a color is looked for that tells ink from paper better."""

_VIVID = (40, 2.5)
"""Values between its dark and light parts that such a color has at least, and how many times as many as the gray values."""

_TAIL = 0.002
"""Share of the pixels that are darker than the dark parts of an image, and lighter than its light ones."""


def to_gray(image: Image.Image) -> Image.Image:
    """Convert an image to mode L.

    What is transparent becomes white paper, or black if the ink is light. More than 8 bits are scaled to 8. Gray values are
    luminance (ITU-R 601-2), or one of the colors red, green and blue if ink and paper are about equally bright.
    """
    if image.mode in DEEP_MODES:
        return image_to_8_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _paper(image)), image)
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    gray = image.convert("L")
    return _vivid(image, gray) if image.mode == "RGB" else gray


def to_color(image: Image.Image) -> Image.Image:
    """Convert an image to mode L, RGB or RGBA: what has more than 8 bits or no colors becomes gray."""
    if image.mode in ("L", "RGB", "RGBA"):
        image.load()
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    return to_gray(image) if image.mode[0] in "1LIF" and image.mode != "LAB" else image.convert("RGB")


def _paper(image: Image.Image) -> str:
    """The color that lets the visible part of an RGBA image stand out: black if all of it is light, else white."""
    opacity = np.asarray(image.getchannel("A"))
    if not opacity.any() or opacity.mean() > _MAX_OPAQUE * 255:
        return "white"
    ink = np.asarray(image.convert("L"))[opacity >= 0.8 * opacity.max()]
    dark, mean = np.percentile(ink, 2), ink.mean()
    return "black" if mean > 128 and mean - dark < _CONTRAST else "white"


def _vivid(image: Image.Image, gray: Image.Image) -> Image.Image:
    """The gray values of an RGB image, or, if these differ little, those of the color that differs most, on light paper."""
    span = _span(gray)
    if span >= _DULL:
        return gray
    channels = image.split()
    spans = [_span(channel) for channel in channels]
    best = int(np.argmax(spans))
    if spans[best] < max(_VIVID[0], _VIVID[1] * span):
        return gray
    values: NDArray[np.uint8] = np.asarray(channels[best])
    is_dark = np.median(values) < (int(values.min()) + int(values.max())) / 2
    return ImageOps.invert(channels[best]) if is_dark else channels[best]


def _span(channel: Image.Image) -> int:
    """Values between the dark and the light parts."""
    counts = list(accumulate(channel.histogram()))
    return bisect_left(counts, (1 - _TAIL) * counts[-1]) - bisect_left(counts, _TAIL * counts[-1] + 1)
