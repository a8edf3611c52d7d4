"""Lines cut out of pages: where labels say in which part of an image their text stands."""

from __future__ import annotations

import io
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnnocr import images
from crnnocr.errors import ImageError

Point: TypeAlias = tuple[float, float]

_CACHED_PIXELS = 2 * 10**7
"""Pixels of the pages that are kept, besides the last one."""
_BOX_COLUMNS = (
    *(
        ("xmin", "ymin", "xmax", "ymax"),
        ("x1", "y1", "x2", "y2"),
        ("left", "top", "right", "bottom"),
        ("xtl", "ytl", "xbr", "ybr"),
    ),
    *(("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height")),
)
"""Names of the columns of a box: two corners, or one and the size."""
_NOT_ALPHANUMERIC = re.compile("[^a-z0-9]")
_UPRIGHT = 0.02
"""A quadrilateral is an upright box if no side is further off, as a fraction of its height: none is warped for less."""


@dataclass(frozen=True, slots=True)
class Region:
    """The part of an image in which a text stands: a box, or four corners of one that is turned or seen aslant."""

    corners: tuple[Point, Point, Point, Point]
    """From the top left of the text clockwise: x and y in pixels of the image as a person sees it."""
    is_relative: bool = False
    """Whether they are fractions of the image's width and height instead."""

    def __str__(self) -> str:
        """A fragment as the W3C's Media Fragments have it, of the upright box around."""
        xs, ys = zip(*self.corners, strict=True)
        scale, unit = (100, "percent:") if self.is_relative else (1, "")
        values = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
        return f"xywh={unit}{','.join(f'{scale * value:.4g}' if unit else f'{value:.0f}' for value in values)}"

    def to_text(self) -> str:
        """Return the region as a cell of a table: the corners, `x,y x,y x,y x,y`, after `share:` if they are fractions."""
        numbers = (f"{x!r},{y!r}" for x, y in self.corners)
        return "share:" * self.is_relative + " ".join(numbers).replace(".0,", ",").replace(".0 ", " ").removesuffix(".0")

    def scaled(self, x: float, y: float, is_relative: bool) -> Region:
        """Return the region with its corners multiplied, and their new unit."""
        first, second, third, fourth = ((x * left, y * top) for left, top in self.corners)
        return Region((first, second, third, fourth), is_relative)


def box(left: float, top: float, right: float, bottom: float, is_relative: bool = False) -> Region | None:
    """Return the region of an upright box; None if it is empty."""
    left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
    return quadrilateral([(left, top), (right, top), (right, bottom), (left, bottom)], is_relative)


def rotated(anchor: Point, width: float, height: float, degrees: float, about_corner: bool = False) -> Region | None:
    """Return the region of a box turned clockwise about its center, or its top left corner; None if it is empty."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    left, top = (0.0, 0.0) if about_corner else (-width / 2, -height / 2)
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    return quadrilateral([(anchor[0] + x * cos - y * sin, anchor[1] + x * sin + y * cos) for x, y in corners])


def polygon(points: Sequence[Point], is_relative: bool = False) -> Region | None:
    """Return the region of a polygon; None if it has no area. One of other than four corners becomes the upright box around."""
    if len(points) == 4:
        return quadrilateral(points, is_relative)
    if len(points) < 2:
        return None
    xs, ys = zip(*points, strict=True)
    return box(min(xs), min(ys), max(xs), max(ys), is_relative)


def quadrilateral(points: Sequence[Point], is_relative: bool = False) -> Region | None:
    """Return the region of four corners, the first at the top left of the text; None if it has no finite area."""
    if not all(math.isfinite(value) for point in points for value in point):
        return None
    area = sum(x * after[1] - after[0] * y for (x, y), after in zip(points, [*points[1:], points[0]], strict=True)) / 2
    if not area:
        return None
    exact = [(float(x), float(y)) for x, y in points]
    first, second, third, fourth = exact if area > 0 else (exact[0], exact[3], exact[2], exact[1])
    return Region((first, second, third, fourth), is_relative)


def parse(text: object) -> Region | None:
    """Return the region that `Region.to_text` wrote; None for anything else."""
    if not isinstance(text, str) or not text:
        return None
    try:
        unit, _, rest = text.rpartition(":")
        return quadrilateral(points_of(numbers(re.split("[ ,]", rest))), is_relative=unit == "share")
    except (ValueError, IndexError):
        return None


def of_columns(values: Mapping[str, object]) -> Region | None:
    """Return the box in pixels that columns such as `xmin` or `left` and `width` of a row hold; None if there is none."""
    names = {_NOT_ALPHANUMERIC.sub("", key.lower()): value for key, value in values.items()}
    for keys in _BOX_COLUMNS:
        if names.keys() >= set(keys):
            try:
                left, top, right, bottom = numbers(names[key] for key in keys)
            except ValueError:
                return None
            if keys[2].endswith(("w", "width")):
                right, bottom = left + right, top + bottom
            return box(left, top, right, bottom) if max(right, bottom) > 1 else None
    return None


def of_numbers(values: Iterable[object]) -> Region | None:
    """Return the region of left, top, right, bottom, or of points; None if it is empty. Raises `ValueError` for all else."""
    found = numbers(values)
    if len(found) == 4:
        left, top, right, bottom = found
        return box(left, top, right, bottom)
    return polygon(points_of(found))


def numbers(values: Iterable[object]) -> list[float]:
    """Return values that are numbers, or texts of numbers. Raises `ValueError` if one is not."""
    found: list[float] = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{value!r} is not a number")
        found.append(number(value))
    return found


def number(value: Any) -> float:
    """Return `float(value)`. Raises `ValueError` also if it is too large, and `TypeError` if it is of another type."""
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{value} is too large") from error


def points_of(values: Sequence[float]) -> list[Point]:
    """Return `x, y, x, y, …` as points. Raises `ValueError` if one has no y."""
    return list(zip(values[::2], values[1::2], strict=True))


def read(key: Hashable, name: str, load: Callable[[], bytes], region: Region) -> bytes:
    """Return the image file of a region, cut out of an image without resampling if it is an upright box. Thread-safe.

    Args:
        key: of the image among those that are kept, decoded, for the next region.
        name: of the region, for messages.
        load: gives the bytes of the image file.
        region: the part to cut out; what is outside the image is left out.

    Raises:
        ImageError: the image cannot be read, or nothing of the region is in it.
    """
    crop = cut(_pages.get(key, name, load), region)
    if crop is None:
        raise ImageError(f"{name}: the box is not in the image")
    file = io.BytesIO()
    crop.save(file, "TIFF" if crop.mode == "RGBA" else "PPM")  # without compression, so that the same pixels are the same bytes
    return file.getvalue()


def page_size(key: Hashable, name: str, load: Callable[[], bytes]) -> tuple[int, int]:
    """Return width and height of an image, with arguments as `read` has. Raises `ImageError` if it cannot be read."""
    return _pages.get(key, name, load).size


def cut(page: Image.Image, region: Region) -> Image.Image | None:
    """Return a part of an image, turned upright if it is a slanted quadrilateral; None if nothing of it is in the image."""
    if region.is_relative:
        region = region.scaled(page.width, page.height, is_relative=False)
    corners = np.clip(np.array(region.corners), 0, page.size)
    across = (math.dist(corners[0], corners[1]) + math.dist(corners[3], corners[2])) / 2
    down = (math.dist(corners[0], corners[3]) + math.dist(corners[1], corners[2])) / 2
    if _is_upright(corners, down):
        left, top = np.floor(corners.min(axis=0) + 0.5).astype(int)
        right, bottom = np.floor(corners.max(axis=0) + 0.5).astype(int)
        return page.crop((left, top, right, bottom)) if right > left and bottom > top else None
    size = max(1, round(across)), max(1, round(down))
    if min(across, down) < 1:
        return None
    return page.transform(size, Image.Transform.PERSPECTIVE, _perspective(size, corners), Image.Resampling.BICUBIC)


def _is_upright(corners: NDArray[np.float64], height: float) -> bool:
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    upright = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return bool(np.abs(corners - upright).max() <= max(0.5, _UPRIGHT * height))


def _perspective(size: tuple[int, int], corners: NDArray[np.float64]) -> list[float]:
    """The coefficients of Pillow's perspective transform that brings four corners to those of an image of a size."""
    width, height = size
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip([(0, 0), (width, 0), (width, height), (0, height)], corners.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    return [float(value) for value in np.linalg.lstsq(np.array(rows), corners.ravel(), rcond=None)[0]]


class _Pages:
    """The pages that were decoded last, so that each is decoded once for all regions that follow one another."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pages: OrderedDict[Hashable, Image.Image] = OrderedDict()

    def get(self, key: Hashable, name: str, load: Callable[[], bytes]) -> Image.Image:
        with self._lock:
            if key in self._pages:
                self._pages.move_to_end(key)
                return self._pages[key]
            page = images.load_upright(load(), name)
            self._pages[key] = page
            while len(self._pages) > 1 and sum(each.width * each.height for each in self._pages.values()) > _CACHED_PIXELS:
                self._pages.popitem(last=False)
            return page


_pages = _Pages()
