"""`labels.json`: docTR's recognition data sets, `{"image.png": "text", …}` beside a folder `images`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.label_file import LabelRecord, dataset_of
from crnnocr.errors import DataError
from crnnocr.files import read_text

LABEL_FILE = "labels.json"
_FOLDERS = ("images", "")


def load(label_file: Path, config: LabelConfig) -> Dataset:
    """Load a JSON object of images and texts. The images lie in `images` beside the file, or beside it.

    Raises `DataError` if the file is anything else.
    """
    try:
        # As pairs, so that an image that is named twice is seen twice.
        pairs = json.loads(read_text(label_file), object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{label_file} is not JSON: {error}") from error
    if _are_tasks(pairs):
        raise DataError(f"{label_file} holds tasks for Label Studio, and is no label file: .csv, .tsv and .jsonl are read")
    if not isinstance(pairs, tuple):
        raise DataError(f'{label_file} is not {{"image": "text", …}}: list the texts by their images, as docTR does')
    return dataset_of(label_file, "docTR, JSON", _records(label_file, pairs), config, _FOLDERS)


def _are_tasks(values: object) -> bool:
    """Whether JSON, with its objects as pairs, is what Label Studio imports."""
    return (
        isinstance(values, list)
        and bool(values)
        and isinstance(values[0], tuple)
        and "data" in (pair[0] for pair in values[0] if pair)
    )


def _records(label_file: Path, pairs: tuple[tuple[str, object], ...]) -> Iterator[LabelRecord]:
    for name, text in pairs:
        if not isinstance(text, str):
            raise DataError(
                f"{label_file}: the label of {name} is not a string: "
                "docTR's recognition labels are read, those of its detection are not"
            )
        yield LabelRecord(None, name, text)
