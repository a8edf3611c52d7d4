"""`crnnocr predict`: recognize images."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import console, options, sources
from crnnocr.cli.prediction_rows import Format, Rows, opened, row
from crnnocr.config import DecodeConfig, EngineConfig, ReadConfig, SynthConfig
from crnnocr.errors import CrnnocrError, DataError, PartialError, UsageError
from crnnocr.files import atomic_write

if TYPE_CHECKING:
    from PIL import ImageFont

    from crnnocr.inference.recognizer import Prediction
    from crnnocr.synth.fonts import FontFace


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
        float, typer.Option("--min-confidence", metavar="P", help="Leave out rows of lower confidence, from 0 to 1.")
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
    engine: EngineConfig,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Recognize images of one line or word each, in the order they are given.

    A single file, or -, gives just its text; folders, globs and lists give PATH<TAB>TEXT. If no image is named and
    something is piped in, stdin is a list of paths.
    """
    output = None if output == Path("-") else output
    format = _format(format, json_output, output)
    if (decode.top_k > 1 or read.characters) and format is not Format.jsonl:
        raise UsageError(f"--{'top-k' if decode.top_k > 1 else 'characters'} is for --format jsonl, which has room for it")
    if resume and output is None:
        raise UsageError("--resume goes on with a file: name it with --output")
    if not 0 <= min_confidence <= 1:
        raise UsageError("--min-confidence takes 0 to 1")
    if draw is not None:
        read = replace(read, characters=True)
    given = sources.named(names or [], files_from, recursive, b"\0" if null else b"\n")
    wanted = sources.shard(given, shard)
    single = files_from is None and names is not None and len(names) == 1 and sources.is_file(names[0])

    from crnnocr.inference.pipeline import paired

    _, recognizer, decoder = options.load_recognizer(options.Setup(model, engine, decode, read))
    counts = _Counts()
    with opened(output, format, resume) as rows:
        to_do = (_Picture(name) for name in wanted if not rows.has(name))
        counts.keep(rows.kept, rows.kept_failed)
        for picture, prediction in paired(to_do, lambda them: recognizer.predict(them, decoder, read)):
            if draw:
                _draw(draw, picture, prediction)
            if counts.add(picture.name, prediction, min_confidence):
                _write(rows, picture.name, prediction, format, single and output is None)
        if not counts.all and not resume and shard is None:
            raise DataError("no picture was named: the list of paths is empty")
    counts.say(min_confidence)


@dataclass
class _Counts:
    """What became of the pictures."""

    read: int = 0
    failed: int = 0
    impossible: int = 0
    unsure: int = 0

    @property
    def all(self) -> int:
        return self.read + self.failed

    def add(self, name: str, prediction: Prediction, least: float) -> bool:
        """Count a picture; whether it gets a row."""
        if prediction.error:
            self.failed += 1
            self.impossible += prediction.is_impossible
            console.warn(f"{name}: {prediction.error}" if prediction.is_impossible else prediction.error)
            return True
        self.read += 1
        self.unsure += prediction.confidence < least
        return prediction.confidence >= least

    def keep(self, rows: int, failed: int) -> None:
        """Count what an interrupted command has read."""
        self.read += rows - failed
        self.failed += failed

    def say(self, least: float) -> None:
        """Say what was left out. Raises `CrnnocrError` where nothing could be read, `PartialError` where some could not."""
        if self.unsure:
            console.info(f"{self.unsure:,} of {self.read:,} rows with a confidence below {least:g} are left out")
        if self.failed and not self.read:
            if self.impossible == self.failed:
                raise CrnnocrError("no text that is permitted fits: loosen --pattern, --lexicon, --allow or --block")
            raise CrnnocrError(
                "the picture could not be read" if self.failed == 1 else f"none of the {self.failed} pictures could be read"
            )
        if self.failed:
            raise PartialError(f"{self.failed} of {self.all} pictures could not be read")


def _format(format: Format | None, json_output: bool, output: Path | None) -> Format:
    """The form that is asked for, else the one that the file is named after."""
    if json_output and format not in (None, Format.jsonl):
        raise UsageError(f"give --json or --format {format}, not both")
    named = {".jsonl": Format.jsonl, ".tsv": Format.tsv}.get(output.suffix.lower() if output else "", Format.text)
    return Format.jsonl if json_output else format or named


@dataclass(frozen=True)
class _Picture:
    """A picture by the name it was given."""

    name: str

    def read(self) -> bytes:
        """The bytes of its file."""
        return _stdin() if self.name == "-" else Path(self.name).read_bytes()


@cache
def _stdin() -> bytes:
    """All that is piped in, which can be read once only, but is needed again where it is drawn."""
    return sys.stdin.buffer.read()


def _write(rows: Rows, name: str, prediction: Prediction, format: Format, text_alone: bool) -> None:
    if not text_alone or format is not Format.text:
        rows.write(row(name, prediction, format))
    elif prediction.error is None:
        rows.write(prediction.text)


def _draw(folder: Path, picture: _Picture, prediction: Prediction) -> None:
    """Draw a picture to a file in the folder, whose name tells pictures of the same name in other folders apart."""
    from crnnocr.inference.overlay import draw

    if prediction.error is None:
        other = hashlib.sha256(os.fsencode(picture.name)).hexdigest()[:8]
        with atomic_write(folder / f"{Path(picture.name).stem}-{other}.png") as path:
            draw(picture, prediction, _font_for).save(path, "PNG")


@cache
def _font_for(character: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font of those that `synth` draws with that has a character."""
    from crnnocr.inference.overlay import default_font

    fitting = (face for face in _faces() if face.draws(character))
    face = next(fitting, None)
    return face.pillow(size) if face else default_font(character, size)


@cache
def _faces() -> tuple[FontFace, ...]:
    from crnnocr.synth.fonts import collect

    return collect(SynthConfig())
