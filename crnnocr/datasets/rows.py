"""From the rows of a label file to samples: what every format that names its pictures has in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crnnocr.charset import normalise
from crnnocr.datasets import Dataset, Fault, Sample
from crnnocr.errors import DataError


@dataclass(frozen=True)
class Row:
    """One row of a label file."""

    line: int
    """Its line in the file, from 1."""
    name: str
    """The picture's path, relative to the label file's folder."""
    text: str
    """The label as it stands there."""


def read_label_file(path: Path) -> str:
    """The text of a label file, without a byte order mark. Raises `DataError` where it is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def label_file_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a label file, one at a time, each with its number from 1. Raises `DataError` where it is not UTF-8."""
    start = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\n")
                start += len(line)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {start + error.start}): save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def dataset_of(label_file: Path, format: str, rows: Iterable[Row]) -> Dataset:
    """The samples of a label file's rows. A row is left out where its label is empty, or its picture is not in the folder."""
    folder = label_file.parent
    inside = folder.resolve()
    samples: list[Sample] = []
    faults: list[Fault] = []
    for row in rows:
        text = normalise(row.text).strip()
        wrong = _wrong_with(folder / row.name, inside) or _wrong_with_text(text)
        if wrong:
            faults.append(Fault(wrong, f"{label_file.name} line {row.line}: {row.name}", folder / row.name))
        else:
            samples.append(Sample(folder / row.name, text))
    return Dataset(label_file, format, tuple(samples), tuple(faults))


def _wrong_with(picture: Path, inside: Path) -> str | None:
    """Why a row's picture cannot be taken, or None."""
    try:
        if not picture.resolve().is_relative_to(inside):
            return "row that names a file outside the label file's folder"
        there = picture.is_file()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or a link that leads to itself
        there = False
    return None if there else "row whose picture is not there"


def _wrong_with_text(text: str) -> str | None:
    """Why a label cannot be taken, or None."""
    if not text:
        return "empty label"
    # Half a surrogate pair, such as JSON can hold, is no character and could not be written to a model.
    return None if text.encode(errors="ignore").decode() == text else "label that is not Unicode text"
