"""From a picture to the line that a model reads: the one preprocessing, the same in training, evaluation and reading.

file, bytes, Pillow image or array → grey picture (`open_grey`, and `turned` if its line is vertical) → line of the model's
height (`to_line`) → batch of floats (`to_batch`).
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from crnnocr.config import MAX_PIXELS, MAX_WIDTH, Invert, Orientation
from crnnocr.errors import ImageError

Line: TypeAlias = NDArray[np.uint8]
"""(H, W) grey values of one line, 0 black to 255 white, at the model's height."""


class Readable(Protocol):
    """An open file, or anything else that gives the bytes of one."""

    def read(self) -> bytes:
        """The bytes of a picture's file."""
        ...


Source: TypeAlias = str | os.PathLike[str] | bytes | Readable | Image.Image | NDArray[Any]
"""What a picture can come from: a path, the bytes of a file, an open file, a Pillow image, or an array ((H, W) grey, (H, W, 3)
RGB).
"""

_LEVELS = np.arange(256, dtype=np.float32) / np.float32(127.5) - np.float32(1)
"""What the network sees of each grey value: -1 for black to 1 for white."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".ppm", ".pbm", ".jp2"})
"""File name endings, in lower case, of what is taken for a picture in a folder."""


_ORIENTATION = 0x0112
"""The Exif tag of how the camera was held."""

_TURNS = {Orientation.VERTICAL: Image.Transpose.ROTATE_90, Orientation.UPWARD: Image.Transpose.ROTATE_270}

_FINER = 2
"""How many times as wide as its line a large picture is kept, at least, for another look at it."""

VERTICAL_FROM = 1.5
"""Height over width from which on a picture is taken for a vertical line, if that is left to its shape."""


class ImageWarning(UserWarning):
    """A picture was read, but not all of it."""


def is_source(value: object) -> bool:
    """Whether a value is one picture, and not several."""
    return isinstance(value, str | os.PathLike | bytes | Image.Image | np.ndarray) or hasattr(value, "read")


@dataclass(frozen=True)
class _Contents:
    """What an open file held."""

    name: str
    data: bytes

    def read(self) -> bytes:
        return self.data


def held(source: Source) -> Source:
    """A picture that stays as it is when its file is closed or its array filled anew; what cannot be taken is given back."""
    if isinstance(source, np.ndarray):
        return source.copy()
    with suppress(Exception):  # opening it will say why
        if isinstance(source, io.IOBase):
            return _Contents(_name(source), source.read())
        if isinstance(source, Image.Image) and source.width * source.height <= MAX_PIXELS:
            source.load()
    return source


def open_grey(source: Source, name: str | None = None) -> Image.Image:
    """Read a picture as a person sees it: EXIF orientation applied, transparency over white, 16 bits scaled to 8.

    Args:
        source: the picture.
        name: what to call it in messages; by default its path.

    Returns:
        Pillow image of mode L.

    Raises:
        ImageError: the picture is missing, corrupt, empty, or over the pixel limit.
    """
    name = name or _name(source)
    try:
        image = _open(source, name)
        _check_size(image, name)
        if getattr(image, "n_frames", 1) > 1:
            warnings.warn(f"{name}: animated or of several pages, only the first is read", ImageWarning, stacklevel=2)
        return _to_grey(ImageOps.exif_transpose(image) if image.getexif().get(_ORIENTATION) else image)
    except (ImageError, ImageWarning):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # Pillow's limit is above ours
        raise ImageError(_too_large(name, "its")) from error
    except FileNotFoundError as error:
        raise ImageError(f"{name}: there is no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: this is a folder, not a picture") from error
    except Exception as error:  # Pillow's readers raise many kinds on corrupt data; this is the boundary of one picture
        raise ImageError(f"{name}: not a readable picture ({_reason(error)})") from error


def pictures_in(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that are files and named like pictures; hidden ones (`.x.png`) are not taken."""
    return [path for path in paths if is_named_like_a_picture(path.name) and path.is_file()]


def is_named_like_a_picture(name: str) -> bool:
    """Whether a file's name ends as a picture's does; hidden ones are not taken."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def turned(grey: Image.Image, orientation: Orientation) -> Image.Image:
    """A picture whose line runs from left to right: vertical ones are turned against the clock, upward ones with it."""
    if orientation is Orientation.AUTO and _is_tall(grey):
        orientation = Orientation.VERTICAL
    turn = _TURNS.get(orientation)
    return grey if turn is None else grey.transpose(turn)


@dataclass(frozen=True)
class Opened:
    """A picture as the line that a model reads."""

    line: Line
    """(H, W) grey values, `min_width` pixels wide or more."""
    width: int
    """Columns of the line that show the picture; what is right of them makes it as wide as a line must be."""
    length: int
    """Pixels of the picture along the line: its width, or where the line runs down, its height."""
    orientation: Orientation
    """Which way its line is taken to run."""
    size: tuple[int, int]
    """Width and height of the picture in pixels, as a person sees it."""
    grey: Image.Image = field(repr=False)
    """The picture with its line from left to right, no larger than another look at it needs."""
    others: tuple[Opened, ...] = ()
    """The same picture with its line running the other ways, where its shape does not tell which is right."""


@dataclass(frozen=True)
class Look:
    """Another scale to look at a picture in."""

    width: float
    """Of the text, as a share of what it is at first."""
    height: float
    """Likewise; where it is below 1, there is paper above and below the picture."""


def open_line(
    source: Source,
    height: int,
    min_width: int,
    orientation: Orientation = Orientation.HORIZONTAL,
    invert: Invert = Invert.NEVER,
    name: str | None = None,
) -> Opened:
    """Read a picture as a line of a model's height.

    Args:
        source: the picture.
        height: of the line.
        min_width: least width of the line in pixels.
        orientation: which way its line runs; with `auto` a tall picture is given all ways.
        invert: whether black and white are exchanged.
        name: what to call it in messages; by default its path.

    Raises `ImageError` as `open_grey` does.
    """
    name = name or _name(source)
    grey = open_grey(source, name)
    if invert is Invert.ALWAYS or (invert is Invert.AUTO and _is_light_on_dark(grey)):
        grey = ImageOps.invert(grey)
    if orientation is not Orientation.AUTO:
        return _opened(grey, height, min_width, orientation, name)
    ways = (Orientation.VERTICAL, Orientation.HORIZONTAL, Orientation.UPWARD) if _is_tall(grey) else (Orientation.HORIZONTAL,)
    first, *others = (_opened(grey, height, min_width, way, name) for way in ways)
    return replace(first, others=tuple(others))


def _opened(grey: Image.Image, height: int, min_width: int, orientation: Orientation, name: str) -> Opened:
    size, grey = grey.size, turned(grey, orientation)
    width = min(MAX_WIDTH, max(1, round(grey.width * height / grey.height)))
    line = to_line(grey, height, min_width, name)
    finer = (max(1, grey.width // (_FINER * width)), max(1, grey.height // height))
    return Opened(line, width, grey.width, orientation, size, grey if finer == (1, 1) else grey.reduce(finer))


def looked_at(opened: Opened, look: Look, min_width: int) -> Opened:
    """A picture as another line that a model may read, of the same height and at least `min_width` wide."""
    height = opened.line.shape[0]
    rows, width = round(look.height * height), min(MAX_WIDTH, max(1, round(look.width * opened.width)))
    text = np.asarray(opened.grey.resize((width, rows), Image.Resampling.BICUBIC))
    line = np.full((height, max(width, min_width)), np.median(text).astype(np.uint8))
    top = (height - rows) // 2
    line[top : top + rows, :width] = text
    return replace(opened, line=line, width=width, others=())


def _is_light_on_dark(grey: Image.Image) -> bool:
    """Whether what stands at the edges, which is mostly paper, is darker than the picture as a whole."""
    pixels = np.asarray(grey)
    edges = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    return bool(np.median(edges) < pixels.mean())


def _is_tall(grey: Image.Image) -> bool:
    return grey.height >= VERTICAL_FROM * grey.width


def to_line(grey: Image.Image, height: int, min_width: int, name: str = "the picture") -> Line:
    """Bring a grey picture to a model's height, its aspect ratio kept.

    A line that is narrower than `min_width` pixels after that is continued to the right with its last column; one that is
    wider than `MAX_WIDTH` is squeezed to it, with a warning that gives the picture's `name`.
    """
    width = max(1, round(grey.width * height / grey.height))
    if width > MAX_WIDTH:
        message = f"{name}: a line of {width} pixels at the model's height is squeezed to {MAX_WIDTH}: cut it into parts"
        warnings.warn(message, ImageWarning, stacklevel=2)
        width = MAX_WIDTH
    line = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR))
    return line if width >= min_width else np.pad(line, ((0, 0), (0, min_width - width)), mode="edge")


def to_batch(lines: Sequence[Line]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Put lines of one height side by side.

    Returns:
        images: (N, 1, H, W) grey values from -1 (black) to 1 (white), each line at the left edge, zero right of it.
        widths: (N,) width of each line in pixels.
    """
    widths = np.array([line.shape[1] for line in lines], dtype=np.int64)
    images = np.zeros((len(lines), 1, lines[0].shape[0], int(widths.max())), dtype=np.float32)
    for image, line in zip(images, lines, strict=True):
        np.take(_LEVELS, line, out=image[0, :, : line.shape[1]])
    return images, widths


def _name(source: Source) -> str:
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
        if source.dtype not in (np.uint8, np.uint16, np.bool_) or not _is_picture(source.shape):
            raise ImageError(
                f"{name}: an array must be (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, of uint8, uint16 or bool, "
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
        raise ImageError(f"a picture is a path, bytes, an open file, a Pillow image or an array, not {type(source).__name__}")
    if not data:
        raise ImageError(f"{name}: the file is empty")
    return Image.open(io.BytesIO(data))


def _is_picture(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_too_large(name, f"{image.width} x {image.height}"))
    if not image.width * image.height:
        raise ImageError(f"{name}: the picture has no pixels")


def _too_large(name: str, size: str) -> str:
    return f"{name}: {size} pixels are over the limit of {MAX_PIXELS // 10**6} million: cut the line out first"


def _to_grey(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        return _scaled(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image.convert("L")


def _scaled(image: Image.Image) -> Image.Image:
    """A picture of more than 8 bits a pixel, its 16-bit range (or, for fractions, 0 to 1) brought to 0…255."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    top = 65535.0 if image.mode != "F" else 1.0 if values.max(initial=0) <= 1 else 255.0
    return Image.fromarray(np.round(np.clip(values / top, 0, 1) * 255).astype(np.uint8))
