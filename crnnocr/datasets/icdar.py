"""`word_1.png, "text"`: the word recognition tasks of ICDAR's Robust Reading competitions (`gt.txt`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.issues import Issue
from crnnocr.datasets.label_file import LabelRecord, broken_row, dataset_of

_RECORD = re.compile(r'(?P<name>[^,"]+), +"(?P<text>.*)"')
# ICDAR writes \" for a quote; files by other hands have "" there, or the bare quote.
_QUOTE = re.compile(r'\\(["\\])|"(")')


def accepts(line: str) -> bool:
    """Whether a line is of this format."""
    return _RECORD.fullmatch(line.strip()) is not None


def load(label_file: Path, content: str, config: LabelConfig) -> Dataset:
    """Load a label file with this content. Raises `DataError`, naming a line, if at least half are of another format."""
    return dataset_of(label_file, 'ICDAR, path, "text"', _records(label_file, content), config)


def _records(label_file: Path, content: str) -> Iterator[LabelRecord | Issue]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        record = _RECORD.fullmatch(line.strip())
        if record is None:
            why = f'is not a path and a text in quotes, as in word_1.png, "text": {line!r}'
            yield broken_row(label_file, number, why)
            continue
        yield LabelRecord(number, record["name"].strip(), _QUOTE.sub(lambda quote: quote[1] or quote[2], record["text"]))
