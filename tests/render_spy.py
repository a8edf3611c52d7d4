"""A spy that records a line before and after every stage of rendering, and what can be measured from that.

Two ramps, of x and of y, that are warped along with the ink tell where each pixel of an image came from.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from crnnocr.config import SynthConfig
from crnnocr.synth.render import display as displays
from crnnocr.synth.render import geometry
from crnnocr.synth.render import image as images
from crnnocr.synth.render import ink as inks
from crnnocr.synth.render.image import RenderedLine
from crnnocr.synth.render.ink import Ink
from crnnocr.synth.render.recipe import Effect, Recipe
from crnnocr.synth.sampler import Sampler

Array = NDArray[Any]


class Spy:
    """The result of the line that was rendered last."""

    ink: Ink
    recipe: Recipe
    at_first: Array
    """The label's ink before any transform."""
    x: Image.Image
    """For each pixel of the warped line, the column it came from; mode F."""
    y: Image.Image
    box: inks.Box | None
    cut: float
    """Pixels that the crop was meant to cut off."""
    final: Image.Image
    mask: Image.Image
    """The label's ink in the final image, as far as the crop shows it."""
    em: float
    composed: Image.Image
    """The mask before it was scaled to the height asked for."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._real: dict[str, Any] = {
            "draw": inks.draw_text,
            "show": displays.draw,
            "transform": Ink.transform,
            "effect": Effect.sample,
            "crop": geometry.crop,
            "compose": images.compose,
            "legible": images.is_legible,
        }
        patch.setattr(inks, "draw_text", lambda *arguments: self._draw("draw", *arguments))
        patch.setattr(displays, "draw", lambda *arguments: self._draw("show", *arguments))
        patch.setattr(Ink, "transform", lambda ink, layer: self._transform(ink, layer))
        patch.setattr(Effect, "sample", lambda effect, rng: self._strength(effect, rng))
        patch.setattr(geometry, "crop", self._crop)
        patch.setattr(images, "compose", self._compose)
        patch.setattr(images, "is_legible", self._is_legible)

    def _draw(self, how: str, *arguments: Any) -> Ink:
        self.recipe, self.cut = arguments[-2], 0.0
        self.ink = self._real[how](*arguments)
        width, height = self.ink.text.size
        self.at_first = np.asarray(self.ink.text)
        x, y = np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5
        self.x = Image.fromarray(np.tile(x, (height, 1)))
        self.y = Image.fromarray(np.repeat(y[:, None], width, axis=1))
        return self.ink

    def _transform(self, ink: Ink, layer: Callable[[Image.Image], Image.Image]) -> None:
        self.x, self.y = layer(self.x), layer(self.y)
        self._real["transform"](ink, layer)

    def _strength(self, effect: Effect, rng: np.random.Generator) -> float:
        strength = float(self._real["effect"](effect, rng))
        if effect is self.recipe.cut:
            self.cut = strength
        return strength

    def _crop(self, *arguments: Any) -> Any:
        self.box = self._real["crop"](*arguments)
        return self.box

    def _compose(self, *arguments: Any) -> Any:
        composed = self._real["compose"](*arguments)
        self.composed = composed[1]
        return composed

    def _is_legible(self, final: Image.Image, ink: Image.Image, *others: Any) -> bool:
        self.final, self.mask, self.em = final, ink, others[0]
        return bool(self._real["legible"](final, ink, *others))


@dataclass(frozen=True)
class Measured:
    """Measurements of one sample."""

    config: SynthConfig
    index: int
    line: RenderedLine
    ink: float
    """Ink on its canvas, as a share of what Pillow draws on a canvas with room for everything."""
    warped: float
    """Ink after the warp, with each pixel weighted by its area before the warp, as a share of the ink before."""
    cut: float
    """Pixels that the crop was meant to cut off."""
    lost: float
    """Largest share of ink that the crop cut off a character."""
    contrasts: Array
    """For each character, gray levels between solid ink and the paper around it; positive if the polarity is that of most."""
    x_height: float
    """X-height of the smallest character, in pixels of the image."""

    def __repr__(self) -> str:
        return f"{self.config.lang[0]} {self.config.style} {self.config.orientation} {self.index}: {self.line.text!r}"


def measure(spy: Spy, sampler: Sampler, index: int) -> Measured:
    line = sampler.render(index)
    assert spy.box is not None
    ink, x, y = np.asarray(spy.ink.text, np.float64), np.asarray(spy.x, np.float64), np.asarray(spy.y, np.float64)
    (x_down, x_along), (y_down, y_along) = np.gradient(x), np.gradient(y)
    area = np.abs(x_along * y_down - x_down * y_along)
    owner, count = owners(spy, spy.ink.characters, x)
    kept = np.zeros_like(ink)
    left, top, right, bottom = (max(0, edge) for edge in spy.box)
    kept[top:bottom, left:right] = ink[top:bottom, left:right]
    whole, there = (np.bincount(owner.ravel(), values.ravel(), count) for values in (ink, kept))
    scale = spy.final.height / spy.composed.height
    return Measured(
        config=sampler.config,
        index=index,
        line=line,
        ink=1.0 if spy.ink.pen.upright or spy.ink.starts else float(spy.at_first.sum() / reference(spy).sum()),
        warped=float((ink * area).sum() / spy.at_first.sum()),
        cut=spy.cut,
        lost=float((1 - there[whole > 0] / whole[whole > 0]).max()),
        contrasts=contrasts(spy, owner, count),
        x_height=smallest(spy.ink.pen) * scale * float(np.min((np.hypot(x_down, x_along) / np.maximum(area, 1e-6))[ink > 64])),
    )


def advance(pen: inks.Pen, text: str) -> float:
    """The advance of `text` by Pillow."""
    return pen.font.getlength(text, **pen._shaping(text))


def pieces(pen: inks.Pen, text: str) -> list[tuple[str, ImageFont.FreeTypeFont, float]]:
    """The runs that are drawn at once: text, font, and where each begins, from the line's start."""
    if not (pen.spacing or pen.small_font):
        return [(text, pen.font, 0.0)]
    found, x, first = [], 0.0, True
    for character in text:
        font = pen.font if first or pen.small_font is None else pen.small_font
        found.append((character, font, x))
        x += font.getlength(character, features=pen.features, language=pen.language) + pen.spacing
        first = character.isspace()
    return found


def reference(spy: Spy) -> Array:
    """The text as Pillow draws it on a canvas with room for everything."""
    pen, text = spy.ink.pen, spy.ink.characters
    width = int(advance(pen, text) + max(0, pen.spacing) * len(text))
    canvas = Image.new("L", (width + 6 * pen.size, 6 * pen.size))
    pencil = ImageDraw.Draw(canvas)
    for part, font, x in pieces(pen, text):
        at = (3.0 * pen.size + x, 3 * pen.size)
        pencil.text(at, part, 255, font, anchor="ls", **pen._shaping(part))
    return np.asarray(canvas, np.float64)


def owners(spy: Spy, text: str, x: Array) -> tuple[Array, int]:
    """For each pixel of the warped line the character that it belongs to, by the column it came from.

    If the line may run to the left, or stands in a column, pieces with blank columns between them stand for characters.
    """
    pen = spy.ink.pen
    if spy.ink.starts:  # on a display
        left, right = spy.ink.reach
        shares = [share for share, character in zip(spy.ink.starts, text, strict=True) if character != " "]
        starts = left + np.array(shares) * (right - left) - 1  # a point may begin within a pixel of the cell before it
    elif pen.upright or any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in text):
        inked = spy.at_first.max(axis=0) > 0
        starts = np.flatnonzero(inked[1:] & ~inked[:-1]) + 1.0
    else:
        ends = [x for _, _, x in pieces(pen, text)]
        if len(ends) < len(text):  # in one piece, with kerning
            ends = [advance(pen, text[:i]) for i in range(len(text))]
        starts = spy.ink.start[0] + np.array([end for end, character in zip(ends, text, strict=True) if character != " "])
    return np.maximum(np.searchsorted(starts, x, side="right") - 1, 0), len(starts)


def in_the_image(spy: Spy, layer: Array) -> Array:
    """A layer of the warped line as it lies in the final image."""
    assert spy.box is not None
    cropped, ink = Image.fromarray(layer.astype(np.float32)).crop(spy.box), spy.ink.text.crop(spy.box).getbbox()
    framed, at = Image.new("F", spy.composed.size), spy.composed.getbbox()  # a border may have been added
    assert ink is not None
    assert at is not None
    framed.paste(cropped, (at[0] - ink[0], at[1] - ink[1]))
    return np.asarray(framed.resize(spy.final.size, Image.Resampling.NEAREST))


def contrasts(spy: Spy, owner: Array, count: int) -> Array:
    mask, gray = np.asarray(spy.mask, np.float64) / 255, np.asarray(spy.final.convert("L"), np.float64)
    own = in_the_image(spy, owner).astype(int)
    peaks = np.zeros(count)
    np.maximum.at(peaks, own.ravel(), mask.ravel())
    solid = mask >= np.maximum(0.3, 0.8 * peaks[own])
    near = np.asarray(spy.mask.filter(ImageFilter.MaxFilter(7))) > 80  # three pixels around
    blank = near & (mask < 0.05)
    if spy.ink.around is not None:
        blank &= in_the_image(spy, np.asarray(spy.ink.around)) < 8

    def means(where: Array) -> tuple[Array, Array]:
        pixels = np.bincount(own[where], minlength=count)
        return np.bincount(own[where], gray[where], count) / np.maximum(pixels, 1), pixels

    (of_ink, inked), (of_paper, papered) = means(solid), means(blank)
    found = (of_ink - of_paper)[(inked > 0) & (papered > 3)]
    return np.asarray(found * np.sign(np.median(found))) if len(found) else np.array([])


def smallest(pen: inks.Pen) -> float:
    """X-height of the font in pixels, or the height of its small capitals if there are some."""
    _, top, _, bottom = pen.small_font.getbbox("X", anchor="ls") if pen.small_font else pen.font.getbbox("x", anchor="ls")
    return bottom - top
