"""Paper, ink and light: luminances, colours, and soft fields of chance over a picture."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnnocr.synth import trdg
from crnnocr.synth.render.recipe import Recipe

Field: TypeAlias = NDArray[np.float32]
"""(H, W) or, in colour, (H, W, 3) float32."""

LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Shares of red, green and blue in grey (ITU-R BT.601, as Pillow has it)."""

_BANK = 1 << 20
_PHOTO_SCALES = (0.15, 0.3, 0.6)


@dataclass(frozen=True)
class Colours:
    """Of paper and ink: one number each for a grey picture, or red, green and blue; 0 to 255."""

    paper: Field
    ink: Field
    is_colour: bool

    @property
    def step(self) -> float:
        """From paper to ink in luminance; below 0 for dark ink."""
        return luminance(self.ink) - luminance(self.paper)


def choose_colours(recipe: Recipe, rng: np.random.Generator) -> Colours:
    """Paper and ink that stand out against each other in luminance, so that grey readers see them too."""
    lighter = float(rng.uniform(*recipe.paper))
    contrast = float(rng.uniform(*recipe.contrast))
    darker = max(0.0, lighter - contrast)
    lighter = min(255.0, max(lighter, darker + recipe.contrast[0]))
    paper, ink = (darker, lighter) if rng.random() < recipe.dark else (lighter, darker)
    if rng.random() >= recipe.colour:
        return Colours(np.array([paper], np.float32), np.array([ink], np.float32), False)
    return Colours(_tinted(paper, rng), _tinted(ink, rng), True)


def luminance(colour: Field) -> float:
    """How bright a colour is, 0 to 255."""
    return float(colour[0]) if len(colour) == 1 else float(colour @ LUMINANCE)


def _tinted(luminance: float, rng: np.random.Generator) -> Field:
    """A colour of any hue with this luminance, as strong as it leaves room for."""
    hue = rng.uniform(-1, 1, size=3).astype(np.float32)
    hue -= hue @ LUMINANCE
    room = min(
        (255 - luminance) / max(float(hue.max()), 1e-3) if hue.max() > 0 else 1e3,
        luminance / max(float(-hue.min()), 1e-3) if hue.min() < 0 else 1e3,
    )
    return np.asarray(luminance + hue * min(room, 160.0) * float(rng.random()), np.float32)


def beside(colours: Colours, rng: np.random.Generator) -> Field:
    """Another colour for shadow or contour: on the paper's side of the ink, or past the paper."""
    away = float(rng.uniform(-0.6, 0.35))
    return np.clip(colours.paper + away * (colours.ink - colours.paper), 0, 255)


def lay(size: tuple[int, int], colours: Colours, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Paper of `size` (width, height), of mode L or RGB, with gradient, texture or a photograph."""
    width, height = size
    paper = np.broadcast_to(colours.paper, (height, width, len(colours.paper)))
    if change := recipe.gradient.draw(rng):
        paper = paper + change * slope(size, rng)[:, :, None]
    if deviation := recipe.texture.draw(rng):
        paper = paper + deviation * soft(size, float(rng.uniform(1.5, 12)), rng)[:, :, None]
    if strength := recipe.photo.draw(rng):
        photo = _photo(size, colours.is_colour, rng)
        reach = max(8.0, abs(colours.step) * 0.75)  # in luminance: not so much that the ink drowns
        paper = paper + strength * np.clip(photo - photo.mean(), -reach, reach)
    return to_image(paper)


def to_image(picture: Field) -> Image.Image:
    """A picture of mode L or RGB from (H, W, 1) or (H, W, 3) values."""
    values = np.clip(picture, 0, 255).astype(np.uint8)
    return Image.fromarray(values if values.shape[2] == 3 else values[:, :, 0])


def slope(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """(H, W) from -0.5 to 0.5 at most, rising evenly in a direction of chance."""
    width, height = size
    angle = float(rng.uniform(0, 2 * np.pi))
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(angle))
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32) * np.float32(np.sin(angle))
    return np.asarray((x + y[:, None]) / np.float32(abs(np.cos(angle)) + abs(np.sin(angle))), np.float32)


def soft(size: tuple[int, int], grain: float, rng: np.random.Generator) -> Field:
    """(H, W) of unit deviation about 0, with lumps of about `grain` pixels."""
    width, height = size
    columns, rows = max(2, int(width / grain) + 1), max(2, int(height / grain) + 1)
    small = Image.fromarray(noise((rows, columns), rng))
    return np.asarray(small.resize(size, Image.Resampling.BILINEAR))


def noise(shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    """Standard normal numbers, a slice of a fixed store of them."""
    needed = int(np.prod(shape))
    store = _noise_store()
    if needed >= len(store) // 2:
        return rng.standard_normal(shape, dtype=np.float32)
    start = int(rng.integers(len(store) - needed))
    return store[start : start + needed].reshape(shape)


@functools.cache
def _noise_store() -> Field:
    store = np.random.default_rng(0).standard_normal(_BANK, dtype=np.float32)
    store.flags.writeable = False
    return store


def _photo(size: tuple[int, int], is_colour: bool, rng: np.random.Generator) -> Field:
    """A piece of one of trdg's photographs, (H, W, 3) or (H, W, 1)."""
    photos = _photos()
    photo = photos[int(rng.integers(len(photos)))]
    width, height = min(size[0], photo.shape[1]), min(size[1], photo.shape[0])
    top, left = (int(rng.integers(room + 1)) for room in (photo.shape[0] - height, photo.shape[1] - width))
    piece = photo[top : top + height, left : left + width]
    if (width, height) != size:
        piece = np.asarray(Image.fromarray(piece).resize(size, Image.Resampling.BILINEAR))
    values = piece.astype(np.float32)
    return values if is_colour else (values @ LUMINANCE)[:, :, None]


@functools.cache
def _photos() -> list[NDArray[np.uint8]]:
    """Photographs of trdg's at several scales, (H, W, 3) uint8."""
    found = []
    for path in trdg.photographs():
        with Image.open(path) as picture:
            whole = picture.convert("RGB")
        for scale in _PHOTO_SCALES:
            reach = 900 * scale / max(_PHOTO_SCALES)
            factor = reach / max(whole.size)
            found.append(np.asarray(whole.resize((round(whole.width * factor), round(whole.height * factor)))))
    return found
