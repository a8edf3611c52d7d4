"""Text as ink: masks of how much of each pixel is covered, and what is printed around the text."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from crnnocr.synth.fonts import FontFace
from crnnocr.synth.render.recipe import Effect, Recipe
from crnnocr.text.bidi import base_level, has_right_to_left

_ROOM = 0.6
"""Room around the line, in ems."""
_MIN_LINE = 0.75
"""Smallest height of a line in ems, however low its ink: neighboring lines would otherwise look like a part of it."""
_CAPITAL_BY_SHAPE = frozenset("ABDEFGHLMNQRT")
"""Capitals whose small letters look different in every font."""
_GLOW, _EXTRUSION = 0.2, 0.55
"""A random number below the first makes a glow in place of a shadow, one below the second an extrusion of the letters."""
_HALO = 0.06
"""Width around letters in which a glow is full, in ems."""
_WIDE = 0.6
"""Width in ems from which a crop shows only a part of a letter."""
_CLOSE = 0.07
"""Gap between the label and a letter that a crop cuts through, in ems."""
_SMALL, _LARGE = (0.3, 0.6), (1.6, 3.5)
"""Sizes of text behind or in front of the label, a share of its own."""
_OTHERS = 10
"""Most characters of such a text."""
_MAX_TURN = 0.7
"""Largest angle at which such a text stands, in radians."""

_GAPS_IN_ROW = 0.5
"""Probability of wide gaps in a row of single characters."""
_LAST_GAP, _ONE_GAP = 0.5, 0.75
"""A random number below the first widens the last space, as before a price, one below the second a random one, else all."""

_LITERAL = ["-liga", "-clig", "-calt", "-dlig"]
"""Switches off features that would draw `->` as an arrow, or `3x4` with a multiplication sign. Joined letters need them."""

_UPRIGHT = (
    ("\u1100", "\u11ff"),
    ("\u2e80", "\ua4cf"),
    ("\ua960", "\ua97f"),
    ("\uac00", "\ud7ff"),
    ("\uf900", "\ufaff"),
    ("\ufe10", "\ufe1f"),
    ("\ufe30", "\ufe6f"),
    ("\uff01", "\uff60"),
    ("\uffe0", "\uffe7"),
    ("\U00020000", "\U0003ffff"),
)
"""Ranges of characters that stand upright in a column: Han, kana, Hangul, their punctuation and wide forms."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True)
class Pen:
    """Writes lines in a font."""

    font: ImageFont.FreeTypeFont
    size: int
    """Pixels an em."""
    language: str | None
    """BCP 47 tag of the text, for the font's own variants of a glyph; None if nothing is shaped."""
    spacing: float = 0.0
    """Extra pixels between characters."""
    features: list[str] | None = None
    """OpenType features that are switched on or, with a minus, off."""
    upright: bool = False
    """The line will be rotated clockwise, so characters that stand upright in a column are drawn rotated counter-clockwise."""
    small_font: ImageFont.FreeTypeFont | None = None
    """The font of the characters after each word's first, if that has another size."""
    _advances: dict[tuple[ImageFont.FreeTypeFont, str], float] = field(default_factory=dict, init=False, compare=False)

    def length(self, text: str) -> float:
        """Advance of `text` in pixels."""
        if self.upright:
            return sum(self.size * len(run) if is_upright else self._advance(run) for is_upright, run in _runs(text))
        if self.small_font:
            return sum(self._advance(character, font) + self.spacing for character, font in self._sizes(text))
        return self._advance(text) + self.spacing * len(text)

    def _advance(self, text: str, font: ImageFont.FreeTypeFont | None = None) -> float:
        font = font or self.font
        if (font, text) not in self._advances:
            self._advances[font, text] = font.getlength(text, **self._shaping(text))
        return self._advances[font, text]

    def _sizes(self, text: str) -> Iterator[tuple[str, ImageFont.FreeTypeFont]]:
        """Each character with its font."""
        for before, character in pairwise(f" {text}"):
            yield character, self.font if before.isspace() or not self.small_font else self.small_font

    def write(self, mask: Image.Image, start: tuple[float, float], text: str, stroke: int = 0) -> None:
        """Draw `text` into `mask` (mode L) from `start` on the baseline; `stroke` widens it on all sides, in pixels."""
        drawing = ImageDraw.Draw(mask)
        if self.upright:
            self._write_upright(drawing, mask, start, text, stroke)
        elif not (self.spacing or self.small_font):
            self._put(drawing, start, text, stroke)
        else:
            x, baseline = start
            for character, font in self._sizes(text):
                self._put(drawing, (x, baseline), character, stroke, font)
                x += self._advance(character, font) + self.spacing

    def _put(
        self,
        drawing: ImageDraw.ImageDraw,
        start: tuple[float, float],
        text: str,
        stroke: int,
        font: ImageFont.FreeTypeFont | None = None,
    ) -> None:
        font = font or self.font
        drawing.text(start, text, 255, font, "ls", stroke_width=stroke, **self._shaping(text))

    def _shaping(self, text: str) -> dict[str, Any]:
        """Pillow's arguments for a text. The direction is its label's; raqm would take that of the first letter."""
        shaping: dict[str, Any] = {"features": self.features, "language": self.language}
        if self.language and has_right_to_left(text):
            shaping["direction"] = ("ltr", "rtl")[base_level(text)]
        return shaping

    def _write_upright(
        self, drawing: ImageDraw.ImageDraw, mask: Image.Image, start: tuple[float, float], text: str, stroke: int
    ) -> None:
        x, baseline = start
        middle = baseline - 0.36 * self.size  # of the column, which lies along the line
        for is_upright, run in _runs(text):
            if not is_upright:
                self._put(drawing, (x, baseline), run, stroke)
                x += self._advance(run)
                continue
            for character in run:
                cell = self._cell(character, stroke).transpose(Image.Transpose.ROTATE_90)
                at = (round(x) - self.size // 2, round(middle - cell.height / 2))
                part = mask.crop((*at, at[0] + cell.width, at[1] + cell.height))
                mask.paste(ImageChops.lighter(part, cell), at)
                x += self.size

    def _cell(self, character: str, stroke: int) -> Image.Image:
        """An upright character in the middle of a square of two ems."""
        cell = Image.new("L", (2 * self.size, 2 * self.size))
        drawing = ImageDraw.Draw(cell)
        direction, anchor = ("ttb", "mt") if self.language else (None, "ma")
        at = (self.size, self.size // 2)
        drawing.text(at, character, 255, self.font, anchor, direction=direction, language=self.language, stroke_width=stroke)
        return cell


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    """Runs of characters of `text` that stand upright in a column, and of those that are rotated."""
    for is_upright, run in groupby(text, stands_upright):
        yield is_upright, "".join(run)


def stands_upright(character: str) -> bool:
    """Whether a character stands upright in a column: U and Tu of UAX #50, in the blocks of `_UPRIGHT`."""
    return any(first <= character <= last for first, last in _UPRIGHT)


@dataclass
class Ink:
    """The layers of a line: masks of mode L and of one size, in which 255 is all ink."""

    characters: str
    """The label; a wide gap is several spaces."""
    pen: Pen
    start: tuple[int, int]
    """Where the label begins on its baseline, before any transform."""
    text: Image.Image
    """The label's own ink."""
    reach: tuple[int, int]
    """First and last column of that ink, before any transform."""
    around: Image.Image | None = None
    """Other ink of the same color: neighboring lines, other words, an underline."""
    outline: Image.Image | None = None
    """The text and its contour."""
    shadow: Image.Image | None = None
    """The text's shadow, glow or extrusion."""
    faint: Image.Image | None = None
    """Of a display: segments that are off, and light around those that are on."""
    cut_off: float = 0.0
    """Pixels that a crop shows of the letters of `around` that stand right before and after the label."""
    starts: list[float] | None = None
    """Result of `character_starts` if the pen does not know it."""
    em: float = 0.0
    """The font's size in the layers as they are now, in pixels."""
    is_on_circle: bool = False
    """Whether the baseline is a circle, so that characters do not follow each other evenly from left to right."""

    def transform(self, layer: Callable[[Image.Image], Image.Image]) -> None:
        """Apply `layer` to each layer."""
        self.text = layer(self.text)
        self.around = self.around and layer(self.around)
        self.outline = self.outline and layer(self.outline)
        self.shadow = self.shadow and layer(self.shadow)
        self.faint = self.faint and layer(self.faint)

    def character_starts(self) -> list[float]:
        """Where each character began: 0 at the left edge of the label's ink, 1 at its right edge. Joined letters, which may
        also run the other way, are spread evenly.
        """
        if self.starts is not None:
            return self.starts
        text, (left, right) = self.characters, self.reach
        if is_joined(text):
            return [index / len(text) for index in range(len(text))]
        return [
            0.0,
            *((self.start[0] + self.pen.length(text[:index]) - left) / (right - left) for index in range(1, len(text))),
        ]


def draw_text(text: str, face: FontFace, size: int, tag: str, upright: bool, recipe: Recipe, rng: np.random.Generator) -> Ink:
    """Draw `text` and what is printed around it, on a canvas with room on all sides for the warp that follows.

    Args:
        text: in logical order.
        face: a font that draws it.
        size: of the font in pixels.
        tag: BCP 47 tag of the language.
        upright: see `Pen.upright`.
        recipe: the effects.
        rng: source of all randomness.
    """
    joined = is_joined(text)
    spacing = 0.0 if upright or joined else recipe.spacing.sample(rng) * size
    font = face.pillow(size)
    shaped = font.layout_engine == ImageFont.Layout.RAQM
    scale = recipe.small_capitals.sample(rng) if not (upright or joined) and _can_be_small_capitals(text) else 0.0
    small_font = face.pillow(round(scale * size)) if scale else None
    features = _LITERAL if shaped and not joined else None
    if features and "0" in text and rng.random() < recipe.slashed_zero:
        features = [*features, "zero"]
    pen = Pen(font, size, tag if shaped else None, spacing, features, upright, small_font)
    text = _with_gaps(text, pen, recipe.gap, rng)
    ascent, descent = pen.font.getmetrics()
    room = round(_ROOM * size)
    start = (room, room + ascent)
    canvas = (int(pen.length(text)) + 2 * room + 1, ascent + descent + 2 * room)
    mask = Image.new("L", canvas)
    pen.write(mask, start, text)
    left, _, right, _ = mask.getbbox() or (0, 0, mask.width, 0)
    ink = Ink(text, pen, start, mask, (left, right), em=size)
    if thickness := recipe.outline.sample(rng):
        ink.outline = Image.new("L", canvas)
        pen.write(ink.outline, start, text, max(1, round(thickness * size)))
    if distance := recipe.shadow.sample(rng) * size:
        ink.shadow = _shadow(ink.outline or mask, size, distance, rng)
    _draw_around(ink, recipe, rng)
    return ink


def _with_gaps(text: str, pen: Pen, gap: Effect, rng: np.random.Generator) -> str:
    """`text` with several spaces for one where a wide gap will be, if there is to be one."""
    words = text.split(" ")
    if len(words) < 2 or not gap.probability:
        return text
    is_row = max(map(len, words)) == 1
    width = gap._replace(probability=_GAPS_IN_ROW if is_row else gap.probability).sample(rng) * pen.size
    count = round(width / max(1.0, pen.length(" ")))
    if count < 2:
        return text
    which = float(rng.random())
    if is_row or which >= _ONE_GAP:
        return (" " * max(2, count // len(words))).join(words)
    at = len(words) - 1 if which < _LAST_GAP else int(rng.integers(1, len(words)))
    return " ".join(words[:at]) + " " * count + " ".join(words[at:])


def _can_be_small_capitals(text: str) -> bool:
    """Whether a later letter of each word shows by its shape that they are capitals; by size alone they would read as small."""
    return text.isupper() and all(not _CAPITAL_BY_SHAPE.isdisjoint(word[1:]) for word in text.split() if word.isupper())


def _shadow(mask: Image.Image, size: int, distance: float, rng: np.random.Generator) -> Image.Image:
    """Ink below letters: a shadow, an extrusion, or a glow."""
    kind = rng.random()
    if kind < _GLOW:
        return mask.filter(ImageFilter.MaxFilter(2 * max(1, round(_HALO * size)) + 1)).filter(
            ImageFilter.GaussianBlur(distance)
        )
    angle = float(rng.uniform(0, 2 * np.pi))

    def moved(along: float) -> Image.Image:
        return ImageChops.offset(mask, round(along * np.cos(angle)), round(along * np.sin(angle)))

    if kind < _EXTRUSION:
        return functools.reduce(ImageChops.lighter, map(moved, range(1, round(distance) + 1)), mask)
    return moved(distance).filter(ImageFilter.GaussianBlur(size * float(rng.uniform(0, 0.04))))


def is_joined(text: str) -> bool:
    """Whether letters of `text` join or stack, so that nothing may come between them."""
    return any("\u0590" <= character <= "\u109f" or "\u1780" <= character <= "\u17ff" for character in text)


def _draw_around(ink: Ink, recipe: Recipe, rng: np.random.Generator) -> None:
    """Draw neighboring lines, other words at the sides, or an underline. A crop will show little of them."""
    underline = recipe.underline.sample(rng) * ink.pen.size
    above_and_below = rng.random() < recipe.neighbors.probability
    at_the_sides = rng.random() < recipe.side.probability
    cut_off = recipe.cut_off.sample(rng) if recipe.cut_off.probability else 0.0
    box = ink.text.getbbox()
    if box is None or not (underline or above_and_below or at_the_sides or cut_off):
        return
    ink.around = around = Image.new("L", ink.text.size)
    other = shuffled(ink.characters, rng)
    if cut_off:
        at_the_sides = False
        ink.cut_off = cut_off * _draw_cut_off(around, other, ink, box, rng)
    if above_and_below:
        _draw_lines(around, other, ink, box, rng)
    if at_the_sides:
        _draw_sides(around, other, ink, box, rng)
    if underline and any(map(str.isalnum, ink.characters)):  # under a hyphen it would make another character
        top = max(box[3], ink.start[1]) + round(float(rng.uniform(0.04, 0.15)) * ink.pen.size) + 1
        ImageDraw.Draw(around).rectangle((box[0], top, box[2], top + max(1, round(underline)) - 1), 255)


def _draw_lines(around: Image.Image, other: str, ink: Ink, box: Box, rng: np.random.Generator) -> None:
    """Draw a line above, one below, both or none."""
    x, baseline = ink.start
    pitch = float(rng.uniform(1.08, 1.45)) * max(box[3] - box[1], _MIN_LINE * ink.pen.size) + 1
    for direction in (-1, 1):
        if rng.random() < 0.7:
            shift = float(rng.uniform(-1, 1)) * ink.pen.size
            ink.pen.write(around, (x + shift, baseline + direction * pitch), other)


def _draw_sides(around: Image.Image, other: str, ink: Ink, box: Box, rng: np.random.Generator) -> None:
    """Draw a letter to the left and right, unless it is so narrow that a crop could show all of it."""
    pen, baseline = ink.pen, ink.start[1]
    letter = other[0]
    left, _, right, _ = pen.font.getbbox(letter)
    gap = float(rng.uniform(0.3, 0.7)) * pen.size
    if right - left < _WIDE * pen.size:
        return
    if rng.random() < 0.6:
        pen.write(around, (box[2] + gap, baseline), letter)
    if rng.random() < 0.6:
        pen.write(around, (box[0] - gap - pen.length(letter), baseline), letter)


def _draw_cut_off(around: Image.Image, other: str, ink: Ink, box: Box, rng: np.random.Generator) -> float:
    """Draw the letter before, that after, or both, as close as the label's own; their size in pixels, or 0 if there is none.

    Only wide ones, so that no crop shows enough of one to be read.
    """
    pen, baseline = ink.pen, ink.start[1]
    letters = [each for each in other if each.isalnum() and pen.length(each) >= _WIDE * pen.size]
    gap = _CLOSE * pen.size + max(0.0, pen.spacing)
    drawn = False
    for letter, direction in zip(letters, (1, -1), strict=False):
        if rng.random() < 0.7:
            left, _, right, _ = pen.font.getbbox(letter, anchor="ls")
            pen.write(around, (box[2] + gap - left if direction > 0 else box[0] - gap - right, baseline), letter)
            drawn = True
    return pen.size if drawn else 0.0


def other_text(ink: Ink, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A mask of `size`: the label's characters in another order, much smaller or larger, at an angle, some of them mirrored."""
    pen = ink.pen
    text = shuffled(ink.characters, rng)[:_OTHERS]
    drawn = Image.new("L", (int(pen.length(text)) + 2 * pen.size, 3 * pen.size))
    pen.write(drawn, (pen.size, 2 * pen.size), text)
    box = drawn.getbbox()
    if box is None:
        return Image.new("L", size)
    scale = float(rng.uniform(*(_SMALL if rng.random() < 0.4 else _LARGE))) * ink.em / pen.size
    angle = float(rng.uniform(-_MAX_TURN, _MAX_TURN))
    x, y = (float(rng.random()) * length for length in size)  # where its middle comes to lie
    across, along = np.cos(angle) / scale, np.sin(angle) / scale
    mirrored = -1 if rng.random() < 0.25 else 1
    middle_x, middle_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    rows = np.array([[mirrored * across, mirrored * along], [-along, across]])
    start = np.array([middle_x, middle_y]) - rows @ np.array([x, y])
    coefficients = (*rows[0].tolist(), float(start[0]), *rows[1].tolist(), float(start[1]))
    return drawn.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)


def strokes(size: tuple[int, int], thickness: float, rng: np.random.Generator) -> Image.Image:
    """A mask of `size` of one to three bent strokes from its upper to its lower edge, `thickness` pixels thick."""
    width, height = size
    mask = Image.new("L", (2 * width, 2 * height))
    steps = np.linspace(0, 1, 9)
    for _ in range(1 + int(rng.integers(3))):
        begin = float(rng.uniform(0, width))
        end = begin + float(rng.uniform(-2, 2)) * height
        bend = float(rng.uniform(-0.3, 0.3)) * height
        x = begin + (end - begin) * steps + 4 * bend * steps * (1 - steps)
        points = [(2 * float(along), 2 * height * float(step)) for along, step in zip(x, steps, strict=True)]
        ImageDraw.Draw(mask).line(points, 255, max(1, round(2 * thickness)), joint="curve")
    return mask.reduce(2)


def shuffled(text: str, rng: np.random.Generator) -> str:
    """The characters of `text` except white space, in a random order."""
    letters = [character for character in text if not character.isspace()]
    return "".join(letters[i] for i in rng.permutation(len(letters)))
