"""Files of images to be labeled, each with what is read in it: tasks for Label Studio (`.json`), or a table (`.csv`).

Once the texts are corrected, the table is a label file, and so is what Label Studio exports. A cell of the table that a
spreadsheet could take for a formula begins with an apostrophe, which crnnocr takes away again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from crnnocr.datasets.columns import READ_BY
from crnnocr.datasets.table import spreadsheet_cell
from crnnocr.errors import ConfigError
from crnnocr.files import atomic_write, check_output
from crnnocr.formatting import csv_line, is_encodable

_FIELD = "label_next"
_SUFFIXES = (".json", ".csv")


class Task(NamedTuple):
    """An image to be labeled."""

    image: Path
    text: str
    """The prediction for it."""
    confidence: float


def check_path(path: Path) -> None:
    """Check before images are read that a file can be written.

    Raises:
        ConfigError: its ending is unknown, or a file is there in which labels may have been corrected.
        CrnnocrError: its folder cannot be written to.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(_FIELD, f"{path}: its ending selects the format: {', '.join(_SUFFIXES)} (.json for Label Studio)")
    check_output(_FIELD, path)
    if path.is_file() and path.stat().st_size:
        raise ConfigError(_FIELD, f"{path} is there already, and labels in it may have been corrected: name another file")


def check_folder(path: Path, images: Sequence[Path]) -> None:
    """Raise `ConfigError` if images or folders of them do not lie in the folder of a file or below: they would not be found."""
    folder = path.parent.resolve()
    for image in images:
        if not image.resolve().is_relative_to(folder):
            above = os.path.commonpath([image.resolve(), folder])
            raise ConfigError(
                _FIELD, f"{path}: {image} is not in its folder or below: write it to {above}, or to a folder above"
            )


def write(path: Path, tasks: Sequence[Task], model: str) -> None:
    """Write tasks in the format of the file's ending, with images relative to its folder. `model` has read the texts."""
    names = [os.path.relpath(task.image, path.parent).replace(os.sep, "/") for task in tasks]
    suffix = path.suffix.lower()
    if suffix == ".json":
        folder = path.parent.resolve().name
        content = json.dumps(
            [
                {
                    "data": {"image": local_address(folder, name), "file_name": name, "text": task.text},
                    "predictions": [{"model_version": model, "score": task.confidence, "result": [text_area(task.text)]}],
                }
                for name, task in zip(names, tasks, strict=True)
            ],
            ensure_ascii=not all(map(is_encodable, names)),
            indent=1,
        )
    else:
        rows = ((name, task.text, model) for name, task in zip(names, tasks, strict=True))
        content = csv_line("file_name", "text", READ_BY) + "".join(csv_line(*map(spreadsheet_cell, row)) for row in rows)
    with atomic_write(path) as part:
        part.write_text(content, encoding="utf-8", errors="surrogateescape", newline="")


def local_address(folder: str, name: str) -> str:
    """The address of an image in a local storage of Label Studio, which serves files below the folder above `folder`."""
    return f"/data/local-files/?d={quote(os.fsencode(f'{folder}/{name}'))}"


def text_area(text: str) -> dict[str, Any]:
    """A text in the field `transcription`."""
    return {"from_name": "transcription", "to_name": "image", "type": "textarea", "value": {"text": [text]}}
