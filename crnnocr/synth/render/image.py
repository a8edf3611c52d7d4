"""One attempt at an image: text → ink → geometry → crop → paper, ink and light → degradations → height → legibility check."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from crnnocr.config import Style
from crnnocr.synth.fonts import FontFace
from crnnocr.synth.render import background, degrade, geometry
from crnnocr.synth.render import display as displays
from crnnocr.synth.render import ink as inks
from crnnocr.synth.render.background import Colors, Field
from crnnocr.synth.render.ink import Box, Ink
from crnnocr.synth.render.recipe import Recipe, at_height

_FONT_SIZE = 30
"""Size at which fonts are loaded, in pixels for images 32 high. Text ends up at about this size; loading a font takes long, and
ink can be scaled."""
_MIN_CROP = 12 / 32
"""Smallest height of a crop before it is scaled to the image's, as a share of that."""
_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX)

_SAME_POLARITY = 0.6
"""Share of texts behind that are dark if the text is, or light."""
_TONES_OF_TEXT, _TONES_OF_STROKES = (-0.5, 1.0), (0.25, 0.45)
"""Colors of what is in front, on the way from paper (0) to ink (1)."""
_STROKES_FROM = 4
"""Characters from which strokes may cross a text: a single one might become another."""

_MIN_CORRELATION = 0.66
"""Smallest correlation of ink and image, over the whole line."""
_MIN_CORRELATION_IN_PIECE = 0.58
"""Smallest correlation of ink and image, in and around each piece of ink."""
_MIN_CONTRAST = 30.0
"""Smallest contrast between paper and ink in and around each piece, in gray levels."""
_MIN_EM = 12.5 / 32
"""Smallest size of the font, as a share of the image's height."""
_INKED = 0.25
"""Coverage from which a pixel counts as ink."""
_BANDS = 8
"""Bands of rows into which each piece is divided."""
_MIN_INK = 0.15
"""Ink from which a piece's part in a band counts, as a share of a square as high as the band."""
_MIN_SEEN = 0.15
"""How dark ink in a band must be, as a share of what the whole piece lets expect."""
_NEAR = 3
"""Pixels of paper around ink with which it is compared."""

Fill: TypeAlias = int | tuple[int, int, int]
"""A gray level, or red, green and blue."""


class RenderedLine(NamedTuple):
    """An image of a line, and its label."""

    image: Image.Image
    """Of mode L or RGB."""
    text: str
    """In NFC and logical order, with single spaces, inside only."""
    font: FontFace
    style: Style
    """Never `mixed`."""
    attempts: int
    """How often it was rendered until it was legible."""


def render(
    text: str, face: FontFace, tag: str, height: int, upright: bool, recipe: Recipe, rng: np.random.Generator
) -> Image.Image | None:
    """Render `text` as one line, `height` pixels high, of mode L or RGB.

    Args:
        text: in logical order.
        face: a font that draws every character of it, or for the units beside a display.
        tag: its language, as a BCP 47 tag.
        height: of the image in pixels.
        upright: the line will be rotated clockwise, to run down (see `ink.Pen.upright`).
        recipe: the effects.
        rng: source of all randomness.

    Returns:
        The image; None if ink was lost that no crop cut on purpose, or if it is hardly legible.
    """
    recipe = at_height(recipe, height)
    em = float(np.exp(rng.uniform(*np.log(recipe.em))))
    size = round(_FONT_SIZE * height / 32)
    if recipe.displays:
        ink = displays.draw(text, face, size, recipe, rng)
    else:
        ink = inks.draw_text(text, face, size, tag, upright, recipe, rng)
    if not geometry.warp(ink, em, recipe, rng):
        return None
    box = geometry.crop(ink, recipe, rng)
    if box is None or box[3] - box[1] < _MIN_CROP * height:
        return None
    colors = background.choose_colors(recipe, rng)
    image, mask = compose(ink, box, colors, recipe, rng)
    image = degrade.add_noise(degrade.blur(image, recipe, rng), recipe, rng)
    image = degrade.scan(image, colors, recipe, rng)
    image = degrade.compress(degrade.downscale(image, em, recipe, rng), recipe, rng)
    factor = height / image.height
    width = max(1, round(image.width * factor))
    image = image.resize((width, height), _FILTERS[int(rng.integers(len(_FILTERS)))])
    smallest = em * factor * ink.pen.size / size  # a unit beside a display is smaller than its digits
    is_clear = is_legible(image, mask.resize((width, height), Image.Resampling.BILINEAR), smallest)
    return image if is_clear else None


def compose(ink: Ink, box: Box, colors: Colors, recipe: Recipe, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """The crop in its colors and light, and the mask of the text's own ink."""
    size = (box[2] - box[0], box[3] - box[1])
    mask = ink.text.crop(box)
    image = background.make_background(size, colors, recipe, rng)
    if recipe.text_behind.probability and (share := recipe.text_behind.sample(rng)):
        tone = share if rng.random() < _SAME_POLARITY else -share
        image.paste(_fill(background.between(colors, tone)), mask=inks.other_text(ink, size, rng))
    for layer in (ink.shadow, ink.outline):
        if layer is not None:
            image.paste(_fill(background.effect_color(colors, rng)), mask=layer.crop(box))
    fill = _ink(size, ink.em, colors, recipe, rng)
    for layer in (ink.faint, ink.around):
        if layer is not None:
            image.paste(fill, mask=layer.crop(box))
    image.paste(fill, mask=degrade.wear_ink(mask, ink.em, recipe, rng))
    _cover(image, ink, colors, recipe, rng)
    if thickness := recipe.border.sample(rng) * ink.em:
        widths = _border_widths(round(thickness) or 1, rng)
        image, mask = ImageOps.expand(image, widths, _fill(colors.ink)), ImageOps.expand(mask, widths)
    if recipe.displays:
        image = degrade.add_glare(image, recipe, rng)
    return degrade.add_shading(image, recipe, rng), mask


def _cover(image: Image.Image, ink: Ink, colors: Colors, recipe: Recipe, rng: np.random.Generator) -> None:
    """Add other text and strokes in front of the text. They are paler than the ink, so that they are no part of the letters."""
    if recipe.text_in_front.probability and (opacity := recipe.text_in_front.sample(rng)):
        mask = inks.other_text(ink, image.size, rng).point([round(opacity * level) for level in range(256)])
        image.paste(_fill(background.between(colors, float(rng.uniform(*_TONES_OF_TEXT)))), mask=mask)
    is_long = sum(not character.isspace() for character in ink.characters) >= _STROKES_FROM
    if recipe.strokes.probability and is_long and (thickness := recipe.strokes.sample(rng) * ink.em):
        mask = inks.strokes(image.size, thickness, rng)
        image.paste(_fill(background.between(colors, float(rng.uniform(*_TONES_OF_STROKES)))), mask=mask)


def _ink(size: tuple[int, int], em: float, colors: Colors, recipe: Recipe, rng: np.random.Generator) -> Fill | Image.Image:
    """The color of the ink, or an image of it if it is uneven."""
    change = recipe.ink_gradient.sample(rng)
    texture = recipe.ink_texture.sample(rng) * abs(colors.step) if recipe.ink_texture.probability else 0.0
    if not (change or texture):
        return _fill(colors.ink)
    shade = change * background.gradient(size, rng)[:, :, None] if change else 0.0
    if texture:
        shade = shade + texture * background.ink_texture(size, em, colors.is_color, rng)
    return background.to_image(colors.ink + shade)


def _fill(color: Field) -> Fill:
    """A color as Pillow takes it for an image of its mode."""
    values = [int(value) for value in color]
    return values[0] if len(values) == 1 else (values[0], values[1], values[2])


def _border_widths(thickness: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, right and bottom width of a border: of a box of which a crop shows an edge or two."""
    left, top, right, bottom = (int(there) * thickness for there in rng.random(4) < 0.4)
    return left, top, right, bottom


def is_legible(image: Image.Image, ink: Image.Image, em: float) -> bool:
    """Whether the image's gray follows the ink everywhere, with enough contrast and one polarity.

    `ink` (mode L, of the same size) is the ink that was meant, 255 where all is ink. `em` is the font's size in the image, in
    pixels. The line is split into pieces at columns without ink, and long pieces again, so that a piece is one character or a
    few. In the ink of each piece and the paper next to it, Pearson's correlation of gray and ink and the slope of the linear
    fit of gray to ink (the contrast, as far as thin strokes reach full ink) must reach a minimum, with the same sign
    everywhere. Over the whole line the correlation must be higher still.
    """
    if em < _MIN_EM * image.height:
        return False
    mask, gray = np.asarray(ink, np.float32) / 255, np.asarray(image.convert("L"), np.float32)
    starts = _pieces(mask, step=max(1, image.height // 2))
    if not len(starts):
        return False
    near = np.asarray(ink.filter(ImageFilter.BoxBlur(_NEAR))) > 0
    ink_near, gray_near = mask * near, gray * near
    products = (near, ink_near, gray_near, ink_near * mask, gray_near * gray, ink_near * gray)
    sums = np.add.reduceat(np.array([values.sum(axis=0, dtype=np.float64) for values in products]), starts, axis=1)
    paper, slope, correlation = _fit(sums)
    _, whole_slope, whole_correlation = _fit(sums.sum(axis=1, keepdims=True))
    sign = np.sign(whole_slope)
    contrast = sign * slope * np.maximum.reduceat(mask.max(axis=0), starts)
    return bool(
        contrast.min() >= _MIN_CONTRAST
        and (sign * correlation).min() >= _MIN_CORRELATION_IN_PIECE
        and abs(whole_correlation[0]) >= _MIN_CORRELATION
        and _shows_all_parts(mask, gray, starts, paper, slope)
    )


def _shows_all_parts(
    mask: NDArray[Any], gray: NDArray[Any], starts: NDArray[np.intp], paper: NDArray[np.float64], slope: NDArray[np.float64]
) -> bool:
    """Whether no dot or accent is missing: in each band of rows of each piece, ink is seen about as in the whole piece.

    `paper` is each piece's gray without ink, and `slope` what full ink adds to it.
    """
    rows = max(1, mask.shape[0] // _BANDS)
    edges = np.arange(0, mask.shape[0], rows)

    def in_cells(values: NDArray[Any]) -> NDArray[np.float64]:
        cells: NDArray[np.float64] = np.add.reduceat(np.add.reduceat(values, edges, axis=0), starts, axis=1)
        return cells

    ink = in_cells(mask)
    seen, expected = in_cells(mask * gray) - ink * paper, in_cells(mask * mask) * slope
    counts = ink >= _MIN_INK * rows * rows
    return bool((seen[counts] / expected[counts]).min(initial=1.0) >= _MIN_SEEN)


def _fit(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Value at 0, slope and correlation of linear fits of y to x, (N,) each, from (6, N) sums of 1, x, y, x², y², xy."""
    count, x, y, xx, yy, xy = sums
    count = np.maximum(count, 1)
    x_variance = np.maximum(xx / count - (x / count) ** 2, 1e-9)
    y_variance = np.maximum(yy / count - (y / count) ** 2, 1e-9)
    covariance = xy / count - x * y / count**2
    slope = covariance / x_variance
    return (y - slope * x) / count, slope, covariance / np.sqrt(x_variance * y_variance)


def _pieces(mask: NDArray[Any], step: int) -> NDArray[np.intp]:
    """The columns where pieces begin, with the paper just before their ink; the ink of none is much wider than `step`."""
    inked = np.concatenate(([False], mask.max(axis=0) > _INKED, [False]))
    starts, ends = np.flatnonzero(inked[1:] & ~inked[:-1]), np.flatnonzero(~inked[1:] & inked[:-1])
    widths = ends - starts
    split = [start + part * step for start, width in zip(starts, widths, strict=True) for part in range(max(1, width // step))]
    return np.unique(np.maximum(np.array(split, np.intp) - _NEAR + 1, 0))
