"""Doubtful labels in files that labelling tools read."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

from crnnocr.errors import UsageError
from crnnocr.evaluation.suspects import Suspect
from crnnocr.files import replacing

_DIGITS = 6


def write(path: Path, suspects: Sequence[Suspect], model: str) -> None:
    """Write suspects to a file, in the form that its ending names.

    - `.csv`, `.tsv`: a table of `file_name`, `text`, and what is doubted of it. `file_name` is relative to the file, so that
      it is a data set of its own, which crnnocr, the `datasets` library, pandas and labelling tools read;
    - `.jsonl`: the same as a row of JSON each;
    - `.json`: tasks for Label Studio, with the reading as the prediction to accept or to mend.

    Raises `UsageError` where the ending is none of these.
    """
    writer = form_of(path)
    with replacing(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer(file, [_row(suspect, path.parent) for suspect in suspects], model)


def form_of(path: Path) -> Callable[[TextIO, list[dict[str, Any]], str], None]:
    """What writes files of a name. Raises `UsageError` where its ending says nothing."""
    if path.suffix.lower() not in _FORMS:
        raise UsageError(f"--suspect-labels {path}: its ending says the form: {', '.join(_FORMS)} (.json for Label Studio)")
    return _FORMS[path.suffix.lower()]


def _row(suspect: Suspect, folder: Path) -> dict[str, Any]:
    outcome = suspect.outcome
    row = {
        "file_name": os.path.relpath(outcome.sample.path, folder),
        "text": outcome.sample.text,
        "reading": outcome.prediction.text,
        "doubt": round(suspect.doubt, _DIGITS),
        "confidence": round(outcome.prediction.confidence, _DIGITS),
        "label_log_prob": _finite(suspect.label_log_prob),
        "reading_log_prob": _finite(suspect.reading_log_prob),
    }
    return {**row, "entry": outcome.sample.entry} if outcome.sample.entry else row


def _finite(log_prob: float) -> float | None:
    """None for the logarithm of 0, which JSON has no number for."""
    return round(log_prob, _DIGITS) if log_prob > -float("inf") else None


def _write_table(file: TextIO, rows: list[dict[str, Any]], delimiter: str) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row)) or ["file_name", "text"]
    writer = csv.DictWriter(file, columns, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _write_csv(file: TextIO, rows: list[dict[str, Any]], model: str) -> None:
    _write_table(file, rows, ",")


def _write_tsv(file: TextIO, rows: list[dict[str, Any]], model: str) -> None:
    _write_table(file, rows, "\t")


def _write_jsonl(file: TextIO, rows: list[dict[str, Any]], model: str) -> None:
    file.writelines(json.dumps(row, ensure_ascii=_holds_other_bytes(row["file_name"])) + "\n" for row in rows)


def _write_label_studio(file: TextIO, rows: list[dict[str, Any]], model: str) -> None:
    """Tasks whose pictures are served from local storage, its root being the folder of the file."""
    tasks: list[dict[str, Any]] = [
        {
            "data": {**row, "image": f"/data/local-files/?d={quote(os.fsencode(row['file_name']))}"},
            "predictions": [
                {"model_version": model, "score": row["confidence"], "result": [_text_area(row["reading"])]},
            ],
            "annotations": [{"result": [_text_area(row["text"])]}],
        }
        for row in rows
    ]
    json.dump(tasks, file, ensure_ascii=any(_holds_other_bytes(row["file_name"]) for row in rows), indent=1)


def _holds_other_bytes(name: str) -> bool:
    """Whether a name stands for bytes that are not UTF-8."""
    return any("\ud800" <= character <= "\udfff" for character in name)


def _text_area(text: str) -> dict[str, Any]:
    return {"from_name": "transcription", "to_name": "image", "type": "textarea", "value": {"text": [text]}}


_FORMS = {".csv": _write_csv, ".tsv": _write_tsv, ".jsonl": _write_jsonl, ".json": _write_label_studio}
