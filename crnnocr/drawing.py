"""A picture with what was read in it, for people to look at."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from crnnocr import images
from crnnocr.config import Orientation
from crnnocr.recognizer import Prediction

_LEAST_HEIGHT = 64
"""Pictures are drawn at least so high, enlarged by whole steps."""
_LETTER, _FIGURE = 20, 10
"""Sizes of type in pixels: of the characters, and of their confidences in per cent."""
_MARGIN = 4
_SURE, _UNSURE = (20, 120, 40), (200, 30, 30)


def draw(source: images.Source, prediction: Prediction) -> Image.Image:
    """The picture, and under it each character below the place where it was read, with its confidence in per cent.

    What is sure is green, what is doubtful red. Under a line that runs down, the picture is turned as it was read.
    """
    picture = images.open_grey(source)
    length = prediction.characters[-1].end if prediction.characters else picture.width
    if length > picture.width + 1:
        picture = images.turned(picture, Orientation.VERTICAL)
    step = max(1, -(-_LEAST_HEIGHT // picture.height))
    shown = picture.convert("RGB").resize((picture.width * step, picture.height * step), Image.Resampling.NEAREST)
    letters, figures = ImageFont.load_default(_LETTER), ImageFont.load_default(_FIGURE)
    sheet = Image.new("RGB", (shown.width, shown.height + _LETTER + 2 * _FIGURE + 3 * _MARGIN), "white")
    sheet.paste(shown, (0, 0))
    pen = ImageDraw.Draw(sheet)
    for one in prediction.characters:
        left, right = one.start * step, one.end * step
        colour = _between(one.confidence)
        pen.line((left, 0, left, shown.height + _MARGIN), fill=(150, 170, 255))
        pen.line((left + 1, shown.height + 1, right - 1, shown.height + 1), fill=colour, width=3)
        middle = (left + right) / 2
        pen.text((middle, shown.height + _MARGIN), one.character, fill=colour, font=letters, anchor="ma")
        figure = f"{one.confidence * 100:.0f}"
        pen.text((middle, shown.height + _LETTER + 2 * _MARGIN), figure, fill=colour, font=figures, anchor="ma")
    summary = f"{prediction.confidence:.1%} sure"
    pen.text((_MARGIN, sheet.height - _FIGURE - _MARGIN), summary, fill=_between(prediction.confidence), font=figures)
    return sheet


def _between(confidence: float) -> tuple[int, int, int]:
    """A colour from doubtful to sure."""
    red, green, blue = (round(bad + (good - bad) * confidence) for bad, good in zip(_UNSURE, _SURE, strict=True))
    return red, green, blue
