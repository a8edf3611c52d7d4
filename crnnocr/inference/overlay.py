"""A picture with what was read in it, for people to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from crnnocr import images
from crnnocr.inference.recognizer import Prediction

FontFor: TypeAlias = Callable[[str, int], ImageFont.FreeTypeFont | ImageFont.ImageFont]

_LEAST_HEIGHT = 64
"""Pictures are drawn at least so high, enlarged by whole steps."""
_LETTER, _FIGURE = 20, 10
"""Sizes of type in pixels: of the characters, and of their confidences in per cent."""
_MARGIN = 4
_SURE, _UNSURE = (20, 120, 40), (200, 30, 30)


def default_font(character: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which has little more than ASCII."""
    return ImageFont.load_default(size)


def draw(source: images.Source, prediction: Prediction, font_for: FontFor = default_font) -> Image.Image:
    """The picture, and under it each character below the place where it was read, with its confidence in per cent.

    What is sure is green, what is doubtful red. A line that runs down is turned as it was read. `font_for` gives what a
    character is drawn with, in a size in pixels.
    """
    picture = images.turned(images.load_gray(source), prediction.orientation)
    step = max(1, -(-_LEAST_HEIGHT // picture.height))
    shown = picture.convert("RGB").resize((picture.width * step, picture.height * step), Image.Resampling.NEAREST)
    figures = ImageFont.load_default(_FIGURE)
    sheet = Image.new("RGB", (shown.width, shown.height + _LETTER + 2 * _FIGURE + 3 * _MARGIN), "white")
    sheet.paste(shown, (0, 0))
    pen = ImageDraw.Draw(sheet)
    for one in prediction.characters:
        left, right = one.start * step, one.end * step
        colour = _between(one.confidence)
        pen.line((left, 0, left, shown.height + _MARGIN), fill=(150, 170, 255))
        pen.line((left + 1, shown.height + 1, right - 1, shown.height + 1), fill=colour, width=3)
        middle = (left + right) / 2
        letters = font_for(one.character, _LETTER)
        pen.text((middle, shown.height + _MARGIN), one.character, fill=colour, font=letters, anchor="ma")
        figure = f"{one.confidence * 100:.0f}"
        pen.text((middle, shown.height + _LETTER + 2 * _MARGIN), figure, fill=colour, font=figures, anchor="ma")
    summary = f"{prediction.confidence:.1%}  sure"
    pen.text((_MARGIN, sheet.height - _FIGURE - _MARGIN), summary, fill=_between(prediction.confidence), font=figures)
    return sheet


def _between(confidence: float) -> tuple[int, int, int]:
    """A colour from doubtful to sure."""
    red, green, blue = (round(bad + (good - bad) * confidence) for bad, good in zip(_UNSURE, _SURE, strict=True))
    return red, green, blue
