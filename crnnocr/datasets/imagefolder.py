"""`metadata.jsonl`: the imagefolder of the `datasets` library, and what `synth` writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from crnnocr.datasets import Dataset
from crnnocr.datasets.rows import Row, dataset_of, read_label_file
from crnnocr.errors import DataError

LABEL_FILE = "metadata.jsonl"


def read(label_file: Path) -> Dataset:
    """The samples of a JSON lines file. Raises `DataError`, naming the line, where a row is not as it should be."""
    return dataset_of(label_file, "imagefolder (JSON lines)", _rows(label_file))


def rows(label_file: Path) -> Iterator[tuple[str, str]]:
    """File name and text of each row, as they stand there."""
    return ((row.name, row.text) for row in _rows(label_file))


def write(label_file: Path, labels: Iterable[tuple[str, str]]) -> None:
    """Write file names and texts, one row a picture, to `label_file`."""
    lines = (json.dumps({"file_name": name, "text": text}, ensure_ascii=False) + "\n" for name, text in labels)
    label_file.write_text("".join(lines), encoding="utf-8")


def _rows(label_file: Path) -> Iterator[Row]:
    for number, line in enumerate(read_label_file(label_file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            name, text = values["file_name"], values["text"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(f'{label_file} line {number} is not {{"file_name": …, "text": …}}') from error
        if not isinstance(name, str) or not isinstance(text, str):
            raise DataError(f"{label_file} line {number}: file_name and text must be strings")
        yield Row(number, name, text)
