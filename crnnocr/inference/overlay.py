"""An image with its prediction drawn below it, for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from crnnocr import images
from crnnocr.inference.recognizer import Prediction

FontFor: TypeAlias = Callable[[str, int], ImageFont.FreeTypeFont | ImageFont.ImageFont]

_MIN_HEIGHT = 64
"""Images are drawn at least so high in pixels, enlarged by a whole factor."""
_LETTER, _FIGURE = 20, 10
"""Font sizes in pixels: of the characters, and of their confidences in percent."""
_MARGIN = 4
_CONFIDENT, _UNCERTAIN = (20, 120, 40), (200, 30, 30)
"""Colors of confidence 1 and 0."""


def default_font(character: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, whatever the character; it has little more than ASCII."""
    return ImageFont.load_default(size)


def draw(source: images.Source, prediction: Prediction, font_for: FontFor = default_font) -> Image.Image:
    """Draw each character of a prediction below its place in the image, with its confidence in percent.

    Confident characters are green, uncertain ones red. A line that runs down is turned as the model saw it.

    Args:
        source: the image.
        prediction: what was predicted for it, with its characters.
        font_for: gives a font for a character and a size in pixels.
    """
    image = images.seen(images.load_gray(source), prediction.view)
    scale = max(1, -(-_MIN_HEIGHT // image.height))
    shown = image.convert("RGB").resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    figures = ImageFont.load_default(_FIGURE)
    sheet = Image.new("RGB", (shown.width, shown.height + _LETTER + 2 * _FIGURE + 3 * _MARGIN), "white")
    sheet.paste(shown, (0, 0))
    pen = ImageDraw.Draw(sheet)
    for one in prediction.characters:
        left, right = one.start * scale, one.end * scale
        color = _color(one.confidence)
        pen.line((left, 0, left, shown.height + _MARGIN), fill=(150, 170, 255))
        pen.line((left + 1, shown.height + 1, right - 1, shown.height + 1), fill=color, width=3)
        middle = (left + right) / 2
        letters = font_for(one.character, _LETTER)
        pen.text((middle, shown.height + _MARGIN), one.character, fill=color, font=letters, anchor="ma")
        figure = f"{one.confidence * 100:.0f}"
        pen.text((middle, shown.height + _LETTER + 2 * _MARGIN), figure, fill=color, font=figures, anchor="ma")
    summary = f"confidence {prediction.confidence:.1%}"
    pen.text((_MARGIN, sheet.height - _FIGURE - _MARGIN), summary, fill=_color(prediction.confidence), font=figures)
    return sheet


def _color(confidence: float) -> tuple[int, int, int]:
    """A color between that of an uncertain and that of a confident character."""
    red, green, blue = (round(bad + (good - bad) * confidence) for bad, good in zip(_UNCERTAIN, _CONFIDENT, strict=True))
    return red, green, blue
