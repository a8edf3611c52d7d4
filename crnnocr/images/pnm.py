"""PNM images that Pillow decodes pixel by pixel in Python: of decimal digits, or with another highest value than 255."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

_BLANK = b" \t\n\r\v\f"
_COMMENT = re.compile(rb"#[^\n\r]*")


def decoded(image: ImageFile.ImageFile, data: bytes) -> Image.Image | None:
    """An opened PNM decoded, in mode L or RGB; None if Pillow decodes it fast. Raises `OSError` if it is damaged."""
    tile = image.tile[0] if image.format == "PPM" and image.tile else None
    if tile is None or tile.codec_name not in ("ppm", "ppm_plain"):
        return None
    channels = 3 if image.mode == "RGB" else 1
    count = image.width * image.height * channels
    is_bits = image.mode == "1"
    highest = 1 if is_bits else int(tile.args[-1])  # type: ignore[index]
    rest = data[tile.offset :]
    if tile.codec_name == "ppm":
        size = 1 if highest < 256 else 2
        values = np.frombuffer(rest[: count * size], ">u2" if size == 2 else "u1")
    else:
        values = _digits(_COMMENT.sub(b"", rest), is_bits)[:count]
    if len(values) < count or int(values.max(initial=0)) > highest:
        raise OSError("image file is truncated or damaged")
    table = np.round(np.arange(highest + 1) / highest * 255).astype(np.uint8)
    levels = (255 - table if is_bits else table)[values]  # ones are ink
    shape = (image.height, image.width, channels)
    return Image.fromarray(levels.reshape(shape if channels == 3 else shape[:2]))


def _digits(text: bytes, is_bits: bool) -> NDArray[np.generic]:
    """The numbers of a text; bits need no blanks between them."""
    if text.translate(None, (b"01" if is_bits else b"0123456789") + _BLANK):
        raise OSError("image file is damaged")
    if is_bits:
        return np.frombuffer(text.translate(None, _BLANK), np.uint8) - np.uint8(ord("0"))
    return np.fromstring(text, np.uint32, sep=" ") if text.strip(_BLANK) else np.zeros(0, np.uint32)
