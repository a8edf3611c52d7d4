"""Where the ink of an image is: what of it is text, rules and frames, and how many rows of text there are.

All of it is measured on a reduced copy, in which ink is what lies on the other side of a threshold (Otsu 1979) than the paper.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Box: TypeAlias = tuple[int, int, int, int]
"""Left, upper, right and lower edge in pixels."""

Mask: TypeAlias = NDArray[np.bool_]

_MAX_PIXELS = 2**16
"""Of the copy that is examined."""

_MOMENTS = np.arange(256, dtype=np.float64) ** np.arange(3)[:, None]
"""Gray values to the power of 0, 1 and 2."""

_GRID = 16
"""Cells across and down in which a gradient is measured."""

_SEPARABLE = 0.75
"""Share of the variance that lies between ink and paper from which on there is ink. Of normal noise it is 2 / π = 0.64."""

_CONTRAST = 6.0
"""Gray values between ink and paper, at least."""

_OUTLYING = 9.0
"""Deviations of the noise between paper and a little ink, at least."""

_CLEAR = 0.8
"""Share from which on a gradient in the paper does not matter."""

_LOOSE = 0.8
"""Share of the image's height that a trimmed text has at most."""

_MARGIN = 0.25
"""Paper around a trimmed text, relative to its height."""

_RULE = 0.85
"""Share of the ink's extent that a rule covers at least."""

_SPARSE = 0.15
"""Ink of a row between two rows of text, relative to a full one, at most."""

_MIN_BAND = 0.6
"""Height of a row of text relative to the highest one, at least: marks and dots above or below a line are smaller."""

_SMALL_BAND, _MANY = 0.25, 5
"""The same of one that has so many glyphs that it is small print beside a title, and how many."""

_COVERED = (0.4, 0.55)
"""Share of the ink's height that rows of text cover together, at least: with bare rows between them, and without."""

_COVERED_PAGE = 0.25
"""The same for more than three rows."""

_FILLED = 0.74
"""Share of the area of its glyphs that is ink in a row of text, at most."""

_BARE = 0.03
"""Ink of a row of paper, relative to a full one, at most."""

_PART = 4
"""Width of a part in which rows are looked for, relative to the ink's height."""

_MIN_ROW = 3
"""Height of a row of text in the copy, at least."""

_GAP = (0.12, 2.5)
"""Paper between two rows of text, relative to the height of the higher one: at least and at most."""

_SMALL_GAP = 0.2
"""The least where one of them is small print: accents are nearer to their letters."""


@dataclass(frozen=True)
class Ink:
    """The ink of an image."""

    box: Box | None
    """Around the text, without rules and frames; None if no ink was found."""
    rules: tuple[Box, ...] = ()
    """Rules and sides of frames."""
    has_several_lines: bool = False
    """Whether there is more than one row of text."""


def find(gray: Image.Image) -> Ink:
    """Look for ink in a gray image whose lines run from left to right."""
    factors = _factors(gray.size)
    mask = _mask(gray.reduce(factors) if factors != (1, 1) else gray)
    if mask is None:
        return Ink(None)
    box = left, top, right, bottom = _extent(mask)
    inked, rows = mask[top:bottom, left:right], _counts(mask, 1)[top:bottom]
    text, rules = _without_rules(inked, rows)
    whole = box
    if rules:
        inner = _extent(text)
        whole, text = _shifted(inner, box), text[inner[1] : inner[3], inner[0] : inner[2]]
        rows = _counts(text, 1)
    return Ink(
        _enlarged(whole, factors, gray.size),
        tuple(_enlarged(_shifted(rule, box), factors, gray.size) for rule in rules),
        _has_several_lines(text, rows, is_whole=box[1] > 0 and box[3] < len(mask)),
    )


def row_counts(gray: Image.Image) -> NDArray[np.int32] | None:
    """Ink in each row of pixels, without rules and frames; None if no ink was found."""
    mask = _mask(gray)
    if mask is None:
        return None
    left, top, right, bottom = _extent(mask)
    inked, counts = mask[top:bottom, left:right], _counts(mask, 1)
    counts[top:bottom] = _counts(_without_rules(inked, counts[top:bottom])[0], 1)
    return counts


def trimmed(gray: Image.Image, ink: Ink) -> tuple[Image.Image, int] | None:
    """Cut the text out of an image, with some paper around it, and paint over rules.

    Returns:
        The text, and the pixels of the image that are left of it; None if there is no ink, or it fills the image anyway.
    """
    if ink.box is None:
        return None
    left, top, right, bottom = ink.box
    margin = 1 + round(_MARGIN * (bottom - top))
    box = max(0, left - margin), max(0, top - margin), min(gray.width, right + margin), min(gray.height, bottom + margin)
    if not ink.rules and box[3] - box[1] > _LOOSE * gray.height:
        return None
    cut = gray.crop(box)
    if ink.rules:
        paper = int(np.median(np.asarray(cut)))
        for rule in ink.rules:
            start, above, end, below = rule
            cut.paste(paper, (start - 1 - box[0], above - 1 - box[1], end + 1 - box[0], below + 1 - box[1]))
    return cut, box[0]


def _factors(size: tuple[int, int]) -> tuple[int, int]:
    """By which width and height are divided. Rows must stay apart, so a large image loses more of its width."""
    width, height = size
    down = max(1, round(0.6 * math.sqrt(width * height / _MAX_PIXELS)))
    return max(1, min(2 * down, math.ceil(width * height / (down * _MAX_PIXELS)))), down


def _mask(gray: Image.Image) -> Mask | None:
    """Which pixels are ink, some at least; None if nothing stands out."""
    threshold, share, darkness = _otsu(gray.histogram())
    if share < _CLEAR:
        gray = Image.fromarray(np.clip(flattened(gray), 0, 255).astype(np.uint8))
        histogram = gray.histogram()
        threshold, share, darkness = _otsu(histogram)
        if share < _SEPARABLE:
            return _outliers(gray, histogram)
    dark: Mask = np.asarray(gray) <= threshold
    if 0.4 < darkness < 0.6:  # the edges are paper more often than the rest
        edges = np.concatenate((dark[0], dark[-1], dark[:, 0], dark[:, -1]))
        darkness = np.count_nonzero(edges) / edges.size
    return ~dark if darkness > 0.5 else dark


def _outliers(gray: Image.Image, histogram: list[int]) -> Mask | None:
    """A little ink in noise, which is no class of its own: what is far from the paper for its noise."""
    counts = list(itertools.accumulate(histogram))
    low, paper, high = (bisect_left(counts, share * counts[-1]) for share in (0.16, 0.5, 0.84))
    darkest, lightest = bisect_right(counts, 0), bisect_left(counts, counts[-1])
    is_dark = paper - darkest >= lightest - paper
    extreme, noise = (darkest, paper - low) if is_dark else (lightest, high - paper)
    if abs(extreme - paper) < max(_OUTLYING * noise, 4 * _CONTRAST):
        return None
    pixels, middle = np.asarray(gray), (extreme + paper) / 2
    mask: Mask = pixels < middle if is_dark else pixels > middle
    return mask


def flattened(gray: Image.Image) -> NDArray[np.float32]:
    """The gray values without a gradient of the paper: less the plane that fits them best."""
    small = np.asarray(gray.resize((_GRID, _GRID), Image.Resampling.BOX), dtype=np.float32)
    at = np.linspace(-1, 1, _GRID, dtype=np.float32) * (1 - 1 / _GRID)
    across, down = (values @ at / (at @ at) for values in (small.mean(axis=0), small.mean(axis=1)))
    x, y = (np.linspace(-1, 1, size, dtype=np.float32) for size in gray.size)
    values: NDArray[np.float32] = np.asarray(gray) - (across * x)[None] - (down * y)[:, None]
    return values


def _otsu(histogram: list[int]) -> tuple[int, float, float]:
    """Divide gray values into two classes (Otsu 1979).

    Returns:
        The highest value of the darker class, the share of the variance that lies between the two, which is 0 if they are
        nearer to each other than any ink is to its paper, and the share of the pixels that the darker class has.
    """
    weighted = _MOMENTS * np.array(histogram, dtype=np.float64)
    count, total = weighted[:2].cumsum(axis=1)
    size, mean = count[-1], total[-1] / count[-1]
    apart = count * (size - count)
    distance = mean * count - total
    between = size * distance * distance / np.maximum(apart, 1)  # where a class is empty, the distance is 0
    best = int(between.argmax())
    variance = weighted[2].sum() - mean * total[-1]
    is_near = between[best] * size <= _CONTRAST**2 * apart[best]
    return best, 0.0 if is_near else float(between[best] / variance), float(count[best] / size)


def _without_rules(inked: Mask, counts: NDArray[np.int32]) -> tuple[Mask, tuple[Box, ...]]:
    """The ink without rules and frames, and those.

    A rule runs along the whole ink and is apart from all other ink; the sides of a frame and of its cells end at such rules.

    Args:
        inked: has ink at each of its edges.
        counts: ink in each of its rows.
    """
    height, width = inked.shape
    if counts.max() < _RULE * width:
        return inked, ()
    rows = _runs(counts >= _RULE * width)
    if max(end - start for start, end in rows) > 0.25 * height:
        return inked, ()
    columns = _runs(_counts(inked, 0) >= _RULE * height)
    is_frame = len(rows) > 1 < len(columns) and all(
        runs[0][0] <= 1 and runs[-1][1] >= size - 1 for runs, size in ((rows, height), (columns, width))
    )
    columns = columns if is_frame else []
    bare = inked.copy()
    for start, end in columns:
        bare[:, max(0, start - 1) : end + 1] = False
    text = bare.copy()
    for start, end in rows:
        text[max(0, start - 1) : end + 1] = False
    is_apart = not any(bare[beside].any() for start, end in rows for beside in (start - 2, end + 1) if 0 <= beside < height)
    if not is_apart or not text.any():
        return inked, ()
    _, top, _, bottom = _extent(text)
    if not is_frame and width < 3 * (bottom - top):
        return inked, ()
    across, down = ((0, start, width, end) for start, end in rows), ((start, 0, end, height) for start, end in columns)
    return text, (*across, *down)


def _has_several_lines(text: Mask, counts: NDArray[np.int32], is_whole: bool) -> bool:
    """Whether all of the ink, or most parts of a wide one that may be askew, is in rows of text above each other.

    If the ink `is_whole`, a row may be small print; at an edge of the image it may be what was cut off from the next line.
    """
    if _has_rows(text, counts, _SMALL_BAND if is_whole else _MIN_BAND):
        return True
    count = round(text.shape[1] / (_PART * len(text)))
    parts = np.array_split(text, count, axis=1) if count >= 3 else []
    return sum(_has_rows(part, _counts(part, 1), _MIN_BAND) for part in parts) > 0.6 * len(parts)


def _has_rows(inked: Mask, counts: NDArray[np.int32], min_band: float) -> bool:
    """Whether there are at least two bands like rows of text: about as high, or of many glyphs, close, of several glyphs.

    Args:
        inked: what may be in bands.
        counts: ink in each row of it.
        min_band: height of a row relative to the highest one, at least.
    """
    height, filled = len(inked), np.sort(counts[counts > 0])
    full = float(filled[int(0.8 * len(filled))]) if len(filled) else 0.0
    cores = _runs(counts > _SPARSE * full)
    if len(cores) < 2:
        return False
    highest = max(end - start for start, end in cores)
    cores = [core for core in cores if _is_row(inked, core, highest, min_band)]
    covered = sum(end - start for start, end in cores) / height
    is_page = len(cores) > 3
    if len(cores) < 2 or covered < (_COVERED_PAGE if is_page else _COVERED[0]):
        return False
    bands = _runs(counts > _BARE * full)  # with ascenders and descenders

    def follow(above: tuple[int, int], below: tuple[int, int]) -> bool:
        is_small = min(above[1] - above[0], below[1] - below[0]) < _MIN_BAND * highest
        if not (_SMALL_GAP if is_small else _GAP[0]) <= (below[0] - above[1]) / highest <= _GAP[1]:
            return False
        upper, lower = (next(band for band in bands if band[0] <= core[0] < band[1]) for core in (above, below))
        if upper == lower:
            if covered < _COVERED[1]:
                return False
        else:
            taller = max(upper[1] - upper[0], lower[1] - lower[0])
            if not all(_is_row(inked, band, taller, min_band) for band in (upper, lower)):
                return False
        glyphs = [_glyphs(inked[start:end]) for start, end in (above, below)]
        return min(glyphs) > 0 and (sum(glyphs) > 2 or is_page)

    return any(follow(above, below) for above, below in itertools.pairwise(cores))


def _is_row(inked: Mask, band: tuple[int, int], highest: int, min_band: float) -> bool:
    """Whether a band is high enough beside the highest one for a row of text."""
    height = band[1] - band[0]
    if height < max(_MIN_ROW, min_band * highest):
        return False
    return height >= _MIN_BAND * highest or _glyphs(inked[band[0] : band[1]]) >= _MANY


def _glyphs(band: Mask) -> int:
    """How many glyphs a band holds; none if these are bars or dots, which fill their columns."""
    counts = _counts(band, 0)
    inked = counts > 0
    return len(_runs(inked)) if counts.sum() <= _FILLED * len(band) * np.count_nonzero(inked) else 0


def _counts(mask: Mask, axis: int) -> NDArray[np.int32]:
    """Ink in each column (axis 0) or row (axis 1)."""
    counts: NDArray[np.int32] = np.add.reduce(mask, axis, np.int32)
    return counts


def _runs(flags: Mask) -> list[tuple[int, int]]:
    """Start and end of each run of true values."""
    framed = np.zeros(len(flags) + 2, np.int8)
    framed[1:-1] = flags
    edges = np.flatnonzero(framed[1:] != framed[:-1]).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _extent(mask: Mask) -> Box:
    """The smallest box that holds all true values, of which there are some."""
    columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _shifted(box: Box, by: Box) -> Box:
    """A box of what was cut out by another one."""
    return box[0] + by[0], box[1] + by[1], box[2] + by[0], box[3] + by[1]


def _enlarged(box: Box, factors: tuple[int, int], size: tuple[int, int]) -> Box:
    """A box of the reduced copy in the image."""
    left, top, right, bottom = box
    across, down = factors
    return left * across, top * down, min(size[0], right * across), min(size[1], bottom * down)
