"""The effects of each style, their probabilities and strengths: data that the other modules here carry out."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from crnnocr.config import Style
from crnnocr.synth.fonts import Kind
from crnnocr.synth.render.display_glyphs import Display

RGB = tuple[int, int, int]


class Effect(NamedTuple):
    """An effect with a probability, and a strength between two limits."""

    probability: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def sample(self, rng: np.random.Generator) -> float:
        """A strength; 0 if the effect does not occur."""
        if rng.random() >= self.probability:
            return 0.0
        return float(rng.uniform(self.low, self.high))

    def times(self, factor: float) -> Effect:
        """The same effect, `factor` times as strong."""
        return Effect(self.probability, self.low * factor, self.high * factor)


NEVER = Effect()


@dataclass(frozen=True)
class Recipe:
    """Probability and strength of each effect. A share is one of an em, the font's size, unless it says otherwise; pixels are
    those of an image 32 pixels high.
    """

    em: tuple[float, float]
    """Smallest and largest size of the font, in pixels, as a camera or scanner saw it."""

    fonts: tuple[tuple[Kind, float], ...] = ()
    """Preferred kinds of fonts with their probabilities; otherwise any."""

    displays: tuple[tuple[Display, float], ...] = ()
    """Kinds of displays that show the text, with their shares; without any, a font writes it."""

    # Ink
    spacing: Effect = NEVER
    """Extra space between characters, a share."""
    gap: Effect = NEVER
    """Width of a wide gap between words, as between the columns of a table, in ems."""
    small_capitals: Effect = NEVER
    """Size of the capitals after the first of a word, a share."""
    slashed_zero: float = 0.0
    """Probability of zeros with a stroke or a dot, if the font has them."""
    outline: Effect = NEVER
    """A contour around the letters, a share."""
    shadow: Effect = NEVER
    """Offset of a shadow, depth of an extrusion, or width of a glow, a share."""
    underline: Effect = NEVER
    """Thickness of a line under the text, a share."""
    slant: Effect = NEVER
    """Slant of a display's segments, pixels along the line for each pixel up."""
    ghost: Effect = NEVER
    """How much is seen of a display's segments that are off, a share of those that are on."""
    glow: Effect = NEVER
    """Light around the segments that are on, a share of theirs."""
    weight: Effect = NEVER
    """Ink that spreads (above 0) or thins (below 0), a share of the whole effect of a 3 × 3 filter."""

    # Geometry
    rotation: Effect = NEVER
    """Rise of the line from its start to its end, in line heights; short lines rotate less."""
    shear: Effect = NEVER
    """Slant, pixels along the line for each pixel up."""
    perspective: Effect = NEVER
    """By how much one end or one edge is smaller, a share of its length."""
    curve: Effect = NEVER
    """Curved baseline: how far its middle lies off its ends, a share of the line's height."""
    arc: Effect = NEVER
    """The same for a baseline on a circle, with letters that rotate with it."""
    elastic: Effect = NEVER
    """How far the knots of a smooth random field move parts of letters (a standard deviation), a share."""

    # Crop
    margin: float = 0.15
    """Largest margin of the usual crop, a share."""
    loose: Effect = NEVER
    """Largest margin of a loose crop, a share."""
    paper_around: Effect = NEVER
    """Paper at one end of the line, in ems, with less of it on the other sides."""
    cut: Effect = NEVER
    """Pixels that one edge of the crop cuts off the line."""
    neighbors: Effect = NEVER
    """How much is seen of the lines above and below, a share."""
    side: Effect = NEVER
    """How much is seen of other words at the sides, a share."""
    cut_off: Effect = NEVER
    """How much is seen of the letters before and after the text, where it is a part of a longer string: a share."""
    border: Effect = NEVER
    """Thickness of a box's border near the edge, a share."""

    # Paper and ink
    color: float = 0.0
    """Probability of colors."""
    photo_colors: float = 0.0
    """Probability that colors are two that stand side by side in a photograph."""
    lights: tuple[RGB, ...] = ()
    """Hues of light ink, all with the same probability; otherwise any, as for `papers`."""
    papers: tuple[RGB, ...] = ()
    """Hues of light paper."""
    dark: float = 0.0
    """Probability of light ink on dark paper."""
    paper: tuple[int, int] = (200, 255)
    """Luminance of the lighter of paper and ink."""
    contrast: tuple[int, int] = (100, 250)
    """Difference in luminance between paper and ink, as far as there is room."""
    gradient: Effect = NEVER
    """Change of the paper across the image, in luminance."""
    texture: Effect = NEVER
    """Standard deviation of a smooth texture of the paper, in luminance."""
    photo: Effect = NEVER
    """Strength of a photograph under the text, 0 to 1."""
    ink_gradient: Effect = NEVER
    """Change of the ink across the image, in luminance."""
    ink_texture: Effect = NEVER
    """Clouds, speckles, stripes or a photograph in the ink: their range, a share of the contrast."""

    # Other text
    text_behind: Effect = NEVER
    """Contrast of other text behind the text, a share of its own."""
    text_in_front: Effect = NEVER
    """Opacity of other text in front of the text, 0 to 1."""
    strokes: Effect = NEVER
    """Thickness of strokes across the text, a share."""

    # Light and degradation
    light: Effect = NEVER
    """Uneven light, a share of the brightness."""
    glare: Effect = NEVER
    """A reflection across the image, a share of white."""
    shade: Effect = NEVER
    """A shadow's edge across the image, a share of the brightness."""
    fade: Effect = NEVER
    """Stripes of faded print, a share of the contrast."""
    patches: Effect = NEVER
    """Worn spots, a share of the contrast."""
    dot_matrix: Effect = NEVER
    """Print made of dots: pixels from dot to dot."""
    dropout: Effect = NEVER
    """Lost scan lines of a fax, a share of all."""
    blur: Effect = NEVER
    """Radius of a Gaussian blur, in pixels."""
    motion: Effect = NEVER
    """Length of a motion blur, in pixels."""
    noise: Effect = NEVER
    """Standard deviation of the noise, in luminance."""
    low_resolution: Effect = NEVER
    """The font's size in pixels before the image was scaled up."""
    jpeg: Effect = NEVER
    """Quality of a JPEG."""
    threshold: Effect = NEVER
    """Black and white only: the threshold between paper and ink, 0 to 1."""


_IN_PIXELS = ("cut", "dot_matrix", "blur", "motion", "low_resolution")


@functools.cache
def at_height(recipe: Recipe, height: int) -> Recipe:
    """The same recipe for images `height` pixels high: what it counts in pixels is meant for 32."""
    factor = height / 32
    scaled = {name: getattr(recipe, name).times(factor) for name in _IN_PIXELS}
    return replace(recipe, em=(recipe.em[0] * factor, recipe.em[1] * factor), **scaled)


RECIPES: dict[Style, Recipe] = {
    Style.CLEAN: Recipe(
        em=(18, 32),
        rotation=Effect(0.35, -0.25, 0.25),
        blur=Effect(0.35, 0.3, 0.9),
        margin=0.35,
        dark=0.25,
        color=0.2,
        paper=(190, 255),
        contrast=(110, 255),
    ),
    Style.DOCUMENT: Recipe(
        em=(17, 33),
        fonts=((Kind.TEXT, 0.7), (Kind.MONOSPACED, 0.05)),
        spacing=Effect(0.06, 0.02, 0.12),
        gap=Effect(0.05, 1.0, 9.0),
        slashed_zero=0.05,
        underline=Effect(0.03, 0.04, 0.07),
        weight=Effect(0.3, -0.5, 1.0),
        rotation=Effect(0.4, -0.2, 0.2),
        shear=Effect(0.1, -0.12, 0.12),
        perspective=Effect(0.05, -0.06, 0.06),
        curve=Effect(0.06, -0.15, 0.15),
        elastic=Effect(0.1, 0.01, 0.03),
        margin=0.22,
        loose=Effect(0.12, 0.2, 0.7),
        paper_around=Effect(0.05, 0.5, 5.0),
        cut=Effect(0.1, 0.5, 2.0),
        neighbors=Effect(0.18, 0.04, 0.2),
        side=Effect(0.04, 0.05, 0.25),
        cut_off=Effect(0.03, 0.02, 0.05),
        border=Effect(0.04, 0.03, 0.09),
        color=0.05,
        dark=0.02,
        paper=(190, 255),
        contrast=(90, 255),
        gradient=Effect(0.2, 5, 40),
        texture=Effect(0.2, 2, 10),
        ink_texture=Effect(0.05, 0.1, 0.5),
        text_behind=Effect(0.06, 0.05, 0.16),
        light=Effect(0.15, 0.05, 0.3),
        shade=Effect(0.04, 0.1, 0.35),
        patches=Effect(0.06, 0.3, 0.9),
        dropout=Effect(0.03, 0.02, 0.1),
        blur=Effect(0.35, 0.3, 1.1),
        motion=Effect(0.02, 2, 3),
        noise=Effect(0.35, 1, 12),
        low_resolution=Effect(0.1, 15, 24),
        jpeg=Effect(0.2, 25, 90),
        threshold=Effect(0.45, 0.22, 0.46),
    ),
    Style.SCENE: Recipe(
        em=(15, 33),
        spacing=Effect(0.16, -0.06, 1.0),
        gap=Effect(0.04, 0.8, 5.0),
        slashed_zero=0.05,
        small_capitals=Effect(0.08, 0.68, 0.88),
        outline=Effect(0.12, 0.03, 0.09),
        shadow=Effect(0.2, 0.04, 0.16),
        underline=Effect(0.03, 0.04, 0.1),
        weight=Effect(0.15, -0.6, 1.0),
        rotation=Effect(0.55, -1.6, 1.6),
        shear=Effect(0.35, -0.35, 0.35),
        perspective=Effect(0.3, -0.25, 0.25),
        curve=Effect(0.14, -0.9, 0.9),
        arc=Effect(0.16, -1.3, 1.3),
        elastic=Effect(0.25, 0.02, 0.07),
        margin=0.25,
        loose=Effect(0.15, 0.25, 0.8),
        paper_around=Effect(0.05, 0.5, 4.0),
        cut=Effect(0.15, 0.5, 2.0),
        neighbors=Effect(0.15, 0.05, 0.3),
        side=Effect(0.12, 0.05, 0.3),
        cut_off=Effect(0.08, 0.02, 0.06),
        border=Effect(0.08, 0.03, 0.12),
        color=0.85,
        photo_colors=0.35,
        dark=0.48,
        paper=(120, 255),
        contrast=(85, 255),
        gradient=Effect(0.4, 5, 60),
        texture=Effect(0.35, 3, 22),
        photo=Effect(0.2, 0.2, 0.9),
        ink_gradient=Effect(0.15, 10, 60),
        ink_texture=Effect(0.16, 0.2, 0.9),
        text_behind=Effect(0.1, 0.08, 0.28),
        text_in_front=Effect(0.05, 0.1, 0.35),
        strokes=Effect(0.06, 0.02, 0.05),
        light=Effect(0.35, 0.1, 0.5),
        shade=Effect(0.12, 0.15, 0.5),
        patches=Effect(0.08, 0.3, 0.9),
        dot_matrix=Effect(0.03, 2.5, 4.5),
        blur=Effect(0.4, 0.3, 1.4),
        motion=Effect(0.08, 2, 4),
        noise=Effect(0.35, 2, 14),
        low_resolution=Effect(0.22, 11, 20),
        jpeg=Effect(0.5, 15, 85),
    ),
    Style.RECEIPT: Recipe(
        em=(14, 28),
        fonts=((Kind.MONOSPACED, 0.45), (Kind.TEXT, 0.35)),
        spacing=Effect(0.07, 0.02, 0.2),
        gap=Effect(0.15, 1.0, 9.0),
        slashed_zero=0.2,
        underline=Effect(0.02, 0.04, 0.08),
        weight=Effect(0.35, -0.6, 1.0),
        rotation=Effect(0.4, -0.25, 0.25),
        shear=Effect(0.1, -0.12, 0.12),
        perspective=Effect(0.08, -0.08, 0.08),
        curve=Effect(0.1, -0.2, 0.2),
        elastic=Effect(0.12, 0.01, 0.04),
        margin=0.3,
        loose=Effect(0.2, 0.3, 1.0),
        paper_around=Effect(0.06, 0.5, 5.0),
        cut=Effect(0.12, 0.5, 2.0),
        neighbors=Effect(0.2, 0.05, 0.25),
        side=Effect(0.08, 0.05, 0.3),
        cut_off=Effect(0.04, 0.02, 0.05),
        border=Effect(0.03, 0.03, 0.08),
        color=0.08,
        paper=(150, 255),
        contrast=(65, 235),
        gradient=Effect(0.25, 5, 50),
        texture=Effect(0.3, 2, 12),
        ink_texture=Effect(0.08, 0.1, 0.5),
        text_behind=Effect(0.06, 0.05, 0.16),
        light=Effect(0.2, 0.05, 0.35),
        shade=Effect(0.06, 0.1, 0.4),
        fade=Effect(0.3, 0.2, 0.6),
        patches=Effect(0.2, 0.3, 0.9),
        dot_matrix=Effect(0.14, 2.0, 3.0),
        dropout=Effect(0.05, 0.02, 0.12),
        blur=Effect(0.35, 0.3, 1.2),
        motion=Effect(0.03, 2, 3),
        noise=Effect(0.4, 2, 14),
        low_resolution=Effect(0.25, 13, 22),
        jpeg=Effect(0.3, 20, 85),
        threshold=Effect(0.2, 0.22, 0.48),
    ),
    Style.DISPLAY: Recipe(
        em=(24, 44),
        displays=((Display.SEVEN, 0.66), (Display.FOURTEEN, 0.12), (Display.DOTS, 0.22)),
        slant=Effect(0.45, 0.05, 0.22),
        ghost=Effect(0.4, 0.04, 0.22),
        glow=Effect(0.4, 0.1, 0.6),
        rotation=Effect(0.45, -0.5, 0.5),
        shear=Effect(0.15, -0.1, 0.15),
        perspective=Effect(0.3, -0.2, 0.2),
        curve=Effect(0.04, -0.15, 0.15),
        margin=0.25,
        loose=Effect(0.3, 0.2, 0.9),
        paper_around=Effect(0.15, 0.4, 3.0),
        cut=Effect(0.05, 0.5, 1.5),
        border=Effect(0.12, 0.05, 0.25),
        color=0.75,
        dark=0.5,
        lights=((255, 30, 20), (255, 30, 20), (60, 255, 60), (255, 170, 20), (70, 130, 255), (90, 240, 255), (255, 255, 255)),
        papers=((165, 185, 140), (180, 190, 165), (190, 215, 120), (150, 190, 210), (255, 185, 90), (255, 255, 255)),
        paper=(90, 255),
        contrast=(50, 245),
        gradient=Effect(0.4, 5, 50),
        texture=Effect(0.2, 2, 12),
        light=Effect(0.3, 0.1, 0.5),
        glare=Effect(0.2, 0.1, 0.6),
        shade=Effect(0.12, 0.1, 0.5),
        patches=Effect(0.04, 0.2, 0.5),
        blur=Effect(0.5, 0.3, 1.8),
        motion=Effect(0.06, 2, 4),
        noise=Effect(0.45, 1, 14),
        low_resolution=Effect(0.25, 14, 26),
        jpeg=Effect(0.5, 15, 85),
    ),
}
"""By style. `mixed` chooses among the first four; `trdg` has code of its own."""

STYLE_SHARES: dict[Style, float] = {Style.SCENE: 0.4, Style.DOCUMENT: 0.25, Style.RECEIPT: 0.22, Style.CLEAN: 0.13}
"""Probability of each style in `mixed`."""
