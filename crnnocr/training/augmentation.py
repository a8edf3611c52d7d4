"""What chance decides for each line of a batch.

The geometric part of augmentation: another crop of each line, stretched, slanted, turned and waved, in one resampling.

Random changes to a training batch that leave its texts readable, made on whole batches at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from crnnocr.config import AugmentConfig

_NUMBERS = 80
"""Most numbers a line. One draw in place of many is quicker, and a GPU waits for the CPU only once."""


class Chance:
    """Random numbers, one a line, on the CPU wherever the generator is; a share of the lines is left alone by all of them."""

    def __init__(self, lines: int, changed: float, generator: torch.Generator) -> None:
        numbers = torch.rand((_NUMBERS, lines), generator=generator, device=generator.device).cpu()
        self.changed = numbers[0] < changed
        """(N,) bool, which lines may be changed."""
        self._up_to_one = numbers * self.changed
        self._around_zero = (numbers * 2 - 1) * self.changed
        self._thresholds = numbers + ~self.changed
        self._used = 1

    def _next(self, count: int) -> slice | int:
        self._used += count
        assert self._used <= _NUMBERS
        return slice(self._used - count, self._used) if count > 1 else self._used - 1

    def around(self, reach: float, count: int = 1) -> Tensor:
        """(N,) float32 uniform from `-reach` to `reach`, 0 for lines left alone; (count, N) if several are asked for."""
        return self._around_zero[self._next(count)] * reach

    def up_to(self, reach: float, count: int = 1) -> Tensor:
        """(N,) float32 uniform from 0 to `reach`, 0 for lines left alone; (count, N) if several are asked for."""
        return self._up_to_one[self._next(count)] * reach

    def happens(self, probability: float) -> Tensor:
        """(N,) bool, true with `probability`; false for lines left alone."""
        return self._thresholds[self._next(1)] < probability

    def lines(self, probability: float) -> Tensor:
        """(K,) int64 the lines that something of `probability` happens to."""
        return self.happens(probability).nonzero()[:, 0]


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
