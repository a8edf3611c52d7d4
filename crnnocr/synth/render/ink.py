"""Text as ink: masks of how much of each pixel is covered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from crnnocr.synth.fonts import FontFace
from crnnocr.synth.render.recipe import Recipe

_ROOM = 0.6
"""Around the line, in ems."""
_LOWEST_LINE = 0.75
"""Height in ems that a line is taken for at least, however low its ink: neighbours would else look like a part of it."""
_CAPITAL_BY_SHAPE = frozenset("ABDEFGHLMNQRT")
"""Capitals whose small letters look otherwise in every font."""
_GLOWING, _REACHING_BACK = 0.2, 0.55
"""Share of the shadows that are a glow, and up to where they are letters of some depth."""
_HALO = 0.06
"""How far a glow is full around letters, in ems."""
_WIDE = 0.6
"""Width in ems of a letter of which a crop shows no more than a part."""

_LITERAL = ["-liga", "-clig", "-calt", "-dlig"]
"""Features off that would draw `->` as an arrow, or `3x4` with a multiplication sign; letters that hang together need them."""

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
    """How a line is set."""

    font: ImageFont.FreeTypeFont
    size: int
    """Pixels an em."""
    language: str | None
    """Of the text, for the font's own variants of a glyph; None where nothing is shaped."""
    spacing: float = 0.0
    """Extra pixels between characters."""
    features: list[str] | None = None
    """OpenType features that are switched off, by a minus, or on."""
    upright: bool = False
    """The line will be turned to the right: characters that stand upright in a column are drawn turned to the left."""
    smaller: ImageFont.FreeTypeFont | None = None
    """What the characters after each word's first are set in, if that is another size."""
    _advances: dict[tuple[ImageFont.FreeTypeFont, str], float] = field(default_factory=dict, init=False, compare=False)

    def length(self, text: str) -> float:
        """How far along `text` reaches, in pixels."""
        if self.upright:
            return sum(self.size * len(run) if is_upright else self._advance(run) for is_upright, run in _runs(text))
        if self.smaller:
            return sum(self._advance(character, font) + self.spacing for character, font in self._sizes(text))
        return self._advance(text) + self.spacing * len(text)

    def _advance(self, text: str, font: ImageFont.FreeTypeFont | None = None) -> float:
        font = font or self.font
        if (font, text) not in self._advances:
            self._advances[font, text] = font.getlength(text, features=self.features, language=self.language)
        return self._advances[font, text]

    def _sizes(self, text: str) -> Iterator[tuple[str, ImageFont.FreeTypeFont]]:
        """Each character with the font that it is set in."""
        for before, character in pairwise(f" {text}"):
            yield character, self.font if before.isspace() or not self.smaller else self.smaller

    def write(self, mask: Image.Image, start: tuple[float, float], text: str, stroke: int = 0) -> None:
        """Draw `text` into `mask` (mode L), from `start` on the baseline; `stroke` widens it to all sides, in pixels."""
        pencil = ImageDraw.Draw(mask)
        if self.upright:
            self._write_upright(pencil, mask, start, text, stroke)
        elif not (self.spacing or self.smaller):
            self._put(pencil, start, text, stroke)
        else:
            x, baseline = start
            for character, font in self._sizes(text):
                self._put(pencil, (x, baseline), character, stroke, font)
                x += self._advance(character, font) + self.spacing

    def _put(
        self,
        pencil: ImageDraw.ImageDraw,
        start: tuple[float, float],
        text: str,
        stroke: int,
        font: ImageFont.FreeTypeFont | None = None,
    ) -> None:
        font = font or self.font
        pencil.text(start, text, 255, font, "ls", features=self.features, language=self.language, stroke_width=stroke)

    def _write_upright(
        self, pencil: ImageDraw.ImageDraw, mask: Image.Image, start: tuple[float, float], text: str, stroke: int
    ) -> None:
        x, baseline = start
        middle = baseline - 0.36 * self.size  # of the column, which lies along the line
        for is_upright, run in _runs(text):
            if not is_upright:
                self._put(pencil, (x, baseline), run, stroke)
                x += self._advance(run)
                continue
            for character in run:
                cell = self._cell(character, stroke).transpose(Image.Transpose.ROTATE_90)
                at = (round(x) - self.size // 2, round(middle - cell.height / 2))
                part = mask.crop((*at, at[0] + cell.width, at[1] + cell.height))
                mask.paste(ImageChops.lighter(part, cell), at)
                x += self.size

    def _cell(self, character: str, stroke: int) -> Image.Image:
        """One upright character in the middle of a square of two ems."""
        cell = Image.new("L", (2 * self.size, 2 * self.size))
        pencil = ImageDraw.Draw(cell)
        direction, anchor = ("ttb", "mt") if self.language else (None, "ma")
        at = (self.size, self.size // 2)
        pencil.text(at, character, 255, self.font, anchor, direction=direction, language=self.language, stroke_width=stroke)
        return cell


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    """`text` in runs of characters that stand upright in a column and of those that are turned."""
    for is_upright, run in groupby(text, stands):
        yield is_upright, "".join(run)


def stands(character: str) -> bool:
    """Whether a character stays upright in a column: U and Tu in the blocks of `_UPRIGHT`, by Unicode's UAX #50."""
    return any(first <= character <= last for first, last in _UPRIGHT)


@dataclass
class Ink:
    """The layers of a line, masks of mode L and one size in which 255 is all ink."""

    characters: str
    """The label."""
    pen: Pen
    start: tuple[int, int]
    """Where the label began, on its baseline, before any change."""
    text: Image.Image
    """The label's own ink."""
    reach: tuple[int, int]
    """Columns from which to which that ink went, before any change."""
    around: Image.Image | None = None
    """Other ink of the same colour: neighbouring lines, other words, underline, border."""
    outline: Image.Image | None = None
    """The text and its contour."""
    shadow: Image.Image | None = None
    """The text's shadow."""
    em: float = 0.0
    """The font's size as the layers now are, in pixels."""
    is_arched: bool = False
    """Whether it lies on a circle, so that its characters do not come one after the other evenly."""

    def change(self, how: Callable[[Image.Image], Image.Image]) -> None:
        """Do the same to each layer."""
        self.text = how(self.text)
        self.around = self.around and how(self.around)
        self.outline = self.outline and how(self.outline)
        self.shadow = self.shadow and how(self.shadow)

    def starts(self) -> list[float]:
        """Where each character began: 0 at the left edge of the label's ink, 1 at its right one; evenly where letters hang
        together, which may also run the other way.
        """
        text, (left, right) = self.characters, self.reach
        if is_joined(text):
            return [index / len(text) for index in range(len(text))]
        return [
            0.0,
            *((self.start[0] + self.pen.length(text[:index]) - left) / (right - left) for index in range(1, len(text))),
        ]


def draw(text: str, face: FontFace, size: int, tag: str, upright: bool, recipe: Recipe, rng: np.random.Generator) -> Ink:
    """Draw `text` and what is printed around it, on a canvas with room on all sides for the warp that follows."""
    joined = is_joined(text)
    spacing = 0.0 if upright or joined else recipe.spacing.draw(rng) * size
    font = face.pillow(size)
    shaped = font.layout_engine == ImageFont.Layout.RAQM
    smaller = recipe.small_capitals.draw(rng) if not (upright or joined) and _can_be_small_capitals(text) else 0.0
    small_font = face.pillow(round(smaller * size)) if smaller else None
    features = _LITERAL if shaped and not joined else None
    if features and "0" in text and rng.random() < recipe.slashed_zero:
        features = [*features, "zero"]
    pen = Pen(font, size, tag if shaped else None, spacing, features, upright, small_font)
    ascent, descent = pen.font.getmetrics()
    room = round(_ROOM * size)
    start = (room, room + ascent)
    canvas = (int(pen.length(text)) + 2 * room + 1, ascent + descent + 2 * room)
    mask = Image.new("L", canvas)
    pen.write(mask, start, text)
    left, _, right, _ = mask.getbbox() or (0, 0, mask.width, 0)
    ink = Ink(text, pen, start, mask, (left, right), em=size)
    if thickness := recipe.outline.draw(rng):
        ink.outline = Image.new("L", canvas)
        pen.write(ink.outline, start, text, max(1, round(thickness * size)))
    if distance := recipe.shadow.draw(rng) * size:
        ink.shadow = _shadow(ink.outline or mask, size, distance, rng)
    _print_around(ink, recipe, rng)
    return ink


def _can_be_small_capitals(text: str) -> bool:
    """Whether each word shows that it is in capitals by more than their size, which alone would make small letters of them."""
    return text.isupper() and all(not _CAPITAL_BY_SHAPE.isdisjoint(word[1:]) for word in text.split() if word.isupper())


def _shadow(mask: Image.Image, size: int, distance: float, rng: np.random.Generator) -> Image.Image:
    """Below letters: a shadow that lies off, letters that reach back, or a glow."""
    kind = rng.random()
    if kind < _GLOWING:
        return mask.filter(ImageFilter.MaxFilter(2 * max(1, round(_HALO * size)) + 1)).filter(
            ImageFilter.GaussianBlur(distance)
        )
    angle = float(rng.uniform(0, 2 * np.pi))

    def moved(along: float) -> Image.Image:
        return ImageChops.offset(mask, round(along * np.cos(angle)), round(along * np.sin(angle)))

    if kind < _REACHING_BACK:
        return functools.reduce(ImageChops.lighter, map(moved, range(1, round(distance) + 1)), mask)
    return moved(distance).filter(ImageFilter.GaussianBlur(size * float(rng.uniform(0, 0.04))))


def is_joined(text: str) -> bool:
    """Whether letters of `text` hang together or stack, so that nothing may come between them."""
    return any("\u0590" <= character <= "\u109f" or "\u1780" <= character <= "\u17ff" for character in text)


def _print_around(ink: Ink, recipe: Recipe, rng: np.random.Generator) -> None:
    """Print neighbouring lines, other words at the sides, or an underline; a crop will show little of them."""
    underline = recipe.underline.draw(rng) * ink.pen.size
    above_and_below = rng.random() < recipe.neighbours.probability
    aside = rng.random() < recipe.side.probability
    box = ink.text.getbbox()
    if box is None or not (underline or above_and_below or aside):
        return
    ink.around = around = Image.new("L", ink.text.size)
    other = _shuffled(ink.characters, rng)
    if above_and_below:
        _print_lines(around, other, ink, box, rng)
    if aside:
        _print_sides(around, other, ink, box, rng)
    if underline and any(map(str.isalnum, ink.characters)):  # under a hyphen it would make another sign
        top = max(box[3], ink.start[1]) + round(float(rng.uniform(0.04, 0.15)) * ink.pen.size) + 1
        ImageDraw.Draw(around).rectangle((box[0], top, box[2], top + max(1, round(underline)) - 1), 255)


def _print_lines(around: Image.Image, other: str, ink: Ink, box: Box, rng: np.random.Generator) -> None:
    """A line above, one below, or both."""
    x, baseline = ink.start
    pitch = float(rng.uniform(1.08, 1.45)) * max(box[3] - box[1], _LOWEST_LINE * ink.pen.size) + 1
    for direction in (-1, 1):
        if rng.random() < 0.7:
            shift = float(rng.uniform(-1, 1)) * ink.pen.size
            ink.pen.write(around, (x + shift, baseline + direction * pitch), other)


def _print_sides(around: Image.Image, other: str, ink: Ink, box: Box, rng: np.random.Generator) -> None:
    """A letter to the left and right, unless it is so narrow that a crop could show all of it."""
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


def _shuffled(text: str, rng: np.random.Generator) -> str:
    letters = [character for character in text if not character.isspace()]
    return "".join(letters[i] for i in rng.permutation(len(letters)))
