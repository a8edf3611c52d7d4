"""Images and texts that come more than once, and images of one thing on both sides of the split."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from statistics import median
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from crnnocr.datasets.issues import Issue, Location, Severity
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.formatting import plural, quoted
from crnnocr.images import Line
from crnnocr.text.charset import canonical

_Reduced: TypeAlias = NDArray[np.float32]
"""A line at the height at which it is compared."""

_LONG_TEXT = 20
"""If the median text has at least so many characters, the same text does not come twice by chance."""
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


def two_labels(samples: Sequence[LintSample]) -> Iterator[Issue]:
    """Find images that come with labels that do not look the same."""
    groups = [group for group in _by_image(samples) if len({canonical(sample.text) for sample in group}) > 1]
    if groups:
        locations = tuple(sample.at() for group in groups for sample in group)
        has = plural(len(groups), "image comes with different labels", "images come with different labels")
        message = f"{has} ({plural(len(locations), 'sample')})"
        yield Issue("two-labels", Severity.WARNING, message, "only one can be right, so take out the others", locations)


def duplicates(*sets: Sequence[LintSample]) -> Iterator[Issue]:
    """Find images that come again in the same set with the same label. Each copy is located, with the first one."""
    locations: list[Location] = []
    for group in chain.from_iterable(map(_by_image, sets)):
        first: dict[str, LintSample] = {}
        for copy in group:
            if (original := first.setdefault(copy.text, copy)) is not copy:
                again = "this file is listed twice" if copy.sample == original.sample else f"the same as {original.sample.name}"
                locations.append(copy.at(f"{again}: {quoted(copy.text)}"))
    if locations:
        is_copy = plural(len(locations), "image is a copy of another", "images are copies of others")
        message = f"{is_copy} with the same label, and counts as often as it is there"
        yield Issue("duplicate", Severity.NOTE, message, "take copies out unless they are meant", tuple(locations))


def images_in_both(train: Sequence[LintSample], validation: Sequence[LintSample]) -> Iterator[Issue]:
    """Find validation images that are in the training set too."""
    trained = {sample.content_id: sample for sample in reversed(train)}
    locations = tuple(
        sample.at(f"the same as {trained[sample.content_id].sample.name}: {quoted(sample.text)}")
        for sample in validation
        if sample.content_id in trained
    )
    if locations:
        are = plural(len(locations), "validation image is a training image too", "validation images are training images too")
        message = f"{are}, which would make the scores too good"
        yield Issue("picture-in-both", Severity.WARNING, message, "left out of the validation", locations)


def groups_in_both(train: Sequence[LintSample], validation: Sequence[LintSample]) -> Iterator[Issue]:
    """Find validation images of a group of which others are in the training set."""
    groups = {sample.sample.group for sample in train} - {""}
    locations = tuple(
        sample.at(f"of the group {sample.sample.group}: {quoted(sample.text)}")
        for sample in validation
        if sample.sample.group in groups
    )
    if locations:
        are = plural(
            len(locations),
            "validation image is of a group",
            "validation images are of groups",
        )
        message = f"{are} that training images are of too, which would make the scores too good"
        yield Issue("group-in-both", Severity.WARNING, message, "left out of the validation", locations)


def texts_in_both(train: Sequence[LintSample], validation: Sequence[LintSample]) -> Iterator[Issue]:
    """Find validation texts that other images of the training set show. Long texts do not do so by chance."""
    trained = {sample.text for sample in train} - {""}
    locations = tuple(sample.at() for sample in validation if sample.text in trained)
    if locations:
        are_long = median(len(sample.text) for sample in validation) >= _LONG_TEXT
        are = plural(len(locations), "validation label is", "validation labels are")
        message = f"{are} in the training set too ({len(locations) / len(validation):.0%})"
        if are_long:
            fix = "hold out other texts, or the scores are too good"
            yield Issue("text-in-both", Severity.WARNING, message, fix, locations)
        else:
            fix = "on these the scores may be better than on new texts"
            yield Issue("text-in-both", Severity.NOTE, message, fix, locations)


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


def _by_image(samples: Sequence[LintSample]) -> list[list[LintSample]]:
    """The samples of each image that comes more than once."""
    groups: dict[int, list[LintSample]] = {}
    for sample in samples:
        groups.setdefault(sample.content_id, []).append(sample)
    return [group for group in groups.values() if len(group) > 1]


def _location(sample: LintSample, like: LintSample) -> Location:
    return sample.at(f"like {like.sample.name}: {quoted(sample.text)}")


def _similar(sample: LintSample, others: Sequence[LintSample]) -> LintSample | None:
    """One of the nearest `others`, which are in their order, that looks the same but is another file."""
    first = max(0, min(bisect([other.row for other in others], sample.row) - _NEIGHBORS // 2, len(others) - _NEIGHBORS))
    reduced = _reduced(sample.line)
    near = (other for other in others[first : first + _NEIGHBORS] if other.content_id != sample.content_id)
    return next((other for other in near if similarity(reduced, _reduced(other.line)) >= _SIMILAR), None)


def _reduced(line: Line | None) -> _Reduced:
    assert line is not None
    width = max(_HEIGHT // 2, round(line.shape[1] * _HEIGHT / len(line)))
    return np.asarray(Image.fromarray(line).resize((width, _HEIGHT), Image.Resampling.BOX), dtype=np.float32)


def similarity(first: _Reduced, second: _Reduced) -> float:
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
