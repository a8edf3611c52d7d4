"""Small random changes to a training batch, made on whole batches at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from crnnocr.config import AugmentConfig

COLUMN_STEP = 16
"""Batches are padded to a multiple of this, in pixels: torch keeps what it has prepared for each shape it has met, and with
every width a shape of its own that grew past 2 GB."""


def augment(
    images: Tensor, widths: Tensor, config: AugmentConfig, min_width: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Warp, blur, dim and roughen each line by itself.

    Args:
        images: (N, 1, H, W) float lines in [-1, 1], zero right of each one's width.
        widths: (N,) int64 true widths in pixels.
        config: how strongly.
        min_width: no line gets narrower than this, in pixels.
        generator: source of all chance.

    Returns:
        (N, 1, H, W') lines, zero right of each one's new width, and the (N,) new widths. W' is a multiple of `COLUMN_STEP`.
    """
    images, widths = _warp(images, widths, config, min_width, generator)
    images = _blur(images, config, generator)
    images = _dim(images, config, generator)
    images = images + torch.randn(images.shape, generator=generator) * _uniform(images, 0, config.noise, generator)
    inside = torch.arange(images.shape[3]) < widths[:, None]  # (N, W')
    return images.clamp_(-1, 1) * inside[:, None, None, :], widths


def _uniform(images: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """(N, 1, 1, 1) numbers, one a line, uniform between `low` and `high`."""
    return low + (high - low) * torch.rand((images.shape[0], 1, 1, 1), generator=generator)


def _warp(
    images: Tensor, widths: Tensor, config: AugmentConfig, min_width: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Stretch, shear, turn and shift; what comes into view repeats the line's edge."""
    _, _, height, width = images.shape

    def draw(reach: float) -> Tensor:
        return _uniform(images, -reach, reach, generator)[:, 0]  # (N, 1, 1)

    stretched = (widths * (1 + draw(config.stretch)[:, 0, 0])).round().long().clamp(min=min_width)
    stretch = (stretched / widths)[:, None, None]
    columns = -(-int(stretched.max()) // COLUMN_STEP) * COLUMN_STEP
    x = torch.arange(columns, dtype=torch.float32)[None, None, :] + 0.5
    y = torch.arange(height, dtype=torch.float32)[None, :, None] + 0.5 - height / 2
    centred = x / stretch - widths[:, None, None] / 2
    # Turning by a slope shifts a line's ends by half its width times that slope: held to `config.tilt` of the height.
    slope = draw(config.tilt) * height / widths[:, None, None].clamp(min=height)
    source_x = x / stretch + draw(config.shear) * y
    source_y = y / (1 + draw(config.scale)) + slope * centred + draw(config.shift) * height + height / 2
    source_x = source_x.clamp(torch.tensor(0.5), widths[:, None, None] - 0.5)
    grid = torch.stack((source_x * 2 / width - 1, (source_y * 2 / height - 1).expand_as(source_x)), dim=3)
    warped = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return warped, stretched


def _blur(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Blur with a 3 × 3 binomial kernel, mixed in between not at all and `config.blur`."""
    kernel = torch.tensor([0.25, 0.5, 0.25])
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    blurred = functional.conv2d(padded, (kernel[:, None] * kernel)[None, None])
    return images.lerp(blurred, _uniform(images, 0, config.blur, generator))


def _dim(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Change contrast and brightness."""
    contrast = 1 + _uniform(images, -config.contrast, config.contrast, generator)
    return images * contrast + _uniform(images, -config.brightness, config.brightness, generator)
