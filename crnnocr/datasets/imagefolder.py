"""`metadata.jsonl`: the imagefolder of the `datasets` library, and what `synth` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, columns, regions
from crnnocr.datasets.label_file import LabelRecord, dataset_of
from crnnocr.datasets.label_studio import DOUBT, READING, REGION
from crnnocr.errors import DataError
from crnnocr.files import read_lines

LABEL_FILE = "metadata.jsonl"
SUFFIXES = frozenset({".jsonl", ".ndjson"})

_SAMPLED = 50
"""Records whose keys are taken for those of all."""


def load(label_file: Path, config: LabelConfig) -> Dataset:
    """Load a JSON lines file. Raises `DataError`, naming the line, if one is not as it should be."""
    keys = list(dict.fromkeys(key for _, values in islice(_objects(label_file), _SAMPLED) for key in values))

    def rows() -> Iterator[list[str]]:
        return ([_cell(values.get(key)) for key in keys] for _, values in _objects(label_file))

    chosen = columns.choose(label_file, keys, rows, config) if keys else columns.Columns((), 0)
    labeled = _records(label_file, [keys[i] for i in chosen.images], keys[chosen.text]) if keys else ()
    names = ", ".join(dict.fromkeys((keys[chosen.images[0]], keys[chosen.text]))) if keys else ""
    format = "imagefolder, JSON lines" + f", keys {names}" * (names not in ("", "file_name, text"))
    return dataset_of(label_file, format, labeled, config, issues=chosen.issues)


def _records(label_file: Path, images: Sequence[str], text: str) -> Iterator[LabelRecord]:
    for number, values in _objects(label_file):
        names = [name for key in images if isinstance(name := values.get(key), str)]
        label = values.get(text)
        if not names or not isinstance(label, str):
            raise _wrong(label_file, number, images[0], text)
        yield LabelRecord(number, names[0], label, tuple(names[1:]), regions.parse(values.get(REGION)))


def holds_labels(label_file: Path) -> bool:
    """Whether a file labels the images of a folder: its first line tells image and text, and lists no suspected label error."""
    try:
        keys = next((values.keys() for _, values in _objects(label_file)), ())
    except DataError:
        return False
    return len(columns.known(keys)) == 2 and not {DOUBT, READING} & set(keys)


def line(record: dict[str, Any]) -> str:
    """Return the line of a label file for a record with `file_name`, `text` and any other values."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def records(label_file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Iterate over the records of a label file with all their values, each with its line number from 1.

    Raises `DataError`, naming the line, if one is no record with `file_name` and `text`.
    """
    for number, values in _objects(label_file):
        if not all(isinstance(values.get(key), str) for key in ("file_name", "text")):
            raise _wrong(label_file, number, "file_name", "text")
        yield number, values


def _objects(label_file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in read_lines(label_file):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{label_file} line {number} is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise _wrong(label_file, number, "file_name", "text")
        yield number, values


def _wrong(label_file: Path, number: int, image: str, text: str) -> DataError:
    return DataError(f'{label_file} line {number} is not {{"{image}": …, "{text}": …}} with strings for both')


def _cell(value: object) -> str:
    return value if isinstance(value, str) else ""
