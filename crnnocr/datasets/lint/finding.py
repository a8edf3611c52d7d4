"""Where paths lead, links followed: what tells that two paths are one file, and that a file lies in a folder.

What lint looks at, and what it finds.

What the readers of a data set could not use, or not as it stands there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from crnnocr.config import Pair
from crnnocr.datasets import Fault, Sample
from crnnocr.formatting import counted

if TYPE_CHECKING:
    from crnnocr.datasets.lines import LineDataset


class Places:
    """Finds where paths lead. Each folder is looked up once, for a million pictures may lie in it."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, path: Path) -> str:
        """The absolute path of a file, all links followed. A name that no file can have is left as it is."""
        folder, name = os.path.split(path)
        try:
            if name in ("", os.pardir) or path.is_symlink():
                return os.path.realpath(path)
            if folder not in self._folders:
                self._folders[folder] = os.path.realpath(folder).rstrip(os.sep)
        except (OSError, ValueError):
            return str(path)
        return f"{self._folders[folder]}{os.sep}{name}"


_NAMED = 8
_SHOWN = 60


class LintSample(NamedTuple):
    """A labeled image as lint looks at it."""

    sample: Sample
    """The image's file and the label."""
    content_id: int
    """Stands for the content of the image's file."""
    size: Pair
    """Width and height of the image in pixels, after a vertical one was turned."""

    @property
    def text(self) -> str:
        """The label."""
        return self.sample.text


def lint_samples(lines: LineDataset) -> list[LintSample]:
    """The samples of a data set, without their pixels."""
    sizes = ((width, height) for width, height in lines.sizes.tolist())
    return list(map(LintSample, lines.samples, lines.content_ids.tolist(), sizes))


class Severity(StrEnum):
    """What a finding means for the training, the gravest first."""

    FATAL = "fatal"
    """It cannot begin, or would be in vain."""
    SET_ASIDE = "set-aside"
    """These samples are left out of it."""
    WARNING = "warning"
    """They are used as they are, and are probably wrong."""
    NOTE = "note"
    """Worth knowing, and no fault by itself."""


@dataclass(frozen=True)
class Place:
    """Where something was found."""

    path: str
    """The picture's file, the database and key, or the place in a label file."""
    detail: str
    """What is there."""


@dataclass(frozen=True)
class Finding:
    """One kind of fault, with all places where it was found."""

    kind: str
    """A name for it that stays the same."""
    severity: Severity
    """What it means for the training."""
    message: str
    """How many, what is wrong and how to mend it, in one sentence without file names."""
    places: tuple[Place, ...] = ()
    """All of them; none where it is about the whole set."""

    @property
    def count(self) -> int:
        """How many places."""
        return len(self.places)

    def to_json(self) -> dict[str, Any]:
        """This finding as values that JSON can hold."""
        places = [{"path": place.path, "detail": place.detail} for place in self.places]
        return {**vars(self), "severity": self.severity.value, "count": self.count, "places": places}


def place(seen: LintSample, detail: str | None = None) -> Place:
    """The place of a sample; by default with its label."""
    return Place(seen.sample.name, quoted(seen.text) if detail is None else detail)


def quoted(text: str) -> str:
    """A label in quotes, the end of a long one left out, and unprintable characters as escapes."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def enumerated(parts: Sequence[str]) -> str:
    """The first few of `parts`, and how many more there are."""
    more = f" and {len(parts) - _NAMED:,} more" if len(parts) > _NAMED else ""
    return ", ".join(parts[:_NAMED]) + more


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
