"""What the readers of a data set could not use, or not as it stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from crnnocr.datasets import Fault
from crnnocr.datasets.lint.finding import Finding, Place, Severity
from crnnocr.plurals import counted

_KNOWN = {
    "row whose picture is not there": ("missing-picture", "mend the path, which counts from the label file's folder"),
    "row that names a file outside": ("picture-outside", "put the picture into the label file's folder"),
    "label without its picture": ("label-without-picture", "name the label as the picture, or take it out"),
    "picture that cannot be read": ("unreadable-picture", "save the picture again, or take it out"),
    "entry without a picture": ("missing-picture", "add it to the database, or take the label out"),
    "picture without a label": ("unlabelled-picture", "write what the picture says, or take it out"),
    "entry without a label": ("unlabelled-picture", "write what the picture says, or take it out"),
    "picture that another source has": ("picture-in-two-sources", "give each source once"),
    "picture that has another label in": ("two-labels-in-two-sources", "name the source first whose labels are right"),
    "empty label": ("empty-label", "write what the picture says, or take it out"),
    "label that is not U": ("broken-label", "write the label again, in UTF-8"),
}
"""The beginning of a fault's words, with the name of the finding and the mend."""


def left_out(faults: Sequence[Fault]) -> Iterator[Finding]:
    """A finding for each kind of fault."""
    by_kind: dict[str, list[Fault]] = {}
    for fault in faults:
        by_kind.setdefault(fault.kind, []).append(fault)
    for words, same in by_kind.items():
        slug = re.sub(r"\W+", "-", words.lower()).strip("-")
        kind, mend = next(
            (known for start, known in _KNOWN.items() if words.startswith(start)), (slug, "mend it or take it out")
        )
        yield Finding(kind, Severity.SET_ASIDE, f"{len(same):,} left out: {words}: {mend}", tuple(map(_place, same)))


def trimmed(faults: Sequence[Fault]) -> Iterator[Finding]:
    """A finding for the labels whose white space at the ends was taken off."""
    if faults:
        have = counted(len(faults), "label has white space at its ends", "labels have white space at their ends")
        yield Finding("space-at-end", Severity.NOTE, f"{have}, which was taken off", tuple(map(_place, faults)))


def _place(fault: Fault) -> Place:
    return Place(str(fault.path) if fault.path else fault.where, fault.where)
