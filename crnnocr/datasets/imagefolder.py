"""`metadata.jsonl`: the imagefolder of the `datasets` library, and what `synth` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crnnocr.datasets import Dataset
from crnnocr.datasets.label_file import LabelRecord, dataset_of
from crnnocr.errors import DataError
from crnnocr.files import read_lines

LABEL_FILE = "metadata.jsonl"


def load(label_file: Path) -> Dataset:
    """Load a JSON lines file. Raises `DataError`, naming the line, if one is not as it should be."""
    labeled = (LabelRecord(number, record["file_name"], record["text"]) for number, record in records(label_file))
    return dataset_of(label_file, "imagefolder, JSON lines", labeled)


def line(record: dict[str, Any]) -> str:
    """Return the line of a label file for a record with `file_name`, `text` and any other values."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def records(label_file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Iterate over the records of a label file with all their values, each with its line number from 1.

    Raises `DataError`, naming the line, if one is no record with `file_name` and `text`.
    """
    for number, line in read_lines(label_file):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(f"{label_file} line {number} is not JSON: {error}") from error
        if not isinstance(values, dict) or not all(isinstance(values.get(key), str) for key in ("file_name", "text")):
            raise DataError(f'{label_file} line {number} is not {{"file_name": …, "text": …}} with strings for both')
        yield number, values
