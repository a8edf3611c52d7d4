"""The geometric part of augmentation: another crop of each line, stretched, slanted, turned and waved, in one resampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from crnnocr.config import AugmentConfig
from crnnocr.training.chance import Chance

COLUMN_STEP = 16
"""Batches are padded to a multiple of this, in pixels: torch keeps what it has prepared for each shape it has met, and with
every width a shape of its own that grew past 2 GB."""

_MOST_CUT = 0.06
"""Most that is cut off above and below, as a share of the height, whatever moves a line up or down: a full stop stays."""

_MOST_CUT_OF_WIDTH = 1 / 16
"""Most that is cut off a short line at either side, as a share of its width."""

_FADING = (0.5, 0.15, 0.0)
"""What is left of a line's edge, the rest being paper, in the pixels around it: the first, second, third and all beyond."""


def padded(widths: Tensor) -> int:
    """Columns of a batch of lines of these (N,) widths in pixels."""
    return -(-int(widths.max()) // COLUMN_STEP) * COLUMN_STEP


def warp(images: Tensor, widths: Tensor, least: Tensor, config: AugmentConfig, chance: Chance) -> tuple[Tensor, Tensor]:
    """Crop, stretch, slant, turn, wave and shift each line by itself. What comes into view is paper.

    Args:
        images: (N, 1, H, W) lines; what stands right of a line's width is not looked at.
        widths: (N,) int64 true widths in pixels.
        least: (N,) int64 widths in pixels that no line gets narrower than.
        config: how strongly.
        chance: draws for these lines.

    Returns:
        (N, 1, H, W') lines and the (N,) new widths; right of its width a line goes on as paper.
    """
    height = images.shape[2]
    shear = chance.around(config.shear)
    window = _window(widths, height, shear, config, chance)
    stretched = (window.width * (1 + chance.around(config.stretch))).round().long()
    new_widths = stretched.maximum(least)
    share = (torch.arange(padded(new_widths)) + 0.5) / new_widths[:, None]  # (N, W') of the line that a column has behind it
    share = share + _unevenness(share, widths / height, config, chance)
    across = share * window.width[:, None] - window.left[:, None]  # (N, W') source column, from the line's left edge
    lift, zoom = _vertical(share, across, widths, height, window, config, chance)
    rows = torch.arange(height) + 0.5 - height / 2  # (H,) from the middle of the line
    grid = _grid(across, shear[:, None] * rows, lift + height / 2, rows / zoom[:, None], widths, images)
    return functional.grid_sample(_framed(images, widths), grid, padding_mode="border", align_corners=False), new_widths


@dataclass(frozen=True)
class _Window:
    """The part of each picture that is taken, in pixels of the picture; each is (N,) float32."""

    left: Tensor
    """How far it begins left of the line."""
    width: Tensor
    """Of the part that is taken."""
    down: Tensor
    """How far its middle lies below that of the line."""
    height: Tensor
    """Of the part that is taken."""


def _window(widths: Tensor, height: int, shear: Tensor, config: AugmentConfig, chance: Chance) -> _Window:
    """Each edge of the crop in or out; and to the sides as much more as a slanted line needs."""

    def outwards(tighten: Tensor) -> Tensor:
        draw = chance.around(1)
        return torch.where(draw > 0, draw * config.loosen * height, draw * tighten)

    tighten = torch.full_like(shear, config.tighten * height)
    tighten_sides = tighten.minimum(widths * _MOST_CUT_OF_WIDTH)
    left, right, top, bottom = outwards(tighten_sides), outwards(tighten_sides), outwards(tighten), outwards(tighten)
    slant = shear.abs() * height / 2
    return _Window(left + slant, widths + left + right + 2 * slant, (bottom - top) / 2, height + top + bottom)


def _unevenness(share: Tensor, lengths: Tensor, config: AugmentConfig, chance: Chance) -> Tensor:
    """(N, W') how far a column's content is moved along, as a share of the line; nothing at its ends.

    The derivative is a cosine of height `elastic`, so no part of the line is squeezed by more than that share.
    """
    waves = math.pi * (1 + (chance.up_to(1) * lengths).floor())[:, None]  # half waves of about the line's height or more
    return chance.around(config.elastic)[:, None] * (share * waves).sin() / waves


def _vertical(
    share: Tensor, across: Tensor, widths: Tensor, height: int, window: _Window, config: AugmentConfig, chance: Chance
) -> tuple[Tensor, Tensor]:
    """(N, W') how many pixels below the line's middle each column looks, and (N,) how much higher the text gets."""
    # Turning by a slope shifts a line's ends by half its width times that slope: held to `tilt` of the height.
    slope = chance.around(config.tilt) * height / widths.clamp(min=height)
    down = window.down + chance.around(config.shift) * height
    wave = chance.around(config.wave) * height
    turns = (0.3 + chance.up_to(1) * widths / (6 * height))[:, None] * share + chance.up_to(1)[:, None]
    lift = down[:, None] + slope[:, None] * (across - widths[:, None] / 2) + wave[:, None] * (2 * math.pi * turns).sin()
    zoom = (1 + chance.around(config.scale)) * height / window.height
    reach = down.abs() + slope.abs() * widths / 2 + wave.abs()
    most = height / (height - 2 * _MOST_CUT * height + 2 * reach)
    return lift, zoom.minimum(most)


def _grid(across: Tensor, lean: Tensor, lift: Tensor, rows: Tensor, widths: Tensor, images: Tensor) -> Tensor:
    """(N, H, W', 2) the places in the framed pictures to look at: x and y from -1 to 1.

    Columns are `across` (N, W') + `lean` (N, H), rows are `lift` (N, W') + `rows` (N, H), in pixels of the line.
    """
    frame = len(_FADING)
    _, _, height, width = images.shape
    x_scale, y_scale = 2 / (width + 2 * frame), 2 / (height + 2 * frame)
    x_across, y_across = (across + frame) * x_scale - 1, (lift + frame) * y_scale - 1
    last = (widths + (2 * frame - 0.5)) * x_scale - 1

    def there(values: Tensor, *shape: int) -> Tensor:
        return values.to(images.device).view(len(widths), *shape)

    grid = torch.empty((len(widths), 2, height, across.shape[1]), device=images.device)
    x, y = grid.unbind(dim=1)  # each by itself in memory: filled six times as fast as in turns
    torch.add(there(x_across, 1, -1), there(lean * x_scale, -1, 1), out=x)
    torch.minimum(x, there(last, 1, 1), out=x)
    torch.add(there(y_across, 1, -1), there(rows * y_scale, -1, 1), out=y)
    return grid.permute(0, 2, 3, 1)


def _framed(images: Tensor, widths: Tensor) -> Tensor:
    """(N, 1, H + 2F, W + 2F) the lines with F pixels around each, in which its edge fades into its paper."""
    frame = len(_FADING)
    n, _, height, _ = images.shape
    paper = _paper(images, widths)
    fading = torch.tensor(_FADING, device=images.device)
    framed = functional.pad(images, (frame,) * 4)
    body = framed[:, :, frame:-frame]
    ends = widths.to(images.device).view(n, 1, 1, 1).expand(n, 1, height, 1)
    body[..., :frame] = paper.lerp(images[..., :1], fading.flip(0))
    body.scatter_(
        3, ends + torch.arange(frame, 2 * frame, device=images.device), paper.lerp(images.gather(3, ends - 1), fading)
    )
    framed[:, :, :frame] = paper.lerp(body[:, :, :1], fading.flip(0)[:, None])
    framed[:, :, -frame:] = paper.lerp(body[:, :, -1:], fading[:, None])
    return framed


def _paper(images: Tensor, widths: Tensor) -> Tensor:
    """(N, 1, 1, 1) the median grey of each line, from one pixel of 16."""
    sample = images[:, :, ::4, ::4]
    inside = torch.arange(0, images.shape[3], 4) < widths[:, None]
    sample = sample.where(inside.to(images.device)[:, None, None, :], torch.nan)
    return sample.flatten(1).nanmedian(dim=1).values[:, None, None, None]
