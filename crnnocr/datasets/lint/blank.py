"""Images without ink that have a label: empty fields, crops beside the text, pages that were skipped.

An image is cut into blocks about as wide as a stroke. Noise is the same in all blocks and averages out within them; ink does
neither, however faint it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from crnnocr.datasets.issues import Issue, Severity
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.formatting import plural
from crnnocr.images import Line

_BLOCKS = 10
"""Blocks from the top of a line to its bottom."""
_MIN_BLOCKS = 2
"""A line of fewer blocks in width is not judged."""
_FLAT = 1.9
"""Gray values up to which the means of blocks differ by rounding alone."""
_EVEN = 2.0
"""Deviation within the noisiest blocks, relative to the calmest: more is ink in some of them."""
_AVERAGED = 0.8
"""Deviation of the means of blocks, relative to that within them: white noise of blocks of 16 pixels has 0.25."""
_OUTSTANDING = 4.2
"""Deviation of the most unusual blocks, in standard deviations of all."""
_RANGE = 160
"""Gray values that shade and noise span together, at most."""
_NOISE = 16.0
"""Deviation within blocks up to which it can be noise; more is no paper."""
_ROUNDING = 0.3
"""Gray values that deviations are wrong by, since pixels are whole numbers."""


def blank_images(samples: Sequence[LintSample]) -> Iterator[Issue]:
    """Find images without ink whose label is not empty."""
    locations = tuple(sample.at() for sample in samples if sample.text and sample.line is not None and is_blank(sample.line))
    if locations:
        show = plural(len(locations), "image shows nothing and has a label", "images show nothing and have labels")
        yield Issue(
            "blank-picture", Severity.WARNING, show, "look whether they are the right crops, or take them out", locations
        )


def is_blank(line: Line) -> bool:
    """Whether a line holds no ink: nothing but paper, evenly noisy, with light or shade over it."""
    size = max(2, len(line) // _BLOCKS)
    rows, columns = (length // size for length in line.shape)
    few = line[::size, ::size]
    if columns < _MIN_BLOCKS or int(few.max()) - int(few.min()) > _RANGE:
        return False
    pixels = line[: rows * size, : columns * size].astype(np.float32)
    blocks = pixels.reshape(rows, size, columns, size).swapaxes(1, 2).reshape(rows, columns, size * size)
    within = np.sort(blocks.std(axis=2, ddof=1), axis=None)
    calm, usual, noisy = (float(within[int(share * (len(within) - 1))]) for share in (0.25, 0.5, 0.95))
    is_even = noisy + _ROUNDING < _EVEN * (calm + _ROUNDING) and usual < _NOISE
    if not is_even and noisy > _NOISE:
        return False
    means = np.abs(_without_shade(blocks.mean(axis=2)))
    deviation, most = float(np.sqrt(np.square(means).mean())), float(np.sort(means, axis=None)[-3:].mean())
    if most < _FLAT:
        return True
    return is_even and deviation < _AVERAGED * (usual + _ROUNDING) and most < _OUTSTANDING * deviation


def _without_shade(means: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (rows, columns) means less the quadratic surface that fits them best."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, length, dtype=np.float32) for length in means.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1).reshape(-1, 6)
    fitted = np.linalg.lstsq(terms, means.ravel(), rcond=None)[0]
    rest: NDArray[np.float32] = means - (terms @ fitted).reshape(means.shape)
    return rest
