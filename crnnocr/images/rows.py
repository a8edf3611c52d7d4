"""Two rows of text in one image, as on the plates of motorcycles: put one after the other they are a line."""

from __future__ import annotations

import numpy as np
from PIL import Image

from crnnocr.images.ink import Ink, find, row_counts

_NEAR_MIDDLE = (0.3, 0.7)
"""Where the rows are divided, as shares of the ink's height."""

_EMPTY = 0.2
"""Ink of the row of pixels where two rows of text are divided, relative to a full one, at most."""

_MARGIN = 0.12
"""Paper around each row of text, relative to its height."""

_GAP = 0.4
"""Paper between the two, relative to their height: that of a space."""


def joined(gray: Image.Image) -> Image.Image:
    """Put the upper and the lower row of text side by side, at one height. An image of a single row, or of more
    than two, stays as it is.
    """
    middle = _divide(gray)
    if middle is None:
        return gray
    halves = [gray.crop((0, top, gray.width, end)) for top, end in ((0, middle), (middle, gray.height))]
    inks = [find(half) for half in halves]
    if any(ink.has_several_lines for ink in inks):
        return gray
    upper, lower = map(_trimmed, halves, inks)
    height = max(upper.height, lower.height)
    upper, lower = (
        row.resize((max(1, round(row.width * height / row.height)), height), Image.Resampling.BICUBIC) for row in (upper, lower)
    )
    gap = round(_GAP * height)
    line = Image.new("L", (upper.width + gap + lower.width, height), int(np.median(np.asarray(gray))))
    line.paste(upper, (0, 0))
    line.paste(lower, (upper.width + gap, 0))
    return line


def _divide(gray: Image.Image) -> int | None:
    """The middle of the emptiest rows of pixels near the middle; None if none is nearly empty."""
    counts = row_counts(gray)
    if counts is None or not counts.any():
        return None
    inked = np.flatnonzero(counts)
    height = inked[-1] + 1 - inked[0]
    start, end = (inked[0] + round(share * height) for share in _NEAR_MIDDLE)
    near = counts[start:end]
    if not near.size or near.min() > _EMPTY * np.percentile(counts[inked], 80):
        return None
    emptiest = np.flatnonzero(near <= near.min()) + start
    runs = np.split(emptiest, np.flatnonzero(np.diff(emptiest) > 1) + 1)
    return int(max(runs, key=len).mean()) + 1


def _trimmed(row: Image.Image, ink: Ink) -> Image.Image:
    """A row of text with little paper around it."""
    box = ink.box
    if box is None:
        return row
    left, top, right, bottom = box
    margin = 1 + round(_MARGIN * (bottom - top))
    return row.crop(
        (max(0, left - margin), max(0, top - margin), min(row.width, right + margin), min(row.height, bottom + margin))
    )
