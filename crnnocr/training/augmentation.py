"""Random changes to a training batch that leave its texts readable, made on whole batches at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from crnnocr.config import AugmentConfig
from crnnocr.training.chance import Chance
from crnnocr.training.warping import padded, warp

_SPOTS = 3
"""Spots on a line that has any."""

_GRAIN = 8
"""Cells of coarse noise from top to bottom of a line."""

_FAINT = 0.15
"""No line loses contrast so that the standard deviation of its pixels falls below this, where black to white is 2."""


def augment(
    images: Tensor,
    widths: Tensor,
    config: AugmentConfig,
    min_width: int,
    generator: torch.Generator,
    least: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Change each line by itself: its crop and shape, dirt on it, its sharpness, its noise, its tones.

    Args:
        images: (N, 1, H, W) float32 lines in [-1, 1], zero right of each one's width.
        widths: (N,) int64 true widths in pixels, on the CPU.
        config: how strongly.
        min_width: no line gets narrower than this, in pixels.
        generator: source of all chance, on the pictures' device.
        least: (N,) int64 widths in pixels that each line must keep for its label, on the CPU.

    Returns:
        (N, 1, H, W') lines, zero right of each one's new width, and the (N,) new widths. W' is a multiple of
        `warping.COLUMN_STEP`.
    """
    chance = Chance(len(widths), config.changed, generator)
    least = torch.full_like(widths, min_width) if least is None else least.clamp(min=min_width)
    if not chance.changed.any() and bool((widths >= least).all()):
        widest = int(widths.max())
        return functional.pad(images[..., :widest], (0, padded(widths) - widest)), widths
    grey = _statistics(images, widths)
    images, widths = warp(images, widths, least, config, chance)
    _erase(images, widths, *grey, config, chance)
    images = _soften(images, config, chance)
    _shade(images, config, chance)
    inside = (torch.arange(images.shape[3]) < widths[:, None]).to(images.device)[:, None, None, :]  # (N, 1, 1, W')
    mean, spread = _statistics(images.mul_(inside), widths)
    _roughen(images, spread, config, chance, generator)
    _tone(images, mean, spread, config, chance)
    return images.clamp_(-1, 1).mul_(inside), widths


def _statistics(images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 1, 1, 1) mean and standard deviation of each line's pixels."""
    pixels = _for_lines(widths * images.shape[2], images)
    mean = images.sum(dim=(1, 2, 3), keepdim=True) / pixels
    square = torch.linalg.vector_norm(images, dim=(1, 2, 3), keepdim=True).square() / pixels
    return mean, (square - mean.square()).clamp(min=0).sqrt()


def _for_lines(numbers: Tensor, images: Tensor) -> Tensor:
    """The (N,) `numbers`, one a line, as (N, 1, 1, 1) beside `images`."""
    return numbers.to(images.device)[:, None, None, None]


def _erase(images: Tensor, widths: Tensor, mean: Tensor, spread: Tensor, config: AugmentConfig, chance: Chance) -> None:
    """Cover small parts of some lines, more or less, with a grey that is somewhere between their darkest and lightest."""
    lines = chance.lines(config.erase_chance)
    rows, columns = _spots(widths, images.shape[2], images.shape[3], config, chance)
    opacity, grey = chance.up_to(1, _SPOTS), chance.around(2, _SPOTS)
    if not len(lines):
        return
    rows, columns = rows[:, lines].to(images.device), columns[:, lines].to(images.device)
    covered = (rows * opacity[:, lines].to(images.device)[:, :, None, None]) * columns  # (spots, K, H, W')
    greys = mean[lines] + spread[lines] * grey[:, lines].to(images.device)[..., None, None, None]  # (spots, K, 1, 1, 1)
    spotted = images[lines]
    for spot in range(_SPOTS):
        spotted.lerp_(greys[spot], covered[spot, :, None])
    images[lines] = spotted


def _spots(widths: Tensor, height: int, columns: int, config: AugmentConfig, chance: Chance) -> tuple[Tensor, Tensor]:
    """(spots, N, H, 1) rows and (spots, N, 1, W') columns whose common pixels are a blot or a scratch along or across."""
    size, kind = chance.up_to(config.erase * height, _SPOTS), (chance.up_to(3, _SPOTS)).floor()
    high = torch.where(kind == 0, 2 * size, torch.where(kind == 1, size / 3, 2 * height))
    wide = torch.where(kind == 0, size, torch.where(kind == 1, chance.up_to(1, _SPOTS) * widths, size / 3))
    top, left = chance.up_to(height, _SPOTS) - high / 2, chance.up_to(1, _SPOTS) * widths - wide / 2

    def within(pixels: int, start: Tensor, length: Tensor) -> Tensor:
        place = torch.arange(pixels) + 0.5 - start[..., None]  # (spots, N, pixels)
        return (place >= 0) & (place < length[..., None])

    return within(height, top, high)[..., None], within(columns, left, wide)[:, :, None]


def _soften(images: Tensor, config: AugmentConfig, chance: Chance) -> Tensor:
    """Blur some lines, and bring some of the others to a lower resolution: both together are hard to read."""
    blurred = chance.happens(config.blur_chance)
    coarse = chance.happens(config.coarse_chance) & ~blurred
    radius = math.ceil(2 * config.blur * images.shape[2])
    kernels = _kernels(blurred, radius, config.blur * images.shape[2], chance)
    factors = 1 + chance.up_to(config.coarse)
    if radius and blurred.any():
        # Each line is a channel, so that it is convolved with its own kernel.
        edged = functional.pad(images, (radius,) * 4, mode="replicate").transpose(0, 1)
        images = functional.conv2d(edged, kernels[:, None].to(images.device), groups=len(kernels)).transpose(0, 1).contiguous()
    if coarse.any():
        lines = coarse.nonzero()[:, 0]
        images[lines] = _at_lower_resolution(images[lines], float(factors[lines[0]]))
    return images


def _kernels(blurred: Tensor, radius: int, deviation: float, chance: Chance) -> Tensor:
    """(N, 2R + 1, 2R + 1) Gaussians, longer one way than the other, as of a camera that moved or was out of focus.

    The longer standard deviation is up to `deviation` pixels. Lines that are not `blurred` have a kernel that changes nothing.
    """
    long = chance.up_to(deviation).clamp(min=0.1)[:, None, None]
    short = (long * chance.up_to(1)[:, None, None]).clamp(min=0.1)
    angle = chance.around(math.pi / 2)[:, None, None]
    x = torch.arange(-radius, radius + 1.0)
    y = x[:, None]
    exponents = ((x * angle.cos() + y * angle.sin()) / long) ** 2 + ((y * angle.cos() - x * angle.sin()) / short) ** 2
    kernels = (-exponents / 2).exp()
    kernels = kernels / kernels.sum(dim=(1, 2), keepdim=True)
    return torch.where(blurred[:, None, None], kernels, ((x == 0) & (y == 0)).float())


def _at_lower_resolution(lines: Tensor, factor: float) -> Tensor:
    """(K, 1, H, W) lines, made `factor` times smaller and large again."""
    height, width = lines.shape[2:]
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    small = functional.interpolate(lines, size=size, mode="bilinear", antialias=True)
    return functional.interpolate(small, size=(height, width), mode="bilinear")


def _roughen(images: Tensor, spread: Tensor, config: AugmentConfig, chance: Chance, generator: torch.Generator) -> None:
    """Add fine noise to some lines and coarse noise to some, in proportion to their contrast."""
    _, _, height, width = images.shape
    cell = max(1, height // _GRAIN)
    for probability, reach, pixel in ((config.noise_chance, config.noise, 1), (config.grain_chance, config.grain, cell)):
        lines = chance.lines(probability)
        strength = chance.up_to(reach)
        if not len(lines):
            continue
        shape = (len(lines), 1, -(-height // pixel), -(-width // pixel))
        noise = torch.randn(shape, generator=generator, device=images.device)
        if pixel > 1:
            noise = functional.interpolate(noise, size=(height, width), mode="bilinear")
        images[lines] += noise * spread[lines] * _for_lines(strength[lines], images)


def _tone(images: Tensor, mean: Tensor, spread: Tensor, config: AugmentConfig, chance: Chance) -> None:
    """Turn some lines into their negatives; bend the tones of all, and change their contrast and brightness."""
    sign = _for_lines(1 - 2 * chance.happens(config.invert_chance).float(), images)
    bend = _for_lines(chance.around(config.gamma), images)
    contrast = _for_lines(1 + chance.around(config.contrast), images)
    brightness = _for_lines(chance.around(config.brightness), images)
    mean = sign * mean
    slope = (1 - 2 * bend * mean).clamp(min=0.1)  # of the bend: the contrast that it makes of 1
    mean = mean + bend * (1 - mean.square())
    contrast = contrast.maximum((_FAINT / spread.clamp(min=_FAINT)) / slope)
    # A faint line near white or black is not pushed beyond it, where it would be gone.
    kept = contrast * slope * spread / 2
    room_above, room_below = (1 - mean - 2 * kept).clamp(min=0) + kept, (1 + mean - 2 * kept).clamp(min=0) + kept
    brightness = brightness.minimum(room_above).maximum(-room_below)
    images.mul_(sign)
    images.addcmul_(images.square(), -bend)
    images.mul_(contrast).add_(bend * contrast + (mean - mean * contrast) + brightness)


def _shade(images: Tensor, config: AugmentConfig, chance: Chance) -> None:
    """Darken some lines smoothly, here more and there less, as paper under uneven light."""
    lines = chance.lines(config.shade_chance)
    depth_along, depth_down = chance.up_to(config.shade), chance.around(config.shade / 2)
    turns, phase = chance.up_to(1), chance.up_to(1)
    if not len(lines):
        return
    height, width = images.shape[2:]
    share = torch.arange(width) / width
    waves = (2 * math.pi * (turns[lines, None] * share + phase[lines, None])).cos()  # (K, W)
    along = 1 - depth_along[lines, None] * (1 + waves) / 2
    down = 1 - depth_down[lines, None].abs() / 2 + depth_down[lines, None] * (torch.arange(height) / height - 0.5)
    light = along.to(images.device)[:, None, None, :] * down.to(images.device)[:, None, :, None]
    images[lines] = (images[lines] + 1) * light - 1
