"""`crnnocr eval`: measure how well a model reads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import ui
from crnnocr.cli.comparing import Reader, other
from crnnocr.cli.loading import load
from crnnocr.cli.rows import Format, Rows
from crnnocr.config import DecodeConfig, EngineChoice, ReadConfig
from crnnocr.errors import DataError, GateError, PartialError, UsageError
from crnnocr.files import replacing

if TYPE_CHECKING:
    from crnnocr.datasets import Sample
    from crnnocr.decoders.decoder import Decoder
    from crnnocr.evaluation import EvalResult
    from crnnocr.normalising import Normalisation
    from crnnocr.recognizer import Prediction, Recognizer
    from crnnocr.report.evidence import Evidence
    from crnnocr.report.terminal import Table

_DEFAULTS = DecodeConfig()
_NAMED = 3
"""Unknown characters that are named without --verbose."""
_WIDTH = 150
"""Columns of the tables where stdout is no terminal."""


@ui.boundary
def eval_cli(
    data: Annotated[list[Path], typer.Argument(metavar="DATA", help="Folders of labelled pictures, or label files.")],
    model: ui.Model = None,
    beam: ui.Beam = _DEFAULTS.beam,
    allow: ui.Allow = None,
    block: ui.Block = None,
    lexicon: ui.Lexicon = None,
    pattern: ui.Pattern = None,
    lm: ui.Lm = None,
    lm_weight: ui.LmWeight = _DEFAULTS.lm_weight,
    orientation: ui.Orientation = None,
    invert: ui.Invert = ReadConfig.invert,
    everything: Annotated[bool, typer.Option("--all", help="Score the pictures that the model was trained on, too.")] = False,
    normalise: Annotated[
        list[str] | None,
        typer.Option(
            "--normalise", metavar="nfkc|case|spaces|quotes", help="Differences that do not count; several with commas between."
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="OTHER", help="Compare with another model, or other options, such as '--beam 10'."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Write a page with everything, to look at.")
    ] = None,
    suspect_labels: Annotated[
        Path | None,
        typer.Option(
            "--suspect-labels",
            metavar="FILE",
            help="List the labels that the model doubts most, as .csv, .tsv, .jsonl, or .json for Label Studio.",
        ),
    ] = None,
    max_cer: Annotated[
        float | None, typer.Option("--max-cer", metavar="SHARE", help="End with 4 if the CER is greater, such as 0.05.")
    ] = None,
    tsv: Annotated[bool, typer.Option("--tsv", help="Print a row for each picture on stdout.")] = False,
    engine: ui.Engine = EngineChoice.AUTO,
    device: ui.Device = "auto",
    json_output: ui.Json = False,
    quiet: ui.Quiet = False,
    verbose: ui.Verbose = False,
    debug: ui.Debug = False,
) -> None:
    """Read the pictures of DATA and compare with their labels.

    Pictures that the model was trained on are left out, for they would flatter it.
    """
    from crnnocr.normalising import Normalisation
    from crnnocr.report import suspect_files

    if json_output and tsv:
        raise UsageError("give --json or --tsv, not both")
    if max_cer is not None and max_cer < 0:
        raise UsageError("--max-cer takes a share, such as 0.05")
    if suspect_labels:
        suspect_files.form_of(suspect_labels)
    normalisation = Normalisation.parse(normalise or [])
    decode = DecodeConfig(beam, 1, allow, block, lexicon, pattern, lm, lm_weight)
    first = Reader(model, device, engine, decode, ReadConfig(orientation, invert))
    readers = [first] if compare is None else [first, other(compare, first)]
    evaluation = _Evaluation(data, readers, everything, normalisation)
    evidence = evaluation.evidence()
    if suspect_labels:
        evaluation.write_suspects(suspect_labels)
    if report:
        evaluation.write_page(report, evidence)
    _print(evidence, json_output, tsv)
    _judge(evidence, max_cer)


class _Evaluation:
    """Pictures and what reads them."""

    def __init__(self, data: list[Path], readers: list[Reader], everything: bool, normalisation: Normalisation) -> None:
        from crnnocr.datasets.characters import unknown_characters
        from crnnocr.datasets.detect import load_datasets
        from crnnocr.evaluation import unseen

        self.data, self.readers, self.normalisation = data, readers, normalisation
        self.datasets = load_datasets(data)
        for source, dataset in zip(data, self.datasets, strict=True):
            ui.say(f"{source}: {len(dataset.samples):,} labelled pictures ({dataset.format})")
            ui.say_faults(dataset.faults)
        self.loaded = [load(reader.model, reader.device, reader.engine, reader.decode) for reader in readers]
        self.names = [reader.name(name) for reader, (name, *_) in zip(readers, self.loaded, strict=True)]
        if len(set(self.names)) < len(self.names):
            self.names[1] += f" ({readers[1].told})"
        samples = [sample for dataset in self.datasets for sample in dataset.samples]
        self.unknown = unknown_characters(samples, self.recognizer.card.charset)
        _warn_unknown(self.loaded[0][0], self.unknown)
        self.samples = samples if everything else unseen(samples, *(recognizer for _, recognizer, _ in self.loaded))
        self.seen = len(samples) - len(self.samples)
        _say_seen(self.loaded[0][0], data, len(self.samples), self.seen)

    @property
    def recognizer(self) -> Recognizer:
        """What reads for the first reader."""
        return self.loaded[0][1]

    @property
    def decoder(self) -> Decoder:
        """What finds texts for it."""
        return self.loaded[0][2]

    def evidence(self) -> Evidence:
        """Read the pictures, and measure."""
        from crnnocr.evaluation import sources
        from crnnocr.evaluation.analysis import Analysis
        from crnnocr.evaluation.comparison import compare
        from crnnocr.evaluation.speed import measure
        from crnnocr.report.evidence import Evidence

        (self.result, seconds), *others = [self._read(i) for i in range(len(self.readers))]
        for reason in self.result.unreadable:
            ui.warn(reason)
        reader, names = self.readers[0], tuple(map(str, self.data))
        samples = [outcome.sample for outcome in self.result.outcomes]
        return Evidence(
            self.loaded[0][0],
            names,
            tuple(dataset.format for dataset in self.datasets),
            _told(reader.decode),
            Analysis(self.result, sources(self.datasets, names)),
            measure(self.recognizer, self.decoder, reader.read, samples, len(self.samples), seconds),
            compare(self.names[0], self.result, self.names[1], others[0][0]) if others else None,
            [fault for dataset in self.datasets for fault in dataset.faults],
            self.seen,
            self.unknown,
        )

    def _read(self, which: int) -> tuple[EvalResult, float]:
        """What one of the readers reads, and in how many seconds."""
        from crnnocr.evaluation import read_samples, score
        from crnnocr.evaluation.speed import timed

        _, recognizer, decoder = self.loaded[which]
        readings = read_samples(recognizer, self.samples, decoder, self.readers[which].read)
        read, seconds = timed(_tracked(readings, len(self.samples)))
        return score(read, self.normalisation), seconds

    def write_suspects(self, path: Path) -> None:
        """List the labels that the model doubts."""
        from crnnocr.evaluation.suspects import suspects
        from crnnocr.report import suspect_files

        found = suspects(self.recognizer, self.result.outcomes, self.readers[0].read)
        suspect_files.write(path, found.found, self.loaded[0][0])
        ui.say(f"{path}: {len(found.found):,} labels that were read otherwise, the most doubtful first")
        if found.unknown:
            ui.say(f"{found.unknown:,} more cannot be judged: they hold characters that the model does not know")

    def write_page(self, path: Path, evidence: Evidence) -> None:
        """Write the page."""
        from crnnocr.report.page import page
        from crnnocr.report.samples import rows_of

        text = page(evidence, rows_of(evidence, self.recognizer, self.decoder, self.readers[0].read))
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
        ui.say(f"{path}: open it in a browser")


def _warn_unknown(name: str, unknown: Sequence[str]) -> None:
    if unknown:
        more = f"; and {len(unknown) - _NAMED} more (--verbose lists them)" if len(unknown) > _NAMED else ""
        ui.warn(f"{name} cannot read characters that it does not know: {'; '.join(unknown[:_NAMED])}{more}")
    for character in unknown[_NAMED:]:
        ui.detail(f"  {character}")


def _say_seen(name: str, data: Sequence[Path], left: int, seen: int) -> None:
    """Say what is left out. Raises `DataError` where that is all."""
    if not left:
        named = ", ".join(map(str, data))
        raise DataError(f"{name} was trained on all {seen:,} pictures of {named}: give others, or score them with --all")
    if seen:
        ui.say(f"scored: the {left:,} held-out pictures; {seen:,} that {name} was trained on are left out (--all)")


def _told(decode: DecodeConfig) -> str:
    """How texts are found, where it is not by the defaults."""
    given = {field.name: getattr(decode, field.name) for field in fields(decode) if field.name != "top_k"}
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in given.items() if value != getattr(_DEFAULTS, name))


def _tracked(readings: Iterable[tuple[Sample, Prediction]], total: int) -> Iterable[tuple[Sample, Prediction]]:
    from rich.progress import track

    return track(readings, "reading", total, console=ui.console(), disable=not ui.shows_progress(), transient=True)


def _print(evidence: Evidence, json_output: bool, tsv: bool) -> None:
    """The result on stdout; where that holds rows, what is for people on stderr."""
    from crnnocr.report import rows, terminal, values

    if json_output:
        typer.echo(json.dumps(values.to_json(evidence)))
        return
    if tsv:
        out = Rows(sys.stdout.buffer, Format.tsv)
        for row in rows.tsv(evidence):
            out.write(row)
    text = "".join([*map(_rendered, terminal.tables(evidence)), *(f"{line}\n" for line in terminal.lines(evidence))])
    if tsv:
        ui.say(text.rstrip("\n"))
    else:
        typer.echo(text, nl=False)


def _rendered(shown: Table) -> str:
    from rich.console import Console
    from rich.table import Table as Drawn

    table = Drawn()
    for i, title in enumerate(shown.header):
        table.add_column(title, justify="right" if i else "left")
    for row in shown.rows:
        table.add_row(*row)
    console = Console(markup=False, width=None if sys.stdout.isatty() else _WIDTH)
    with console.capture() as rendered:  # rich would end a closed pipe in its own way
        console.print(table)
    return rendered.get()


def _judge(evidence: Evidence, max_cer: float | None) -> None:
    """Raises `GateError` where the model reads worse than it may, `PartialError` where pictures could not be read."""
    result, cer = evidence.analysis.result, evidence.analysis.scores["cer"]
    if max_cer is not None and cer.value > max_cer:
        raise GateError(f"the CER of {cer.value:.2%} ({cer.low:.2%} – {cer.high:.2%}) is above --max-cer {max_cer:.2%}")
    if result.unreadable:
        total = len(result.unreadable) + result.scores.n
        raise PartialError(f"{len(result.unreadable)} of {total} pictures could not be read, and are not scored")
