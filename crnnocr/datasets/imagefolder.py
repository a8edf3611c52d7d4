"""`metadata.jsonl`: the imagefolder of the `datasets` library, and what `synth` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crnnocr.datasets import Dataset
from crnnocr.datasets.label_file import Row, dataset_of, label_file_lines
from crnnocr.errors import DataError

LABEL_FILE = "metadata.jsonl"


def read(label_file: Path) -> Dataset:
    """The samples of a JSON lines file. Raises `DataError`, naming the line, where a row is not as it should be."""
    labelled = (Row(line, row["file_name"], row["text"]) for line, row in rows(label_file))
    return dataset_of(label_file, "imagefolder, JSON lines", labelled)


def line(row: dict[str, Any]) -> str:
    """The line of a label file for a row with `file_name`, `text` and whatever else."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def rows(label_file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a label file with all their values, each with its line. Raises `DataError`, naming the line."""
    for number, line in label_file_lines(label_file):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(f"{label_file} line {number} is not JSON: {error}") from error
        if not isinstance(values, dict) or not all(isinstance(values.get(key), str) for key in ("file_name", "text")):
            raise DataError(f'{label_file} line {number} is not {{"file_name": …, "text": …}} with strings for both')
        yield number, values
