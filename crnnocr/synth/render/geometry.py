"""The geometry of a line: rotation, slant, perspective and curved baselines; and the crop that is cut out of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnnocr.synth.render.background import noise
from crnnocr.synth.render.ink import Box, Ink
from crnnocr.synth.render.recipe import Recipe

_RESAMPLING = Image.Resampling.BILINEAR
_LOST = 0.15
"""A cut takes less of each character's ink than this, by an estimate; in truth less than a quarter."""
_MAX_DEVIATION = 0.4
"""How far the strips and squares that approximate a curved baseline may stray from it, in pixels; on a circle, at the foot of
the letters."""
_MAX_SWEEP = 1.9
"""Largest part of a circle that a line takes, in radians."""
_MIN_RADIUS = 1.8
"""Smallest radius of the circle, in ems."""
_MAX_LEAN = 0.35
"""Largest angle by which a line on a circle leans to a side, in radians."""
_SEEN = 64
"""Coverage from which a pixel counts as a letter beside the line, 0 to 255."""
_TALL = 0.3
"""Height from which the seen part of such a letter is no point, in ems."""
_MAX_ABOVE = 0.8
"""Most paper above or below the line, in ems; with more, its letters would be too small in the image."""
_GRAIN = (0.9, 2.5)
"""Length over which an elastic distortion varies, in ems."""
_MAX_SLOPE = 0.4
"""Steepest line of a short text, pixels up for each pixel along it."""


def warp(ink: Ink, em: float, recipe: Recipe, rng: np.random.Generator) -> bool:
    """Rotate, slant, curve or skew all layers alike, and scale them to `em`, the font's size in pixels.

    Returns whether the canvas still holds all of the text.
    """
    if _leaves_canvas(ink):
        return False
    width, height = ink.text.size
    line = ink.em
    # The rise is a part of the line's height whatever its length, so that its crop grows little.
    slope = recipe.rotation.sample(rng) * min(line / width, _MAX_SLOPE)
    shear = recipe.shear.sample(rng)
    perspective = recipe.perspective.sample(rng)
    bend = recipe.curve.sample(rng) * line
    rise = recipe.arc.sample(rng) * line
    elastic = recipe.elastic.sample(rng) * em if recipe.elastic.probability else 0.0
    if rise and width > 2 * line and not ink.pen.upright:
        size_on_circle, mesh = _circle_mesh(ink, rise, float(rng.uniform(-1, 1)) * min(line / width, _MAX_LEAN))
        ink.transform(lambda mask: mask.transform(size_on_circle, Image.Transform.MESH, mesh, _RESAMPLING))
        ink.is_on_circle = True
        width, height = size_on_circle
        slope = 0.0
    elif bend and width > 2 * line:
        ink.transform(
            lambda mask: mask.transform(mask.size, Image.Transform.MESH, _parabola_mesh(mask.size, bend), _RESAMPLING)
        )
    if _leaves_canvas(ink):
        return False
    factor = em / ink.em
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if slope or shear or perspective or elastic:
        tilt = (perspective / width, 0.0) if rng.random() < 0.5 else (0.0, perspective / (2 * height))
        coefficients = _coefficients((width, height), size, slope, shear, tilt)
        if elastic:
            elastic_mesh = _elastic_mesh((width, height), size, coefficients, elastic, em * float(rng.uniform(*_GRAIN)), rng)
            ink.transform(lambda mask: mask.transform(size, Image.Transform.MESH, elastic_mesh, _RESAMPLING))
        else:
            ink.transform(lambda mask: mask.transform(size, Image.Transform.PERSPECTIVE, coefficients, _RESAMPLING))
    else:
        ink.transform(lambda mask: mask.resize(size, _RESAMPLING))
    ink.cut_off *= factor
    ink.em = em
    return not _leaves_canvas(ink)


def _leaves_canvas(ink: Ink) -> bool:
    """Whether ink reaches the canvas' edge, and may continue beyond it, or there is none."""
    box, size = ink.text.getbbox(), ink.text.size
    return box is None or box[0] <= 0 or box[1] <= 0 or box[2] >= size[0] or box[3] >= size[1]


def _parabola_mesh(size: tuple[int, int], bend: float) -> list[tuple[Box, tuple[float, ...]]]:
    """Pillow's mesh for a parabolic baseline whose middle lies `bend` pixels below its ends (above, if negative)."""
    width, height = size
    strips = int(np.ceil(np.sqrt(abs(bend) / _MAX_DEVIATION)))
    edges = [width * strip // strips for strip in range(strips + 1)]
    drops = [bend * (1 - (2 * x / width - 1) ** 2) - bend / 2 for x in edges]
    return [
        ((left, 0, right, height), (left, -a, left, height - a, right, height - b, right, -b))
        for (left, right), (a, b) in zip(pairwise(edges), pairwise(drops), strict=True)
    ]


def _circle_mesh(ink: Ink, rise: float, lean: float) -> tuple[tuple[int, int], list[tuple[Box, tuple[float, ...]]]]:
    """Size and Pillow's mesh of a line on a circle, `rise` pixels high (hanging, if negative), leaning to a side by `lean`."""
    width, height = ink.text.size
    box = ink.text.getbbox()
    assert box is not None  # `warp` has checked
    left, _, right, bottom = box
    length = right - left
    sweep = min(8 * abs(rise) / length, _MAX_SWEEP, length / (_MIN_RADIUS * ink.em))
    radius = length / sweep  # of the ink's lower edge
    sign = 1 if rise > 0 else -1
    angles = lean + np.linspace(-0.6, 0.6, 32) * sweep * width / length
    reach = radius + sign * np.array([[bottom - height], [bottom]])  # of the canvas' lower and upper edge
    x, y = reach * np.sin(angles), -sign * reach * np.cos(angles)
    start, top = x.min(), y.min()
    size = (int(x.max() - start) + 2, int(y.max() - top) + 2)

    side = round(np.sqrt(8 * _MAX_DEVIATION * radius))  # of a square: the sagitta of an arc of this length is `_MAX_DEVIATION`
    columns, rows = ([*range(0, length, side), length] for length in size)
    across, down = np.meshgrid(np.array(columns) + start, -sign * (np.array(rows) + top), indexing="ij")
    along = (left + right) / 2 + radius * (np.arctan2(across, down) - lean)
    below = bottom - sign * (np.hypot(across, down) - radius)
    return size, _mesh(columns, rows, along, below, (width, height))


def _elastic_mesh(
    source: tuple[int, int],
    size: tuple[int, int],
    coefficients: tuple[float, ...],
    deviation: float,
    grain: float,
    rng: np.random.Generator,
) -> list[tuple[Box, tuple[float, ...]]]:
    """Pillow's mesh of a perspective transform from a canvas of size `source` to `size`, in which a smooth random
    field moves all points.

    `deviation` is how far it moves them along each axis (a standard deviation), and `grain` the length over which it varies,
    both in pixels.
    """
    counts = [max(1, round(length / grain)) for length in size]
    columns, rows = (
        [length * i // (2 * count) for i in range(2 * count + 1)] for length, count in zip(size, counts, strict=True)
    )
    across, down = (
        np.asarray(Image.fromarray(values).resize((len(columns), len(rows)), Image.Resampling.BICUBIC)).T
        for values in noise((2, counts[1] + 1, counts[0] + 1), rng)
    )
    x = np.array(columns)[:, None] + deviation * across
    y = np.array(rows) + deviation * down
    a, b, c, d, e, f, g, h = coefficients
    scale = g * x + h * y + 1
    return _mesh(columns, rows, (a * x + b * y + c) / scale, (d * x + e * y + f) / scale, source)


def _mesh(
    columns: list[int],
    rows: list[int],
    x: NDArray[Any],
    y: NDArray[Any],
    source: tuple[int, int],
) -> list[tuple[Box, tuple[float, ...]]]:
    """Pillow's mesh of the rectangles between `columns` and `rows`, whose corners come from the points (`x`, `y`) of a canvas
    of size `source`, both of shape (columns, rows). Rectangles that lie outside of it are left out.
    """
    corners = np.stack([x, y], axis=-1)
    # The upper left corner of each rectangle, then the others counter-clockwise, as Pillow wants them.
    quads = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2)
    on_canvas = ((quads.max(axis=2) > 0) & (quads.min(axis=2) < source)).all(axis=-1)
    return [
        ((columns[i], rows[j], columns[i + 1], rows[j + 1]), tuple(quads[i, j].ravel().tolist()))
        for i, j in np.argwhere(on_canvas).tolist()
    ]


def _coefficients(
    source: tuple[int, int], size: tuple[int, int], slope: float, shear: float, tilt: tuple[float, float]
) -> tuple[float, ...]:
    """Pillow's coefficients (a, …, h) of a perspective transform about the middle, from a canvas of size `source` to `size`.

    A point (x, y) of the result comes from ((ax + by + c) / (gx + hy + 1), (dx + ey + f) / (gx + hy + 1)). `tilt` is the change
    of the denominator with each pixel along and down.
    """
    width, height = source
    factor = width / size[0]
    to_middle = np.array([[factor, 0, -width / 2], [0, factor, -height / 2], [0, 0, 1.0]])
    back = np.array([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1.0]])
    matrix = back @ np.array([[1, shear, 0], [slope, 1, 0], [*tilt, 1.0]]) @ to_middle
    return tuple((matrix / matrix[2, 2]).ravel().tolist()[:8])


def crop(ink: Ink, recipe: Recipe, rng: np.random.Generator) -> Box | None:
    """The box that is cut out of the canvas, in pixels; None if a cut takes too much of a character."""
    inner = ink.text.getbbox()
    assert inner is not None  # `warp` has checked
    left, top, right, bottom = inner
    high = bottom - top
    loose = recipe.loose.sample(rng)
    margins = rng.uniform(0, (loose or recipe.margin) * ink.em, size=4)
    if high < 0.75 * ink.em and rng.random() < 0.6:  # a low text is mostly cut to its line's height all the same
        lacking = 0.75 * ink.em - high
        share = float(rng.random())
        margins[1] += lacking * share
        margins[3] += lacking * (1 - share)
    if ink.around is not None:
        margins = np.minimum(margins, _max_margins(ink, recipe, rng))
        if ink.cut_off:
            margins = _margins_that_cut_off(ink, ink.around, inner, margins)
    elif recipe.paper_around.probability and (paper := recipe.paper_around.sample(rng)):
        margins = np.maximum(margins, _paper_around(paper, rng) * ink.em)
    box = [left - round(margins[0]), top - round(margins[1]), right + round(margins[2]), bottom + round(margins[3])]
    if not ink.is_on_circle and (cut := recipe.cut.sample(rng)):
        side = int(rng.integers(4))
        depth = max(1, round(cut))
        box[side] = inner[side] + (depth if side < 2 else -depth)
        if _cuts_too_much(ink, inner, (box[0], box[1], box[2], box[3])):
            return None
    return box[0], box[1], box[2], box[3]


def _margins_that_cut_off(ink: Ink, around: Image.Image, inner: Box, margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """The margins with those at the ends of the line such that of a letter beside it only a bit is seen, and nothing if that
    bit is so low that it might be a point or an apostrophe. `inner` is the box of the line's ink.
    """
    left, top, right, bottom = inner
    beside = np.asarray(around)[top:bottom] > _SEEN
    margins, seen = margins.copy(), max(1, round(ink.cut_off))
    for edge, columns in ((0, beside[:, :left][:, ::-1]), (2, beside[:, right:])):
        found = np.flatnonzero(columns.any(axis=0))
        if len(found):
            is_tall = columns[:, : found[0] + seen].any(axis=1).sum() >= _TALL * ink.em
            margins[edge] = found[0] + seen if is_tall else max(0, found[0] - 1)
    return margins


def _paper_around(paper: float, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Left, top, right and bottom margins in ems: `paper` at one end of the line, and less on the other sides."""
    shares = rng.random(3)
    ends = [paper, paper * float(shares[0]) ** 2]
    if rng.random() < 0.5:
        ends.reverse()
    above, below = (min(paper, _MAX_ABOVE) * float(share) for share in shares[1:])
    return np.array([ends[0], above, ends[1], below])


def _max_margins(ink: Ink, recipe: Recipe, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Left, top, right and bottom margins that show as much of the surroundings as the recipe wants."""
    size = ink.em
    across = float(rng.uniform(0.02, max(0.03, recipe.neighbors.high))) * size
    along = float(rng.uniform(0.3, 0.3 + recipe.side.high)) * size
    return np.array([along, across + 0.15 * size, along, across + 0.15 * size])


def _cuts_too_much(ink: Ink, inner: Box, box: Box) -> bool:
    """Whether `box` cuts off `_LOST` or more of a character's ink; `inner` is the box of all ink.

    A character is assumed to begin at the same share of the ink's width as before the line was warped.
    """
    mask = np.asarray(ink.text, dtype=np.float32)
    kept = np.zeros_like(mask)
    left, top, right, bottom = box
    kept[top:bottom, left:right] = mask[top:bottom, left:right]
    starts = np.round(inner[0] + np.array(ink.character_starts()) * (inner[2] - inner[0])).astype(int)
    starts = np.unique(np.clip(starts, inner[0], inner[2] - 1))
    whole = np.add.reduceat(mask.sum(axis=0), starts)
    left_over = np.add.reduceat(kept.sum(axis=0), starts)
    return bool(np.any((whole > 0) & (left_over < (1 - _LOST) * whole)))
