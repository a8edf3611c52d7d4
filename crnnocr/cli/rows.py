"""What `predict` prints for each picture, and the file that it can be written to."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from crnnocr.cli import ui
from crnnocr.files import cannot_write

if TYPE_CHECKING:
    from crnnocr.recognizer import Prediction


class Format(StrEnum):
    """What is printed for each picture."""

    text = "text"
    tsv = "tsv"
    jsonl = "jsonl"


TSV_HEADER = "path\ttext\tconfidence"


def row(name: str, prediction: Prediction, format: Format) -> str:
    """One picture's line. One that could not be read has an empty text, and in tsv an empty confidence."""
    if format is Format.jsonl:
        readable = not any("\ud800" <= character <= "\udfff" for character in name)  # else it stands for other bytes
        return json.dumps(_values(name, prediction), ensure_ascii=not readable)
    columns = [_column(name, format), _column(prediction.text, format)]
    if format is Format.tsv:
        columns.append("" if prediction.error else f"{prediction.confidence:.6f}")
    return "\t".join(columns)


def _values(name: str, prediction: Prediction) -> dict[str, Any]:
    values = {"path": name, "text": prediction.text, "confidence": round(prediction.confidence, 6), "error": prediction.error}
    if prediction.alternatives:
        values["alternatives"] = [
            {"text": other.text, "probability": round(other.probability, 6)} for other in prediction.alternatives
        ]
    if prediction.characters:
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


class Rows:
    """Where rows go: stdout, or a file that is whole or not there."""

    def __init__(self, stream: BinaryIO, format: Format, done: frozenset[int] = frozenset()) -> None:
        self._stream, self._format, self._done = stream, format, done

    def has(self, name: str) -> bool:
        """Whether the row of a picture is there already."""
        return bool(self._done) and hash(_column(name, self._format)) in self._done

    def write(self, text: str) -> None:
        """A line, in UTF-8, at once; what of a file name is not UTF-8 comes out as the bytes it is."""
        self._stream.write(text.encode(errors="surrogateescape") + b"\n")
        self._stream.flush()


@contextmanager
def opened(output: Path | None, format: Format, resume: bool) -> Iterator[Rows]:
    """Where rows go: to `output`, or to stdout if that is None.

    A file gets its name when all rows are in it. Until then they are in `.NAME.part` beside it, where `resume` finds those that
    an interrupted command has left; those of a whole file are gone on with too.
    """
    if output is None:
        rows = Rows(sys.stdout.buffer, format)
        if format is Format.tsv:
            rows.write(TSV_HEADER)
        yield rows
        return
    part = output.with_name(f".{output.name}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            part.unlink(missing_ok=True)
        elif not part.exists() and output.exists():
            part.write_bytes(output.read_bytes())
        done = _whole_rows(part, format) if part.exists() else frozenset()
        with part.open("ab") as stream:
            if format is Format.tsv and not stream.tell():
                stream.write(TSV_HEADER.encode() + b"\n")
            yield Rows(stream, format, done)
        os.replace(part, output)
    except OSError as error:
        raise cannot_write(output, error) from error


def _whole_rows(part: Path, format: Format) -> frozenset[int]:
    """The hashes of the paths of the rows in a file, of which a last one that was cut off is taken off."""
    done: set[int] = set()
    end = 0
    with part.open("rb+") as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            done.add(hash(_path_column(line.decode(errors="surrogateescape").rstrip("\n"), format)))
        stream.truncate(end)
    return frozenset(done)


def _path_column(line: str, format: Format) -> str:
    """The path of a row, as it stands there."""
    if format is not Format.jsonl:
        return line.partition("\t")[0]
    try:
        return str(json.loads(line)["path"])
    except (ValueError, KeyError, TypeError):
        return ""


def _column(text: str, format: Format) -> str:
    """How a text or a path stands in a row."""
    if format is Format.jsonl:
        return text
    return ui.on_one_line(text.replace("\\", "\\\\") if format is Format.tsv else text)
