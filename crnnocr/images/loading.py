"""From a source to a gray image: files, bytes, Pillow images and arrays, as a person sees them."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from crnnocr.config import MAX_PIXELS
from crnnocr.errors import ImageError
from crnnocr.images.gray import to_gray


class Readable(Protocol):
    """An open file, or anything else that gives the bytes of one."""

    def read(self) -> bytes:
        """The encoded bytes of an image."""
        ...


Source: TypeAlias = str | os.PathLike[str] | bytes | Readable | Image.Image | NDArray[Any]
"""Where an image comes from: a path, the bytes of a file, an open file, a Pillow image, or an array ((H, W) gray,
(H, W, 3) RGB, (H, W, 4) RGBA).
"""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".ppm", ".pbm", ".jp2"})
"""File name endings, in lower case, of the images that are looked for in a folder."""

_EXIF_ORIENTATION = 0x0112


class ImageWarning(UserWarning):
    """An image was read, but not all of it."""


def image_files(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that are files with an image's name."""
    return [path for path in paths if is_image_name(path.name) and path.is_file()]


def is_image_name(name: str) -> bool:
    """Whether a file's name ends as an image's does; hidden files (`.x.png`) do not count."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def is_source(value: object) -> bool:
    """Whether a value is one image rather than several."""
    return isinstance(value, str | os.PathLike | bytes | Image.Image | np.ndarray) or hasattr(value, "read")


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
    with suppress(Exception):
        if isinstance(source, io.IOBase):
            return _Snapshot(source_name(source), source.read())
        if isinstance(source, Image.Image) and source.width * source.height <= MAX_PIXELS:
            source.load()
    return source


def load_gray(source: Source, name: str | None = None) -> Image.Image:
    """Load an image as a person sees it: Exif orientation applied, transparency over white, 16 bits scaled to 8.

    Args:
        source: the image.
        name: what to call it in messages; by default its path.

    Returns:
        Pillow image of mode L.

    Raises:
        ImageError: the image is missing, corrupt, empty, or over the pixel limit.
    """
    name = name or source_name(source)
    try:
        image = _open(source, name)
        _check_size(image, name)
        if getattr(image, "n_frames", 1) > 1:
            warnings.warn(f"{name}: animated or of several pages, only the first is read", ImageWarning, stacklevel=2)
        return to_gray(ImageOps.exif_transpose(image) if image.getexif().get(_EXIF_ORIENTATION) else image)
    except (ImageError, ImageWarning):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # Pillow's limit is above ours
        raise ImageError(_too_large(name, "its")) from error
    except FileNotFoundError as error:
        raise ImageError(f"{name}: there is no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: this is a folder, not an image") from error
    except Exception as error:  # Pillow's readers raise many kinds on corrupt data; this is the boundary of one image
        raise ImageError(f"{name}: not a readable image ({_reason(error)})") from error


def source_name(source: Source) -> str:
    """The name of a source in messages: its path, if it has one."""
    if isinstance(source, bytes):
        return "the image bytes"
    if isinstance(source, Image.Image | np.ndarray):
        return "the image"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "name", "the open file"))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its format is unknown"
    return str(error) or type(error).__name__


def _open(source: Source, name: str) -> Image.Image:
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, np.ndarray):
        if source.dtype not in (np.uint8, np.uint16, np.bool_) or not _is_image_shape(source.shape):
            raise ImageError(
                f"{name}: an array must be (H, W) gray, (H, W, 3) RGB or (H, W, 4) RGBA, of uint8, uint16 or bool, "
                f"not {source.shape} of {source.dtype}"
            )
        return Image.fromarray(source)
    if isinstance(source, str | os.PathLike):
        data = Path(source).read_bytes()
    elif isinstance(source, bytes):
        data = source
    elif hasattr(source, "read"):
        data = source.read()
    else:
        raise ImageError(f"an image is a path, bytes, an open file, a Pillow image or an array, not {type(source).__name__}")
    if not data:
        raise ImageError(f"{name}: the file is empty")
    return Image.open(io.BytesIO(data))


def _is_image_shape(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_too_large(name, f"{image.width} x {image.height}"))
    if not image.width * image.height:
        raise ImageError(f"{name}: the image has no pixels")


def _too_large(name: str, size: str) -> str:
    return f"{name}: {size} pixels are over the limit of {MAX_PIXELS // 10**6} million: cut the line out first"
