"""Images of one thing on both sides of the split: frames of a video, or several crops of the same text."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from crnnocr.datasets.issues import Issue, Location, Severity
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.formatting import plural, quoted
from crnnocr.images import Line

_Picture: TypeAlias = NDArray[np.float32]

_HEIGHT = 20
"""Pixels to which lines are reduced before they are compared."""
_SHIFT = 2
"""Pixels by which each part of a line may lie elsewhere in another frame."""
_MAX_STRETCH = 1.1
"""Factor by which one of two frames may be wider."""
_SIMILAR = 0.95
"""Correlation from which on two images of the same text are taken for images of one thing. Of independent crops of receipts
and signs with the same text, one pair in 500 reaches it; of frames most do.
"""
_MIN_SHARE = 0.05
_MIN_IMAGES = 3
"""So few similar images may be chance: a share of those that were compared, and a number."""
_COMPARED = 200
"""Validation images that are compared, at most."""
_NEIGHBORS = 12
"""Training images that each is compared with: those of the same text that stand nearest to it in the data, as frames do."""


def similar_in_both(train: Sequence[LintSample], validation: Sequence[LintSample], fix: str) -> Iterator[Issue]:
    """Find out whether validation images look like training images of the same text. Images in groups are not examined."""
    by_text: dict[str, list[LintSample]] = {}
    for sample in train:
        if sample.text and sample.lines is not None and not sample.sample.group:
            by_text.setdefault(sample.text, []).append(sample)
    known = [sample for sample in validation if sample.lines is not None and sample.text in by_text and not sample.sample.group]
    compared = known[:: -(-len(known) // _COMPARED)] if known else []
    found = [(sample, like) for sample in compared if (like := _similar(sample, by_text[sample.text]))]
    images = len(validation) * len(compared) / max(1, len(known))  # those that the compared ones stand for
    if len(found) < max(_MIN_IMAGES, _MIN_SHARE * images):
        return
    locations = tuple(_location(sample, like) for sample, like in found)
    look = plural(len(found), "validation image looks", "validation images look")
    some = f" (of {len(compared)} that were compared)" if len(compared) < len(known) else ""
    message = f"{look} like training images of the same text{some}, as frames of a video do"
    yield Issue("similar-picture-in-both", Severity.WARNING, message, fix, locations)


def _location(sample: LintSample, like: LintSample) -> Location:
    return sample.at(f"like {like.sample.name}: {quoted(sample.text)}")


def _similar(sample: LintSample, others: Sequence[LintSample]) -> LintSample | None:
    """One of the nearest `others`, which are in their order, that looks the same but is another file."""
    first = max(0, min(bisect([other.row for other in others], sample.row) - _NEIGHBORS // 2, len(others) - _NEIGHBORS))
    picture = _reduced(sample.line)
    near = (other for other in others[first : first + _NEIGHBORS] if other.content_id != sample.content_id)
    return next((other for other in near if similarity(picture, _reduced(other.line)) >= _SIMILAR), None)


def _reduced(line: Line | None) -> _Picture:
    assert line is not None
    width = max(_HEIGHT // 2, round(line.shape[1] * _HEIGHT / len(line)))
    return np.asarray(Image.fromarray(line).resize((width, _HEIGHT), Image.Resampling.BOX), dtype=np.float32)


def similarity(first: _Picture, second: _Picture) -> float:
    """The correlation of two reduced lines, part by part, each at the shift where it is highest. 0 if the widths differ."""
    width = first.shape[1]
    if not 1 / _MAX_STRETCH <= second.shape[1] / width <= _MAX_STRETCH:
        return 0.0
    if second.shape[1] != width:
        resized = Image.fromarray(second).resize((width, _HEIGHT), Image.Resampling.BILINEAR)
        second = np.asarray(resized, dtype=np.float32)
    framed = np.pad(second, _SHIFT, mode="edge")
    edges = np.linspace(0, width, max(1, round(width / (2 * _HEIGHT))) + 1).astype(int).tolist()
    total = weights = 0.0
    for start, end in pairwise(edges):
        part = first[:, start:end]
        part = part - part.mean()
        shifted = sliding_window_view(framed[:, start : end + 2 * _SHIFT], part.shape)
        shifted = shifted - shifted.mean(axis=(2, 3), keepdims=True)
        length = float(np.linalg.norm(part))
        lengths = np.sqrt(np.square(shifted).sum(axis=(2, 3)))
        products = np.tensordot(shifted, part, axes=2)
        total += float(np.max(products / np.maximum(lengths, 1e-6)))
        weights += length
    return total / weights if weights > 0 else 0.0
