"""The shape of a line: turned, slanted, in perspective, bent; and the crop that is cut of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image

from crnnocr.synth.render.ink import Box, Ink
from crnnocr.synth.render.recipe import Recipe

_RESAMPLING = Image.Resampling.BILINEAR
_LOST = 0.15
"""A cut takes less of each character's ink than this, as far as can be told; less than a quarter in truth."""
_BULGE = 0.4
"""How far the squares and strips that a bent line is made of stray from its curve at most, in pixels; on a circle, at the foot
of its letters."""
_MAX_SWEEP = 1.9
"""Longest part of a circle that a line takes, in radians."""
_LEAST_RADIUS = 1.8
"""Of the circle, in ems."""
_MAX_LEAN = 0.35
"""Farthest that an arch leans to a side, in radians."""
_MAX_SLOPE = 0.4
"""Steepest line of a short text, pixels up for each pixel along."""


def warp(ink: Ink, em: float, recipe: Recipe, rng: np.random.Generator) -> bool:
    """Turn, slant, bend or skew all layers alike, and bring them to `em`, the font's size in pixels.

    Returns whether the canvas still holds all of the text.
    """
    if _leaves_canvas(ink):
        return False
    width, height = ink.text.size
    line = ink.em
    # A line of any length rises by no more than a part of its height: its crop must not grow much.
    slope = recipe.turn.draw(rng) * min(line / width, _MAX_SLOPE)
    shear = recipe.shear.draw(rng)
    perspective = recipe.perspective.draw(rng)
    bend = recipe.curve.draw(rng) * line
    rise = recipe.arch.draw(rng) * line
    if rise and width > 2 * line and not ink.pen.upright:
        arched, mesh = _arched(ink, rise, float(rng.uniform(-1, 1)) * min(line / width, _MAX_LEAN))
        ink.change(lambda mask: mask.transform(arched, Image.Transform.MESH, mesh, _RESAMPLING))
        ink.is_arched = True
        width, height = arched
        slope = 0.0
    elif bend and width > 2 * line:
        ink.change(lambda mask: mask.transform(mask.size, Image.Transform.MESH, _bent(mask.size, bend), _RESAMPLING))
    if _leaves_canvas(ink):
        return False
    factor = em / ink.em
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if slope or shear or perspective:
        tilt = (perspective / width, 0.0) if rng.random() < 0.5 else (0.0, perspective / (2 * height))
        coefficients = _coefficients((width, height), size, slope, shear, tilt)
        ink.change(lambda mask: mask.transform(size, Image.Transform.PERSPECTIVE, coefficients, _RESAMPLING))
    else:
        ink.change(lambda mask: mask.resize(size, _RESAMPLING))
    ink.em = em
    return not _leaves_canvas(ink)


def _leaves_canvas(ink: Ink) -> bool:
    """Whether ink reaches the canvas' edge, and may go on past it, or there is none."""
    box, size = ink.text.getbbox(), ink.text.size
    return box is None or box[0] <= 0 or box[1] <= 0 or box[2] >= size[0] or box[3] >= size[1]


def _bent(size: tuple[int, int], bend: float) -> list[tuple[Box, tuple[float, ...]]]:
    """Pillow's mesh for a line whose middle lies `bend` pixels lower than its ends (higher, below 0): a parabola."""
    width, height = size
    strips = int(np.ceil(np.sqrt(abs(bend) / _BULGE)))
    edges = [width * strip // strips for strip in range(strips + 1)]
    drops = [bend * (1 - (2 * x / width - 1) ** 2) - bend / 2 for x in edges]
    return [
        ((left, 0, right, height), (left, -a, left, height - a, right, height - b, right, -b))
        for (left, right), (a, b) in zip(pairwise(edges), pairwise(drops), strict=True)
    ]


def _arched(ink: Ink, rise: float, lean: float) -> tuple[tuple[int, int], list[tuple[Box, tuple[float, ...]]]]:
    """Size and Pillow's mesh of a line on a circle, `rise` pixels high (hanging, below 0), leaning by an angle to a side."""
    width, height = ink.text.size
    box = ink.text.getbbox()
    assert box is not None  # as `warp` has seen
    left, _, right, bottom = box
    length = right - left
    sweep = min(8 * abs(rise) / length, _MAX_SWEEP, length / (_LEAST_RADIUS * ink.em))
    radius = length / sweep  # of the ink's lower edge
    way = 1 if rise > 0 else -1
    angles = lean + np.linspace(-0.6, 0.6, 32) * sweep * width / length
    reach = radius + way * np.array([[bottom - height], [bottom]])  # of the canvas' lower and upper edge
    x, y = reach * np.sin(angles), -way * reach * np.cos(angles)
    start, top = x.min(), y.min()
    size = (int(x.max() - start) + 2, int(y.max() - top) + 2)

    side = round(np.sqrt(8 * _BULGE * radius))  # of a square: the sagitta of an arc that long is `_BULGE`
    columns, rows = ([*range(0, length, side), length] for length in size)
    across, down = np.meshgrid(np.array(columns) + start, -way * (np.array(rows) + top), indexing="ij")
    along = (left + right) / 2 + radius * (np.arctan2(across, down) - lean)
    below = bottom - way * (np.hypot(across, down) - radius)
    corners = np.stack([along, below], axis=-1)
    # The upper left corner of each square, then the others against the clock, as Pillow wants them.
    squares = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2)
    on_canvas = ((squares.max(axis=2) > 0) & (squares.min(axis=2) < (width, height))).all(axis=-1)
    return size, [
        ((columns[i], rows[j], columns[i + 1], rows[j + 1]), tuple(squares[i, j].ravel().tolist()))
        for i, j in np.argwhere(on_canvas).tolist()
    ]


def _coefficients(
    source: tuple[int, int], size: tuple[int, int], slope: float, shear: float, tilt: tuple[float, float]
) -> tuple[float, ...]:
    """Pillow's eight numbers of a perspective transform of a canvas of size `source` to one of `size`, about their middles.

    A point (x, y) of the result is taken from ((ax + by + c) / (gx + hy + 1), (dx + ey + f) / (gx + hy + 1)). `tilt` is by how
    much the denominator changes with each pixel along and down.
    """
    width, height = source
    factor = width / size[0]
    to_middle = np.array([[factor, 0, -width / 2], [0, factor, -height / 2], [0, 0, 1.0]])
    back = np.array([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1.0]])
    matrix = back @ np.array([[1, shear, 0], [slope, 1, 0], [*tilt, 1.0]]) @ to_middle
    return tuple((matrix / matrix[2, 2]).ravel().tolist()[:8])


def crop(ink: Ink, recipe: Recipe, rng: np.random.Generator) -> Box | None:
    """The box that is cut out of the canvas, in pixels; None where a cut takes too much of a character."""
    inner = ink.text.getbbox()
    assert inner is not None  # there is ink, or `warp` has said so
    left, top, right, bottom = inner
    high = bottom - top
    loose = recipe.loose.draw(rng)
    widest = (loose or recipe.margin) * ink.em
    margins = rng.uniform(0, widest, size=4)
    if high < 0.75 * ink.em and rng.random() < 0.6:  # a low line is mostly cut to its line's height all the same
        lacking = 0.75 * ink.em - high
        share = float(rng.random())
        margins[1] += lacking * share
        margins[3] += lacking * (1 - share)
    if ink.around is not None:
        margins = np.minimum(margins, _shown(ink, recipe, rng))
    box = [left - round(margins[0]), top - round(margins[1]), right + round(margins[2]), bottom + round(margins[3])]
    if not ink.is_arched and (cut := recipe.cut.draw(rng)):
        side = int(rng.integers(4))
        depth = max(1, round(cut))
        box[side] = inner[side] + (depth if side < 2 else -depth)
        if _loses(ink, inner, (box[0], box[1], box[2], box[3])):
            return None
    return box[0], box[1], box[2], box[3]


def _shown(ink: Ink, recipe: Recipe, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Margins that let in what lies around by as much as the recipe shows, left, top, right, bottom."""
    size = ink.em
    across = float(rng.uniform(0.02, max(0.03, recipe.neighbours.high))) * size
    along = float(rng.uniform(0.3, 0.3 + recipe.side.high)) * size
    return np.array([along, across + 0.15 * size, along, across + 0.15 * size])


def _loses(ink: Ink, inner: Box, box: Box) -> bool:
    """Whether `box` cuts off as much as `_LOST` of a character's ink; `inner` is the box of all ink.

    A character is taken to begin at the same share of the ink's width as before the line was warped.
    """
    mask = np.asarray(ink.text, dtype=np.float32)
    kept = np.zeros_like(mask)
    left, top, right, bottom = box
    kept[top:bottom, left:right] = mask[top:bottom, left:right]
    starts = np.round(inner[0] + np.array(ink.starts()) * (inner[2] - inner[0])).astype(int)
    starts = np.unique(np.clip(starts, inner[0], inner[2] - 1))
    whole = np.add.reduceat(mask.sum(axis=0), starts)
    there = np.add.reduceat(kept.sum(axis=0), starts)
    return bool(np.any((whole > 0) & (there < (1 - _LOST) * whole)))
