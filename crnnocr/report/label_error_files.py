"""Files of suspected label errors: tables that are data sets of their own once corrected, and tasks for Label Studio.

The ending of a file selects its format:

- `.csv`, `.tsv`: a table of `file_name`, `text`, and why the label is suspected, for a spreadsheet: a cell that could be a
  formula (`-5.00`, `=A1`) begins with an apostrophe, which crnnocr takes away again. `file_name` is relative to the file, so
  crnnocr, the `datasets` library, pandas and labeling tools can read the table as a data set;
- `.jsonl`: the same rows as JSON;
- `.json`: tasks for Label Studio, with the prediction to accept or to correct.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from crnnocr.datasets import Sample
from crnnocr.datasets.columns import DOUBT, READING, REGION, SUSPECT_COLUMNS
from crnnocr.datasets.detection import label_file_names
from crnnocr.datasets.table import spreadsheet_cell
from crnnocr.errors import ConfigError
from crnnocr.evaluation.label_errors import LabelError
from crnnocr.files import atomic_write, check_output
from crnnocr.formatting import is_encodable
from crnnocr.report.label_tasks import local_address, text_area

_FIELD = "suspect_labels"
"""The parameter that errors are about."""
_DIGITS = 6


@dataclass(frozen=True)
class _Project:
    """The data of a task, besides its row."""

    model: str
    folder: str
    """Name of the folder that the file is in."""
    samples: Sequence[Sample]


def check_path(path: Path) -> None:
    """Check before a long evaluation that a file can be written, and would be read back.

    Raises:
        ConfigError: the ending is unknown, the name would make the file the labels of its folder, or a file is there in which
            labels may have been corrected.
        CrnnocrError: the folder cannot be written to.
    """
    _check_name(path)
    check_output(_FIELD, path)
    if path.is_file() and path.stat().st_size:
        raise ConfigError(
            _FIELD,
            f"{path} is there already, and labels in it may have been corrected: name another file, or move this one away",
        )


def limitation(path: Path, samples: Iterable[Sample]) -> str:
    """Tell why a file can only be looked at, and is no data set; empty if it is one.

    Raises `ConfigError` if it is for Label Studio, which could show no image.
    """
    places = {(sample.path if sample.entry else sample.path.parent, bool(sample.entry)) for sample in samples}
    relative = [Path(os.path.relpath(folder, path.parent)) for folder, _ in places]
    reason = ""
    if any(in_database for _, in_database in places):
        reason = "the images are in a database, where other programs do not find them"
    elif any(os.pardir in folder.parts for folder in relative):
        above = os.path.commonpath([folder.absolute() for folder, _ in places])
        reason = f"its place is not above the images (write it to {above}, or to a folder above)"
    if reason and path.suffix.lower() == ".json":
        raise ConfigError(_FIELD, f"{path}: Label Studio would show no image: {reason}")
    return reason


def write(path: Path, errors: Sequence[LabelError], model: str) -> None:
    """Write suspected label errors in the format of the file's ending. Raises `ConfigError` if the name is not one for them."""
    _check_name(path)
    writer = _WRITERS[path.suffix.lower()]
    with atomic_write(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        project = _Project(model, path.parent.resolve().name, [error.outcome.sample for error in errors])
        writer(file, [_row(error, path.parent) for error in errors], project)


def _check_name(path: Path) -> None:
    if path.suffix.lower() not in _WRITERS:
        raise ConfigError(_FIELD, f"{path}: its ending selects the format: {', '.join(_WRITERS)} (.json for Label Studio)")
    if path.name in label_file_names():
        raise ConfigError(
            _FIELD,
            f"{path}: {path.name} holds the labels of its whole folder: call it otherwise, such as suspects{path.suffix}",
        )


def _row(error: LabelError, folder: Path) -> dict[str, Any]:
    sample, prediction = error.outcome.sample, error.outcome.prediction
    row = {
        "file_name": os.path.relpath(sample.path, folder).replace(os.sep, "/"),
        "text": sample.text,
        READING: prediction.text,
        DOUBT: round(error.suspicion, _DIGITS),
        "confidence": round(prediction.confidence, _DIGITS),
        "label_log_prob": _finite(error.label_log_prob),
        "reading_log_prob": _finite(error.predicted_log_prob),
    }
    place = {"entry": sample.entry, REGION: sample.region.to_text() if sample.region else ""}
    return {**row, **{key: value for key, value in place.items() if value}}


def _finite(log_prob: float) -> float | None:
    """Round a log-probability; None for -inf, which JSON cannot hold."""
    return round(log_prob, _DIGITS) if log_prob > -float("inf") else None


def _write_table(file: TextIO, rows: list[dict[str, Any]], delimiter: str) -> None:
    columns = list(dict.fromkeys([*SUSPECT_COLUMNS, *(column for row in rows for column in row)]))
    writer = csv.DictWriter(file, columns, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: spreadsheet_cell(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows
    )


def _write_csv(file: TextIO, rows: list[dict[str, Any]], project: _Project) -> None:
    _write_table(file, rows, ",")


def _write_tsv(file: TextIO, rows: list[dict[str, Any]], project: _Project) -> None:
    _write_table(file, rows, "\t")


def _write_jsonl(file: TextIO, rows: list[dict[str, Any]], project: _Project) -> None:
    file.writelines(json.dumps(row, ensure_ascii=not is_encodable(row["file_name"])) + "\n" for row in rows)


def _write_label_studio(file: TextIO, rows: list[dict[str, Any]], project: _Project) -> None:
    """Write tasks whose images are in a local storage of Label Studio.

    It serves files below a document root and wants their paths from there; the root is taken to be the folder above the file's.
    """
    tasks: list[dict[str, Any]] = []
    for row, sample in zip(rows, project.samples, strict=True):
        line = _line(sample)
        prediction, label = ([text_area(text), *line] for text in (row[READING], row["text"]))
        tasks.append(
            {
                "data": {**row, "image": local_address(project.folder, row["file_name"])},
                "predictions": [{"model_version": project.model, "score": row["confidence"], "result": prediction}],
                "annotations": [{"result": label}],
            }
        )
    json.dump(tasks, file, ensure_ascii=not all(is_encodable(row["file_name"]) for row in rows), indent=1)


def _line(sample: Sample) -> list[dict[str, Any]]:
    """The outline of a line in its page, in per cent; nothing if the image is the line."""
    region = sample.relative_region()
    if region is None:
        return []
    points = [[round(100 * x, _DIGITS), round(100 * y, _DIGITS)] for x, y in region.corners]
    return [
        {"id": "line", "from_name": "line", "to_name": "image", "type": "polygon", "value": {"points": points, "closed": True}}
    ]


_WRITERS = {".csv": _write_csv, ".tsv": _write_tsv, ".jsonl": _write_jsonl, ".json": _write_label_studio}
