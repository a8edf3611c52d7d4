"""csv and tsv files with or without a header, and lists `path<TAB>text` or `path text`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from crnnocr import images
from crnnocr.datasets import Dataset, icdar
from crnnocr.datasets.label_file import LabelRecord, dataset_of
from crnnocr.errors import DataError
from crnnocr.files import read_lines, read_text

SUFFIXES = frozenset({".csv", ".tsv", ".txt"})

_NAME_HEADERS = ("file_name", "filename", "file", "image_path", "image", "path", "img", "name")
_TEXT_HEADERS = ("text", "words", "word", "label", "labels", "transcription", "plate_text", "ground_truth", "gt")

DOUBT, READING = "doubt", "reading"
"""Columns that only lists of suspected label errors have. Whoever has corrected one may have kept the second alone."""

_IMAGE = rf"[^\t]*?\.(?:{'|'.join(suffix[1:] for suffix in sorted(images.SUFFIXES))})"
_IMAGE_THEN = re.compile(rf'{_IMAGE}"?(\t| *,| )', re.IGNORECASE)
_IMAGE_SPACE_TEXT = re.compile(rf"({_IMAGE}) (.*)", re.IGNORECASE)
_NAMES = {"\t": "tab-separated", ",": "comma-separated", " ": "space-separated"}
_EASYOCR = "filename,words"


def load(label_file: Path) -> Dataset:
    """Load a table. Raises `DataError` if it is no table of images and texts."""
    content = read_text(label_file)
    _, first = next(_lines(content), (1, ""))
    if not first:
        raise DataError(f"{label_file} is empty")
    if icdar.accepts(first):
        return icdar.load(label_file, content)
    match _separator(first):
        case "\t":
            return _table(label_file, "\t", _tab_separated(content))
        case " ":
            return _table(label_file, " ", _space_separated(content))
        case ",":
            easyocr = first.strip().lower() == _EASYOCR
            return _table(label_file, ",", _easyocr(content) if easyocr else _comma_separated(content, label_file))
    raise DataError(
        f"{label_file}: line 1 holds no tab, comma or space between an image's path and its text: write path<TAB>text"
    )


def lists_images(label_file: Path) -> bool:
    """Whether a table begins with an image's path, or with a header that names both columns.

    A table that cannot be decoded counts as one, so that loading it reports why.
    """
    try:
        first = next((line for _, line in read_lines(label_file) if line.strip()), "")
    except DataError:
        return True
    cells = _header(first)
    return bool(_IMAGE_THEN.match(first) or (cells.intersection(_NAME_HEADERS) and cells.intersection(_TEXT_HEADERS)))


def lists_label_errors(label_file: Path) -> bool:
    """Whether a table lists suspected label errors, which are some of the labels of another file."""
    if label_file.suffix.lower() not in (".csv", ".tsv"):
        return False
    try:
        cells = _header(next(read_lines(label_file))[1])
    except (DataError, StopIteration):
        return False
    return all(cells.intersection(columns) for columns in (_NAME_HEADERS, _TEXT_HEADERS, (DOUBT, READING)))


def _header(line: str) -> set[str]:
    return {cell.strip().lower() for cell in re.split("[\t,]", line)}


def csv_line(*cells: str) -> str:
    """Return a comma-separated line of cells, quoted if they need it."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def tsv_line(name: str, text: str) -> str:
    """Return a line `path<TAB>text`. White space in the text, which could end the line, becomes single spaces."""
    return f"{name}\t{' '.join(text.split())}\n"


def _separator(line: str) -> str | None:
    """The separator of the cells of a first line: what follows the image's name, else a tab or a comma."""
    if line.startswith("[") and "\t" in line:  # PaddleOCR's lists of images
        return "\t"
    if found := _IMAGE_THEN.match(line):
        return found[1].strip(" ") or " "
    return next((separator for separator in "\t," if separator in line), None)


def _table(label_file: Path, separator: str, rows: Iterator[tuple[int, list[str]]]) -> Dataset:
    format = _NAMES[separator]
    number, first = next(rows, (1, []))
    if not first:
        raise DataError(f"{label_file} holds no rows")
    header = [cell.strip().lower() for cell in first]
    if any(Path(cell).suffix in images.SUFFIXES for cell in header):
        header = []  # an image stands there: it is a record already
    names = [header.index(name) for name in _NAME_HEADERS if name in header]
    texts = [header.index(text) for text in _TEXT_HEADERS if text in header]
    if names and texts:
        cells = _columns(label_file, rows, len(header), names[0], texts[0], separator)
        return dataset_of(label_file, f"{format}, columns {header[names[0]]} and {header[texts[0]]}", cells)
    if names or texts:
        raise DataError(
            f"{label_file}: the header {', '.join(first)} lacks a column "
            f"{'for the text, such as text' if names else 'for the image, such as file_name'}"
        )
    return dataset_of(label_file, f"{format} without a header", _pairs(label_file, number, first, rows, separator))


def _columns(
    label_file: Path, rows: Iterator[tuple[int, list[str]]], width: int, name: int, text: int, separator: str
) -> Iterator[LabelRecord]:
    for number, cells in rows:
        if len(cells) > width == text + 1:  # a separator inside the text, which is the last column
            cells = [*cells[:text], separator.join(cells[text:])]
        if len(cells) != width:
            raise DataError(f"{label_file} line {number} has {len(cells)} columns where the header has {width}")
        yield LabelRecord(number, cells[name].strip(), cells[text])


def _pairs(
    label_file: Path, number: int, first: list[str], rows: Iterator[tuple[int, list[str]]], separator: str
) -> Iterator[LabelRecord]:
    for line, cells in chain([(number, first)], rows):
        if len(cells) < 2:
            raise DataError(f"{label_file} line {line} is not an image's path and its text: {separator.join(cells)!r}")
        for name in _image_names(cells[0].strip()):
            yield LabelRecord(line, name, separator.join(cells[1:]))


def _image_names(cell: str) -> list[str]:
    """The images that a cell names: PaddleOCR has `["a.jpg", "b.jpg"]<TAB>text` for images of the same text."""
    try:
        names = json.loads(cell) if cell.startswith('["') else None
    except (ValueError, RecursionError):
        return [cell]
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else [cell]


def _tab_separated(content: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in _lines(content):
        yield number, line.split("\t")


def _space_separated(content: str) -> Iterator[tuple[int, list[str]]]:
    """Split lines `path text`, which trdg and MMOCR write. A space in a path is one before the image's suffix."""
    for number, line in _lines(content):
        cells = _IMAGE_SPACE_TEXT.fullmatch(line)
        yield number, list(cells.groups()) if cells else line.split(" ", 1)


def _easyocr(content: str) -> Iterator[tuple[int, list[str]]]:
    """Split the lines of EasyOCR's labels.csv. If one is not csv, all after the first comma is the text, with its quotes."""
    for number, line in _lines(content):
        try:
            cells = next(csv.reader([line], strict=True))
        except csv.Error:
            cells = []
        yield number, cells if len(cells) == 2 else line.split(",", 1)


def _comma_separated(content: str, label_file: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{label_file} line {number}: {error}") from error
        if any(cell.strip() for cell in cells):
            yield number, cells


def _lines(content: str) -> Iterator[tuple[int, str]]:
    """Iterate over the lines that are not empty, each with its number from 1."""
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")
