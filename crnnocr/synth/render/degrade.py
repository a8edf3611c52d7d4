"""Degradations of print and images: worn ink, uneven light, blur, noise, low resolution, compression, black and white."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from crnnocr.images import open_image
from crnnocr.synth.render import background
from crnnocr.synth.render.background import Colors, Field
from crnnocr.synth.render.recipe import Recipe

_FULL_WEIGHT = 28
"""Pixels an em from which ink spreads or thins by a whole pixel."""
_UPSCALING = (*[Image.Resampling.BILINEAR] * 4, *[Image.Resampling.BICUBIC] * 4, Image.Resampling.NEAREST)
"""Filters that scale a low resolution up, each with the same probability."""
_LIGHT = 0.24
"""Density up to which strokes are so thin that thinning would erase them."""
_HEAVY = 0.42
"""Density from which letters are so heavy that spreading ink would fill them."""
_SPOT_SIZE = (0.04, 0.2)
"""Size of worn spots, in ems."""
_WORN_FROM = (0.3, 1.2)
"""Standard deviations of the noise from which ink is worn off."""
_KERNEL = 5
"""Side of the motion blur's kernel in pixels, the largest that Pillow has."""


def wear_ink(mask: Image.Image, em: float, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Spread or thin the ink of a mask, fade it in stripes or spots, or print it in dots; `em` is the font's size in pixels."""
    weight = recipe.weight.sample(rng) * min(1.0, em / _FULL_WEIGHT)
    if weight and (_density(mask) > _LIGHT if weight < 0 else _density(mask) < _HEAVY):
        spread = mask.filter(ImageFilter.MaxFilter(3) if weight > 0 else ImageFilter.MinFilter(3))
        mask = Image.blend(mask, spread, min(1.0, abs(weight)))
    fade, patches, pitch = recipe.fade.sample(rng), recipe.patches.sample(rng), recipe.dot_matrix.sample(rng)
    if not (fade or patches or pitch):
        return mask
    cover = np.ones(mask.size[::-1], np.float32)
    if fade:
        cover *= _stripes(mask.size, fade, rng)
    if patches:
        spots = background.smooth_noise(mask.size, em * float(rng.uniform(*_SPOT_SIZE)), rng)
        cover *= 1 - patches * _smoothstep(2 * (spots - float(rng.uniform(*_WORN_FROM))))
    if pitch:
        cover *= _dots(mask.size, pitch)
    return Image.fromarray((np.asarray(mask) * cover).astype(np.uint8))


def _density(mask: Image.Image) -> float:
    """Share of ink in the text's box."""
    return float(np.asarray(mask.crop(mask.getbbox())).mean()) / 255


def _stripes(size: tuple[int, int], depth: float, rng: np.random.Generator) -> Field:
    """(H, W) strength of the print of a worn thermal head or ribbon: bands across or along the line, down to 1 - depth."""
    width, height = size
    down = rng.random() < 0.5
    cells = max(3, int((height if down else width) / float(rng.uniform(4, 20))))
    levels = rng.random((cells, 1) if down else (1, cells), dtype=np.float32)
    stripes = Image.fromarray(np.asarray(1 - depth * levels, np.float32))
    return np.asarray(stripes.resize(size, Image.Resampling.BILINEAR))


def _dots(size: tuple[int, int], pitch: float) -> Field:
    """(H, W) strength of dot-matrix print: full in the middle of a dot, hardly any between dots."""
    x, y = (_smoothstep(np.abs(2 * (np.arange(length) / pitch % 1) - 1)) for length in size)
    return np.asarray(np.clip(1.5 * np.sqrt(x * y[:, None]), 0.1, 1), np.float32)


def _smoothstep(values: NDArray[Any]) -> NDArray[Any]:
    """Smoothstep (Hermite): 0 to 1 with flat ends, by operations that give the same bits on every processor."""
    values = np.clip(values, 0, 1)
    return np.asarray(values * values * (3 - 2 * values))


def add_shading(image: Image.Image, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Add uneven light and the edge of a shadow."""
    strength, depth = recipe.light.sample(rng), recipe.shade.sample(rng)
    if not (strength or depth):
        return image
    brightness = 1 - strength * (0.5 + background.gradient(image.size, rng))
    if depth:
        edge = 5 * (background.gradient(image.size, rng) - float(rng.uniform(-0.4, 0.4)))
        brightness = brightness * (1 - depth * _smoothstep(edge + 0.5))
    values = np.asarray(image, np.float32)
    return background.to_image(values.reshape(*brightness.shape, -1) * brightness[:, :, None])


def add_glare(image: Image.Image, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Add the reflection of a lamp or window in the glass: a bright band across the image."""
    strength = recipe.glare.sample(rng)
    if not strength:
        return image
    distance = np.abs(background.gradient(image.size, rng) - float(rng.uniform(-0.5, 0.5)))
    band = strength * _smoothstep(1.3 - distance / float(rng.uniform(0.08, 0.4)))
    values = np.asarray(image, np.float32)
    values = values.reshape(*band.shape, -1)
    return background.to_image(np.asarray(values + (255 - values) * band[:, :, None], np.float32))


def blur(image: Image.Image, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Blur as out of focus, or by motion."""
    if radius := recipe.blur.sample(rng):
        image = image.filter(ImageFilter.GaussianBlur(radius))
    if length := recipe.motion.sample(rng):
        image = image.filter(ImageFilter.Kernel((_KERNEL, _KERNEL), _streak(length, rng)))
    return image


def _streak(length: float, rng: np.random.Generator) -> list[float]:
    """A kernel with a line through its middle, `length` pixels long, in a random direction."""
    angle = float(rng.uniform(0, np.pi))
    kernel = np.zeros((_KERNEL, _KERNEL))
    for along in np.linspace(-length / 2, length / 2, 9):
        x, y = _KERNEL // 2 + along * np.cos(angle), _KERNEL // 2 + along * np.sin(angle)
        kernel[int(np.clip(np.rint(y), 0, _KERNEL - 1)), int(np.clip(np.rint(x), 0, _KERNEL - 1))] += 1
    return [float(value) for value in (kernel / kernel.sum()).ravel()]


def add_noise(image: Image.Image, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Add noise, the same for all colors or independent for each."""
    deviation = recipe.noise.sample(rng)
    if not deviation:
        return image
    values = np.asarray(image, dtype=np.float32)
    grain = background.noise(values.shape, rng) if rng.random() < 0.5 else background.noise(values.shape[:2], rng)
    if grain.ndim < values.ndim:
        grain = grain[:, :, None]
    return Image.fromarray(np.clip(values + np.float32(deviation) * grain, 0, 255).astype(np.uint8))


def scan(image: Image.Image, colors: Colors, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Reduce to black and white, and drop scan lines as a fax does."""
    if threshold := recipe.threshold.sample(rng):
        level = background.luminance(colors.paper) + threshold * colors.step
        image = image.convert("L").point([255 * (value > level) for value in range(256)])
    if share := recipe.dropout.sample(rng):
        values = np.array(image)
        lost = np.flatnonzero(rng.random(len(values) - 1) < share) + 1
        values[lost] = values[lost - 1]
        image = Image.fromarray(values)
    return image


def downscale(image: Image.Image, em: float, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Reduce to a low resolution, and scale back to the same size; `em` is the font's size in the image, in pixels."""
    low = recipe.low_resolution.sample(rng)
    if not low or low >= em:
        return image
    small = (max(1, round(image.width * low / em)), max(1, round(image.height * low / em)))
    back = _UPSCALING[int(rng.integers(len(_UPSCALING)))]
    return image.resize(small, Image.Resampling.BOX).resize(image.size, back)


def compress(image: Image.Image, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """Compress once with JPEG."""
    quality = recipe.jpeg.sample(rng)
    if not quality:
        return image
    file = io.BytesIO()
    image.save(file, "JPEG", quality=round(quality))
    return open_image(file).convert(image.mode)
