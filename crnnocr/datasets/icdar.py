"""`word_1.png, "text"`: the word recognition tasks of ICDAR's Robust Reading competitions (`gt.txt`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from crnnocr.datasets import Dataset
from crnnocr.datasets.label_file import Row, dataset_of
from crnnocr.errors import DataError

_ROW = re.compile(r'(?P<name>[^,"]+), +"(?P<text>.*)"')
# ICDAR writes \" for a quote; files by other hands have "" there, or the bare quote.
_QUOTE = re.compile(r'\\(["\\])|"(")')


def fits(line: str) -> bool:
    """Whether a line is of this format."""
    return _ROW.fullmatch(line.strip()) is not None


def read(label_file: Path, content: str) -> Dataset:
    """The samples of a label file with this content. Raises `DataError`, naming the line, where one is of another format."""
    return dataset_of(label_file, 'ICDAR, path, "text"', _rows(label_file, content))


def _rows(label_file: Path, content: str) -> Iterator[Row]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        row = _ROW.fullmatch(line.strip())
        if row is None:
            raise DataError(
                f'{label_file} line {number} is not a path and a text in quotes, as in word_1.png, "text": {line!r}'
            )
        yield Row(number, row["name"].strip(), _QUOTE.sub(lambda quote: quote[1] or quote[2], row["text"]))
