"""Values of any number type as gray levels of 8 bits, scaled by what they hold.

- Integers from 0: white is the smallest of 1, 8, 10, 12, 14 and 16 bits that holds them all, and above that the largest value.
- Fractions: likewise, with 1 for white below the others; a tenth more than white is taken for overshoot.
- If some are below zero (for fractions, by more than overshoot), the range from the least to the largest value is taken.

An array of bytes is left as it is, whatever it holds.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from crnnocr.images.formats import open_image

_WHITES = tuple(float(2**bits - 1) for bits in (1, 8, 10, 12, 14, 16))
_OVERSHOOT = 0.1
"""Share of white by which resampling may exceed it at edges, in fractions."""
_STRIP = 2**20
"""Values that are converted at a time, so that a large image takes little memory."""

_BLANK = b" \t\n\r\v\f"
_COMMENT = re.compile(rb"#[^\n\r]*")
_OTHER_BYTE = {
    f"{channels};16{order}": f"{channels};16{other}"
    for channels in ("RGB", "RGBX", "RGBA")
    for order, other in (("L", "B"), ("B", "L"), ("N", "B" if sys.byteorder == "little" else "L"))
}
"""Pillow's raw modes of 16 bits a channel, each with the one that takes the other byte."""
_MAX_DEEP = 4_000_000
"""Pixels of an image of which both bytes are looked at."""
_DARK = 64
"""Higher byte that at most 14 bits do not reach."""

DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
"""Pillow's modes of one channel of more than 8 bits."""

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
    """A Pillow image of one channel of more than 8 bits (`DEEP_MODES`) in mode L."""
    rows = max(1, _STRIP // image.width)

    def strips() -> Iterator[NDArray[Any]]:
        for top in range(0, image.height, rows):
            yield np.asarray(image.crop((0, top, image.width, min(image.height, top + rows))))

    return Image.fromarray(_to_8_bit(strips, (image.height, image.width)))


def at_full_depth(image: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """An opened image, decoded here if Pillow would lose depth or decode it pixel by pixel in Python; any other as it is.

    Of 16 bits a channel Pillow takes only the higher byte: dark images are scaled by what both bytes hold.

    Raises `OSError` if a PNM is damaged.
    """
    if (decoded := _decoded_pnm(image, data)) is not None:
        return decoded
    args = (image.tile[0].args if image.tile else None) or ""
    rawmode = args if isinstance(args, str) else args[0]
    if rawmode not in _OTHER_BYTE or image.width * image.height > _MAX_DEEP:
        return image
    if max(high for _, high in _extrema(image)[:3]) >= _DARK:
        return image
    other = open_image(io.BytesIO(data))
    swapped = _OTHER_BYTE[rawmode]
    other.tile = [tile._replace(args=swapped if isinstance(args, str) else (swapped, *args[1:])) for tile in other.tile]
    return Image.fromarray(array_to_8_bit(np.asarray(image).astype(np.uint16) << 8 | np.asarray(other)))


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    """The least and the largest value of each of several channels."""
    return cast(tuple[tuple[int, int], ...], image.getextrema())


def _decoded_pnm(image: ImageFile.ImageFile, data: bytes) -> Image.Image | None:
    """A PNM of decimal digits, or with another highest value than 255, in mode L or RGB; None for any other image."""
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
    """The values of black and white. Raises `ValueError` if none of the values is a finite number."""
    least, largest, is_fraction, holds_numbers = 0.0, 0.0, False, False
    for strip in strips():
        is_fraction = strip.dtype.kind == "f"
        finite = strip[np.isfinite(strip)] if is_fraction else strip
        if finite.size:
            holds_numbers = True
            least, largest = min(least, float(finite.min())), max(largest, float(finite.max()))
    if not holds_numbers:
        raise ValueError("none of its values is a finite number")
    overshoot = 1 + _OVERSHOOT if is_fraction else 1.0
    white = next((white for white in _WHITES if largest <= white * overshoot), largest)
    return (least, largest) if least < (-_OVERSHOOT * white if is_fraction else 0) else (0.0, white)
