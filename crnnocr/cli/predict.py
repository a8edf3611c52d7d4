"""`crnnocr predict`: read pictures."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from glob import glob
from itertools import chain, tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from crnnocr.cli import ui
from crnnocr.config import DecodeConfig
from crnnocr.errors import CrnnocrError, DataError, PartialError, UsageError

if TYPE_CHECKING:
    from crnnocr.images import Source
    from crnnocr.recognizer import Prediction

_DEFAULTS = DecodeConfig()


class Format(StrEnum):
    """What is printed for each picture."""

    text = "text"
    tsv = "tsv"
    jsonl = "jsonl"


@ui.boundary
def predict_cli(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(metavar="PICTURE", help="Files, folders, quoted globs; - for one picture's bytes on stdin."),
    ] = None,
    files_from: Annotated[
        str | None, typer.Option("--files-from", metavar="FILE|-", help="Read paths, one a line, from a file or stdin.")
    ] = None,
    model: ui.Model = None,
    beam: ui.Beam = _DEFAULTS.beam,
    format: Annotated[Format | None, typer.Option("--format", "-f", help="Form of the output; by default text.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
    device: ui.Device = "auto",
    quiet: ui.Quiet = False,
    verbose: ui.Verbose = False,
    debug: ui.Debug = False,
) -> None:
    """Read pictures of one line or word each, in the order they are given.

    A single file, or -, gives just its text; folders, globs and lists give PATH<TAB>TEXT. With no picture named and
    something piped in, stdin is a list of paths.
    """
    from crnnocr.model import store
    from crnnocr.recognizer import Recognizer

    if json_output and format not in (None, Format.jsonl):
        raise UsageError(f"give --json or --format {format}, not both")
    decode = DecodeConfig(beam=beam)
    names = _names(pictures or [], files_from)
    single = files_from is None and pictures is not None and len(pictures) == 1 and _is_file(pictures[0])
    found = store.find(model)
    ui.say_model(found)
    recognizer = Recognizer.load(str(found.path), device)
    names, to_open = tee(names)
    rows = zip(names, recognizer.predict(map(_source, to_open), decode), strict=False)
    read, failed = _print(rows, Format.jsonl if json_output else format or Format.text, single)
    if not read and not failed:
        raise DataError("no picture was named: the list of paths is empty")
    if failed and not read:
        raise CrnnocrError("the picture could not be read" if failed == 1 else f"none of the {failed} pictures could be read")
    if failed:
        raise PartialError(f"{failed} of {read + failed} pictures could not be read")


def _names(pictures: list[str], files_from: str | None) -> Iterator[str]:
    """The path of each picture, in order; `-` stands for stdin's bytes."""
    if not pictures and files_from is None:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("name pictures, folders or globs, or pipe in a list of paths; see crnnocr predict --help")
        files_from = "-"
    if pictures.count("-") + (files_from == "-") > 1:
        raise UsageError("stdin can be read once only: as one picture (-), or as a list (--files-from -)")
    named = [name for argument in pictures for name in _expanded(argument)]
    return iter(named) if files_from is None else _chained(named, files_from)


def _expanded(argument: str) -> list[str]:
    """The pictures that one argument names: itself, those of a folder in natural order, or those a glob finds."""
    from natsort import natsorted

    from crnnocr.images import pictures_in

    path = Path(argument)
    if path.is_dir():
        found = list(map(str, pictures_in(path.iterdir())))
        if not found:
            raise DataError(f"{argument} holds no pictures")
        return natsorted(found)
    if not path.exists() and any(c in argument for c in "*?["):
        found = [name for name in glob(argument, recursive=True) if Path(name).is_file()]
        if not found:
            raise DataError(f"no file fits {argument}")
        return natsorted(found)
    return [argument]


def _chained(named: list[str], files_from: str) -> Iterator[str]:
    """The pictures of the arguments, then those of the list, which is opened at once so that its lack is seen at once."""
    try:
        lines = sys.stdin.buffer if files_from == "-" else Path(files_from).open("rb")  # noqa: SIM115 (_listed closes it)
    except OSError as error:
        raise UsageError(f"cannot read --files-from {files_from}: {error.strerror}") from error
    return chain(named, _listed(lines))


def _listed(lines: BinaryIO) -> Iterator[str]:
    """The paths of a list, one a line; empty lines are passed over, and a file called - is not taken for stdin."""
    with lines:
        for line in lines:
            if name := os.fsdecode(line.rstrip(b"\r\n")):
                yield os.path.join(".", name) if name == "-" else name  # noqa: PTH118 (a Path drops the dot)


def _is_file(argument: str) -> bool:
    path = Path(argument)
    return argument == "-" or path.is_file() or not (path.is_dir() or any(c in argument for c in "*?["))


def _source(name: str) -> Source:
    return sys.stdin.buffer.read() if name == "-" else name


def _print(rows: Iterable[tuple[str, Prediction]], format: Format, single: bool) -> tuple[int, int]:
    """Print a line for each picture, at once; returns how many could be read and how many could not."""
    read = failed = 0
    if format is Format.tsv:
        _line("path\ttext\tconfidence")
    for name, prediction in rows:
        if prediction.error is None:
            read += 1
        else:
            failed += 1
            ui.warn(prediction.error)
        if not single or format is not Format.text:
            _line(_row(name, prediction, format))
        elif prediction.error is None:
            _line(prediction.text)
    return read, failed


def _row(name: str, prediction: Prediction, format: Format) -> str:
    """One picture's line. One that could not be read has an empty text, and in tsv an empty confidence."""
    if format is Format.jsonl:
        values = {"path": name, "text": prediction.text, "confidence": round(prediction.confidence, 6)}
        readable = not any("\ud800" <= character <= "\udfff" for character in name)  # else it stands for other bytes
        return json.dumps({**values, "error": prediction.error}, ensure_ascii=not readable)
    columns = [name, prediction.text]
    if format is Format.tsv:
        columns = [column.replace("\\", "\\\\") for column in columns]
        columns.append("" if prediction.error else f"{prediction.confidence:.6f}")
    return "\t".join(map(ui.on_one_line, columns))


def _line(text: str) -> None:
    """A line on stdout, in UTF-8; what of a file name is not UTF-8 comes out as the bytes it is."""
    sys.stdout.buffer.write(text.encode(errors="surrogateescape") + b"\n")
    sys.stdout.buffer.flush()
