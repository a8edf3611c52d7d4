"""From a decoded image of any mode to gray values: 0 black to 255 white."""

from __future__ import annotations

from PIL import Image

from crnnocr.images.depth import image_to_8_bit


def to_gray(image: Image.Image) -> Image.Image:
    """Convert an image to mode L: transparency over white, more than 8 bits scaled to 8."""
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        return image_to_8_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image)
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image.convert("L")


def to_color(image: Image.Image) -> Image.Image:
    """Convert an image to mode L, RGB or RGBA: what has more than 8 bits or no colors becomes gray."""
    if image.mode in ("L", "RGB", "RGBA"):
        return image.copy()
    if image.has_transparency_data:
        return image.convert("RGBA")
    return to_gray(image) if image.mode[0] in "1LIF" and image.mode != "LAB" else image.convert("RGB")
