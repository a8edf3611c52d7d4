"""One attempt at a picture: text → ink → shape → crop → paper, ink and light → wear → the height asked for."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from crnnocr.synth.fonts import FontFace
from crnnocr.synth.looks import ink as inks
from crnnocr.synth.looks import legible, paper, shape, wear
from crnnocr.synth.looks.ink import Box, Ink
from crnnocr.synth.looks.paper import Colours, Field
from crnnocr.synth.looks.recipe import Recipe, at_height

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
    if not shape.warp(ink, em, recipe, rng):
        return None
    box = shape.crop(ink, recipe, rng)
    if box is None or box[3] - box[1] < _LOWEST * height:
        return None
    colours = paper.choose_colours(recipe, rng)
    picture, mask = _compose(ink, box, colours, recipe, rng)
    picture = wear.roughen(wear.blur(picture, recipe, rng), recipe, rng)
    picture = wear.scan(picture, colours, recipe, rng)
    picture = wear.compress(wear.coarsen(picture, em, recipe, rng), recipe, rng)
    shrunk = height / picture.height
    width = max(1, round(picture.width * shrunk))
    picture = picture.resize((width, height), _FILTERS[int(rng.integers(len(_FILTERS)))])
    if not legible.is_legible(picture, mask.resize((width, height), Image.Resampling.BILINEAR), em * shrunk):
        return None
    return picture


def _compose(ink: Ink, box: Box, colours: Colours, recipe: Recipe, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """The crop in its colours and light, and the mask of its own ink."""
    size = (box[2] - box[0], box[3] - box[1])
    mask = ink.text.crop(box)
    picture = paper.lay(size, colours, recipe, rng)
    for layer in (ink.shadow, ink.outline):
        if layer is not None:
            picture.paste(_filling(paper.beside(colours, rng)), mask=layer.crop(box))
    colour: Filling = _filling(colours.ink)
    if change := recipe.ink_gradient.draw(rng):
        colour = paper.to_image(colours.ink + change * paper.slope(size, rng)[:, :, None])
    if ink.around is not None:
        picture.paste(colour, mask=ink.around.crop(box))
    picture.paste(colour, mask=wear.wear_ink(mask, ink.em, recipe, rng))
    if thickness := recipe.border.draw(rng) * ink.em:
        pads = _border_sides(round(thickness) or 1, rng)
        picture, mask = ImageOps.expand(picture, pads, _filling(colours.ink)), ImageOps.expand(mask, pads)
    return wear.light(picture, recipe, rng), mask


def _filling(colour: Field) -> Fill:
    """A colour as Pillow takes it for a picture of its mode."""
    values = [int(value) for value in colour]
    return values[0] if len(values) == 1 else (values[0], values[1], values[2])


def _border_sides(thickness: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """How wide a border is at each side, left, top, right, bottom: of a box that a crop shows an edge or two of."""
    left, top, right, bottom = (int(there) * thickness for there in rng.random(4) < 0.4)
    return left, top, right, bottom
