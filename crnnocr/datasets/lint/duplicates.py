"""Pictures and texts that come more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from statistics import median

from crnnocr.datasets.issues import Issue, Location, Severity
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.formatting import plural, quoted

_LONG_TEXT = 20
"""Characters from which on, where that is the median, texts do not come again by chance."""


def two_labels(seen: Sequence[LintSample]) -> Iterator[Issue]:
    """Pictures that come with different labels."""
    groups = [group for group in _by_picture(seen) if len({one.text for one in group}) > 1]
    if groups:
        has = plural(len(groups), "picture comes with different labels", "pictures come with different labels")
        locations = tuple(one.at() for group in groups for one in group)
        message = f"{has} ({plural(len(locations), 'file', 'files')})"
        yield Issue("two-labels", Severity.WARNING, message, "only one can be right, so take out the others", locations)


def duplicates(*sets: Sequence[LintSample]) -> Iterator[Issue]:
    """Pictures that come again in the same set with the same label: each copy, with the first."""
    locations: list[Location] = []
    for group in chain.from_iterable(map(_by_picture, sets)):
        first: dict[str, LintSample] = {}
        for one in group:
            if (original := first.setdefault(one.text, one)) is not one:
                again = "this file is listed twice" if one.sample == original.sample else f"the same as {original.sample.name}"
                locations.append(one.at(f"{again}: {quoted(one.text)}"))
    if locations:
        is_copy = plural(len(locations), "picture is a copy of another", "pictures are copies of others")
        message = f"{is_copy} with the same label, and counts as often as it is there"
        yield Issue("duplicate", Severity.NOTE, message, "take copies out unless they are meant", tuple(locations))


def in_both(train: Sequence[LintSample], val: Sequence[LintSample]) -> Iterator[Issue]:
    """Pictures of the validation set that are to be learned from as well."""
    learned = {one.content_id: one for one in reversed(train)}
    locations = tuple(
        one.at(f"the same as {learned[one.content_id].sample.name}: {quoted(one.text)}")
        for one in val
        if one.content_id in learned
    )
    if locations:
        are = plural(
            len(locations), "validation picture is a training picture too", "validation pictures are training pictures too"
        )
        message = f"{are}, which would make the scores too good"
        yield Issue("picture-in-both", Severity.WARNING, message, "left out of the validation", locations)


def texts_in_both(train: Sequence[LintSample], val: Sequence[LintSample]) -> Iterator[Issue]:
    """Texts of the validation set that are to be learned from, in other pictures. Long texts do not meet by chance."""
    texts = {one.text for one in train}
    locations = tuple(one.at() for one in val if one.text in texts)
    if locations:
        long = median(len(one.text) for one in val) >= _LONG_TEXT
        have = plural(len(locations), "validation label is", "validation labels are")
        advice = (
            "hold out other texts, or the scores are too good"
            if long
            else "on these the scores may be better than on new texts"
        )
        message = f"{have} in the training set too ({len(locations) / len(val):.0%})"
        yield Issue("text-in-both", Severity.WARNING if long else Severity.NOTE, message, advice, locations)


def _by_picture(seen: Sequence[LintSample]) -> list[list[LintSample]]:
    """The samples with the same picture, for each picture of several."""
    groups: dict[int, list[LintSample]] = {}
    for one in seen:
        groups.setdefault(one.content_id, []).append(one)
    return [group for group in groups.values() if len(group) > 1]
