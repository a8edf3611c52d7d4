"""Images and texts that come more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from statistics import median

from crnnocr.datasets.issues import Issue, Location, Severity
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.formatting import plural, quoted
from crnnocr.text.charset import canonical

_LONG_TEXT = 20
"""If the median text has at least so many characters, the same text does not come twice by chance."""


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


def _by_image(samples: Sequence[LintSample]) -> list[list[LintSample]]:
    """The samples of each image that comes more than once."""
    groups: dict[int, list[LintSample]] = {}
    for sample in samples:
        groups.setdefault(sample.content_id, []).append(sample)
    return [group for group in groups.values() if len(group) > 1]
