"""`labels.json`: docTR's recognition data sets, `{"picture.png": "text", …}` beside a folder `images`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from crnnocr.datasets import Dataset
from crnnocr.datasets.label_file import Row, dataset_of, read_label_file
from crnnocr.errors import DataError

LABEL_FILE = "labels.json"
_FOLDERS = ("images", "")


def read(label_file: Path) -> Dataset:
    """The samples of a JSON object of pictures and texts; pictures lie in `images` beside it, or beside it.

    Raises `DataError` where the file is anything else.
    """
    try:
        # As pairs, so that a picture that is named twice is seen twice.
        rows = json.loads(read_label_file(label_file), object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{label_file} is not JSON: {error}") from error
    if _are_tasks(rows):
        raise DataError(f"{label_file} holds tasks for Label Studio, and is no label file: .csv, .tsv and .jsonl are read")
    if not isinstance(rows, tuple):
        raise DataError(f'{label_file} is not {{"picture": "text", …}}: list the texts by their pictures, as docTR does')
    return dataset_of(label_file, "docTR, JSON", _rows(label_file, rows), _FOLDERS)


def _are_tasks(rows: object) -> bool:
    """Whether JSON, with its objects as pairs, is what Label Studio imports."""
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], tuple) and "data" in (row[0] for row in rows[0] if row)


def _rows(label_file: Path, rows: tuple[tuple[str, object], ...]) -> Iterator[Row]:
    for name, text in rows:
        if not isinstance(text, str):
            raise DataError(
                f"{label_file}: the label of {name} is not a string: "
                "docTR's recognition labels are read, those of its detection are not"
            )
        yield Row(None, name, text)
