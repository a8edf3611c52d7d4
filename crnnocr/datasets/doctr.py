"""`labels.json`: docTR's recognition data sets, `{"image.png": "text", …}` beside a folder `images`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.issues import Issue
from crnnocr.datasets.label_file import LabelRecord, broken_row, dataset_of

LABEL_FILE = "labels.json"
_FOLDERS = ("images", "")


def accepts(values: object) -> bool:
    """Whether JSON is one object. That with another content is told what would do."""
    return isinstance(values, dict | tuple)


def load(label_file: Path, values: Any, config: LabelConfig) -> Dataset:
    """Load an object of images and texts, or its pairs. The images lie in `images` beside the file, or beside it.

    Raises `DataError` if there is anything but a text.
    """
    pairs = values.items() if isinstance(values, dict) else values
    return dataset_of(label_file, "docTR, JSON", _records(label_file, pairs), config, _FOLDERS)


def _records(label_file: Path, pairs: Iterable[tuple[str, object]]) -> Iterator[LabelRecord | Issue]:
    for name, text in pairs:
        if not isinstance(text, str):
            why = "is not a string: docTR's recognition labels are read, those of its detection are not"
            yield broken_row(label_file, None, f": the label of {name} {why}")
        else:
            yield LabelRecord(None, name, text)
