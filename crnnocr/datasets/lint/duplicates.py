"""Pictures and texts that come more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from statistics import median

from crnnocr.datasets.lint.finding import Finding, LintSample, Place, Severity, place, quoted
from crnnocr.formatting import counted

_LONG_TEXT = 20
"""Characters from which on, where that is the median, texts do not come again by chance."""


def two_labels(seen: Sequence[LintSample]) -> Iterator[Finding]:
    """Pictures that come with different labels."""
    groups = [group for group in _by_picture(seen) if len({one.text for one in group}) > 1]
    if groups:
        has = counted(len(groups), "picture comes with different labels", "pictures come with different labels")
        places = tuple(place(one) for group in groups for one in group)
        message = f"{has} ({counted(len(places), 'file', 'files')}): only one can be right, so take out the others"
        yield Finding("two-labels", Severity.WARNING, message, places)


def duplicates(*sets: Sequence[LintSample]) -> Iterator[Finding]:
    """Pictures that come again in the same set with the same label: each copy, with the first."""
    places: list[Place] = []
    for group in chain.from_iterable(map(_by_picture, sets)):
        first: dict[str, LintSample] = {}
        for one in group:
            if (original := first.setdefault(one.text, one)) is not one:
                again = "this file is listed twice" if one.sample == original.sample else f"the same as {original.sample.name}"
                places.append(place(one, f"{again}: {quoted(one.text)}"))
    if places:
        is_copy = counted(len(places), "picture is a copy of another", "pictures are copies of others")
        message = f"{is_copy} with the same label, and counts as often as it is there: take copies out unless they are meant"
        yield Finding("duplicate", Severity.NOTE, message, tuple(places))


def in_both(train: Sequence[LintSample], val: Sequence[LintSample]) -> Iterator[Finding]:
    """Pictures of the validation set that are to be learned from as well."""
    learned = {one.content_id: one for one in reversed(train)}
    places = tuple(
        place(one, f"the same as {learned[one.content_id].sample.name}: {quoted(one.text)}")
        for one in val
        if one.content_id in learned
    )
    if places:
        are = counted(
            len(places), "validation picture is a training picture too", "validation pictures are training pictures too"
        )
        message = f"{are}, which would make the scores too good: left out of the validation"
        yield Finding("picture-in-both", Severity.WARNING, message, places)


def texts_in_both(train: Sequence[LintSample], val: Sequence[LintSample]) -> Iterator[Finding]:
    """Texts of the validation set that are to be learned from, in other pictures. Long texts do not meet by chance."""
    texts = {one.text for one in train}
    places = tuple(place(one) for one in val if one.text in texts)
    if places:
        long = median(len(one.text) for one in val) >= _LONG_TEXT
        have = counted(len(places), "validation label is", "validation labels are")
        advice = (
            "hold out other texts, or the scores are too good"
            if long
            else "on these the scores may be better than on new texts"
        )
        message = f"{have} in the training set too ({len(places) / len(val):.0%}): {advice}"
        yield Finding("text-in-both", Severity.WARNING if long else Severity.NOTE, message, places)


def _by_picture(seen: Sequence[LintSample]) -> list[list[LintSample]]:
    """The samples with the same picture, for each picture of several."""
    groups: dict[int, list[LintSample]] = {}
    for one in seen:
        groups.setdefault(one.content_id, []).append(one)
    return [group for group in groups.values() if len(group) > 1]
