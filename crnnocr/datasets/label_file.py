"""From the rows of a label file to samples: what every format that names its pictures has in common."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from crnnocr.datasets import Dataset, Fault, Sample
from crnnocr.datasets.lint.finding import Places
from crnnocr.errors import DataError
from crnnocr.text.charset import normalise

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HEAD = 64
"""Bytes of a label file by which its encoding is told."""


@dataclass(frozen=True)
class Row:
    """One row of a label file."""

    line: int | None
    """Its line in the file, from 1; None in a file that is not made of lines."""
    name: str
    """The picture's path, relative to the label file's folder."""
    text: str
    """The label as it stands there."""


def read_label_file(path: Path) -> str:
    """The text of a label file, without a byte order mark. Raises `DataError` where it is neither UTF-8 nor UTF-16."""
    try:
        return _decoded(path.read_bytes(), path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def label_file_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a label file, one at a time, each with its number from 1.

    Raises `DataError` where it is neither UTF-8 nor UTF-16.
    """
    start = 0
    try:
        with path.open("rb") as file:
            if file.read(2) in _UTF_16:
                yield from enumerate(read_label_file(path).removesuffix("\n").split("\n"), start=1)
                return
            file.seek(0)
            for number, line in enumerate(file, start=1):
                yield number, _decoded(line, path, start).rstrip("\n")
                start += len(line)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def dataset_of(label_file: Path, format: str, rows: Iterable[Row], folders: Sequence[str] = ("",)) -> Dataset:
    """The samples of a label file's rows. A row is left out where its label is empty, or its picture is not in the folder.

    Args:
        label_file: names the folder that no row leads out of.
        format: its format, in words.
        rows: what it says.
        folders: where in the label file's folder pictures are looked for; the first one that has a picture counts.
    """
    folder = _Folder(label_file.parent, folders)
    samples: list[Sample] = []
    faults: list[Fault] = []
    trimmed: list[Fault] = []
    for row in rows:
        text = normalise(row.text).strip()
        picture, wrong = folder.find(row.name)
        line = "" if row.line is None else f" line {row.line}"
        where = f"{label_file.name}{line}: {row.name}"
        if wrong := wrong or _wrong_with_text(text):
            faults.append(Fault(wrong, where, picture))
            continue
        samples.append(Sample(picture, text))
        if len(text) < len(normalise(row.text).strip("\r\n")):
            trimmed.append(Fault("white space at the ends of a label", where, picture))
    return Dataset(label_file, format, tuple(samples), tuple(faults), tuple(trimmed))


class _Folder:
    """Where the pictures of a label file are."""

    def __init__(self, folder: Path, below: Sequence[str]) -> None:
        self._first, *self._others = [folder / name for name in below]
        self._folder = folder
        self._real = os.path.realpath(folder).rstrip(os.sep) + os.sep
        self._places = Places()

    def find(self, name: str) -> tuple[Path, str | None]:
        """The path of the picture that a row names, and why it cannot be taken, or None."""
        first = self._first / name
        wrong = self._wrong_with(first)
        if wrong:
            on_windows = name.replace("\\", "/")
            for path in chain((folder / name for folder in self._others), self._from_above(on_windows)):
                if not self._wrong_with(path):
                    return path, None
        return first, wrong

    def _from_above(self, name: str) -> Iterator[Path]:
        """What `name` is if it is relative to a folder that the label file is below, as in PaddleOCR's lists."""
        parts, above = Path(name).parts, Path(self._real).parts
        for count in range(len(parts)):
            if parts[:count] == above[len(above) - count :]:
                yield self._folder.joinpath(*parts[count:])

    def _wrong_with(self, picture: Path) -> str | None:
        if not f"{self._places.of(picture)}{os.sep}".startswith(self._real):
            return "row that names a file outside the label file's folder"
        return None if os.path.isfile(picture) else "row whose picture is not there"  # noqa: PTH113 (False for any name)


def _wrong_with_text(text: str) -> str | None:
    """Why a label cannot be taken, or None."""
    if not text:
        return "empty label"
    # Half a surrogate pair, such as JSON can hold, is no character and could not be written to a model.
    return None if text.encode(errors="ignore").decode() == text else "label that is not Unicode text"


def _decoded(data: bytes, path: Path, start: int = 0) -> str:
    """The text of `data`, which begins at byte `start` of a label file."""
    head = data[:_HEAD] if start == 0 else b""
    utf_16 = head.startswith(_UTF_16)
    if head.count(0) > len(head) / 4 and not utf_16:
        raise DataError(f"{path} looks like UTF-16 without a byte order mark: save it as UTF-8")
    try:
        return data.decode("utf-16" if utf_16 else "utf-8-sig" if start == 0 else "utf-8")
    except UnicodeDecodeError as error:
        is_not = "begins as UTF-16 but does not go on so" if utf_16 else "is not UTF-8"
        raise DataError(f"{path} {is_not} (byte {start + error.start}): save it as UTF-8") from error
