"""What happens to print and pictures: worn ink, blur, noise, low resolution, compression, black and white."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from crnnocr.synth.render import background
from crnnocr.synth.render.background import Colours, Field
from crnnocr.synth.render.recipe import Recipe

_FULL_WEIGHT = 28
"""Pixels an em from which on ink spreads or wears off by a whole pixel."""
_UPSCALING = (*[Image.Resampling.BILINEAR] * 4, *[Image.Resampling.BICUBIC] * 4, Image.Resampling.NEAREST)
"""How low resolution is brought back, each as likely."""
_LIGHT = 0.24
"""Density up to which on strokes are so thin that wear would take them away."""
_HEAVY = 0.42
"""Density from which on letters are so heavy that spreading ink would fill them."""
_SPOTS = (0.04, 0.2)
"""Size of worn spots, in ems."""
_WHERE_WORN = (0.3, 1.2)
"""Standard deviations from which on ink is worn off."""
_KERNEL = 5
"""Sides of the motion blur's kernel, the largest that Pillow has, in pixels."""


def wear_ink(mask: Image.Image, em: float, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Ink that has spread or worn off, that fades in stripes or spots, or that was printed in dots; `em` is the font's size."""
    weight = recipe.weight.draw(rng) * min(1.0, em / _FULL_WEIGHT)
    if weight and (_density(mask) > _LIGHT if weight < 0 else _density(mask) < _HEAVY):
        spread = mask.filter(ImageFilter.MaxFilter(3) if weight > 0 else ImageFilter.MinFilter(3))
        mask = Image.blend(mask, spread, min(1.0, abs(weight)))
    fade, patches, pitch = recipe.fade.draw(rng), recipe.patches.draw(rng), recipe.dots.draw(rng)
    if not (fade or patches or pitch):
        return mask
    cover = np.ones(mask.size[::-1], np.float32)
    if fade:
        cover *= _stripes(mask.size, fade, rng)
    if patches:
        spots = background.soft(mask.size, em * float(rng.uniform(*_SPOTS)), rng)
        cover *= 1 - patches * _smooth(2 * (spots - float(rng.uniform(*_WHERE_WORN))))
    if pitch:
        cover *= _dots(mask.size, pitch)
    return Image.fromarray((np.asarray(mask) * cover).astype(np.uint8))


def _density(mask: Image.Image) -> float:
    """Share of the text's box that is ink."""
    return float(np.asarray(mask.crop(mask.getbbox())).mean()) / 255


def _stripes(size: tuple[int, int], depth: float, rng: np.random.Generator) -> Field:
    """Where a thermal head or a ribbon prints weaker: bands down or along, 1 - depth at the weakest."""
    width, height = size
    down = rng.random() < 0.5
    cells = max(3, int((height if down else width) / float(rng.uniform(4, 20))))
    levels = rng.random((cells, 1) if down else (1, cells), dtype=np.float32)
    stripes = Image.fromarray(np.asarray(1 - depth * levels, np.float32))
    return np.asarray(stripes.resize(size, Image.Resampling.BILINEAR))


def _dots(size: tuple[int, int], pitch: float) -> Field:
    """The pins of a dot-matrix printer: full in the middle of a dot and none between dots."""
    x, y = (_smooth(np.abs(2 * (np.arange(length) / pitch % 1) - 1)) for length in size)
    return np.asarray(np.clip(1.5 * np.sqrt(x * y[:, None]), 0.1, 1), np.float32)


def _smooth(values: NDArray[Any]) -> NDArray[Any]:
    """A step from 0 to 1 that begins and ends gently (Hermite's), by operations that give the same bits on every processor."""
    values = np.clip(values, 0, 1)
    return np.asarray(values * values * (3 - 2 * values))


def light(picture: Image.Image, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Uneven light and the edge of a shadow."""
    strength, depth = recipe.light.draw(rng), recipe.shade.draw(rng)
    if not (strength or depth):
        return picture
    brightness = 1 - strength * (0.5 + background.slope(picture.size, rng))
    if depth:
        edge = 5 * (background.slope(picture.size, rng) - float(rng.uniform(-0.4, 0.4)))
        brightness = brightness * (1 - depth * _smooth(edge + 0.5))
    values = np.asarray(picture, np.float32)
    return background.to_image(values.reshape(*brightness.shape, -1) * brightness[:, :, None])


def blur(picture: Image.Image, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Out of focus, or moved."""
    if radius := recipe.blur.draw(rng):
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    if length := recipe.motion.draw(rng):
        picture = picture.filter(ImageFilter.Kernel((_KERNEL, _KERNEL), _streak(length, rng)))
    return picture


def _streak(length: float, rng: np.random.Generator) -> list[float]:
    """A line through the middle of a kernel, `length` pixels long, in a direction of chance."""
    angle = float(rng.uniform(0, np.pi))
    kernel = np.zeros((_KERNEL, _KERNEL))
    for along in np.linspace(-length / 2, length / 2, 9):
        x, y = _KERNEL // 2 + along * np.cos(angle), _KERNEL // 2 + along * np.sin(angle)
        kernel[int(np.clip(np.rint(y), 0, _KERNEL - 1)), int(np.clip(np.rint(x), 0, _KERNEL - 1))] += 1
    return [float(value) for value in (kernel / kernel.sum()).ravel()]


def roughen(picture: Image.Image, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Noise, grey or of each colour by itself."""
    deviation = recipe.noise.draw(rng)
    if not deviation:
        return picture
    values = np.asarray(picture, dtype=np.float32)
    grain = background.noise(values.shape, rng) if rng.random() < 0.5 else background.noise(values.shape[:2], rng)
    if grain.ndim < values.ndim:
        grain = grain[:, :, None]
    return Image.fromarray(np.clip(values + np.float32(deviation) * grain, 0, 255).astype(np.uint8))


def scan(picture: Image.Image, colours: Colours, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """A page in black and white, and scan lines that a fax has lost."""
    if limit := recipe.threshold.draw(rng):
        level = background.luminance(colours.paper) + limit * colours.step
        picture = picture.convert("L").point([255 * (value > level) for value in range(256)])
    if share := recipe.dropout.draw(rng):
        values = np.array(picture)
        lost = np.flatnonzero(rng.random(len(values) - 1) < share) + 1
        values[lost] = values[lost - 1]
        picture = Image.fromarray(values)
    return picture


def coarsen(picture: Image.Image, em: float, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Low resolution, brought back to its size; `em` is the font's size in the picture, in pixels."""
    low = recipe.shrink.draw(rng)
    if not low or low >= em:
        return picture
    small = (max(1, round(picture.width * low / em)), max(1, round(picture.height * low / em)))
    back = _UPSCALING[int(rng.integers(len(_UPSCALING)))]
    return picture.resize(small, Image.Resampling.BOX).resize(picture.size, back)


def compress(picture: Image.Image, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Once through JPEG."""
    quality = recipe.jpeg.draw(rng)
    if not quality:
        return picture
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=round(quality))
    return Image.open(file).convert(picture.mode)
