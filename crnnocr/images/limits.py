"""Limits of memory and time for decoding an image, and the memory that all threads of the process share for it.

Large images are decoded or converted at a reduced size, and never held a second time at the full one. Text needs no more.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from PIL import Image, ImageFile

from crnnocr.images.depth import DEEP_MODES, image_to_8_bit

MAX_BYTES = 320 * 10**6
"""Bytes that decoding an image may take at its peak; all threads together, too."""

_FREE = 4 * 2**20
"""Bytes up to which an image is not counted: those of ordinary lines."""

_MAX_READS, _BYTES_A_READ = 500_000, 64
"""Times that a reader may ask for bytes: so many, and once more for so many bytes of the file."""

_MAX_SCAN_PIXELS = 2_500_000_000
"""Pixels that a JPEG's scans may go through in all."""

_MAX_JPEG_2000 = 12_000_000
"""Bytes of a JPEG 2000, which takes a second to decode 8 million."""

_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Bytes that Pillow keeps of a pixel, by mode; of others four."""

ENOUGH = 8_000_000
"""Pixels of an image that are kept at least, if it has so many."""

_MIN_SIDE = 32
"""Pixels of the shorter side that are kept at least."""

_STRIP = 2**21
"""Pixels that are converted at a time."""

_SMALL_FILE, _SMALL_IMAGE = 2**16, 2**18
"""Bytes of a file, and pixels of an image, that together can cost neither much memory nor much time."""


def is_small(image: Image.Image, data: bytes) -> bool:
    """Whether an encoded image needs no further checks, as most lines do not."""
    return len(data) <= _SMALL_FILE and image.width * image.height <= _SMALL_IMAGE


def as_file(data: bytes) -> io.BytesIO:
    """The bytes of an encoded image for a reader of Pillow."""
    return io.BytesIO(data) if len(data) <= _SMALL_FILE else LimitedBytes(data)


class LimitedBytes(io.BytesIO):
    """The bytes of an encoded image, of which no reader asks for ever more small pieces.

    Pillow's readers walk through chunks, markers, tags and frames in Python. A file can have millions of them.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = _MAX_READS + len(data) // _BYTES_A_READ

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as `BytesIO` does. Raises `OSError` if that was done too often."""
        self._left -= 1
        if self._left < 0:
            raise OSError("it is made of too many small parts: save the image again")
        return super().read(size)


def has_more_frames(image: Image.Image) -> bool:
    """Whether there is a second frame or page. All of them are not counted: that can take minutes."""
    return bool(getattr(image, "is_animated", False))


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
    if image.mode in DEEP_MODES:
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


def peak_bytes(image: ImageFile.ImageFile, size: tuple[int, int]) -> int:
    """How much memory it takes to decode an image, as measured with each reader of Pillow.

    Args:
        image: was opened and not loaded yet; a JPEG may be a draft.
        size: the image's full size.
    """
    pixels, channels = size[0] * size[1], len(image.getbands())
    stored = _STORED.get(image.mode, 4) * image.width * image.height
    match image.format:
        case "WEBP":
            return 16 * pixels
        case "AVIF" | "HEIF":
            return 10 * pixels
        case "JPEG2000":
            return stored + 5 * channels * pixels
        case "JPEG" | "MPO" if image.info.get("progressive"):
            return stored + 2 * channels * pixels  # its coefficients
        case "TIFF":
            return stored + _strip_bytes(image)
        case "GIF" | "BMP":
            return stored + 3 * pixels
    return stored


def _strip_bytes(image: ImageFile.ImageFile) -> int:
    """The bytes of a strip of a TIFF, which is decoded as a whole."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (8,))
    rows = tags.get(_ROWS_PER_STRIP, image.height)
    return int(image.width * min(rows, image.height) * sum(bits if isinstance(bits, tuple) else (bits,)) // 8)


_BITS_PER_SAMPLE, _ROWS_PER_STRIP = 258, 278
"""Tags of a TIFF."""


def excess(image: ImageFile.ImageFile, size: tuple[int, int], data: bytes) -> str:
    """Why an encoded image is too costly to decode; empty if it is not.

    Args:
        image: was opened and not loaded yet; a JPEG may be a draft.
        size: the image's full size.
        data: the whole file.
    """
    pixels = size[0] * size[1]
    if (peak := peak_bytes(image, size)) > MAX_BYTES:
        most = int(pixels * MAX_BYTES / peak / 10**6)
        return f"{size[0]} x {size[1]} pixels are over the limit of {most} million for {image.format}, mode {image.mode}"
    if image.format == "JPEG2000" and len(data) > _MAX_JPEG_2000:
        return f"{len(data) / 1e6:.0f} MB are over the limit of {_MAX_JPEG_2000 / 1e6:.0f} for JPEG 2000"
    if image.format in ("JPEG", "MPO") and data.count(_START_OF_SCAN) * pixels > _MAX_SCAN_PIXELS:
        return "so many scans are over the limit for a JPEG of this size"
    return ""


_START_OF_SCAN = b"\xff\xda"


class SharedMemory:
    """A weighted semaphore: what several threads decode at a time stays within a number of bytes."""

    def __init__(self, total: int) -> None:
        self._total, self._used = total, 0
        self._changed = Condition()

    @contextmanager
    def reserved(self, count: int) -> Iterator[None]:
        """Wait until so many bytes are free, and keep them for a block. What is more than there is waits until all is free."""
        if count <= _FREE:
            yield
            return
        count = min(count, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._used + count <= self._total)
            self._used += count
        try:
            yield
        finally:
            with self._changed:
                self._used -= count
                self._changed.notify_all()


MEMORY = SharedMemory(MAX_BYTES)
"""Shared by the threads of this process that decode large images or recognize very long lines."""
