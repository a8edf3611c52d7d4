"""`crnnocr predict`: recognize images."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, replace
from functools import cache
from heapq import nsmallest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import console, options, sources
from crnnocr.cli.prediction_rows import Format, RowWriter, check_rows_path, format_row, open_rows
from crnnocr.config import DecodeConfig, EngineConfig, Orientation, ReadConfig, SynthConfig
from crnnocr.errors import ConfigError, CrnnocrError, DataError, PartialError, UsageError
from crnnocr.files import atomic_write
from crnnocr.formatting import plural
from crnnocr.runtime import cores

if TYPE_CHECKING:
    from PIL import ImageFont

    from crnnocr.images import View
    from crnnocr.inference.recognizer import Prediction, Recognizer
    from crnnocr.synth.fonts import FontFace

_NAMED = 5
"""Images with several lines that are named; more are only counted."""

_TEXT_SUFFIXES = {".txt", ".csv", ".tsv", ".jsonl", ".lst"}


@console.handle_errors
@options.expand_configs
def predict_cli(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE", help="Files, folders, quoted globs; - for one image's bytes on stdin."),
    ] = None,
    files_from: Annotated[
        str | None, typer.Option("--files-from", metavar="FILE|-", help="Read paths, one a line, from a file or stdin.")
    ] = None,
    null: Annotated[bool, typer.Option("--null", "-0", help="Paths in a list end with NUL (find -print0).")] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Take the images in folders below a folder too.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="i/n", help="Recognize only the i-th of n parts: images i, i+n, …")
    ] = None,
    model: options.Model = None,
    *,
    decode: DecodeConfig,
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", metavar="P", help="Leave out rows with a confidence below this, from 0 to 1.")
    ] = 0.0,
    read: ReadConfig,
    format: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="Form of the output; else by the extension of --output, or text."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="FOLDER", help="Draw each image with the recognized text in its place.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the rows to a file, whole or not at all.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip images that have a row in --output or in what is left of it.")
    ] = False,
    label_next: Annotated[
        tuple[int, Path] | None,
        typer.Option(
            "--label-next",
            metavar="N FILE",
            help="Write the N images to label next, with their texts, as .json for Label Studio or .csv.",
        ),
    ] = None,
    engine: EngineConfig,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Recognize images of one line or word each, in the order they are given.

    A single file, or -, gives just its text; folders, globs and lists give PATH<TAB>TEXT. If no image is named and
    something is piped in, stdin is a list of paths.
    """
    is_asked = output is not None or format is not None or json_output
    output = None if output == Path("-") else output
    format = _format(format, json_output, output)
    if (decode.top_k > 1 or read.characters) and format is not Format.jsonl:
        raise UsageError(f"--{'top-k' if decode.top_k > 1 else 'characters'} is for --format jsonl, which has room for it")
    if not 0 <= min_confidence <= 1:
        raise UsageError("--min-confidence takes 0 to 1")
    _check_output(output, resume)
    if draw is not None:
        read = replace(read, characters=True)
    _check_tasks(label_next, names or [], resume)
    _check_drawings(draw, names or [], recursive)
    _check_threads(read.threads or 1)
    given = sources.named(names or [], files_from, recursive, b"\0" if null else b"\n")
    wanted = sources.shard(given, shard)
    is_printed = not label_next or output is not None or is_asked
    is_single = files_from is None and names is not None and len(names) == 1 and sources.is_file(names[0])

    from crnnocr.inference.pipeline import paired

    model_name, recognizer, decoder = options.load_recognizer(options.Setup(model, engine, decode, read))
    counts = _Counts()
    found: list[tuple[float, str, str]] = []
    with open_rows(output, format, resume) as rows:
        to_do = (_NamedImage(name) for name in wanted if not rows.has(name))
        counts.resume(rows.kept, rows.kept_failed)
        for image, prediction in paired(to_do, lambda images: recognizer.predict(images, decoder, read)):
            if draw:
                _draw(draw, image, prediction)
            if label_next and not prediction.error:
                found.append((prediction.confidence, image.name, prediction.text))
            if counts.add(image.name, prediction, min_confidence) and is_printed:
                _write(rows, image.name, prediction, format, is_single and output is None)
        if not counts.all and not resume and shard is None:
            raise DataError("no image was named: the list of paths is empty")
    if found and label_next:
        _write_tasks(*label_next, found, recognizer, read, model_name)
    counts.report(min_confidence)


def _check_output(output: Path | None, resume: bool) -> None:
    if resume and output is None:
        raise UsageError("--resume needs the file to resume: name it with --output")
    if output is not None:
        check_rows_path(output, resume)


def _check_tasks(wanted: tuple[int, Path] | None, names: list[str], resume: bool) -> None:
    if wanted is None:
        return
    from crnnocr.report import label_tasks

    count, path = wanted
    if count < 1:
        raise ConfigError("label_next", f"{count}: name the number of images, at least 1, and a file")
    if "-" in names:
        raise ConfigError("label_next", "takes image files, and - is an image on stdin")
    if resume:
        raise ConfigError("label_next", "chooses among all images, and `resume` skips some: leave one of them out")
    label_tasks.check_path(path)
    label_tasks.check_folder(path, [Path(name) for name in names if Path(name).exists()])


def _write_tasks(
    count: int, path: Path, found: list[tuple[float, str, str]], recognizer: Recognizer, read: ReadConfig, model: str
) -> None:
    """Write the images to label next. They are found by their confidences, names and texts."""
    from crnnocr.evaluation.active_learning import CANDIDATES, choose
    from crnnocr.report import label_tasks

    candidates = nsmallest(CANDIDATES * count, found)
    chosen = [candidates[i] for i in choose(recognizer, [Path(name) for _, name, _ in candidates], count, read)]
    if not chosen:
        raise DataError(f"{path} is not written: {model} was trained on all of these images")
    label_tasks.write(
        path, [label_tasks.Task(Path(name), text, round(confidence, 6)) for confidence, name, text in chosen], model
    )
    console.info(f"{path}: {plural(len(chosen), 'image')} to label next, with what {model} reads in them")


@dataclass
class _Counts:
    """How many images were read, and how many were not."""

    read: int = 0
    failed: int = 0
    impossible: int = 0
    rejected: int = 0
    several_lines: int = 0

    @property
    def all(self) -> int:
        return self.read + self.failed

    def add(self, name: str, prediction: Prediction, min_confidence: float) -> bool:
        """Count an image, and return whether it gets a row."""
        if prediction.error:
            self.failed += 1
            self.impossible += prediction.is_impossible
            console.warn(f"{name}: {prediction.error}" if prediction.is_impossible else prediction.error + _list_hint(name))
            return True
        self.read += 1
        if prediction.warning:
            self.several_lines += 1
            if self.several_lines <= _NAMED:
                fix = _several_lines_fix(prediction.view)
                console.warn(f"{name}: seems to hold several lines of text, and is read as one: {fix}")
        self.rejected += prediction.confidence < min_confidence
        return prediction.confidence >= min_confidence

    def resume(self, rows: int, failed: int) -> None:
        """Count the rows of an interrupted command, and those of them without a text."""
        self.read += rows - failed
        self.failed += failed

    def report(self, min_confidence: float) -> None:
        """Tell what was left out. Raises `CrnnocrError` if no image could be read, `PartialError` if some could not."""
        if self.several_lines > _NAMED:
            console.warn(f"{self.several_lines:,} images in all seem to hold several lines of text")
        if self.rejected:
            console.info(f"{self.rejected:,} of {self.read:,} rows with a confidence below {min_confidence:g} are left out")
        if self.failed and not self.read:
            if self.impossible == self.failed:
                raise CrnnocrError("no text that is permitted fits: loosen --pattern, --lexicon, --allow or --block")
            raise CrnnocrError(
                "the image could not be read" if self.failed == 1 else f"none of the {self.failed} images could be read"
            )
        if self.failed:
            raise PartialError(f"{self.failed} of {self.all} images could not be read")


def _list_hint(name: str) -> str:
    """The fix for a file of text that was given as an image."""
    path = Path(name)
    is_text = path.suffix.lower() in _TEXT_SUFFIXES and path.is_file()
    return "; if it is a list of paths, one a line, give it with --files-from" if is_text else ""


def _several_lines_fix(view: View) -> str:
    if view.orientation is not Orientation.HORIZONTAL:
        return f"cut the lines out, or try another --orientation than {view.orientation.value}"
    return "cut the lines out" if view.rows > 1 else "cut the lines out, or try --rows 2 if there are two"


def _format(format: Format | None, json_output: bool, output: Path | None) -> Format:
    """The format that is asked for, else the one that the file's name ends in."""
    if json_output and format not in (None, Format.jsonl):
        raise UsageError(f"give --json or --format {format}, not both")
    if json_output or format:
        return format or Format.jsonl
    suffix = output.suffix.lower() if output else ""
    if suffix == ".json":
        raise UsageError(f"{output} would be no json: call it .jsonl, .csv, .tsv or .txt, or name the --format")
    return {".jsonl": Format.jsonl, ".tsv": Format.tsv, ".csv": Format.csv}.get(suffix, Format.text)


@dataclass(frozen=True)
class _NamedImage:
    """An image by its name on the command line."""

    name: str

    def read(self) -> bytes:
        """The bytes of its file."""
        return _stdin() if self.name == "-" else Path(self.name).read_bytes()


@cache
def _stdin() -> bytes:
    """All of stdin, which can be read only once but is needed again to draw the image."""
    return sys.stdin.buffer.read()


def _write(rows: RowWriter, name: str, prediction: Prediction, format: Format, text_alone: bool) -> None:
    if not text_alone or format is not Format.text:
        rows.write(format_row(name, prediction, format))
    elif prediction.error is None:
        rows.write(prediction.text)


def _check_threads(threads: int) -> None:
    if threads > cores():
        console.info(f"--threads {threads}: this process may use {plural(cores(), 'core')} only")


def _check_drawings(folder: Path | None, names: list[str], recursive: bool) -> None:
    """Check that a folder for drawings is no file, and no folder of images: there they would be read the next time."""
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise ConfigError("draw", f"{folder} is a file: name a folder")
    for given in (Path(name).resolve() for name in names if Path(name).is_dir()):
        if folder.resolve() == given or (recursive and folder.resolve().is_relative_to(given)):
            raise ConfigError("draw", f"{folder}: drawings there would be read as images the next time: name another folder")


def _draw(folder: Path, image: _NamedImage, prediction: Prediction) -> None:
    """Draw an image to a file in the folder. A hash in its name tells images of one name in several folders apart."""
    from crnnocr.inference.overlay import draw

    if prediction.error is None:
        suffix = hashlib.sha256(os.fsencode(image.name)).hexdigest()[:8]
        with atomic_write(folder / f"{Path(image.name).stem}-{suffix}.png") as path:
            draw(image, prediction, _font_for).save(path, "PNG")


@cache
def _font_for(character: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The first of the fonts of `synth` that has a character."""
    from crnnocr.inference.overlay import default_font

    fitting = (face for face in _faces() if face.draws(character))
    face = next(fitting, None)
    return face.pillow(size) if face else default_font(character, size)


@cache
def _faces() -> tuple[FontFace, ...]:
    from crnnocr.synth.fonts import collect

    return collect(SynthConfig())
