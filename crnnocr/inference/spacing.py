"""Gaps that are wide enough for a space where none was read.

The network was trained on words whose letters are spread (`D A R K` on a sign is `DARK`), and reads rows of single characters
(`1 2 3`) in the same way. The width of the paper between two neighbors does not tell the two apart, but a wide gap without a
space is a reason for a lower confidence. Measured with `en` on 2,630 real crops: of 1,864 predictions that are right (in any
case), 9 have a gap of more than 0.6 of the ink's height without a space; of the 766 that are wrong or lack spaces, 21 have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import ModelConfig
from crnnocr.decoding import LogProbs
from crnnocr.images import LineImage
from crnnocr.text.charset import BLANK

_WIDE = 0.6
"""Paper between two neighbors, relative to the height of the ink, from which on there may be a space."""

_CENTERS = 0.8
"""Distance between the centers of such neighbors, relative to the height of the ink, at least: none is narrower than 0.2."""

_ROW, _ROW_OF_LETTERS = 0.25, 0.35
"""The same where it is so between all neighbors, in a row of single characters. Letters are spread more often than digits: of
714 words in real crops that are read right, 6 are such rows.
"""

_ROW_CENTERS, _ROW_LENGTH = 0.5, 3
"""Distance of their centers, and how many they are, at least."""

DOUBTFUL = 0.3
"""By which the confidence of a text with such a gap is multiplied: the share of those that are right (9 of 30)."""

_PAPER = 0.4
"""Contrast within a column of paper, relative to that of the line, at most."""


def has_bare_gap(log_probs: LogProbs, image: LineImage, config: ModelConfig, spaces: Sequence[int], text: str) -> bool:
    """Whether somewhere a space may be missing.

    Args:
        log_probs: (T, C) natural-log probabilities of the image.
        image: a view of it.
        config: says where frames lie.
        spaces: class ids of the spaces.
        text: what was read.
    """
    if image.ink is None or image.ink.box is None:
        return False
    _, top, _, bottom = image.ink.box
    height = (bottom - top) * image.width / image.length  # in columns of the line
    path = log_probs.argmax(axis=1)
    seen = np.flatnonzero(path != BLANK)
    start = config.center(0)
    step = config.center(1) - start
    shown = list(zip(seen.tolist(), path[seen].tolist(), strict=True))
    pairs = [
        (a, b)
        for (a, before), (b, after) in pairwise(shown)
        if (b > a + 1 or before != after) and before not in spaces and after not in spaces
    ]
    apart = [step * (b - a) / height for a, b in pairs]
    is_row = (
        len(pairs) + 1 >= _ROW_LENGTH and min(apart) > _ROW_CENTERS and not any(character in spaces for _, character in shown)
    )
    if not (is_row or any(distance > _CENTERS for distance in apart)):
        return False
    least = _PAPER * np.ptp(image.line)

    def paper(before: int, after: int) -> float:
        columns = image.line[:, int(start + step * before) : int(start + step * after)]
        return _longest(np.ptp(columns, axis=0) < least) / height

    wide = _ROW_OF_LETTERS if any(map(str.isalpha, text)) else _ROW
    return (is_row and all(paper(*pair) > wide for pair in pairs)) or any(
        paper(*pair) > _WIDE for pair, distance in zip(pairs, apart, strict=True) if distance > _CENTERS
    )


def _longest(flags: NDArray[np.bool_]) -> int:
    """Length of the longest run of flags."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    return int((edges[1::2] - edges[::2]).max(initial=0))
