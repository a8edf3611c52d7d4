"""From a gray image to the line that a model reads: the one preprocessing of training, evaluation, prediction and export.

A source (file, bytes, Pillow image, array) becomes a gray image (`loading`), that one a line of the model's height
(`Preprocessor`), and lines become a batch of floats (`to_batch`).
"""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from crnnocr.config import MAX_WIDTH, Invert, ModelConfig, Orientation
from crnnocr.images.contrast import stretched
from crnnocr.images.ink import Ink, find, trimmed
from crnnocr.images.loading import ImageWarning, Source, load_reduced, source_name
from crnnocr.images.rows import joined

Line: TypeAlias = NDArray[np.uint8]
"""(H, W) gray values of one line, 0 black to 255 white, at the model's height."""

VERTICAL_FROM = 1.5
"""Height over width from which on an image is taken for a vertical line if its orientation is `auto`."""

_TURNS = {
    Orientation.VERTICAL: Image.Transpose.ROTATE_90,
    Orientation.UPWARD: Image.Transpose.ROTATE_270,
    Orientation.UPSIDE_DOWN: Image.Transpose.ROTATE_180,
}

_SMALL = 1.5
"""Height of an image relative to that of its text with some paper around it, from which on the text is small."""

_DETAIL = 2
"""A large image keeps at least this many times the width of its line for further views."""

_LONG = 8192
"""Width of lines of which no more is kept than they have: hundreds of them are kept at a time."""

_LEVELS = np.arange(256, dtype=np.float32) / np.float32(127.5) - np.float32(1)
"""Input of the network for each gray value: -1 for black to 1 for white."""


@dataclass(frozen=True)
class View:
    """One way to see an image as a line: how it is turned, and at what scale its text stands."""

    orientation: Orientation = Orientation.HORIZONTAL
    """Which way the line is taken to run in the image; not `auto`."""
    width: float = 1.0
    """Width of the text, relative to that at the model's height with the aspect ratio kept."""
    height: float = 1.0
    """Height of the text, relative to the line's; below 1 there is background above and below it."""
    is_closer: bool = False
    """Whether the text is seen without the paper, rules and frame around it, and faint text with the contrast of print."""

    rows: int = 1
    """Rows of text, which are put one after the other."""

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
    """Pixels of the image along the line that are seen: its width, or its height if the line runs down or up."""
    view: View
    """How the image is seen."""
    size: tuple[int, int]
    """Width and height of the image in pixels, upright by its Exif tag."""
    gray: Image.Image = field(repr=False)
    """The part of it that is recognized, turned so that its line runs from left to right."""
    start: int = 0
    """Pixels of the image along the line before this part."""
    ink: Ink | None = None
    """Where its text is, if that was looked for."""
    closer: LineImage | None = None
    """The same text without the paper, rules and frame around it and with more contrast, if that makes a difference."""
    is_small: bool = False
    """Whether the text is so small in the image that without a closer view its prediction is hardly more than a guess."""
    is_faint: bool = False
    """Whether ink and paper hardly differ, so that what is seen closer may be noise."""

    @property
    def nbytes(self) -> int:
        """Bytes that its pixels take, with those of its closer view."""
        return self.line.nbytes + self.gray.width * self.gray.height + (self.closer.nbytes if self.closer else 0)


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
    rows: int = 1
    """Rows of text in the images: with 2, they are put one after the other."""

    @classmethod
    def for_model(
        cls,
        config: ModelConfig,
        orientation: Orientation = Orientation.HORIZONTAL,
        invert: Invert = Invert.NEVER,
        rows: int = 1,
    ) -> Preprocessor:
        """The preprocessor of a model."""
        return cls(config.height, config.min_width, orientation, invert, rows)

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
        name = name or source_name(source)
        gray, size = self._load(source, name)
        view = view or View(self._orientations(gray)[0])
        image = self._plain(gray, view.orientation, name)
        if view.is_closer:
            image = self._examined(image, name).closer or image
        return _at_full_size(self.rescaled(_shrunk(image), view) if view.is_scaled else image, size)

    def views(self, source: Source, name: str | None = None) -> list[LineImage]:
        """The views of an image at its own scale: with `auto`, a tall image is seen turned both ways and upright.

        It is known of each where its ink is. Of the image no more is kept than `rescaled` needs. Raises `ImageError` as `view`
        does.
        """
        name = name or source_name(source)
        gray, size = self._load(source, name)
        plain = [self._plain(gray, orientation, name) for orientation in self._orientations(gray)]
        return [_at_full_size(_shrunk(self._examined(image, name)), size) for image in plain]

    def rescaled(self, image: LineImage, scale: View) -> LineImage:
        """See an image in its orientation at another scale (for test-time augmentation).

        Args:
            image: the image at its own scale.
            scale: gives width and height of the text. Space around it gets the image's median gray value.
        """
        rows, width = round(scale.height * self.height), _limited(round(scale.width * image.width))
        text = image.gray.resize((width, rows), Image.Resampling.BICUBIC)
        line = np.full((self.height, max(width, self.min_width)), _median(text), np.uint8)
        top = (self.height - rows) // 2
        line[top : top + rows, :width] = np.asarray(text)
        view = replace(image.view, width=scale.width, height=scale.height)
        return replace(image, line=line, width=width, view=view)

    def upside_down(self, image: LineImage) -> LineImage:
        """See an image that was taken for horizontal turned by half."""
        line = np.pad(image.line[::-1, image.width - 1 :: -1], ((0, 0), (0, image.line.shape[1] - image.width)), mode="edge")
        return replace(
            image,
            line=line,
            view=replace(image.view, orientation=Orientation.UPSIDE_DOWN),
            gray=image.gray.transpose(Image.Transpose.ROTATE_180),
            start=image.size[0] - image.start - image.length,
            closer=image.closer and self.upside_down(image.closer),
        )

    def _load(self, source: Source, name: str) -> tuple[Image.Image, tuple[int, int]]:
        """The gray image, a large one at a reduced size, and its full size."""
        gray, size = load_reduced(source, name)
        if self.invert is Invert.ALWAYS or (self.invert is Invert.AUTO and _is_light_on_dark(gray)):
            return ImageOps.invert(gray), size
        return gray, size

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
        view = View(orientation, rows=self.rows)
        return self._line(seen(gray, view), view, gray.size, name)

    def _line(self, gray: Image.Image, view: View, size: tuple[int, int], name: str) -> LineImage:
        natural = round(gray.width * self.height / gray.height)
        width = _limited(natural)
        if natural > MAX_WIDTH:
            message = f"{name}: a line of {natural} pixels at the model's height is squeezed to {MAX_WIDTH}: cut it into parts"
            warnings.warn(message, ImageWarning, stacklevel=5)
        line = np.asarray(gray.resize((width, self.height), Image.Resampling.BILINEAR))
        if width < self.min_width:
            line = np.pad(line, ((0, 0), (0, self.min_width - width)), mode="edge")
        return LineImage(line, width, gray.width, view, size, gray)

    def _examined(self, image: LineImage, name: str) -> LineImage:
        """The same with its ink, and a closer view if the text fills little of the image, has rules around it or is faint."""
        strong = stretched(image.gray)
        gray = strong or image.gray
        found = find(gray)
        cut = None if found.has_several_lines else trimmed(gray, found)
        text, start = cut or (strong, 0)
        if text is None:
            return replace(image, ink=found)
        view = replace(image.view, is_closer=True)
        closer = _shrunk(replace(self._line(text, view, image.size, name), start=start, ink=found))
        is_small = image.gray.height > _SMALL * text.height
        return replace(image, ink=found, closer=closer, is_small=is_small, is_faint=strong is not None)


def _at_full_size(image: LineImage, size: tuple[int, int]) -> LineImage:
    """The same view of an image that was reduced from `size`, with places in its full size."""
    if image.size == size:
        return image
    side = image.view.orientation in (Orientation.VERTICAL, Orientation.UPWARD)
    factor = size[side] / image.size[side]
    closer = image.closer and _at_full_size(image.closer, size)
    length, start = round(image.length * factor), round(image.start * factor)
    return replace(image, length=length, size=size, start=start, closer=closer)


def _median(gray: Image.Image) -> int:
    """The median gray value, of an even number of pixels the lower one."""
    counts = list(accumulate(gray.histogram()))
    return bisect_left(counts, (counts[-1] + 1) // 2)


def _limited(width: int) -> int:
    return min(MAX_WIDTH, max(1, width))


def _shrunk(image: LineImage) -> LineImage:
    """The same view with a copy of the image that is no larger than other scales need."""
    detail = _DETAIL if image.width <= _LONG else 1
    factors = (max(1, image.gray.width // (detail * image.width)), max(1, image.gray.height // image.line.shape[0]))
    return image if factors == (1, 1) else replace(image, gray=image.gray.reduce(factors))


def _is_light_on_dark(gray: Image.Image) -> bool:
    """Whether the edges, which are mostly background, are darker than the image as a whole."""
    pixels = np.asarray(gray)
    edges = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    return bool(np.median(edges) < pixels.mean())


def _is_tall(gray: Image.Image) -> bool:
    return gray.height >= VERTICAL_FROM * gray.width


def turned(gray: Image.Image, orientation: Orientation) -> Image.Image:
    """Turn an image so that its line runs from left to right: counter-clockwise if it runs down, clockwise if it runs up, and
    by half if it is upside down.

    With `auto`, the line of a tall image runs down.
    """
    if orientation is Orientation.AUTO and _is_tall(gray):
        orientation = Orientation.VERTICAL
    turn = _TURNS.get(orientation)
    return gray if turn is None else gray.transpose(turn)


def seen(gray: Image.Image, view: View) -> Image.Image:
    """The image that the line of a view is made of: turned, and of two rows of text one line."""
    upright = turned(gray, view.orientation)
    return joined(upright) if view.rows > 1 else upright


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
