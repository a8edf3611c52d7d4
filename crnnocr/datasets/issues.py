"""Issues of a data set: one type for what the loaders of its formats cannot use and for what lint finds in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """The consequence of an issue for the training, the gravest first."""

    FATAL = "fatal"
    """The training cannot begin, or would be in vain."""
    EXCLUDED = "set-aside"
    """These samples are not used."""
    WARNING = "warning"
    """They are used as they are, and are probably wrong."""
    NOTE = "note"
    """Worth knowing, and not necessarily wrong."""


@dataclass(frozen=True)
class Location:
    """Where an issue was found."""

    path: str
    """The image file, the database and its key, or the line of a label file."""
    detail: str
    """The label, the line, or whatever else shows the issue there."""


@dataclass(frozen=True)
class Issue:
    """One kind of defect, with all the locations where it was found."""

    code: str
    """Identifies the kind of issue; stays the same from version to version."""
    severity: Severity
    message: str
    """The defect, without file names."""
    fix: str = ""
    """An action for the user that removes it."""
    locations: tuple[Location, ...] = ()
    """Empty if the issue is about the whole data set."""

    def __str__(self) -> str:
        return f"{self.message}: {self.fix}" if self.fix else self.message

    @property
    def count(self) -> int:
        """Number of locations."""
        return len(self.locations)

    def at(self, path: object, detail: str | None = None) -> Issue:
        """Return the same issue at this location only; `detail` is the path unless given."""
        return replace(self, locations=(Location(str(path), str(path) if detail is None else detail),))

    def to_json(self) -> dict[str, Any]:
        """Return the issue as `train --check --json` prints it."""
        return {
            "kind": self.code,
            "severity": self.severity.value,
            "message": str(self),
            "places": [{"path": location.path, "detail": location.detail} for location in self.locations],
            "count": self.count,
        }


def _excluded(code: str, message: str, fix: str) -> Issue:
    return Issue(code, Severity.EXCLUDED, message, fix)


_WRITE_LABEL = "write what the image says, or take it out"
_ENCODE_LABEL = "write the label again, in UTF-8"

MISSING_IMAGE = _excluded(
    "missing-picture",
    "row whose image is not there",
    "correct the path, which counts from the label file's folder, or name that with `images`",
)
BROKEN_LINK = _excluded(
    "missing-picture", "row whose image is a link to a file that is not there", "fetch the file (git annex get, dvc pull)"
)
AMBIGUOUS_IMAGE = _excluded(
    "ambiguous-picture",
    "row that several files fit, or whose file other rows fit too",
    "write the path from the label file's folder",
)
MISSING_ENTRY = _excluded("missing-picture", "entry without an image", "add it to the database, or take the label out")
IMAGE_OUTSIDE = _excluded(
    "picture-outside",
    "row that names a file outside the label file's folder",
    "put the image into the label file's folder",
)
LABEL_WITHOUT_IMAGE = _excluded(
    "label-without-picture",
    "label without its image",
    "name the label as the image, name the folder above both if they lie apart, or take it out",
)
AMBIGUOUS_LABEL = _excluded(
    "ambiguous-picture", "label that could be of several images", "keep one of the folders of images beside that of the labels"
)
UNREADABLE_IMAGE = _excluded("unreadable-picture", "image that cannot be read", "save the image again, or take it out")
UNLABELED_IMAGE = _excluded("unlabelled-picture", "image without a label", _WRITE_LABEL)
UNLABELED_ENTRY = _excluded("unlabelled-picture", "entry without a label", _WRITE_LABEL)
EMPTY_LABEL = _excluded(
    "empty-label", "empty label", "write what the image says, or keep it with `empty=keep` if that is nothing"
)
SEVERAL_LINES = _excluded(
    "several-lines", "label of several lines, as of a page or a list of boxes", "cut out each line, and label it alone"
)
BROKEN_ROW = _excluded("broken-row", "row that cannot be read", "correct it")
NOT_UNICODE = _excluded("broken-label", "label that is not Unicode text", _ENCODE_LABEL)
NOT_UTF_8 = _excluded("broken-label", "label that is not UTF-8", _ENCODE_LABEL)
IN_TWO_SOURCES = _excluded("picture-in-two-sources", "image that another source has already", "give each source once")
BOX_WITHOUT_AREA = _excluded("box-without-area", "box without an area", "draw it again, or take it out")
BOX_WITHOUT_TEXT = _excluded("empty-label", "box without a text", _WRITE_LABEL)
DO_NOT_CARE = _excluded(
    "placeholder-label", "label ###, or a mark that nobody could read the text", "write what the image says, if you can read it"
)
NO_SHARES = Issue(
    "confidence-scale",
    Severity.WARNING,
    "column `confidence` that is not from 0 to 1 throughout, so all labels count alike",
    "divide it, or call it otherwise",
)
TRIMMED_LABEL = Issue("space-at-end", Severity.NOTE, "label with white space at its ends")
SINGLE_SPACED_LABEL = Issue(
    "double-space",
    Severity.NOTE,
    "label with several spaces in a row, or a tab, which counts as one space: no image shows how many",
)


def foreign_file(format: str, fix: str) -> Issue:
    """Return the issue of a file in a format that may hold images but is not read."""
    return _excluded("foreign-picture", f"file in a format that is not read ({format})", fix)


def label_differs_from(source: object) -> Issue:
    """Return the issue of an image to which `source`, named earlier, gives another label."""
    return _excluded(
        "two-labels-in-two-sources",
        f"image that has another label in {source}: the source that is named first counts",
        "name the source first whose labels are right",
    )


def merged(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Join issues that differ only in their locations, in the order in which each first appears."""
    locations: dict[Issue, list[Location]] = {}
    for issue in issues:
        locations.setdefault(replace(issue, locations=()), []).extend(issue.locations)
    return tuple(replace(issue, locations=tuple(found)) for issue, found in locations.items())


def with_counts(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Merge issues of loaders, and begin each message with the number of samples that were excluded or trimmed.

    Warnings are about all samples together.
    """
    done = {Severity.EXCLUDED: "excluded", Severity.NOTE: "trimmed"}
    return tuple(
        replace(issue, message=f"{issue.count:,} {done[issue.severity]}: {issue.message}") if issue.severity in done else issue
        for issue in merged(issues)
    )


def summary(issues: Iterable[Issue]) -> list[str]:
    """Describe what was excluded from a data set: a line for each issue, with the count, the first location and the fix."""
    excluded = [issue for issue in issues if issue.severity is Severity.EXCLUDED]
    return [f"{issue.message} (first: {issue.locations[0].detail}): {issue.fix}" for issue in with_counts(excluded)]
