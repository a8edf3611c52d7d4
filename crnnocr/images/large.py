"""Large images at a reduced size, without ever holding a second copy at the full one. Lines of text need no more."""

from __future__ import annotations

import math

from PIL import Image, ImageFile

from crnnocr.images.depth import image_to_8_bit

ENOUGH = 8_000_000
"""Pixels of an image that are kept at least, if it has so many."""

_MIN_SIDE = 32
"""Pixels of the shorter side that are kept at least."""

_STRIP = 2**21
"""Pixels that are converted at a time."""

_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


def draft(image: ImageFile.ImageFile) -> None:
    """Have a large JPEG that is not loaded yet decoded at a half, a quarter or an eighth of its size."""
    across, down = _factors(image.size)
    if image.format in ("JPEG", "MPO") and across == down > 1:
        image.draft(None, (math.ceil(image.width / across), math.ceil(image.height / down)))


def reduced(image: Image.Image) -> Image.Image:
    """A large image in mode L, RGB or RGBA with `ENOUGH` pixels or a few less; any other as it is."""
    across, down = _factors(image.size)
    if across == down == 1:
        return image
    if image.mode in _DEEP:
        return image_to_8_bit(image).reduce((across, down))
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"
    small = Image.new(mode, (math.ceil(image.width / across), math.ceil(image.height / down)))
    rows = down * max(1, _STRIP // (image.width * down))
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(image.height, top + rows)))
        small.paste(strip.convert(mode).reduce((across, down)), (0, top // down))
    return small


def _factors(size: tuple[int, int]) -> tuple[int, int]:
    """By how much width and height are divided. A very long line is made shorter only: it is squeezed anyway."""
    width, height = size
    factor = math.ceil(math.sqrt(width * height / ENOUGH))
    if min(size) // factor >= _MIN_SIDE or factor <= 1:
        return max(1, factor), max(1, factor)
    factor = math.ceil(width * height / ENOUGH)
    return (factor, 1) if width > height else (1, factor)
