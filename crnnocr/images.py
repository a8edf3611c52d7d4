"""From an image to the line that a model reads: the one preprocessing of training, evaluation, prediction and export.

A source (file, bytes, Pillow image, array) becomes a gray image (`load_gray`), that one a line of the model's height
(`Preprocessor`), and lines become a batch of floats (`to_batch`).
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

from crnnocr.config import MAX_PIXELS, MAX_WIDTH, Invert, ModelConfig, Orientation
from crnnocr.errors import ImageError

Line: TypeAlias = NDArray[np.uint8]
"""(H, W) gray values of one line, 0 black to 255 white, at the model's height."""


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

VERTICAL_FROM = 1.5
"""Height over width from which on an image is taken for a vertical line if its orientation is `auto`."""

_EXIF_ORIENTATION = 0x0112

_TURNS = {Orientation.VERTICAL: Image.Transpose.ROTATE_90, Orientation.UPWARD: Image.Transpose.ROTATE_270}

_DETAIL = 2
"""A large image keeps at least this many times the width of its line for further views."""

_LEVELS = np.arange(256, dtype=np.float32) / np.float32(127.5) - np.float32(1)
"""Input of the network for each gray value: -1 for black to 1 for white."""


class ImageWarning(UserWarning):
    """An image was read, but not all of it."""


@dataclass(frozen=True)
class View:
    """One way to see an image as a line: how it is turned, and at what scale its text stands."""

    orientation: Orientation = Orientation.HORIZONTAL
    """Which way the line is taken to run in the image; not `auto`."""
    width: float = 1.0
    """Width of the text, relative to that at the model's height with the aspect ratio kept."""
    height: float = 1.0
    """Height of the text, relative to the line's; below 1 there is background above and below it."""

    @property
    def is_scaled(self) -> bool:
        """Whether the text has another width or height than it has by its aspect ratio."""
        return (self.width, self.height) != (1.0, 1.0)


@dataclass(frozen=True)
class LineImage:
    """An image in one view: the line that the model reads, and how it lies in the image."""

    line: Line
    """(H, W) gray values, W at least the model's least width."""
    width: int
    """Columns of the line that show the image; what is right of them is padding."""
    length: int
    """Pixels of the image along the line: its width, or its height if the line runs down or up."""
    view: View
    """How the image is seen."""
    size: tuple[int, int]
    """Width and height of the image in pixels, upright by its Exif tag."""
    gray: Image.Image = field(repr=False)
    """The image turned so that its line runs from left to right."""


@dataclass(frozen=True)
class Preprocessor:
    """Makes lines of a model's height from images, the same ones for every command."""

    height: int
    """Height of the lines in pixels."""
    min_width: int
    """Least width of the lines in pixels."""
    orientation: Orientation = Orientation.HORIZONTAL
    """Which way lines run in the images. With `auto`, a tall image is first of all a vertical line."""
    invert: Invert = Invert.NEVER
    """Whether black and white are exchanged."""

    @classmethod
    def for_model(
        cls, config: ModelConfig, orientation: Orientation = Orientation.HORIZONTAL, invert: Invert = Invert.NEVER
    ) -> Preprocessor:
        """The preprocessor of a model."""
        return cls(config.height, config.min_width, orientation, invert)

    def line(self, source: Source, name: str | None = None) -> Line:
        """The line of an image in its first view. Raises as `view` does."""
        return self.view(source, name=name).line

    def view(self, source: Source, view: View | None = None, name: str | None = None) -> LineImage:
        """Load an image and see it in one view.

        Args:
            source: the image.
            view: how to see it; by default the first of its views.
            name: what to call it in messages; by default its path.

        Raises:
            ImageError: the image is missing, corrupt, empty, or over the pixel limit.
        """
        name = name or _name(source)
        gray = self._load(source, name)
        view = view or View(self._orientations(gray)[0])
        plain = self._plain(gray, view.orientation, name)
        return self.rescaled(_shrunk(plain), view) if view.is_scaled else plain

    def views(self, source: Source, name: str | None = None) -> list[LineImage]:
        """The views of an image at its own scale: with `auto`, a tall image is seen turned both ways and upright.

        Of the image no more is kept than `rescaled` needs. Raises `ImageError` as `view` does.
        """
        name = name or _name(source)
        gray = self._load(source, name)
        return [_shrunk(self._plain(gray, orientation, name)) for orientation in self._orientations(gray)]

    def rescaled(self, image: LineImage, scale: View) -> LineImage:
        """See an image in its orientation at another scale (for test-time augmentation).

        Args:
            image: the image at its own scale.
            scale: gives width and height of the text. Space around it gets the image's median gray value.
        """
        rows, width = round(scale.height * self.height), _limited(round(scale.width * image.width))
        text = np.asarray(image.gray.resize((width, rows), Image.Resampling.BICUBIC))
        line = np.full((self.height, max(width, self.min_width)), np.median(text).astype(np.uint8))
        top = (self.height - rows) // 2
        line[top : top + rows, :width] = text
        return replace(image, line=line, width=width, view=replace(scale, orientation=image.view.orientation))

    def _load(self, source: Source, name: str) -> Image.Image:
        gray = load_gray(source, name)
        if self.invert is Invert.ALWAYS or (self.invert is Invert.AUTO and _is_light_on_dark(gray)):
            return ImageOps.invert(gray)
        return gray

    def _orientations(self, gray: Image.Image) -> tuple[Orientation, ...]:
        if self.orientation is not Orientation.AUTO:
            return (self.orientation,)
        if _is_tall(gray):
            return Orientation.VERTICAL, Orientation.HORIZONTAL, Orientation.UPWARD
        return (Orientation.HORIZONTAL,)

    def _plain(self, gray: Image.Image, orientation: Orientation, name: str) -> LineImage:
        """An image at the model's height, its aspect ratio kept.

        A line that is too narrow is continued to the right with its last column; one that is wider than `MAX_WIDTH` is squeezed
        to it, with a warning.
        """
        size, gray = gray.size, turned(gray, orientation)
        natural = round(gray.width * self.height / gray.height)
        width = _limited(natural)
        if natural > MAX_WIDTH:
            message = f"{name}: a line of {natural} pixels at the model's height is squeezed to {MAX_WIDTH}: cut it into parts"
            warnings.warn(message, ImageWarning, stacklevel=4)
        line = np.asarray(gray.resize((width, self.height), Image.Resampling.BILINEAR))
        if width < self.min_width:
            line = np.pad(line, ((0, 0), (0, self.min_width - width)), mode="edge")
        return LineImage(line, width, gray.width, View(orientation), size, gray)


def _limited(width: int) -> int:
    return min(MAX_WIDTH, max(1, width))


def _shrunk(image: LineImage) -> LineImage:
    """The same view with a copy of the image that is no larger than other scales need."""
    factors = (max(1, image.gray.width // (_DETAIL * image.width)), max(1, image.gray.height // image.line.shape[0]))
    return image if factors == (1, 1) else replace(image, gray=image.gray.reduce(factors))


def _is_light_on_dark(gray: Image.Image) -> bool:
    """Whether the edges, which are mostly background, are darker than the image as a whole."""
    pixels = np.asarray(gray)
    edges = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    return bool(np.median(edges) < pixels.mean())


def _is_tall(gray: Image.Image) -> bool:
    return gray.height >= VERTICAL_FROM * gray.width


def turned(gray: Image.Image, orientation: Orientation) -> Image.Image:
    """Turn an image so that its line runs from left to right: counter-clockwise if it runs down, clockwise if it runs up.

    With `auto`, a tall image is taken for one whose line runs down.
    """
    if orientation is Orientation.AUTO and _is_tall(gray):
        orientation = Orientation.VERTICAL
    turn = _TURNS.get(orientation)
    return gray if turn is None else gray.transpose(turn)


def to_batch(lines: Sequence[Line]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Put lines of one height side by side.

    Returns:
        images: (N, 1, H, W) gray values from -1 (black) to 1 (white), each line at the left edge, zero right of it.
        widths: (N,) width of each line in pixels.
    """
    widths = np.array([line.shape[1] for line in lines], dtype=np.int64)
    images = np.zeros((len(lines), 1, lines[0].shape[0], int(widths.max())), dtype=np.float32)
    for image, line in zip(images, lines, strict=True):
        np.take(_LEVELS, line, out=image[0, :, : line.shape[1]])
    return images, widths


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
            return _Snapshot(_name(source), source.read())
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
    name = name or _name(source)
    try:
        image = _open(source, name)
        _check_size(image, name)
        if getattr(image, "n_frames", 1) > 1:
            warnings.warn(f"{name}: animated or of several pages, only the first is read", ImageWarning, stacklevel=2)
        return _to_gray(ImageOps.exif_transpose(image) if image.getexif().get(_EXIF_ORIENTATION) else image)
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


def _to_gray(image: Image.Image) -> Image.Image:
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
