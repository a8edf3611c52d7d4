"""From a decoded image of any mode to gray values: 0 black to 255 white."""

from __future__ import annotations

import numpy as np
from PIL import Image


def to_gray(image: Image.Image) -> Image.Image:
    """Convert an image to mode L: transparency over white, more than 8 bits scaled to 8."""
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        return _scaled(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image)
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image.convert("L")


def _scaled(image: Image.Image) -> Image.Image:
    """An image of more than 8 bits a pixel, its 16-bit range (or, for fractions, 0 to 1) brought to 0…255."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    top = 65535.0 if image.mode != "F" else 1.0 if values.max(initial=0) <= 1 else 255.0
    return Image.fromarray(np.round(np.clip(values / top, 0, 1) * 255).astype(np.uint8))
