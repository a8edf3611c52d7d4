"""From the records of a label file to samples: what all formats that list their images have in common."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.issues import EMPTY_LABEL, IMAGE_OUTSIDE, MISSING_IMAGE, NOT_UNICODE, TRIMMED_LABEL, Issue, merged
from crnnocr.files import RealPaths
from crnnocr.formatting import is_encodable
from crnnocr.text.charset import nfc


@dataclass(frozen=True)
class LabelRecord:
    """One image and its text, as a label file has them."""

    line: int | None
    """Line number in the file, from 1; None if the file is not made of lines."""
    name: str
    """The image's path, relative to the label file's folder."""
    text: str
    """The label as it stands there."""


def dataset_of(label_file: Path, format: str, records: Iterable[LabelRecord], folders: Sequence[str] = ("",)) -> Dataset:
    """Make samples of the records of a label file.

    A record with an empty label, or whose image is not in the folder, becomes an issue.

    Args:
        label_file: its folder is the one that no record may lead out of.
        format: in words.
        records: what the file lists.
        folders: where in the label file's folder to look for images; the first that has an image counts.
    """
    folder = _Folder(label_file.parent, folders)
    samples: list[Sample] = []
    issues: list[Issue] = []
    for record in records:
        label = nfc(record.text)
        text = label.strip()
        image, issue = folder.find(record.name)
        line = "" if record.line is None else f" line {record.line}"
        where = f"{label_file.name}{line}: {record.name}"
        if issue := issue or _issue_of_text(text):
            issues.append(issue.at(image, where))
            continue
        samples.append(Sample(image, text))
        if len(text) < len(label.strip("\r\n")):
            issues.append(TRIMMED_LABEL.at(image, where))
    return Dataset(label_file, format, tuple(samples), merged(issues))


class _Folder:
    """Finds the images of a label file."""

    def __init__(self, folder: Path, below: Sequence[str]) -> None:
        self._first, *self._others = [folder / name for name in below]
        self._folder = folder
        self._real = os.path.realpath(folder).rstrip(os.sep) + os.sep
        self._real_paths = RealPaths()

    def find(self, name: str) -> tuple[Path, Issue | None]:
        """Return the path of the image that a record names, and the issue if it cannot be used."""
        first = self._first / name
        issue = self._issue_of(first)
        if issue:
            on_windows = name.replace("\\", "/")
            for path in chain((folder / name for folder in self._others), self._from_above(on_windows)):
                if not self._issue_of(path):
                    return path, None
        return first, issue

    def _from_above(self, name: str) -> Iterator[Path]:
        """Resolve `name` relative to each folder above the label file, as in PaddleOCR's lists."""
        parts, above = Path(name).parts, Path(self._real).parts
        for count in range(len(parts)):
            if parts[:count] == above[len(above) - count :]:
                yield self._folder.joinpath(*parts[count:])

    def _issue_of(self, image: Path) -> Issue | None:
        if not f"{self._real_paths.of(image)}{os.sep}".startswith(self._real):
            return IMAGE_OUTSIDE
        return None if os.path.isfile(image) else MISSING_IMAGE  # noqa: PTH113 (False for any name)


def _issue_of_text(text: str) -> Issue | None:
    if not text:
        return EMPTY_LABEL
    return None if is_encodable(text) else NOT_UNICODE
