"""Colors of paper and ink, the background, and the smooth random fields that it is made of."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnnocr.images import open_image
from crnnocr.synth import trdg
from crnnocr.synth.render.color_pairs import COLOR_PAIRS
from crnnocr.synth.render.recipe import Recipe

Field: TypeAlias = NDArray[np.float32]
"""(H, W) or, in color, (H, W, 3) float32."""

LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in gray (ITU-R BT.601, as in Pillow)."""

_NOISE_VALUES = 1 << 20
_PHOTO_SCALES = (0.15, 0.3, 0.6)
_CLOUDS, _SPECKLES, _STRIPES = 0.4, 0.6, 0.85
"""A random number below the first makes clouds in the ink, one below the second speckles, below the third stripes."""


@dataclass(frozen=True)
class Colors:
    """Colors of paper and ink, 0 to 255."""

    paper: Field
    """(1,) gray or (3,) red, green and blue; `ink` too."""
    ink: Field
    is_color: bool

    @property
    def step(self) -> float:
        """Luminance of ink minus that of paper; negative for dark ink."""
        return luminance(self.ink) - luminance(self.paper)


def choose_colors(recipe: Recipe, rng: np.random.Generator) -> Colors:
    """Paper and ink that differ in luminance, so that they can be told apart in gray too."""
    lighter = float(rng.uniform(*recipe.paper))
    contrast = float(rng.uniform(*recipe.contrast))
    darker = max(0.0, lighter - contrast)
    lighter = min(255.0, max(lighter, darker + recipe.contrast[0]))
    paper, ink = (darker, lighter) if rng.random() < recipe.dark else (lighter, darker)
    if rng.random() >= recipe.color:
        return Colors(np.array([paper], np.float32), np.array([ink], np.float32), False)
    if recipe.photo_colors and rng.random() < recipe.photo_colors:
        dark, light = COLOR_PAIRS[int(rng.integers(len(COLOR_PAIRS)))]
        return Colors(dark, light, True) if ink > paper else Colors(light, dark, True)
    hues = recipe.lights if ink > paper else recipe.papers
    if not hues:
        return Colors(_tinted(paper, rng), _tinted(ink, rng), True)
    hue = np.array(hues[int(rng.integers(len(hues)))], np.float32)
    light, dark = _tinted(lighter, rng, hue), _tinted(darker, rng)
    return Colors(dark, light, True) if ink > paper else Colors(light, dark, True)


def luminance(color: Field) -> float:
    """Luminance of a (1,) gray or a (3,) color, 0 to 255."""
    return float(color[0]) if len(color) == 1 else float(color @ LUMINANCE)


def _tinted(luminance: float, rng: np.random.Generator, color: Field | None = None) -> Field:
    """A color with this luminance, at most as saturated as that allows, of the hue of `color` or a random one."""
    hue = rng.uniform(-1, 1, size=3).astype(np.float32) if color is None else color.copy()
    hue -= hue @ LUMINANCE
    room = min(
        (255 - luminance) / max(float(hue.max()), 1e-3) if hue.max() > 0 else 1e3,
        luminance / max(float(-hue.min()), 1e-3) if hue.min() < 0 else 1e3,
    )
    most, saturation = (160.0, float(rng.random())) if color is None else (1.0, float(rng.uniform(0.6, 1)))
    return np.asarray(luminance + hue * min(room, most) * saturation, np.float32)


def effect_color(colors: Colors, rng: np.random.Generator) -> Field:
    """A color for a shadow or contour: between ink and paper, or beyond the paper."""
    return between(colors, float(rng.uniform(-0.6, 0.35)))


def between(colors: Colors, position: float) -> Field:
    """The color at a position on the way from paper (0) to ink (1)."""
    return np.clip(colors.paper + position * (colors.ink - colors.paper), 0, 255)


def make_background(size: tuple[int, int], colors: Colors, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """A background of `size` (width, height), of mode L or RGB, with a gradient, a texture or a photograph, or without."""
    width, height = size
    paper = np.broadcast_to(colors.paper, (height, width, len(colors.paper)))
    if change := recipe.gradient.sample(rng):
        paper = paper + change * gradient(size, rng)[:, :, None]
    if deviation := recipe.texture.sample(rng):
        paper = paper + deviation * smooth_noise(size, float(rng.uniform(1.5, 12)), rng)[:, :, None]
    if strength := recipe.photo.sample(rng):
        photo = _photo(size, colors.is_color, rng)
        reach = max(8.0, abs(colors.step) * 0.75)  # in luminance; more would drown the ink
        paper = paper + strength * np.clip(photo - photo.mean(), -reach, reach)
    return to_image(paper)


def to_image(pixels: Field) -> Image.Image:
    """An image of mode L or RGB from (H, W, 1) or (H, W, 3) values, clipped to 0 to 255."""
    values = np.clip(pixels, 0, 255).astype(np.uint8)
    return Image.fromarray(values if values.shape[2] == 3 else values[:, :, 0])


def ink_texture(size: tuple[int, int], em: float, is_color: bool, rng: np.random.Generator) -> Field:
    """(H, W, 1) or (H, W, 3) values, most of them within -0.5 to 0.5, that make ink uneven; `em` is the font's size in pixels.

    Clouds, speckles, stripes in any direction, or a piece of a photograph.
    """
    kind = float(rng.random())
    if kind < _CLOUDS:
        return 0.3 * smooth_noise(size, em * float(rng.uniform(0.08, 0.7)), rng)[:, :, None]
    if kind < _SPECKLES:
        spots = smooth_noise(size, max(1.2, em * float(rng.uniform(0.03, 0.1))), rng)
        return (spots > float(rng.uniform(0.4, 1.2))).astype(np.float32)[:, :, None] - np.float32(0.25)
    if kind < _STRIPES:
        # The gradient rises by 1 from corner to corner; a triangle wave over it makes stripes.
        count = max(size) / (em * float(rng.uniform(0.15, 0.5)))
        phase = count * gradient(size, rng) % 1
        return np.asarray(np.clip(2 * np.abs(2 * phase - 1) - 1, -0.5, 0.5), np.float32)[:, :, None]
    values = _photo(size, is_color, rng)
    values = values - values.mean()
    return np.asarray(values / max(float(np.ptp(values)), 1.0), np.float32)


def gradient(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """(H, W) values within -0.5 to 0.5 that rise evenly in a random direction."""
    width, height = size
    angle = float(rng.uniform(0, 2 * np.pi))
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(angle))
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32) * np.float32(np.sin(angle))
    return np.asarray((x + y[:, None]) / np.float32(abs(np.cos(angle)) + abs(np.sin(angle))), np.float32)


def smooth_noise(size: tuple[int, int], grain: float, rng: np.random.Generator) -> Field:
    """(H, W) noise of about unit deviation around 0, with grains of about `grain` pixels."""
    width, height = size
    columns, rows = max(2, int(width / grain) + 1), max(2, int(height / grain) + 1)
    small = Image.fromarray(noise((rows, columns), rng))
    return np.asarray(small.resize(size, Image.Resampling.BILINEAR))


def noise(shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    """Standard normal numbers: a random slice of a fixed array of them, or new ones if that is too small."""
    needed = int(np.prod(shape))
    values = _noise_values()
    if needed >= len(values) // 2:
        return rng.standard_normal(shape, dtype=np.float32)
    start = int(rng.integers(len(values) - needed))
    return values[start : start + needed].reshape(shape)


@functools.cache
def _noise_values() -> Field:
    values = np.random.default_rng(0).standard_normal(_NOISE_VALUES, dtype=np.float32)
    values.flags.writeable = False
    return values


def _photo(size: tuple[int, int], is_color: bool, rng: np.random.Generator) -> Field:
    """A random piece of one of trdg's photographs, (H, W, 3) or (H, W, 1)."""
    photos = _photos()
    photo = photos[int(rng.integers(len(photos)))]
    width, height = min(size[0], photo.shape[1]), min(size[1], photo.shape[0])
    top, left = (int(rng.integers(room + 1)) for room in (photo.shape[0] - height, photo.shape[1] - width))
    piece = photo[top : top + height, left : left + width]
    if (width, height) != size:
        piece = np.asarray(Image.fromarray(piece).resize(size, Image.Resampling.BILINEAR))
    values = piece.astype(np.float32)
    return values if is_color else (values @ LUMINANCE)[:, :, None]


@functools.cache
def _photos() -> list[NDArray[np.uint8]]:
    """Trdg's photographs at several scales, each (H, W, 3) uint8."""
    found = []
    for path in trdg.photographs():
        with path.open("rb") as file:
            whole = open_image(file).convert("RGB")
        for scale in _PHOTO_SCALES:
            reach = 900 * scale / max(_PHOTO_SCALES)
            factor = reach / max(whole.size)
            found.append(np.asarray(whole.resize((round(whole.width * factor), round(whole.height * factor)))))
    return found
