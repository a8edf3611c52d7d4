"""Random changes to a training batch that leave its texts readable, made on the whole batch at once.

Each line gets another crop, is stretched, slanted, turned and waved (in one resampling), then spots, blur or a lower
resolution, shadow, noise, and other tones. What happens to a line depends on its numbers from `LineRng` alone, whatever the
device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from crnnocr.config import AugmentConfig

COLUMN_STEP = 16
"""Batches are padded to a multiple of this, in pixels: torch keeps what it has prepared for each shape it has met, and with
a shape for every width that grew past 2 GB."""

_NUMBERS_PER_LINE = 80
"""Random numbers for each line, made at once: that is faster, and a GPU waits for the CPU only once."""

_MAX_CUT = 0.06
"""Most that is cut off above and below, as a share of the height, whatever moves a line up or down: a full stop stays."""

_MAX_CUT_OF_WIDTH = 1 / 16
"""Most that is cut off a short line at either side, as a share of its width."""

_FADING = (0.5, 0.15, 0.0)
"""How much of a line's edge is left, over its background, in the first, second and third pixel around it, and beyond."""

_SPOTS = 3
"""Spots on a line that has any."""

_GRAIN_CELLS = 8
"""Cells of coarse noise from top to bottom of a line."""

_MIN_DEVIATION = 0.15
"""No line loses contrast so that the standard deviation of its pixels falls below this, where black to white is 2."""


def augment(
    images: Tensor,
    widths: Tensor,
    config: AugmentConfig,
    min_width: int,
    generator: torch.Generator,
    min_widths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Change the crop, shape, sharpness, noise and tones of each line by itself, and put spots and shadows on it.

    Args:
        images: (N, 1, H, W) float32 lines in [-1, 1], zero right of each one's width.
        widths: (N,) int64 true widths in pixels, on the CPU.
        config: how strongly.
        min_width: no line gets narrower than this, in pixels.
        generator: gives all random numbers; on the device of `images`.
        min_widths: (N,) int64 widths in pixels that each line must keep for its label, on the CPU.

    Returns:
        (N, 1, H, W') lines, zero right of each one's new width, and the (N,) new widths. W' is a multiple of `COLUMN_STEP`.
    """
    rng = LineRng(len(widths), config.changed, generator)
    min_widths = torch.full_like(widths, min_width) if min_widths is None else min_widths.clamp(min=min_width)
    if not rng.changed.any() and bool((widths >= min_widths).all()):
        widest = int(widths.max())
        return functional.pad(images[..., :widest], (0, padded_width(widths) - widest)), widths
    gray = _mean_and_deviation(images, widths)
    images, widths = warp(images, widths, min_widths, config, rng)
    _add_spots(images, widths, *gray, config, rng)
    images = _blur_or_downscale(images, config, rng)
    _cast_shadows(images, config, rng)
    inside = (torch.arange(images.shape[3]) < widths[:, None]).to(images.device)[:, None, None, :]  # (N, 1, 1, W')
    mean, deviation = _mean_and_deviation(images.mul_(inside), widths)
    _add_noise(images, deviation, config, rng, generator)
    _change_tones(images, mean, deviation, config, rng)
    return images.clamp_(-1, 1).mul_(inside), widths


def padded_width(widths: Tensor) -> int:
    """Columns of a batch of lines of these (N,) widths, in pixels."""
    return -(-int(widths.max()) // COLUMN_STEP) * COLUMN_STEP


def warp(images: Tensor, widths: Tensor, min_widths: Tensor, config: AugmentConfig, rng: LineRng) -> tuple[Tensor, Tensor]:
    """Crop, stretch, slant, turn, wave and shift each line by itself. Outside a line there is background.

    Args:
        images: (N, 1, H, W) lines; columns right of a line's width have no effect.
        widths: (N,) int64 true widths in pixels.
        min_widths: (N,) int64 widths in pixels that no line gets narrower than.
        config: how strongly.
        rng: random numbers for these lines.

    Returns:
        (N, 1, H, W') lines and the (N,) new widths; right of its width a line continues as background.
    """
    height = images.shape[2]
    shear = rng.symmetric(config.shear)
    window = _window(widths, height, shear, config, rng)
    stretched = (window.width * (1 + rng.symmetric(config.stretch))).round().long()
    new_widths = stretched.maximum(min_widths)
    share = (torch.arange(padded_width(new_widths)) + 0.5) / new_widths[
        :, None
    ]  # (N, W') of the line that a column has behind it
    share = share + _elastic_offsets(share, widths / height, config, rng)
    across = share * window.width[:, None] - window.left[:, None]  # (N, W') source column, from the line's left edge
    lift, zoom = _lift_and_zoom(share, across, widths, height, window, config, rng)
    rows = torch.arange(height) + 0.5 - height / 2  # (H,) from the middle of the line
    grid = _grid(across, shear[:, None] * rows, lift + height / 2, rows / zoom[:, None], widths, images)
    return functional.grid_sample(_with_frame(images, widths), grid, padding_mode="border", align_corners=False), new_widths


@dataclass(frozen=True)
class _Window:
    """The crop of each image, in pixels of the image; each field is (N,) float32."""

    left: Tensor
    """Distance from its left edge to that of the line, outwards."""
    width: Tensor
    """Width of the crop."""
    down: Tensor
    """How far its middle is below that of the line."""
    height: Tensor
    """Height of the crop."""


def _window(widths: Tensor, height: int, shear: Tensor, config: AugmentConfig, rng: LineRng) -> _Window:
    """Move each edge of the crop in or out, and the sides further out by as much as a slanted line needs."""

    def outwards(tighten: Tensor) -> Tensor:
        offset = rng.symmetric(1)
        return torch.where(offset > 0, offset * config.loosen * height, offset * tighten)

    tighten = torch.full_like(shear, config.tighten * height)
    tighten_sides = tighten.minimum(widths * _MAX_CUT_OF_WIDTH)
    left, right, top, bottom = outwards(tighten_sides), outwards(tighten_sides), outwards(tighten), outwards(tighten)
    slant = shear.abs() * height / 2
    return _Window(left + slant, widths + left + right + 2 * slant, (bottom - top) / 2, height + top + bottom)


def _elastic_offsets(share: Tensor, lengths: Tensor, config: AugmentConfig, rng: LineRng) -> Tensor:
    """(N, W') offset of the content of each column along the line, as a share of the line; zero at its ends.

    The derivative is a cosine of height `elastic`, so no part of the line is squeezed by more than that share.
    """
    waves = math.pi * (1 + (rng.uniform(1) * lengths).floor())[:, None]  # half waves of about the line's height or more
    return rng.symmetric(config.elastic)[:, None] * (share * waves).sin() / waves


def _lift_and_zoom(
    share: Tensor, across: Tensor, widths: Tensor, height: int, window: _Window, config: AugmentConfig, rng: LineRng
) -> tuple[Tensor, Tensor]:
    """(N, W') pixels below the line's middle where each column is sampled, and (N,) factor by which the text gets higher."""
    # Turning by a slope shifts a line's ends by half its width times that slope: held to `tilt` of the height.
    slope = rng.symmetric(config.tilt) * height / widths.clamp(min=height)
    down = window.down + rng.symmetric(config.shift) * height
    wave = rng.symmetric(config.wave) * height
    turns = (0.3 + rng.uniform(1) * widths / (6 * height))[:, None] * share + rng.uniform(1)[:, None]
    lift = down[:, None] + slope[:, None] * (across - widths[:, None] / 2) + wave[:, None] * (2 * math.pi * turns).sin()
    zoom = (1 + rng.symmetric(config.scale)) * height / window.height
    reach = down.abs() + slope.abs() * widths / 2 + wave.abs()
    max_zoom = height / (height - 2 * _MAX_CUT * height + 2 * reach)
    return lift, zoom.minimum(max_zoom)


def _grid(across: Tensor, lean: Tensor, lift: Tensor, rows: Tensor, widths: Tensor, images: Tensor) -> Tensor:
    """(N, H, W', 2) points at which the framed images are sampled: x and y from -1 to 1.

    Their columns are `across` (N, W') + `lean` (N, H), their rows `lift` (N, W') + `rows` (N, H), in pixels of the line.
    """
    frame = len(_FADING)
    _, _, height, width = images.shape
    x_scale, y_scale = 2 / (width + 2 * frame), 2 / (height + 2 * frame)
    x_across, y_across = (across + frame) * x_scale - 1, (lift + frame) * y_scale - 1
    last = (widths + (2 * frame - 0.5)) * x_scale - 1

    def on_device(values: Tensor, *shape: int) -> Tensor:
        return values.to(images.device).view(len(widths), *shape)

    grid = torch.empty((len(widths), 2, height, across.shape[1]), device=images.device)
    x, y = grid.unbind(dim=1)  # each contiguous in memory: six times as fast to fill
    torch.add(on_device(x_across, 1, -1), on_device(lean * x_scale, -1, 1), out=x)
    torch.minimum(x, on_device(last, 1, 1), out=x)
    torch.add(on_device(y_across, 1, -1), on_device(rows * y_scale, -1, 1), out=y)
    return grid.permute(0, 2, 3, 1)


def _with_frame(images: Tensor, widths: Tensor) -> Tensor:
    """(N, 1, H + 2F, W + 2F) lines with F pixels around each, in which its edge fades into its background."""
    frame = len(_FADING)
    n, _, height, _ = images.shape
    background = _background(images, widths)
    fading = torch.tensor(_FADING, device=images.device)
    framed = functional.pad(images, (frame,) * 4)
    body = framed[:, :, frame:-frame]
    ends = widths.to(images.device).view(n, 1, 1, 1).expand(n, 1, height, 1)
    body[..., :frame] = background.lerp(images[..., :1], fading.flip(0))
    body.scatter_(
        3, ends + torch.arange(frame, 2 * frame, device=images.device), background.lerp(images.gather(3, ends - 1), fading)
    )
    framed[:, :, :frame] = background.lerp(body[:, :, :1], fading.flip(0)[:, None])
    framed[:, :, -frame:] = background.lerp(body[:, :, -1:], fading[:, None])
    return framed


def _background(images: Tensor, widths: Tensor) -> Tensor:
    """(N, 1, 1, 1) median gray of each line, from one pixel in 16."""
    sample = images[:, :, ::4, ::4]
    inside = torch.arange(0, images.shape[3], 4) < widths[:, None]
    sample = sample.where(inside.to(images.device)[:, None, None, :], torch.nan)
    return sample.flatten(1).nanmedian(dim=1).values[:, None, None, None]


def _add_spots(images: Tensor, widths: Tensor, mean: Tensor, deviation: Tensor, config: AugmentConfig, rng: LineRng) -> None:
    """Cover small parts of some lines, opaquely or not, with a gray between their darkest and lightest (random erasing)."""
    lines = rng.chosen(config.erase_chance)
    rows, columns = _spots(widths, images.shape[2], images.shape[3], config, rng)
    opacity, gray = rng.uniform(1, _SPOTS), rng.symmetric(2, _SPOTS)
    if not len(lines):
        return
    rows, columns = rows[:, lines].to(images.device), columns[:, lines].to(images.device)
    covered = (rows * opacity[:, lines].to(images.device)[:, :, None, None]) * columns  # (spots, K, H, W')
    grays = mean[lines] + deviation[lines] * gray[:, lines].to(images.device)[..., None, None, None]  # (spots, K, 1, 1, 1)
    spotted = images[lines]
    for spot in range(_SPOTS):
        spotted.lerp_(grays[spot], covered[spot, :, None])
    images[lines] = spotted


def _spots(widths: Tensor, height: int, columns: int, config: AugmentConfig, rng: LineRng) -> tuple[Tensor, Tensor]:
    """(spots, N, H, 1) rows and (spots, N, 1, W') columns whose common pixels are a blot or a scratch either way."""
    size, kind = rng.uniform(config.erase * height, _SPOTS), (rng.uniform(3, _SPOTS)).floor()
    high = torch.where(kind == 0, 2 * size, torch.where(kind == 1, size / 3, 2 * height))
    wide = torch.where(kind == 0, size, torch.where(kind == 1, rng.uniform(1, _SPOTS) * widths, size / 3))
    top, left = rng.uniform(height, _SPOTS) - high / 2, rng.uniform(1, _SPOTS) * widths - wide / 2

    def within(pixels: int, start: Tensor, length: Tensor) -> Tensor:
        place = torch.arange(pixels) + 0.5 - start[..., None]  # (spots, N, pixels)
        return (place >= 0) & (place < length[..., None])

    return within(height, top, high)[..., None], within(columns, left, wide)[:, :, None]


def _blur_or_downscale(images: Tensor, config: AugmentConfig, rng: LineRng) -> Tensor:
    """Blur some lines, and reduce the resolution of some of the others: both together are hard to read."""
    blurred = rng.bernoulli(config.blur_chance)
    coarse = rng.bernoulli(config.coarse_chance) & ~blurred
    radius = math.ceil(2 * config.blur * images.shape[2])
    kernels = _kernels(blurred, radius, config.blur * images.shape[2], rng)
    factors = 1 + rng.uniform(config.coarse)
    if radius and blurred.any():
        # Each line is a channel, so that it is convolved with its own kernel.
        edged = functional.pad(images, (radius,) * 4, mode="replicate").transpose(0, 1)
        images = functional.conv2d(edged, kernels[:, None].to(images.device), groups=len(kernels)).transpose(0, 1).contiguous()
    if coarse.any():
        lines = coarse.nonzero()[:, 0]
        images[lines] = _downscaled(images[lines], float(factors[lines[0]]))
    return images


def _kernels(blurred: Tensor, radius: int, deviation: float, rng: LineRng) -> Tensor:
    """(N, 2R + 1, 2R + 1) anisotropic Gaussians, as of a camera that moved or was out of focus.

    The longer standard deviation is up to `deviation` pixels. Lines that are not `blurred` have a kernel that changes nothing.
    """
    long = rng.uniform(deviation).clamp(min=0.1)[:, None, None]
    short = (long * rng.uniform(1)[:, None, None]).clamp(min=0.1)
    angle = rng.symmetric(math.pi / 2)[:, None, None]
    x = torch.arange(-radius, radius + 1.0)
    y = x[:, None]
    exponents = ((x * angle.cos() + y * angle.sin()) / long) ** 2 + ((y * angle.cos() - x * angle.sin()) / short) ** 2
    kernels = (-exponents / 2).exp()
    kernels = kernels / kernels.sum(dim=(1, 2), keepdim=True)
    return torch.where(blurred[:, None, None], kernels, ((x == 0) & (y == 0)).float())


def _downscaled(lines: Tensor, factor: float) -> Tensor:
    """(K, 1, H, W) lines, made smaller by `factor` and enlarged again."""
    height, width = lines.shape[2:]
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    small = functional.interpolate(lines, size=size, mode="bilinear", antialias=True)
    return functional.interpolate(small, size=(height, width), mode="bilinear")


def _add_noise(images: Tensor, deviation: Tensor, config: AugmentConfig, rng: LineRng, generator: torch.Generator) -> None:
    """Add fine noise to some lines and coarse noise to some, in proportion to their contrast."""
    _, _, height, width = images.shape
    cell = max(1, height // _GRAIN_CELLS)
    for probability, reach, pixel in ((config.noise_chance, config.noise, 1), (config.grain_chance, config.grain, cell)):
        lines = rng.chosen(probability)
        strength = rng.uniform(reach)
        if not len(lines):
            continue
        shape = (len(lines), 1, -(-height // pixel), -(-width // pixel))
        noise = torch.randn(shape, generator=generator, device=images.device)
        if pixel > 1:
            noise = functional.interpolate(noise, size=(height, width), mode="bilinear")
        images[lines] += noise * deviation[lines] * _per_line(strength[lines], images)


def _change_tones(images: Tensor, mean: Tensor, deviation: Tensor, config: AugmentConfig, rng: LineRng) -> None:
    """Invert some lines; change the gamma, contrast and brightness of all."""
    sign = _per_line(1 - 2 * rng.bernoulli(config.invert_chance).float(), images)
    bend = _per_line(rng.symmetric(config.gamma), images)
    contrast = _per_line(1 + rng.symmetric(config.contrast), images)
    brightness = _per_line(rng.symmetric(config.brightness), images)
    mean = sign * mean
    slope = (1 - 2 * bend * mean).clamp(min=0.1)  # of the gamma curve at the mean: the contrast that it makes of 1
    mean = mean + bend * (1 - mean.square())
    contrast = contrast.maximum((_MIN_DEVIATION / deviation.clamp(min=_MIN_DEVIATION)) / slope)
    # A faint line near white or black is not pushed past it, where it would vanish.
    half = contrast * slope * deviation / 2
    room_above, room_below = (1 - mean - 2 * half).clamp(min=0) + half, (1 + mean - 2 * half).clamp(min=0) + half
    brightness = brightness.minimum(room_above).maximum(-room_below)
    images.mul_(sign)
    images.addcmul_(images.square(), -bend)
    images.mul_(contrast).add_(bend * contrast + (mean - mean * contrast) + brightness)


def _cast_shadows(images: Tensor, config: AugmentConfig, rng: LineRng) -> None:
    """Darken some lines smoothly and unevenly, like paper in partial shadow."""
    lines = rng.chosen(config.shade_chance)
    depth_along, depth_down = rng.uniform(config.shade), rng.symmetric(config.shade / 2)
    turns, phase = rng.uniform(1), rng.uniform(1)
    if not len(lines):
        return
    height, width = images.shape[2:]
    share = torch.arange(width) / width
    waves = (2 * math.pi * (turns[lines, None] * share + phase[lines, None])).cos()  # (K, W)
    along = 1 - depth_along[lines, None] * (1 + waves) / 2
    down = 1 - depth_down[lines, None].abs() / 2 + depth_down[lines, None] * (torch.arange(height) / height - 0.5)
    light = along.to(images.device)[:, None, None, :] * down.to(images.device)[:, None, :, None]
    images[lines] = (images[lines] + 1) * light - 1


def _mean_and_deviation(images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 1, 1, 1) mean and standard deviation of each line's pixels."""
    pixels = _per_line(widths * images.shape[2], images)
    mean = images.sum(dim=(1, 2, 3), keepdim=True) / pixels
    square = torch.linalg.vector_norm(images, dim=(1, 2, 3), keepdim=True).square() / pixels
    return mean, (square - mean.square()).clamp(min=0).sqrt()


def _per_line(numbers: Tensor, images: Tensor) -> Tensor:
    """The (N,) `numbers` as (N, 1, 1, 1), on the device of `images`."""
    return numbers.to(images.device)[:, None, None, None]


class LineRng:
    """Random numbers for each line of a batch, always on the CPU. Some lines stay as they are: their numbers are 0."""

    def __init__(self, lines: int, changed: float, generator: torch.Generator) -> None:
        numbers = torch.rand((_NUMBERS_PER_LINE, lines), generator=generator, device=generator.device).cpu()
        self.changed = numbers[0] < changed
        """(N,) bool, the lines that may be changed."""
        self._up_to_one = numbers * self.changed
        self._around_zero = (numbers * 2 - 1) * self.changed
        self._thresholds = numbers + ~self.changed
        self._used = 1

    def _next(self, count: int) -> slice | int:
        self._used += count
        assert self._used <= _NUMBERS_PER_LINE
        return slice(self._used - count, self._used) if count > 1 else self._used - 1

    def symmetric(self, reach: float, count: int = 1) -> Tensor:
        """(N,) float32 uniform in [-reach, reach), 0 for lines that stay as they are; (count, N) for a `count` over 1."""
        return self._around_zero[self._next(count)] * reach

    def uniform(self, reach: float, count: int = 1) -> Tensor:
        """(N,) float32 uniform in [0, reach), 0 for lines that stay as they are; (count, N) for a `count` over 1."""
        return self._up_to_one[self._next(count)] * reach

    def bernoulli(self, probability: float) -> Tensor:
        """(N,) bool, true with `probability`, false for lines that stay as they are."""
        return self._thresholds[self._next(1)] < probability

    def chosen(self, probability: float) -> Tensor:
        """(K,) int64 indices of lines, each chosen with `probability`."""
        return self.bernoulli(probability).nonzero()[:, 0]
