"""Pictures and the length of their labels: what does not fit, lines that run down, and sizes that do not go with the text."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import DEFAULT_PRESET, MAX_WIDTH, PRESETS, ModelConfig, Orientation
from crnnocr.datasets.issues import Issue, Location, Severity
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.formatting import plural, quoted
from crnnocr.images import VERTICAL_FROM
from crnnocr.text.charset import frames_needed

_TALL_UNITS = 3
"""Units of text from which on a tall picture is no narrow character or two, such as `ll`, but a line that runs down."""

_LEAST_TALL = 0.2
"""The least height of a vertical line for a unit of its text, as a share of its width."""

_NARROW = frozenset("iljtfrI.,:;'|!()[] -")
_BROAD = frozenset("mwMW@%№™—…")

_MARGIN = 0.5
"""Units of text that a crop has more than its characters. With it, short and long texts have the same width for a unit."""

_LEAST_SAMPLES = 30
"""Samples from which on they say what is usual."""

_SIGMAS = 5.0
_LEAST_RATIO = 2.5
_LEAST_HEIGHTS = 1.5
"""A picture is suspicious if its width is off by more than all of these: robust standard deviations of its logarithm, a factor,
and the picture's height. Real receipts, signs and books showed wide and narrow type within them. The factor is for sets of one
font, which hardly deviate; the height for single characters, whose crops are of any width."""


def fit(seen: Sequence[LintSample], shape: ModelConfig) -> list[bool]:
    """For each sample, whether its label fits the frames that a model of this shape makes of its picture."""
    fits: list[bool] = (_needed(seen) <= _frames(_sizes(seen), shape)).tolist()
    return fits


def too_long_labels(outside: Sequence[LintSample], shape: ModelConfig, orientation: Orientation) -> Iterator[Issue]:
    """The samples that do not fit, with the widths and options that would fit them."""
    if not outside:
        return
    sizes, needed = _sizes(outside), _needed(outside)
    options: dict[str, NDArray[np.bool_]] = {}
    for name in sorted(PRESETS, key=lambda name: name != DEFAULT_PRESET):
        fits = needed <= _frames(sizes, PRESETS[name])
        if name != shape.preset and not any(np.array_equal(fits, known) for known in options.values()):
            options[f"--preset {name}"] = fits
    tall = np.array([is_tall(one) for one in outside])
    turned = "no --orientation vertical" if orientation is Orientation.VERTICAL else "--orientation vertical"
    options[turned] = tall & (needed <= _frames(sizes[:, ::-1], shape))
    mends = [f"{option} would fit {fits.sum():,} of them" for option, fits in options.items() if fits.any()]
    mends.append("a label that is right needs the width that is listed with it")
    pace = 1024 / (shape.frames(2048) - shape.frames(1024))
    message = (
        f"{plural(len(outside), 'label does not fit its picture', 'labels do not fit their pictures')} (the preset "
        f"{shape.preset} reads at most a character in {pace:.2g} pixels of a line of height {shape.height})"
    )
    wanted = [[option for option, fits in options.items() if fits[i]] for i in range(len(outside))]
    locations = map(_too_long, outside, needed.tolist(), _frames(sizes, shape).tolist(), wanted, repeat(shape))
    yield Issue("label-too-long", Severity.EXCLUDED, message, "; ".join(mends), tuple(locations))


def tall_pictures(seen: Sequence[LintSample], orientation: Orientation) -> Iterator[Issue]:
    """Pictures that are much taller than wide with a label of several characters: lines that run down, or lie on their side."""
    tall = [one for one in seen if is_tall(one)]
    if tall:
        mend = "train with --orientation vertical" if len(tall) == len(seen) else "--orientation auto turns such pictures"
        if orientation is Orientation.VERTICAL:  # which has turned them
            mend = "their lines run from left to right, so leave --orientation vertical out"
        are = plural(
            len(tall),
            "picture is much taller than wide, as a vertical line",
            "pictures are much taller than wide, as vertical lines are",
        )
        locations = tuple(one.at(f"{_pixels(one)}: {quoted(one.text)}") for one in tall)
        yield Issue("tall-picture", Severity.WARNING, are, mend, locations)


def is_tall(seen: LintSample) -> bool:
    """Whether a picture's shape speaks for a vertical line of its label."""
    width, height = seen.size
    if height < VERTICAL_FROM * width:
        return False
    units = _units(seen.text)
    return units >= _TALL_UNITS and height >= _LEAST_TALL * units * width


def odd_widths(seen: Sequence[LintSample]) -> Iterator[Issue]:
    """Pictures that are much longer or shorter than others are for as much text: labels of another picture, bad crops."""
    if len(seen) < _LEAST_SAMPLES:
        return
    sizes = _sizes(seen)
    ratios = sizes[:, 0] / sizes[:, 1]
    units = np.array([_units(one.text) for one in seen]) + _MARGIN
    usual = units * np.median(ratios / units)
    off = np.log(ratios / usual)
    # The median absolute deviation, times what makes it the standard deviation of a normal distribution.
    limit = max(_SIGMAS * 1.4826 * float(np.median(np.abs(off))), float(np.log(_LEAST_RATIO)))
    suspicious = (np.abs(off) > limit) & (np.abs(ratios - usual) > _LEAST_HEIGHTS)
    for kind, word, way in (("long", "longer", 1), ("short", "shorter", -1)):
        found = np.flatnonzero(suspicious & (np.sign(off) == way)).tolist()
        if found:
            are = plural(len(found), f"picture is much {word} than its label", f"pictures are much {word} than their labels")
            fix = "look whether each shows its label, all of it, in one line"
            locations = tuple(_odd(seen[i], usual[i]) for i in found)
            yield Issue(f"picture-{kind}-for-label", Severity.WARNING, f"{are} would usually be", fix, locations)


def _odd(seen: LintSample, usual: float) -> Location:
    return seen.at(f"{_pixels(seen)}, where about {usual * seen.size[1]:.0f} wide is usual for {quoted(seen.text)}")


def _too_long(seen: LintSample, needed: int, frames: int, options: Sequence[str], shape: ModelConfig) -> Location:
    width = _least_width(needed, seen.size[1], shape)
    mends = [f"{width:,} pixels in width" if width else "only parts of the line", *options]
    text = quoted(seen.text)
    return seen.at(f"{_pixels(seen)} give {frames} of the {needed} frames for {text}: {' or '.join(mends)} would fit")


def _least_width(frames: int, height: int, shape: ModelConfig) -> int:
    """The least width of a picture of this height that gives so many frames, in pixels; 0 where none does."""
    line = shape.min_width_for(frames)
    width = max(1, (2 * line - 1) * height // (2 * shape.height))
    while round(width * shape.height / height) < line:
        width += 1
    return width if line <= MAX_WIDTH else 0


def _pixels(seen: LintSample) -> str:
    return f"{seen.size[0]} x {seen.size[1]} pixels"


def _sizes(seen: Sequence[LintSample]) -> NDArray[np.int64]:
    """(N, 2) width and height of each picture in pixels."""
    return np.array([one.size for one in seen], dtype=np.int64).reshape(-1, 2)


def _frames(sizes: NDArray[np.int64], shape: ModelConfig) -> NDArray[np.int64]:
    """(N,) frames of pictures of `sizes` (N, 2), by the width that `images.Preprocessor` gives them."""
    widths = np.rint(sizes[:, 0] * shape.height / sizes[:, 1]).astype(np.int64)
    return shape.frames(np.maximum(np.clip(widths, 1, MAX_WIDTH), shape.min_width))


def _needed(seen: Sequence[LintSample]) -> NDArray[np.int64]:
    return np.array([frames_needed(one.text) for one in seen], dtype=np.int64)


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
