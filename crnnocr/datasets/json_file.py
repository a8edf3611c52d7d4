"""Label files of JSON: which tool wrote one is seen by what it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, coco, doctr, label_studio, mmocr
from crnnocr.errors import DataError
from crnnocr.files import read_text
from crnnocr.formatting import size

SUFFIXES = frozenset({".json"})

_MAX_BYTES = 2**30
"""Size of a file beyond which its values would take too much memory."""
_Format: TypeAlias = tuple[Callable[[object], bool], Callable[[Path, Any, LabelConfig], Dataset]]
_FORMATS: tuple[_Format, ...] = tuple((each.accepts, each.load) for each in (label_studio, coco, mmocr, doctr))
"""Whether values are of a format, and how they are loaded."""


def load(label_file: Path, config: LabelConfig) -> Dataset:
    """Load a JSON file. Raises `DataError` if it is none, too large, or of an unknown format."""
    values = _values(label_file)
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


def holds_labels(label_file: Path) -> bool:
    """Whether a file is JSON of a known format. One that is broken counts as such, so that loading it reports why."""
    try:
        values = _values(label_file)
    except DataError:
        return True
    return any(accepts(values) for accepts, _ in _FORMATS)


def _values(label_file: Path) -> object:
    try:
        if (bytes := label_file.stat().st_size) > _MAX_BYTES:
            raise DataError(
                f"{label_file} has {size(bytes)}, more than JSON can be read from: split it, or write .jsonl or .csv"
            )
        return json.loads(read_text(label_file), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{label_file} is not JSON: {error}") from error
    except OSError as error:
        raise DataError(f"{label_file} cannot be read: {error.strerror}") from error


def _object(pairs: list[tuple[str, object]]) -> object:
    """An object of JSON, or its pairs if a key comes twice: an image that is named twice is seen twice."""
    values = dict(pairs)
    return values if len(values) == len(pairs) else tuple(pairs)
