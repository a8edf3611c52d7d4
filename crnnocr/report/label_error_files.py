"""Files that an evaluation is to write: whether they may be, and can be, before hours of reading end in an error.

Doubtful labels in files that labelling tools read.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO
from urllib.parse import quote

from crnnocr.datasets import Sample
from crnnocr.datasets.detection import label_file_names
from crnnocr.datasets.table import DOUBT, READING
from crnnocr.errors import UsageError
from crnnocr.evaluation.label_errors import Suspect
from crnnocr.files import atomic_write, is_device, write_error
from crnnocr.report.html import is_page

_PAGES = (".html", ".htm")


def check_outputs(page: Path | None, suspects: Path | None) -> None:
    """Look at the places of a page and of a list of doubtful labels, if they are asked for.

    A page of an earlier evaluation is replaced, and nothing else is: neither what others have written, nor a list, in which
    labels may have been mended.

    Raises:
        UsageError: there is something else, or no folder for it, or both are one file, or a page is not called one.
        CrnnocrError: a place cannot be written.
    """
    if page and suspects and not is_device(page) and os.path.realpath(page) == os.path.realpath(suspects):
        raise UsageError(f"--report and --suspect-labels are both {page}: name two files")
    if page:
        _check_place("--report", page)
        if _holds_something(page) and not is_page(page):
            raise UsageError(f"--report {page} is there already, and no page of eval's: name another file")
        if page.suffix.lower() not in _PAGES and not is_device(page):
            raise UsageError(f"--report {page} is a page for browsers: call it {page.stem or 'report'}.html")
    if suspects:
        _check_place("--suspect-labels", suspects)
        if _holds_something(suspects):
            raise UsageError(
                f"--suspect-labels {suspects} is there already, and labels in it may have been mended: "
                "name another file, or move this one away"
            )


def _holds_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _check_place(option: str, path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder: name a file")
    if is_device(path):
        return
    if not path.parent.exists():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}: make it, or name another")
    try:
        with TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        raise write_error(path, error) from error


_DIGITS = 6
_COLUMNS = ("file_name", "text", READING, DOUBT, "confidence", "label_log_prob", "reading_log_prob")


def write(path: Path, suspects: Sequence[Suspect], model: str) -> None:
    """Write suspects to a file, in the form that its ending names.

    - `.csv`, `.tsv`: a table of `file_name`, `text`, and what is doubted of it. `file_name` is relative to the file, so that
      it is a data set of its own, which crnnocr, the `datasets` library, pandas and labelling tools read;
    - `.jsonl`: the same as a row of JSON each;
    - `.json`: tasks for Label Studio, with the reading as the prediction to accept or to mend.

    Raises `UsageError` where the ending is none of these, or the name is that of a data set's own labels.
    """
    check(path)
    writer = _FORMS[path.suffix.lower()]
    with atomic_write(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer(file, [_row(suspect, path.parent) for suspect in suspects], model, path.parent.resolve().name)


def check(path: Path) -> None:
    """Raise `UsageError` where the name of a file says no form, or makes its folder a data set of the doubtful labels alone."""
    if path.suffix.lower() not in _FORMS:
        raise UsageError(f"--suspect-labels {path}: its ending says the form: {', '.join(_FORMS)} (.json for Label Studio)")
    if path.name in label_file_names():
        raise UsageError(
            f"--suspect-labels {path}: a folder with a {path.name} is read by that alone: call it otherwise, "
            f"such as doubts{path.suffix}"
        )


def hindrance(path: Path, samples: Iterable[Sample]) -> str:
    """Why a file of doubtful labels would be a list to look at only, and no data set; empty where it would be one.

    Raises `UsageError` where it is for Label Studio, which could then show no picture.
    """
    kinds = {(sample.path if sample.entry else sample.path.parent, bool(sample.entry)) for sample in samples}
    folders = [Path(os.path.relpath(folder, path.parent)) for folder, _ in kinds]
    reason = ""
    if any(in_database for _, in_database in kinds):
        reason = "the pictures are in a database, where other programs do not find them"
    elif any(os.pardir in folder.parts for folder in folders):
        above = os.path.commonpath([folder.absolute() for folder, _ in kinds])
        reason = f"its place is not above the pictures (write it to {above}, or to a folder above)"
    if reason and path.suffix.lower() == ".json":
        raise UsageError(f"--suspect-labels {path}: Label Studio would show nothing: {reason}")
    return reason


def _row(suspect: Suspect, folder: Path) -> dict[str, Any]:
    outcome = suspect.outcome
    row = {
        "file_name": os.path.relpath(outcome.sample.path, folder).replace(os.sep, "/"),
        "text": outcome.sample.text,
        READING: outcome.prediction.text,
        DOUBT: round(suspect.doubt, _DIGITS),
        "confidence": round(outcome.prediction.confidence, _DIGITS),
        "label_log_prob": _finite(suspect.label_log_prob),
        "reading_log_prob": _finite(suspect.reading_log_prob),
    }
    return {**row, "entry": outcome.sample.entry} if outcome.sample.entry else row


def _finite(log_prob: float) -> float | None:
    """None for the logarithm of 0, which JSON has no number for."""
    return round(log_prob, _DIGITS) if log_prob > -float("inf") else None


def _write_table(file: TextIO, rows: list[dict[str, Any]], delimiter: str) -> None:
    columns = list(dict.fromkeys([*_COLUMNS, *(column for row in rows for column in row)]))
    writer = csv.DictWriter(file, columns, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _write_csv(file: TextIO, rows: list[dict[str, Any]], model: str, folder: str) -> None:
    _write_table(file, rows, ",")


def _write_tsv(file: TextIO, rows: list[dict[str, Any]], model: str, folder: str) -> None:
    _write_table(file, rows, "\t")


def _write_jsonl(file: TextIO, rows: list[dict[str, Any]], model: str, folder: str) -> None:
    file.writelines(json.dumps(row, ensure_ascii=_holds_other_bytes(row["file_name"])) + "\n" for row in rows)


def _write_label_studio(file: TextIO, rows: list[dict[str, Any]], model: str, folder: str) -> None:
    """Tasks whose pictures are served from a local storage: the folder of the file.

    Label Studio wants that below the root of what it serves, and its path from there.
    """
    tasks: list[dict[str, Any]] = [
        {
            "data": {**row, "image": f"/data/local-files/?d={quote(os.fsencode(folder + '/' + row['file_name']))}"},
            "predictions": [
                {"model_version": model, "score": row["confidence"], "result": [_text_area(row[READING])]},
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
