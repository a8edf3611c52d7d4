"""Whether a finished picture still shows its text, measured against the ink that was meant.

One attempt at a picture: text → ink → shape → crop → paper, ink and light → wear → the height asked for.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from crnnocr.synth.fonts import FontFace
from crnnocr.synth.render import background, degrade, geometry
from crnnocr.synth.render import ink as inks
from crnnocr.synth.render.background import Colours, Field
from crnnocr.synth.render.ink import Box, Ink
from crnnocr.synth.render.recipe import Recipe, at_height

_LEAST_CORRELATION = 0.66
"""Between ink and picture, over the whole line."""
_LEAST_IN_PIECE = 0.58
"""Between ink and picture, in and around each piece of ink."""
_LEAST_CONTRAST = 30.0
"""Between paper and ink in and around each piece, in grey levels."""
_LEAST_EM = 12 / 32
"""The font's size as a share of the picture's height."""
_INKED = 0.25
"""Coverage from which a pixel counts as ink."""
_BANDS = 8
"""Bands of rows that each piece is looked at in."""
_LEAST_INK = 0.15
"""Ink from which a piece's part in a band counts, as a share of a square as high as the band."""
_LEAST_SEEN = 0.15
"""How dark ink in a band must be, as a share of what the whole piece lets expect."""
_NEAR = 3
"""Pixels of paper around ink that it is seen against."""


def is_legible(picture: Image.Image, ink: Image.Image, em: float) -> bool:
    """Whether the picture's grey follows the ink everywhere, with enough contrast and one polarity.

    Both are of one size, `ink` (mode L) being 255 where all is ink; `em` is the font's size in the picture, in pixels.
    The line is taken in pieces, split where a column has no ink, and long pieces again, so that a piece is a character or a
    few. In each one's ink and the paper next to it, Pearson's correlation of grey and ink and the slope of the line that fits
    grey to ink (the contrast, as far as thin strokes reach full ink) must reach a minimum, with the same sign everywhere. Over
    the whole line the correlation must be better still.
    """
    if em < _LEAST_EM * picture.height:
        return False
    mask, grey = np.asarray(ink, np.float32) / 255, np.asarray(picture.convert("L"), np.float32)
    starts = _pieces(mask, step=max(1, picture.height // 2))
    if not len(starts):
        return False
    near = np.asarray(ink.filter(ImageFilter.BoxBlur(_NEAR))) > 0
    ink_near, grey_near = mask * near, grey * near
    products = (near, ink_near, grey_near, ink_near * mask, grey_near * grey, ink_near * grey)
    sums = np.add.reduceat(np.array([values.sum(axis=0, dtype=np.float64) for values in products]), starts, axis=1)
    paper, slope, correlation = _fit(sums)
    _, whole_slope, whole_correlation = _fit(sums.sum(axis=1, keepdims=True))
    sign = np.sign(whole_slope)
    contrast = sign * slope * np.maximum.reduceat(mask.max(axis=0), starts)
    return bool(
        contrast.min() >= _LEAST_CONTRAST
        and (sign * correlation).min() >= _LEAST_IN_PIECE
        and abs(whole_correlation[0]) >= _LEAST_CORRELATION
        and _shows_all_parts(mask, grey, starts, paper, slope)
    )


def _shows_all_parts(
    mask: NDArray[Any], grey: NDArray[Any], starts: NDArray[np.intp], paper: NDArray[np.float64], slope: NDArray[np.float64]
) -> bool:
    """Whether no dot or accent is missing: in each band of rows of each piece, ink is seen about as it is in the whole piece.

    `paper` and `slope` are each piece's own grey without ink, and what full ink adds to it.
    """
    rows = max(1, mask.shape[0] // _BANDS)
    edges = np.arange(0, mask.shape[0], rows)

    def in_cells(values: NDArray[Any]) -> NDArray[np.float64]:
        cells: NDArray[np.float64] = np.add.reduceat(np.add.reduceat(values, edges, axis=0), starts, axis=1)
        return cells

    ink = in_cells(mask)
    seen, meant = in_cells(mask * grey) - ink * paper, in_cells(mask * mask) * slope
    counts = ink >= _LEAST_INK * rows * rows
    return bool((seen[counts] / meant[counts]).min(initial=1.0) >= _LEAST_SEEN)


def _fit(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Value at 0, slope, and correlation of y over x, from (6, N) sums of 1, x, y, x², y², xy."""
    count, x, y, xx, yy, xy = sums
    count = np.maximum(count, 1)
    x_variance = np.maximum(xx / count - (x / count) ** 2, 1e-9)
    y_variance = np.maximum(yy / count - (y / count) ** 2, 1e-9)
    covariance = xy / count - x * y / count**2
    slope = covariance / x_variance
    return (y - slope * x) / count, slope, covariance / np.sqrt(x_variance * y_variance)


def _pieces(mask: NDArray[Any], step: int) -> NDArray[np.intp]:
    """The columns at which pieces of ink begin, with the paper just before them; none is much wider than `step`."""
    inked = np.concatenate(([False], mask.max(axis=0) > _INKED))
    starts = np.flatnonzero(inked[1:] & ~inked[:-1])
    widths = np.diff(np.append(starts, mask.shape[1]))
    split = [start + part * step for start, width in zip(starts, widths, strict=True) for part in range(max(1, width // step))]
    return np.unique(np.maximum(np.array(split, np.intp) - _NEAR + 1, 0))


Fill: TypeAlias = int | tuple[int, int, int]
"""A grey level, or red, green and blue."""

Filling: TypeAlias = Fill | Image.Image
"""What ink is filled with."""

_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX)

_DRAWN = 30
"""Size that fonts are loaded at, in pixels for pictures 32 high, about that of the text in the end: loading takes long, and
ink can be scaled."""

_LOWEST = 12 / 32
"""Height of a crop before it is brought to the picture's, as a share of that."""


def draw(
    text: str, face: FontFace, tag: str, height: int, upright: bool, recipe: Recipe, rng: np.random.Generator
) -> Image.Image | None:
    """Draw `text` as one line, `height` pixels high, of mode L or RGB.

    Args:
        text: what to draw, in logical order.
        face: a font that has every character of it.
        tag: its language, as a BCP 47 tag.
        height: of the picture in pixels.
        upright: the line will be turned to the right, to run down (see `ink.Pen.upright`).
        recipe: how it may look.
        rng: source of all chance.

    Returns:
        The picture; None where ink was lost that no crop cut on purpose, or where it can hardly be read.
    """
    recipe = at_height(recipe, height)
    em = float(np.exp(rng.uniform(*np.log(recipe.em))))
    ink = inks.draw(text, face, round(_DRAWN * height / 32), tag, upright, recipe, rng)
    if not geometry.warp(ink, em, recipe, rng):
        return None
    box = geometry.crop(ink, recipe, rng)
    if box is None or box[3] - box[1] < _LOWEST * height:
        return None
    colours = background.choose_colours(recipe, rng)
    picture, mask = _compose(ink, box, colours, recipe, rng)
    picture = degrade.roughen(degrade.blur(picture, recipe, rng), recipe, rng)
    picture = degrade.scan(picture, colours, recipe, rng)
    picture = degrade.compress(degrade.coarsen(picture, em, recipe, rng), recipe, rng)
    shrunk = height / picture.height
    width = max(1, round(picture.width * shrunk))
    picture = picture.resize((width, height), _FILTERS[int(rng.integers(len(_FILTERS)))])
    if not is_legible(picture, mask.resize((width, height), Image.Resampling.BILINEAR), em * shrunk):
        return None
    return picture


def _compose(ink: Ink, box: Box, colours: Colours, recipe: Recipe, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """The crop in its colours and light, and the mask of its own ink."""
    size = (box[2] - box[0], box[3] - box[1])
    mask = ink.text.crop(box)
    picture = background.lay(size, colours, recipe, rng)
    for layer in (ink.shadow, ink.outline):
        if layer is not None:
            picture.paste(_filling(background.beside(colours, rng)), mask=layer.crop(box))
    colour: Filling = _filling(colours.ink)
    if change := recipe.ink_gradient.draw(rng):
        colour = background.to_image(colours.ink + change * background.slope(size, rng)[:, :, None])
    if ink.around is not None:
        picture.paste(colour, mask=ink.around.crop(box))
    picture.paste(colour, mask=degrade.wear_ink(mask, ink.em, recipe, rng))
    if thickness := recipe.border.draw(rng) * ink.em:
        pads = _border_sides(round(thickness) or 1, rng)
        picture, mask = ImageOps.expand(picture, pads, _filling(colours.ink)), ImageOps.expand(mask, pads)
    return degrade.light(picture, recipe, rng), mask


def _filling(colour: Field) -> Fill:
    """A colour as Pillow takes it for a picture of its mode."""
    values = [int(value) for value in colour]
    return values[0] if len(values) == 1 else (values[0], values[1], values[2])


def _border_sides(thickness: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """How wide a border is at each side, left, top, right, bottom: of a box that a crop shows an edge or two of."""
    left, top, right, bottom = (int(there) * thickness for there in rng.random(4) < 0.4)
    return left, top, right, bottom
