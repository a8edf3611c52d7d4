"""Label files of JSON: which tool wrote one is seen by what it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, coco, columns, label_studio, mmocr
from crnnocr.datasets.issues import Issue
from crnnocr.datasets.label_file import LabelRecord, broken_row, dataset_of
from crnnocr.errors import DataError
from crnnocr.files import read_text
from crnnocr.formatting import size

LABEL_FILE = "labels.json"
"""docTR's name."""
SUFFIXES = frozenset({".json"})

_DOCTR_FOLDERS = ("images", "")
"""Where docTR has the images: in a folder beside the file, or beside it."""

_MAX_BYTES = 2**30
"""Size of a file beyond which its values would take too much memory."""
_Format: TypeAlias = tuple[Callable[[object], bool], Callable[[Path, Any, LabelConfig], Dataset]]


def load(label_file: Path, config: LabelConfig) -> Dataset:
    """Load a JSON file. Raises `DataError` if it is not JSON, too large, or of an unknown format."""
    values = _records(_values(label_file))
    for accepts, load_values in _FORMATS:
        if accepts(values):
            try:
                return load_values(label_file, values, config)
            except RecursionError as error:
                raise DataError(f"{label_file} is nested too deeply") from error
    raise DataError(
        f'{label_file} is not {{"image": "text", …}}: list the texts by their images, as docTR does, or export as COCO, '
        "MMOCR or Label Studio do"
    )


def _is_object(values: object) -> bool:
    """Whether JSON is one object, if only to say what it lacks."""
    return isinstance(values, dict | tuple)


def _load_pairs(label_file: Path, values: Any, config: LabelConfig) -> Dataset:
    """Load docTR's `{"image.png": "text", …}`, or its pairs."""
    pairs = values.items() if isinstance(values, dict) else values
    return dataset_of(label_file, "docTR, JSON", _pair_records(label_file, pairs), config, _DOCTR_FOLDERS)


def _pair_records(label_file: Path, pairs: Iterable[tuple[str, object]]) -> Iterator[LabelRecord | Issue]:
    for name, text in pairs:
        if not isinstance(text, str):
            why = "is not a string: docTR's recognition labels are read, those of its detection are not"
            yield broken_row(label_file, None, f": the label of {name} {why}")
        else:
            yield LabelRecord(None, name, text)


_FORMATS: tuple[_Format, ...] = (
    (label_studio.accepts, label_studio.load),
    (coco.accepts, coco.load),
    (mmocr.accepts, mmocr.load),
    (_is_object, _load_pairs),
)
"""Whether values are of a format, and how they are loaded."""


def holds_labels(label_file: Path) -> bool:
    """Whether a file labels the images of a folder: it is of a known format, and lists no suspected label errors."""
    try:
        values = _records(_values(label_file))
    except DataError:
        return False
    if isinstance(values, dict | tuple) and not (coco.accepts(values) or mmocr.accepts(values)):
        pairs = values.items() if isinstance(values, dict) else values
        return bool(pairs) and all(isinstance(text, str) and columns.is_image(name) for name, text in pairs)
    if label_studio.accepts(values) and isinstance(values, list):
        data = values[0].get("data", values[0])
        is_task = "data" in values[0] or label_studio.exports(values[0]) or len(columns.known(values[0])) == 2
        return is_task and isinstance(data, dict) and columns.DOUBT not in data
    return coco.accepts(values) or mmocr.accepts(values)


def _values(label_file: Path) -> object:
    try:
        if (bytes := label_file.stat().st_size) > _MAX_BYTES:
            raise DataError(f"{label_file} has {size(bytes)}, too much to be read as JSON: split it, or write .jsonl or .csv")
        return json.loads(read_text(label_file), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{label_file} is not JSON: {error}") from error
    except OSError as error:
        raise DataError(f"{label_file} cannot be read: {error.strerror}") from error


def _records(values: object) -> object:
    """JSON as a list of records if it is an object of one list of them, or of one for each image."""
    if not isinstance(values, dict) or coco.accepts(values) or mmocr.accepts(values):
        return values
    if isinstance(values.get("data"), dict) and "annotations" in values:  # a single task
        return [values]
    lists = [each for each in values.values() if label_studio.accepts(each)]
    if len(lists) == 1 and _are_labels(lists[0][0]):
        return lists[0]
    by_image = [
        {"file_name": name, **each} for name, each in values.items() if isinstance(each, dict) and columns.is_image(name)
    ]
    return by_image if by_image and len(by_image) == len(values) and _are_labels(by_image[0]) else values


def _are_labels(record: dict[str, Any]) -> bool:
    return len(columns.known(record)) == 2


def _object(pairs: list[tuple[str, object]]) -> object:
    """An object of JSON, or its pairs if a key comes twice: an image that is named twice is seen twice."""
    values = dict(pairs)
    return values if len(values) == len(pairs) else tuple(pairs)
