"""The rows that `predict` prints, one for each image, and the file that they can be written to."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from crnnocr.config import PREDICTION_COLUMNS
from crnnocr.errors import ConfigError, UsageError
from crnnocr.files import is_device, lock, write_error
from crnnocr.formatting import csv_line, escape_controls, is_encodable, json_line, tsv_cell

if TYPE_CHECKING:
    from crnnocr.inference.recognizer import Prediction


class Format(StrEnum):
    """Format of a row."""

    text = "text"
    tsv = "tsv"
    csv = "csv"
    jsonl = "jsonl"


HEADERS = {Format.tsv: "\t".join(PREDICTION_COLUMNS), Format.csv: ",".join(PREDICTION_COLUMNS)}
"""The first line of a table."""


def format_row(name: str, prediction: Prediction, format: Format) -> str:
    """The row of an image. If it could not be read, its text is empty, and in tables its confidence too."""
    if format is Format.jsonl:
        return json_line(_values(name, prediction), ascii=not is_encodable(name))
    columns = [_column(name, format), _column(prediction.text, format)]
    if format in HEADERS:
        columns.append("" if prediction.error else f"{prediction.confidence:.6f}")
    return csv_line(*columns).rstrip("\n") if format is Format.csv else "\t".join(columns)


def _values(name: str, prediction: Prediction) -> dict[str, Any]:
    values = {"path": name, "text": prediction.text, "confidence": round(prediction.confidence, 6), "error": prediction.error}
    if prediction.warning:
        values["warning"] = prediction.warning
    if prediction.alternatives:
        values["alternatives"] = [
            {"text": other.text, "probability": round(other.probability, 6)} for other in prediction.alternatives
        ]
    if prediction.characters:
        values["orientation"] = prediction.orientation.value
        values["characters"] = [
            {
                "character": one.character,
                "confidence": round(one.confidence, 4),
                "start": round(one.start, 1),
                "end": round(one.end, 1),
            }
            for one in prediction.characters
        ]
    return values


class RowWriter:
    """Writes rows to stdout or a file."""

    def __init__(self, stream: BinaryIO, format: Format, kept: _Kept | None = None) -> None:
        self._stream, self._format, self._done = stream, format, kept.paths if kept else Counter()
        self.kept, self.kept_failed = (kept.paths.total(), kept.failed) if kept else (0, 0)
        """Number of rows that were there already, and of those among them whose images could not be read."""

    def has(self, name: str) -> bool:
        """Whether the row of an image is there already; an image that is named twice has two rows."""
        key = hash(_column(name, self._format))
        self._done[key] -= 1
        if self._done[key] < 0:
            del self._done[key]
            return False
        return True

    def write(self, text: str) -> None:
        """Write a line in UTF-8 and flush it. File names that are no UTF-8 keep their bytes."""
        self._stream.write(text.encode(errors="surrogateescape") + b"\n")
        self._stream.flush()


def check_rows_path(output: Path, resume: bool) -> None:
    """Check before any image is read that writing rows to a path destroys nothing.

    Raises `ConfigError` if it is an image, a folder, or a file that is there already and holds no rows of `predict`.
    """
    from crnnocr.images import SUFFIXES, foreign_name

    if is_device(output):
        return
    if output.is_dir():
        raise ConfigError("output", f"{output} is a folder: name a file for the rows")
    if output.suffix.lower() in SUFFIXES or foreign_name(output.name):
        fix = "name a file for the rows, such as rows.tsv, before the images (the shell expands a *)"
        raise ConfigError("output", f"{output} is the name of an image: {fix}")
    if not resume and output.is_file() and output.stat().st_size and not _holds_rows(output):
        raise ConfigError(
            "output", f"{output} is there already, and holds no rows of predict: name another file, or move this one"
        )


def _holds_rows(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    first = head.partition(b"\n")[0].decode(errors="surrogateescape")
    is_cut = b"\n" not in head and len(head) == _HEAD
    return b"\0" not in head and (is_cut or any(_path_column(first, format, is_first=True) is not None for format in Format))


_HEAD = 2**16
"""Bytes at the start of a file that show whether it holds rows."""


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@contextmanager
def open_rows(output: Path | None, format: Format, resume: bool) -> Iterator[RowWriter]:
    """Open `output`, or stdout if that is None, for rows.

    A file gets its name when all rows are in it. Until then they are in `.NAME.part` beside it: there `resume` finds the rows
    of an interrupted command. If there are none, it appends to the whole file. A device or a pipe is written directly.

    Raises:
        UsageError: `resume` is asked of a device, or of rows in another format.
        CrnnocrError: the file cannot be written.
    """
    if output is None:
        yield _new_rows(sys.stdout.buffer, format)
        return
    if is_device(output):
        if resume:
            raise UsageError(f"--resume needs a file, and {output} is not one")
        with output.open("wb") as stream:
            yield _new_rows(stream, format)
        return
    output = output.resolve() if output.is_symlink() else output
    part = output.with_name(f".{output.name}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if resume and not part.exists() and output.exists():
            shutil.copyfile(output, part)
        part.touch()
        with part.open("rb+") as stream:
            lock(part, stream.fileno())
            if not resume:
                stream.truncate()
            kept = _whole_rows(output, stream, format)
            if format in HEADERS and not stream.tell():
                stream.write(HEADERS[format].encode() + b"\n")
            try:
                yield RowWriter(stream, format, kept)
            except KeyboardInterrupt as interrupt:
                raise KeyboardInterrupt(f"the rows so far are in {part}; --resume continues them") from interrupt
            os.replace(part, output)
    except OSError as error:
        if error.filename not in (None, str(part), str(output), str(output.parent)):
            raise  # another file's trouble
        raise write_error(output, error) from error


def _new_rows(stream: BinaryIO, format: Format) -> RowWriter:
    """A writer that begins with the header, if the format has one."""
    rows = RowWriter(stream, format)
    if format in HEADERS:
        rows.write(HEADERS[format])
    return rows


@dataclass
class _Kept:
    """The rows that a file holds already."""

    paths: Counter[int] = field(default_factory=Counter)
    """Hashes of their paths."""
    failed: int = 0
    """How many are of images that could not be read, as far as the format shows."""


def _whole_rows(output: Path, stream: BinaryIO, format: Format) -> _Kept:
    """Find the rows of a file and set the stream behind them, without a last one that was cut off.

    Raises `UsageError` if they have another format.
    """
    kept = _Kept()
    end = 0
    for line in stream:
        if not line.endswith(b"\n"):
            break
        text = line.decode(errors="surrogateescape").rstrip("\n")
        path = _path_column(text, format, is_first=not end)
        if path is None:
            raise UsageError(f"the rows of {output} are not {format}: --resume keeps the format it was started with")
        end += len(line)
        if end > len(line) or format not in HEADERS:  # a header is no row
            kept.paths[hash(path)] += 1
            kept.failed += bool(json.loads(text).get("error")) if format is Format.jsonl else text.endswith(("\t\t", ",,"))
    stream.seek(end)
    stream.truncate()
    return kept


def _path_column(line: str, format: Format, is_first: bool) -> str | None:
    """The path of a row, as it stands there; None for a row in another format."""
    if format is Format.jsonl:
        try:
            return str(json.loads(line)["path"])
        except (ValueError, KeyError, TypeError):
            return None
    if is_first and line != HEADERS.get(format, "") and (format in HEADERS or line in HEADERS.values()):
        return None
    columns = _csv_cells(line) if format is Format.csv else line.split("\t")
    return columns[0] if len(columns) == (3 if format in HEADERS else 2) else None


def _csv_cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _column(text: str, format: Format) -> str:
    """A text or a path as it stands in a row."""
    if format is Format.jsonl or (format is Format.csv and not _CONTROL.search(text)):
        return text  # csv has quotes; only a row must stay one line, and harmless to a terminal
    return tsv_cell(text) if format is Format.tsv else escape_controls(text)
