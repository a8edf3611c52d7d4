"""`metadata.jsonl`: the imagefolder of the `datasets` library, and what `synth` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, columns, regions
from crnnocr.datasets.issues import Issue
from crnnocr.datasets.label_file import LabelRecord, broken_row, dataset_of
from crnnocr.errors import DataError
from crnnocr.files import read_lines

LABEL_FILE = "metadata.jsonl"
SUFFIXES = frozenset({".jsonl", ".ndjson"})

_SAMPLED = 50
"""Records at the beginning whose keys stand for those of all."""


def load(label_file: Path, config: LabelConfig) -> Dataset:
    """Load a JSON lines file. Raises `DataError`, naming a line, if at least half are not as they should be."""
    keys = list(dict.fromkeys(key for _, values in islice(_objects(label_file), _SAMPLED) for key in values))

    def rows() -> Iterator[list[str]]:
        return ([_cell(values.get(key)) for key in keys] for _, values in _objects(label_file))

    chosen = columns.choose(label_file, keys, rows, config) if keys else None
    image_keys, text_key = ([keys[i] for i in chosen.images], keys[chosen.text]) if chosen else (["file_name"], "text")
    names = ", ".join(dict.fromkeys((image_keys[0], text_key)))
    format = "imagefolder, JSON lines" + f", keys {names}" * (names != "file_name, text")
    others = (chosen.group, chosen.confidence, chosen.uncorrected) if chosen else (None,) * 3
    group, confidence, uncorrected = (None if i is None else keys[i] for i in others)
    format += columns.WEIGHTED * (confidence is not None)
    further = _Keys(group, confidence, uncorrected, takes_numbers=config.text_column is not None)
    labeled = _records(label_file, image_keys, text_key, further)
    return dataset_of(label_file, format, labeled, config, issues=chosen.issues if chosen else ())


class _Keys(NamedTuple):
    """Keys besides those of image and label, and whether a label may be a number."""

    group: str | None
    confidence: str | None
    uncorrected: str | None
    takes_numbers: bool


def _records(label_file: Path, images: Sequence[str], text: str, keys: _Keys) -> Iterator[LabelRecord | Issue]:
    for number, values in _values(label_file):
        if isinstance(values, str):
            yield broken_row(label_file, number, values)
            continue
        names = [name for key in images if isinstance(name := values.get(key), str)]
        label = "" if values.get(text, "") is None else values.get(text)
        is_corrected = keys.uncorrected is not None and isinstance(label, str) and bool(label.strip())
        if keys.uncorrected is not None and label in ("", None):
            label = values.get(keys.uncorrected)
        if keys.takes_numbers and isinstance(label, int | float) and not isinstance(label, bool):
            label = str(label)
        if not names or not isinstance(label, str):
            yield broken_row(label_file, number, _expected(images[0], text))
        else:
            confidence = None if is_corrected else keys.confidence
            of, cell = ("" if key is None or values.get(key) is None else str(values[key]) for key in (keys.group, confidence))
            box, region = regions.of_columns(values), regions.parse(values.get(columns.REGION))
            yield LabelRecord(number, names[0], label, tuple(names[1:]), region, of, box, cell)


def holds_labels(label_file: Path) -> bool:
    """Whether a file labels the images of a folder: its first line tells image and text, and lists no suspected label error."""
    try:
        keys = next((values.keys() for _, values in _objects(label_file)), ())
    except DataError:
        return False
    return len(columns.known(keys)) == 2 and not columns.are_of_label_errors(keys)


def line(record: dict[str, Any]) -> str:
    """Return the line of a label file for a record with `file_name`, `text` and any other values."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def records(label_file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Iterate over the records of a label file with all their values, each with its line number from 1.

    Raises `DataError`, naming the line, if one is not a record with `file_name` and `text`.
    """
    for number, values in _values(label_file):
        if isinstance(values, str):
            raise DataError(f"{label_file} line {number} {values}")
        if not all(isinstance(values.get(key), str) for key in ("file_name", "text")):
            raise DataError(f"{label_file} line {number} {_expected('file_name', 'text')}")
        yield number, values


def _objects(label_file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((number, values) for number, values in _values(label_file) if not isinstance(values, str))


def _values(label_file: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The object in each line that is not empty, or why there is none."""
    for number, line in read_lines(label_file):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"is not JSON: {error}"
        else:
            yield number, values if isinstance(values, dict) else _expected("file_name", "text")


def _expected(image: str, text: str) -> str:
    return f'is not {{"{image}": …, "{text}": …}} with strings for both'


def _cell(value: object) -> str:
    return value if isinstance(value, str) else ""
