"""Names and labels of the images of a set: `metadata.jsonl`, and the label files of other tools."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

from crnnocr.config import LabelFormat
from crnnocr.datasets import imagefolder, sidecar, table
from crnnocr.files import atomic_write, write_error
from crnnocr.formatting import csv_line

MAX_COUNT = 100_000_000
"""Most images of a set."""

IMAGE_ENDING = ".png"

Record: TypeAlias = dict[str, Any]
"""`file_name`, `text`, and whatever else the user has added."""


def image_name(index: int) -> str:
    """The file name of image `index`."""
    return f"{index:06d}{IMAGE_ENDING}"


def sidecar_name(index: int) -> str:
    """The file name of the label beside image `index`."""
    return sidecar.label_of(Path(image_name(index))).name


def index_of(name: str, ending: str = IMAGE_ENDING) -> int | None:
    """The index of the image with this file name; None if it is not a name that a set gives."""
    digits = name.removesuffix(ending)
    if digits == name or not (digits.isascii() and digits.isdecimal()):
        return None
    index = int(digits)
    return index if f"{index:06d}" == digits else None


def is_own(name: str, count: int) -> bool:
    """Whether it is the file name of one of the images 0 to `count` - 1."""
    index = index_of(name)
    return index is not None and index < count


class _LabelFile(NamedTuple):
    name: str
    line: Callable[[Record], str]
    header: str = ""


_METADATA = _LabelFile(imagefolder.LABEL_FILE, imagefolder.line)
_TABLES = {
    LabelFormat.CSV: _LabelFile(
        "labels.csv", lambda record: csv_line(record["file_name"], record["text"]), csv_line("file_name", "text")
    ),
    LabelFormat.TSV: _LabelFile("labels.tsv", lambda record: table.tsv_line(record["file_name"], record["text"])),
}


def table_name(format: LabelFormat) -> str | None:
    """The name of the label file that `format` adds to `metadata.jsonl`; None if it adds none."""
    return _TABLES[format].name if format in _TABLES else None


class ExistingRecords:
    """The records that `metadata.jsonl` already has for images of a set, with all that the user has changed in them.

    They are read when they are asked for; in memory there are 8 bytes an image.
    """

    def __init__(self, folder: Path, count: int) -> None:
        """The records of images 0 to `count` - 1. The file, if there is one, has been found to be valid."""
        self._path = folder / imagefolder.LABEL_FILE
        self._offsets = array("q", [-1]) * count
        self.number = 0
        """How many records there are."""
        if not count or not self._path.is_file():
            return
        with self._path.open("rb") as file:
            start = 0
            for line in file:
                index = index_of(_parse(line)["file_name"]) if line.strip() else None
                if index is not None and index < count:
                    self._offsets[index] = start
                    self.number += 1
                start += len(line)

    def __getitem__(self, index: int) -> Record | None:
        """The record of image `index`; None if there is none."""
        if index >= len(self._offsets) or self._offsets[index] < 0:
            return None
        with self._path.open("rb") as file:
            file.seek(self._offsets[index])
            return _parse(file.readline())

    def are_complete(self, count: int) -> bool:
        """Whether there is one record for each of `count` images, and no other."""
        return self.number == count == len(self._offsets) and -1 not in self._offsets


def _parse(line: bytes) -> Record:
    record: Record = json.loads(line.decode("utf-8-sig"))
    return record


@contextmanager
def open_label_files(folder: Path, format: LabelFormat) -> Iterator[Callable[[Record], None]]:
    """A function that writes a record to every label file of `folder`. They replace the earlier ones if the block succeeds."""
    label_files = [_METADATA, _TABLES[format]] if format in _TABLES else [_METADATA]
    with ExitStack() as stack:
        files = [(stack.enter_context(_replacing_text(folder / one.name)), one) for one in label_files]

        def write(record: Record) -> None:
            for file, one in files:
                _write(file, one.line(record), folder / one.name)

        for file, one in files:
            _write(file, one.header, folder / one.name)
        yield write


@contextmanager
def _replacing_text(path: Path) -> Iterator[IO[str]]:
    # Line by line, so that if the disk is full by then, it has the labels of all images but the last already.
    with atomic_write(path) as part, part.open("w", buffering=1, encoding="utf-8", newline="\n") as file:
        yield file


def _write(file: IO[str], text: str, path: Path) -> None:
    try:
        file.write(text)
    except OSError as error:
        raise write_error(path, error) from error
