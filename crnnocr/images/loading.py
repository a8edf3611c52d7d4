"""From a source to a gray image: files, bytes, Pillow images and arrays, as a person sees them."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from crnnocr.config import MAX_PIXELS
from crnnocr.errors import ImageError
from crnnocr.images.depth import array_to_8_bit, at_full_depth
from crnnocr.images.formats import FORMATS, foreign_kind, open_image
from crnnocr.images.gray import to_color, to_gray
from crnnocr.images.limits import MEMORY, as_file, draft, excess, has_more_frames, is_small, peak_bytes, reduced


class Readable(Protocol):
    """An open file, or anything else that gives the bytes of one."""

    def read(self) -> bytes:
        """The encoded bytes of an image."""
        ...


Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | Image.Image | NDArray[Any]
"""Where an image comes from: a path, the bytes of a file, an open file, a Pillow image, or an array ((H, W) gray,
(H, W, 3) RGB, (H, W, 4) RGBA) of any type of numbers (see `depth`).
"""

_Bytes: TypeAlias = bytes | bytearray | memoryview

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How an image is turned upright, by its Exif orientation."""
_SIDEWAYS = (Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90)
"""Turns that exchange width and height."""


class ImageWarning(UserWarning):
    """An image was read, but not all of it."""


def is_source(value: object) -> bool:
    """Whether a value is one image rather than several."""
    return isinstance(value, str | os.PathLike | _Bytes | Image.Image | np.ndarray) or hasattr(value, "read")


@dataclass(frozen=True)
class _Snapshot:
    """The contents of an open file."""

    name: str
    data: bytes

    def read(self) -> bytes:
        return self.data


def snapshot(source: Source) -> Source:
    """An image that stays as it is when its file is closed or its array overwritten.

    A source that cannot be read is returned as it is: loading it will say why.
    """
    if isinstance(source, np.ndarray):
        return source.copy()
    if isinstance(source, bytearray) or (isinstance(source, memoryview) and source.ndim == 1):
        return bytes(source)
    with suppress(Exception):
        if isinstance(source, io.IOBase):
            return _Snapshot(source_name(source), source.read())
        if isinstance(source, Image.Image) and source.width * source.height <= MAX_PIXELS and not _is_unread_foreign(source):
            source.load()
    return source


def kept_bytes(source: Source) -> int:
    """Bytes of memory that a source keeps, which is none for a file."""
    if isinstance(source, np.ndarray):
        return source.nbytes
    if isinstance(source, Image.Image):
        return source.width * source.height * (1 if source.mode in ("1", "L", "P") else 4)
    data = source.data if isinstance(source, _Snapshot) else source
    return len(data) if isinstance(data, bytes) else 0


def load_gray(source: Source, name: str | None = None) -> Image.Image:
    """Load an image as a person sees it: Exif orientation applied, transparency over paper, 16 bits scaled to 8.

    Args:
        source: the image.
        name: what to call it in messages; by default its path.

    Returns:
        Pillow image of mode L.

    Raises:
        ImageError: the image is missing, corrupt, empty, or over the pixel limit.
    """
    gray, size = load_reduced(source, name)
    return gray if gray.size == size else gray.resize(size, Image.Resampling.BICUBIC)


def load_reduced(source: Source, name: str | None = None) -> tuple[Image.Image, tuple[int, int]]:
    """Load an image as `load_gray` does, but a large one (see `limits`) at a reduced size.

    Returns it, and width and height that it has at its full size. Raises `ImageError` as `load_gray` does.
    """
    return _load(source, name or source_name(source), lambda image: to_gray(reduced(image)), is_reduced=True)


def load_upright(source: Source, name: str | None = None) -> Image.Image:
    """Load an image in its colors with its Exif orientation applied, to cut lines out of it.

    Returns a Pillow image of mode L, RGB or RGBA. Raises `ImageError` as `load_gray` does.
    """
    return _load(source, name or source_name(source), to_color)[0]


def _load(
    source: Source, name: str, convert: Callable[[Image.Image], Image.Image], is_reduced: bool = False
) -> tuple[Image.Image, tuple[int, int]]:
    try:
        image, data = _opened(source, name)
        if has_more_frames(image):
            warnings.warn(f"{name}: animated or of several pages, only the first is read", ImageWarning, stacklevel=3)
        size = image.size
        if not isinstance(image, ImageFile.ImageFile) or not data:
            return _upright(image, convert(image), size)
        with _memory_for(image, data, name, is_reduced):
            return _upright(image, convert(at_full_depth(image, data)), size)
    except (ImageError, ImageWarning):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # Pillow's limit is above ours
        raise ImageError(_too_large(name, f"its pixels are over the limit of {MAX_PIXELS // 10**6} million")) from error
    except FileNotFoundError as error:
        raise ImageError(f"{name}: there is no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: this is a folder, not an image") from error
    except Exception as error:  # Pillow's readers raise many kinds on corrupt data; this is the boundary of one image
        raise ImageError(f"{name}: not a readable image ({_reason(error)})") from error


def _memory_for(image: ImageFile.ImageFile, data: bytes, name: str, is_reduced: bool) -> AbstractContextManager[object]:
    """Keep the memory for an image that is decoded in a block. Raises `ImageError` if it is too costly to decode."""
    if is_small(image, data):
        return nullcontext()
    size = image.size
    if is_reduced:
        draft(image)
    if reason := excess(image, size, data):
        raise ImageError(_too_large(name, reason))
    return MEMORY.reserved(peak_bytes(image, size))


def _upright(image: Image.Image, converted: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    """Turn a converted image, and its full size, by the Exif orientation of the original."""
    turn = _UPRIGHT.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    return converted if turn is None else converted.transpose(turn), size[::-1] if turn in _SIDEWAYS else size


def source_name(source: Source) -> str:
    """The name of a source in messages: its path, if it has one."""
    if isinstance(source, _Bytes):
        return "the image bytes"
    if isinstance(source, Image.Image | np.ndarray):
        return "the image"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "name", "the open file"))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _opened(source: Source, name: str) -> tuple[Image.Image, bytes]:
    """An image, and the bytes that it is still to be decoded from; none if it is decoded, or somebody else opened it."""
    if isinstance(source, Image.Image):
        if _is_unread_foreign(source):
            raise ImageError(
                f"{name}: {source.format} is a format that crnnocr does not read: give a copy of the image instead"
            )
        _check_size(source, name)
        return source, b""
    if isinstance(source, np.ndarray):
        return _from_array(source, name), b""
    data = _bytes_of(source, name)
    if not data:
        raise ImageError(f"{name}: the file is empty")
    try:
        image = open_image(as_file(data))
    except UnidentifiedImageError as error:
        kind = foreign_kind(data)
        raise ImageError(
            f"{name}: {kind.name} is not read: {kind.fix}" if kind else f"{name}: not a readable image (its format is unknown)"
        ) from error
    _check_size(image, name)
    return image, data


def _bytes_of(source: Source, name: str) -> bytes:
    if isinstance(source, str | os.PathLike):
        return Path(source).read_bytes()
    if isinstance(source, memoryview) and source.ndim > 1:
        raise ImageError(f"{name}: a memoryview of several dimensions is no file: give the array itself")
    read = getattr(source, "read", None)
    if not isinstance(source, _Bytes) and read is None:
        kinds = "a path, bytes, an open file, a Pillow image or an array"
        raise ImageError(f"an image is {kinds}, not {type(source).__name__}")
    data = read() if read else source
    if not isinstance(data, _Bytes):
        raise ImageError(f"{name}: the open file gives {type(data).__name__} in place of bytes: open it in binary mode")
    return bytes(data)


def _is_unread_foreign(image: Image.Image) -> bool:
    """Whether an image's pixels are still to be read from a file, by a reader of Pillow that is not in our list."""
    is_unread = isinstance(image, ImageFile.StubImageFile) or bool(getattr(image, "tile", None))
    return is_unread and getattr(image, "format", None) not in FORMATS


def _from_array(values: NDArray[Any], name: str) -> Image.Image:
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.dtype.kind not in "buif" or not _is_image_shape(values.shape):
        raise ImageError(
            f"{name}: an array must be (H, W) gray, (H, W, 3) RGB or (H, W, 4) RGBA, of numbers, "
            f"not {values.shape} of {values.dtype}"
        )
    if values.size and len(values) * values.shape[1] <= MAX_PIXELS:
        return Image.fromarray(array_to_8_bit(values))
    raise ImageError(_size_error(values.shape[1], len(values), name))


def _is_image_shape(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))


def _check_size(image: Image.Image, name: str) -> None:
    if not 0 < image.width * image.height <= MAX_PIXELS:
        raise ImageError(_size_error(image.width, image.height, name))


def _size_error(width: int, height: int, name: str) -> str:
    if not width * height:
        return f"{name}: the image has no pixels"
    return _too_large(name, f"{width} x {height} pixels are over the limit of {MAX_PIXELS // 10**6} million")


def _too_large(name: str, reason: str) -> str:
    return f"{name}: {reason}: cut the line out first"
