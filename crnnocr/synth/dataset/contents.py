"""What is in a folder of drawn pictures: looked at in one pass, one byte a picture.

The label files of a set: `metadata.jsonl`, and the table that another tool asks for.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

from crnnocr.config import LabelFormat
from crnnocr.datasets import imagefolder, sidecar, table
from crnnocr.files import atomic_write, target_of_part, write_error

MOST = 100_000_000
"""Pictures that a set may have."""

_ENDING = ".png"


def picture_name(index: int) -> str:
    """The file name of picture `index`."""
    return f"{index:06d}{_ENDING}"


def sidecar_name(index: int) -> str:
    """The file name of the label beside picture `index`."""
    return sidecar.label_of(Path(picture_name(index))).name


def index_of(name: str, ending: str = _ENDING) -> int | None:
    """The number of the picture with this file name; None where it is not one of a set's names."""
    digits = name.removesuffix(ending)
    if digits == name or not (digits.isascii() and digits.isdecimal()):
        return None
    index = int(digits)
    return index if f"{index:06d}" == digits else None


def is_own(name: str, count: int) -> bool:
    """Whether it is the file name of one of the pictures 0 to `count` - 1."""
    index = index_of(name)
    return index is not None and index < count


@dataclass
class Contents:
    """What is in a folder."""

    pictures: bytearray
    """For each index 1 where a picture of this name is there, else 0."""
    sidecars: bytearray
    """For each index 1 where a sidecar of this name is there, else 0."""
    empty: list[int] = field(default_factory=list)
    """The pictures that are empty files, such as a loss of power leaves."""
    first: str | None = None
    """The first of all names that are no leftovers; None in an empty folder."""
    leftovers: list[Path] = field(default_factory=list)
    """Half-written files of processes that were killed."""

    def drawn(self, count: int) -> bytes:
        """For each of `count` pictures 1 where it is there and no empty file, else 0."""
        drawn = self.pictures[:count]
        for index in self.empty:
            if index < count:
                drawn[index] = 0
        return bytes(drawn)


def look(folder: Path, count: int) -> Contents:
    """What is in `folder`, among it the pictures 0 to `count` - 1."""
    contents = Contents(bytearray(count), bytearray(count))
    if not folder.is_dir():
        return contents
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if target_of_part(name) is not None:
                contents.leftovers.append(folder / name)
                continue
            contents.first = name if contents.first is None else min(contents.first, name)
            for ending, flags in ((_ENDING, contents.pictures), (sidecar.ENDING, contents.sidecars)):
                index = index_of(name, ending)
                if index is not None and index < count:
                    flags[index] = 1
                    if flags is contents.pictures and not entry.stat().st_size:
                        contents.empty.append(index)
    return contents


Row: TypeAlias = dict[str, Any]


class _Table(NamedTuple):
    name: str
    line: Callable[[Row], str]
    header: str = ""


def _csv(row: Row) -> str:
    return table.csv_line(row["file_name"], row["text"])


def _tsv(row: Row) -> str:
    return table.tsv_line(row["file_name"], row["text"])


_METADATA = _Table(imagefolder.LABEL_FILE, imagefolder.line)
_TABLES = {
    LabelFormat.CSV: _Table("labels.csv", _csv, table.csv_line("file_name", "text")),
    LabelFormat.TSV: _Table("labels.tsv", _tsv),
}


def table_name(format: LabelFormat) -> str | None:
    """The name of the label file that `format` adds to `metadata.jsonl`; None where it adds none."""
    return _TABLES[format].name if format in _TABLES else None


class OwnRows:
    """The rows that `metadata.jsonl` has for a set's pictures already, with all that its user has made of them.

    They are read when they are asked for: 8 bytes a picture are kept.
    """

    def __init__(self, folder: Path, count: int) -> None:
        """Those of pictures 0 to `count` - 1, from a file of which it is known that it can be read."""
        self._path = folder / imagefolder.LABEL_FILE
        self._places = array("q", [-1]) * count
        self.number = 0
        """How many rows there are."""
        if not count or not self._path.is_file():
            return
        with self._path.open("rb") as file:
            start = 0
            for line in file:
                index = index_of(_row(line)["file_name"]) if line.strip() else None
                if index is not None and index < count:
                    self._places[index] = start
                    self.number += 1
                start += len(line)

    def __getitem__(self, index: int) -> Row | None:
        """The row of picture `index`; None where there is none."""
        if index >= len(self._places) or self._places[index] < 0:
            return None
        with self._path.open("rb") as file:
            file.seek(self._places[index])
            return _row(file.readline())

    def is_one_each(self, count: int) -> bool:
        """Whether there is one row for each of `count` pictures, and no other."""
        return self.number == count == len(self._places) and -1 not in self._places


def _row(line: bytes) -> Row:
    row: Row = json.loads(line.decode("utf-8-sig"))
    return row


@contextmanager
def opened(folder: Path, format: LabelFormat) -> Iterator[Callable[[Row], None]]:
    """A function that writes a row to every label file of `folder`. When the block ends well they replace the earlier ones."""
    tables = [_METADATA, _TABLES[format]] if format in _TABLES else [_METADATA]
    with ExitStack() as stack:
        files = [(stack.enter_context(_replacing_text(folder / one.name)), one) for one in tables]

        def write(row: Row) -> None:
            for file, one in files:
                _write(file, one.line(row), folder / one.name)

        for file, one in files:
            _write(file, one.header, folder / one.name)
        yield write


@contextmanager
def _replacing_text(path: Path) -> Iterator[IO[str]]:
    # Line by line, so that a disk that is full by then has the labels of all but the last pictures already.
    with atomic_write(path) as part, part.open("w", buffering=1, encoding="utf-8", newline="\n") as file:
        yield file


def _write(file: IO[str], text: str, path: Path) -> None:
    try:
        file.write(text)
    except OSError as error:
        raise write_error(path, error) from error
