"""csv and tsv files with or without a header, and tab-separated lists `path<TAB>text`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from crnnocr import images
from crnnocr.datasets import Dataset
from crnnocr.datasets.rows import Row, dataset_of, read_label_file
from crnnocr.errors import DataError

SUFFIXES = frozenset({".csv", ".tsv", ".txt"})

_NAME_HEADERS = ("file_name", "filename", "file", "image_path", "image", "path", "img", "name")
_TEXT_HEADERS = ("text", "words", "word", "label", "labels", "transcription", "plate_text", "ground_truth", "gt")


def read(label_file: Path) -> Dataset:
    """The samples of a table. Raises `DataError` where it is no table of pictures and texts."""
    content = read_label_file(label_file)
    first_line = next((line for line in content.split("\n") if line.strip("\r\n ")), "")
    if "\t" in first_line:
        format, rows = "tab-separated", _tab_separated(content)
    elif "," in first_line:
        format, rows = "comma-separated", _comma_separated(content, label_file)
    else:
        raise DataError(f"{label_file}: line 1 holds neither a tab nor a comma between a picture's path and its text")
    return _table(label_file, format, rows)


def csv_line(*cells: str) -> str:
    """A comma-separated line of cells, quoted where they need it."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def tsv_line(name: str, text: str) -> str:
    """A line `path<TAB>text`; white space in the text, which could end the line, becomes single spaces."""
    return f"{name}\t{' '.join(text.split())}\n"


def _table(label_file: Path, format: str, rows: Iterator[tuple[int, list[str]]]) -> Dataset:
    separator = "\t" if format == "tab-separated" else ","
    number, first = next(rows, (1, []))
    if not first:
        raise DataError(f"{label_file} holds no rows")
    header = [cell.strip().lower() for cell in first]
    if any(Path(cell).suffix in images.SUFFIXES for cell in header):
        header = []  # a picture stands there: it is a row already
    names = [header.index(name) for name in _NAME_HEADERS if name in header]
    texts = [header.index(text) for text in _TEXT_HEADERS if text in header]
    if names and texts:
        cells = _columns(label_file, rows, len(header), names[0], texts[0], separator)
        return dataset_of(label_file, f"{format}, columns {header[names[0]]} and {header[texts[0]]}", cells)
    if names or texts:
        raise DataError(
            f"{label_file}: the header {', '.join(first)} lacks a column "
            f"{'for the text, such as text' if names else 'for the picture, such as file_name'}"
        )
    return dataset_of(label_file, f"{format} without a header", _pairs(label_file, number, first, rows, separator))


def _columns(
    label_file: Path, rows: Iterator[tuple[int, list[str]]], width: int, name: int, text: int, separator: str
) -> Iterator[Row]:
    for number, cells in rows:
        if len(cells) > width == text + 1:  # a separator inside the text, which is the last column
            cells = [*cells[:text], separator.join(cells[text:])]
        if len(cells) != width:
            raise DataError(f"{label_file} line {number} has {len(cells)} columns where the header has {width}")
        yield Row(number, cells[name].strip(), cells[text])


def _pairs(
    label_file: Path, number: int, first: list[str], rows: Iterator[tuple[int, list[str]]], separator: str
) -> Iterator[Row]:
    for line, cells in ((number, first), *rows):
        if len(cells) < 2:
            raise DataError(f"{label_file} line {line} is not a picture's path and its text: {separator.join(cells)!r}")
        yield Row(line, cells[0].strip(), separator.join(cells[1:]))


def _tab_separated(content: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r").split("\t")


def _comma_separated(content: str, label_file: Path) -> Iterator[tuple[int, list[str]]]:
    # ICDAR writes `word_1.png, "text"`, with a space before the quote.
    spaced = re.match(r'[^,"\n]+, "', content) is not None
    reader = csv.reader(io.StringIO(content, newline=""), strict=True, skipinitialspace=spaced)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{label_file} line {number}: {error}") from error
        if cells:
            yield number, cells
