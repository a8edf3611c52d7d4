"""Image sizes and label lengths: labels that do not fit, vertical lines, and widths that do not go with the text."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import DEFAULT_PRESET, MAX_WIDTH, PRESETS, ModelConfig, Orientation
from crnnocr.datasets.issues import Issue, Location, Severity
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.formatting import plural, quoted
from crnnocr.images import VERTICAL_FROM
from crnnocr.text.charset import frames_needed

_MIN_TALL_UNITS = 3
"""A tall image with fewer units of text is a narrow character or two, such as `ll`, and no vertical line."""

_MIN_UNIT_HEIGHT = 0.2
"""A vertical line is at least so high for each unit of its text, as a fraction of its width."""

_NARROW = frozenset("iljtfrI.,:;'|!()[] -")
_BROAD = frozenset("mwMW@%№™—…")

_MARGIN = 0.5
"""Units of text that a crop has more than its characters. With it, short and long texts have the same width for a unit."""

_MIN_SAMPLES = 30
"""So many samples say what width is usual."""

_MIN_SIGMAS = 5.0
_MIN_RATIO = 2.5
_MIN_HEIGHTS = 1.5
"""A width is suspicious if it is off by more than all of these: robust standard deviations of its logarithm, a factor, and
multiples of the image's height. Receipts, signs and books have wide and narrow type within these limits. The factor is for sets
of one font, which hardly deviate; the height is for single characters, whose crops are of any width."""


def fit(samples: Sequence[LintSample], model_config: ModelConfig) -> list[bool]:
    """Return for each sample whether its label fits the frames that a model makes of its image."""
    fits: list[bool] = (_frames_needed(samples) <= _frames(_sizes(samples), model_config)).tolist()
    return fits


def too_long_labels(excluded: Sequence[LintSample], model_config: ModelConfig, orientation: Orientation) -> Iterator[Issue]:
    """Report the samples that do not fit, with the widths and options that would fit them."""
    if not excluded:
        return
    sizes, needed = _sizes(excluded), _frames_needed(excluded)
    options: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for name in sorted(PRESETS, key=lambda name: name != DEFAULT_PRESET):
        fits = needed <= _frames(sizes, PRESETS[name])
        if name != model_config.preset and not any(np.array_equal(fits, known) for known in options.values()):
            options["preset", name] = fits
    tall = np.array([is_tall(sample) for sample in excluded])
    turned = Orientation.HORIZONTAL if orientation is Orientation.VERTICAL else Orientation.VERTICAL
    options["orientation", turned.value] = tall & (needed <= _frames(sizes[:, ::-1], model_config))
    fixes = [f"`{field}={value}` would fit {fits.sum():,} of them" for (field, value), fits in options.items() if fits.any()]
    fixes.append("a label that is right needs the width that is listed with it")
    pixels = 1024 / (model_config.frames(2048) - model_config.frames(1024))
    message = (
        f"{plural(len(excluded), 'label does not fit its image', 'labels do not fit their images')} (the preset "
        f"{model_config.preset} reads at most a character in {pixels:.2g} pixels of a line of height {model_config.height})"
    )
    locations: list[Location] = []
    for i, (sample, frames) in enumerate(zip(excluded, _frames(sizes, model_config).tolist(), strict=True)):
        width = _min_width(int(needed[i]), sample.size[1], model_config)
        would_fit = [f"{width:,} pixels in width" if width else "only parts of the line"]
        would_fit += [f"{field} {value}" for (field, value), fits in options.items() if fits[i]]
        frames_of = f"{_pixels(sample)} give {frames} of the {needed[i]} frames for {quoted(sample.text)}"
        locations.append(sample.at(f"{frames_of}: {' or '.join(would_fit)} would fit"))
    yield Issue("label-too-long", Severity.EXCLUDED, message, "; ".join(fixes), tuple(locations))


def tall_images(samples: Sequence[LintSample], orientation: Orientation) -> Iterator[Issue]:
    """Find images that are much taller than wide with labels of several characters: vertical lines, or turned ones."""
    tall = [sample for sample in samples if is_tall(sample)]
    if tall:
        if orientation is Orientation.VERTICAL:  # which has turned them
            fix = "their lines run from left to right, so leave `orientation=vertical` out"
        elif len(tall) == len(samples):
            fix = "train with `orientation=vertical`"
        else:
            fix = "`orientation=auto` turns such images"
        are = plural(
            len(tall),
            "image is much taller than wide, as a vertical line",
            "images are much taller than wide, as vertical lines are",
        )
        locations = tuple(sample.at(f"{_pixels(sample)}: {quoted(sample.text)}") for sample in tall)
        yield Issue("tall-picture", Severity.WARNING, are, fix, locations)


def is_tall(sample: LintSample) -> bool:
    """Whether the size of an image speaks for a vertical line with its label."""
    width, height = sample.size
    if height < VERTICAL_FROM * width:
        return False
    units = _units(sample.text)
    return units >= _MIN_TALL_UNITS and height >= _MIN_UNIT_HEIGHT * units * width


def odd_widths(samples: Sequence[LintSample]) -> Iterator[Issue]:
    """Find images that are much longer or shorter than others of as much text: labels of other images, bad crops."""
    samples = [sample for sample in samples if sample.text]
    if len(samples) < _MIN_SAMPLES:
        return
    sizes = _sizes(samples)
    ratios = sizes[:, 0] / sizes[:, 1]
    units = np.array([_units(sample.text) for sample in samples]) + _MARGIN
    usual = units * np.median(ratios / units)
    off = np.log(ratios / usual)
    # The median absolute deviation, times what makes it the standard deviation of a normal distribution.
    limit = max(_MIN_SIGMAS * 1.4826 * float(np.median(np.abs(off))), float(np.log(_MIN_RATIO)))
    suspicious = (np.abs(off) > limit) & (np.abs(ratios - usual) > _MIN_HEIGHTS)
    for kind, word, sign in (("long", "longer", 1), ("short", "shorter", -1)):
        found = np.flatnonzero(suspicious & (np.sign(off) == sign)).tolist()
        if found:
            are = plural(len(found), f"image is much {word} than its label", f"images are much {word} than their labels")
            fix = "look whether each shows its label, all of it, in one line"
            locations = tuple(_odd_width(samples[i], usual[i]) for i in found)
            yield Issue(f"picture-{kind}-for-label", Severity.WARNING, f"{are} would usually be", fix, locations)


def _odd_width(sample: LintSample, usual: float) -> Location:
    width = f"about {usual * sample.size[1]:.0f} wide is usual for {quoted(sample.text)}"
    return sample.at(f"{_pixels(sample)}, where {width}")


def _min_width(frames: int, height: int, model_config: ModelConfig) -> int:
    """The least width in pixels of an image of this height that gives so many frames; 0 if none does."""
    line = model_config.min_width_for(frames)
    width = max(1, (2 * line - 1) * height // (2 * model_config.height))
    while round(width * model_config.height / height) < line:
        width += 1
    return width if line <= MAX_WIDTH else 0


def _pixels(sample: LintSample) -> str:
    return f"{sample.size[0]} x {sample.size[1]} pixels"


def _sizes(samples: Sequence[LintSample]) -> NDArray[np.int64]:
    """(N, 2) width and height of each image in pixels."""
    return np.array([sample.size for sample in samples], dtype=np.int64).reshape(-1, 2)


def _frames(sizes: NDArray[np.int64], model_config: ModelConfig) -> NDArray[np.int64]:
    """(N,) frames of images of `sizes` (N, 2), by the widths that preprocessing gives them."""
    widths = np.rint(sizes[:, 0] * model_config.height / sizes[:, 1]).astype(np.int64)
    return model_config.frames(np.maximum(np.clip(widths, 1, MAX_WIDTH), model_config.min_width))


def _frames_needed(samples: Sequence[LintSample]) -> NDArray[np.int64]:
    return np.array([frames_needed(sample.text) for sample in samples], dtype=np.int64)


def _units(text: str) -> float:
    """The width of a text, where an ordinary Latin letter is 1."""
    return sum(map(_width, text))


@functools.cache
def _width(character: str) -> float:
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return 2.0
    return 0.6 if character in _NARROW or category == "Mc" else 1.5 if character in _BROAD else 1.0
