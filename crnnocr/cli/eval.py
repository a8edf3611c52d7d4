"""What `eval` prints on stdout: tables for people, JSON, or a row for each picture.

`crnnocr eval`: measure how well a model reads.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import console, options
from crnnocr.cli import console as ui
from crnnocr.cli.prediction_rows import Format, RowWriter
from crnnocr.config import EngineConfig, NormalizationStep
from crnnocr.errors import GateError, PartialError, UsageError
from crnnocr.files import atomic_write
from crnnocr.formatting import plural

if TYPE_CHECKING:
    from rich.console import Console

    from crnnocr.datasets import Dataset
    from crnnocr.evaluation.evaluate import Evaluation, Evidence, Readings
    from crnnocr.evaluation.outcomes import Reader
    from crnnocr.report.terminal import Table

_WIDTH = 150
"""Columns of the tables where stdout is no terminal."""


def show(evidence: Evidence, json_output: bool, tsv: bool) -> None:
    """The result on stdout; where that holds rows, what is for people on stderr."""
    from crnnocr.report import json as rows
    from crnnocr.report import json as values
    from crnnocr.report import terminal

    if json_output:
        typer.echo(json.dumps(values.to_json(evidence)))
        return
    if tsv:
        out = RowWriter(sys.stdout.buffer, Format.tsv)
        for row in rows.tsv(evidence):
            out.write(row)
    console = _console()
    tables = (_rendered(console, table) for table in terminal.tables(evidence, console.width))
    text = "".join([*tables, *(f"{line}\n" for line in terminal.lines(evidence))])
    if tsv:
        ui.info(text.rstrip("\n"))
    else:
        typer.echo(text, nl=False)


def _console() -> Console:
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def _rendered(console: Console, shown: Table) -> str:
    from rich.table import Table as Drawn

    table = Drawn()
    for i, title in enumerate(shown.header):
        table.add_column(title, justify="right" if i else "left")
    for row in shown.rows:
        table.add_row(*row)
    with console.capture() as rendered:  # rich would end a closed pipe in its own way
        console.print(table)
    return rendered.get()


_NAMED = 3
"""Unknown characters that are named without --verbose."""


@console.handle_errors
@options.expand_configs
def eval_cli(
    data: Annotated[list[Path], typer.Argument(metavar="DATA", help="Folders of labeled images, or label files.")],
    model: options.Model = None,
    *,
    decode: options.OneText,
    read: options.TextsAlone,
    everything: Annotated[bool, typer.Option("--all", help="Score the images that the model was trained on, too.")] = False,
    normalise: Annotated[
        list[str] | None,
        typer.Option(
            "--normalise",
            metavar="|".join(NormalizationStep),
            help="Differences that do not count; several with commas between.",
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="OTHER", help="Compare with another model, or other options, such as '--beam 10'."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Write everything to a page for browsers.")
    ] = None,
    suspect_labels: Annotated[
        Path | None,
        typer.Option(
            "--suspect-labels",
            metavar="FILE",
            help="List suspected label errors, as .csv, .tsv, .jsonl, or .json for Label Studio.",
        ),
    ] = None,
    max_cer: Annotated[
        str | None, typer.Option("--max-cer", metavar="SHARE", help="End with 4 if the CER is greater, such as 0.05 or 5%.")
    ] = None,
    tsv: Annotated[bool, typer.Option("--tsv", help="Print a row for each image on stdout.")] = False,
    engine: EngineConfig,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Recognize the images of DATA and compare the texts with their labels.

    Images that the model was trained on are left out, for they would flatter it.
    """
    from crnnocr.evaluation.evaluate import Evaluation
    from crnnocr.text.normalization import Normalization

    console.ignore_broken_pipe()
    if json_output and tsv:
        raise UsageError("give --json or --tsv, not both")
    gate = None if max_cer is None else _gate(max_cer)
    normalization = Normalization.parse(normalise or [])
    first = options.Setup(model, engine, decode, read)
    setups = [first] if compare is None else [first, options.parse_compare(compare, first)]
    _check_outputs(report, suspect_labels)
    datasets = _datasets(data, suspect_labels)
    readers = options.load_readers(setups)
    names = [str(source) for source in data]
    second = readers[1] if compare is not None else None
    evaluation = Evaluation(datasets, readers[0], second, normalization, everything=everything, names=names)
    _say(evaluation)
    evidence = evaluation.measure(_tracked)
    for reason in evidence.analysis.result.unreadable:
        console.warn(reason)
    try:
        with console.broken_pipe_ignored():
            show(evidence, json_output, tsv)
    finally:  # also where stdout cannot be written
        if suspect_labels:
            _write_suspects(suspect_labels, evidence, readers[0])
        if report:
            _write_page(report, evidence, readers[0])
    _judge(evidence, gate)


def _gate(told: str) -> float:
    """The share that `--max-cer` names: 0.05, or 5%. Raises `UsageError` where that is none."""
    number, per_cent, rest = told.strip().partition("%")
    try:
        share = float(number) / (100 if per_cent else 1)
    except ValueError:
        share = math.nan
    if not math.isfinite(share) or share < 0 or rest or (per_cent and share > 1):
        raise UsageError(f"--max-cer {told}: it takes a share, such as 0.05 or 5%")
    if share > 1:
        raise UsageError(f"--max-cer {told} is {share:.0%}: it takes a share, {share / 100:g} for {share:g}%")
    return share


def _check_outputs(report: Path | None, suspect_labels: Path | None) -> None:
    if report or suspect_labels:
        from crnnocr.report import label_error_files

        if suspect_labels:
            label_error_files.check(suspect_labels)
        label_error_files.check_outputs(report, suspect_labels)


def _datasets(data: Sequence[Path], suspect_labels: Path | None) -> Sequence[Dataset]:
    """The labelled pictures, and in words what they are."""
    from crnnocr.datasets.detection import load_datasets
    from crnnocr.report import label_error_files

    datasets = load_datasets(data)
    for source, dataset in zip(data, datasets, strict=True):
        console.info(f"{source}: {plural(len(dataset.samples), 'labelled picture')} ({dataset.format})")
        console.warn_of_issues(dataset.issues)
    if suspect_labels:
        samples = (sample for dataset in datasets for sample in dataset.samples)
        if reason := label_error_files.hindrance(suspect_labels, samples):
            console.warn(f"{suspect_labels} will be a list to look at, and no data set: {reason}")
    return datasets


def _say(evaluation: Evaluation) -> None:
    """Say what the model cannot read, and what is left out."""
    unknown, models = evaluation.unknown, evaluation.models
    if unknown:
        more = f"; and {len(unknown) - _NAMED} more (--verbose lists them)" if len(unknown) > _NAMED else ""
        console.warn(f"{models[0]} cannot read characters that it does not know: {'; '.join(unknown[:_NAMED])}{more}")
    for character in unknown[_NAMED:]:
        console.verbose(f"  {character}")
    if evaluation.trained_on:
        scored, left_out = plural(len(evaluation.samples), "held-out picture"), evaluation.trained_on
        are = "is" if left_out == 1 else "are"
        console.info(f"scored: the {scored}; {left_out:,} that {' or '.join(models)} was trained on {are} left out (--all)")


def _tracked(readings: Readings, total: int) -> Readings:
    """The readings, with a progress bar; once they are there, what pictures warn of is said, and not again."""
    from rich.progress import track

    from crnnocr.images import ImageWarning

    yield from track(
        readings, "reading", total, console=console.console(), disable=not console.shows_progress(), transient=True
    )
    warnings.simplefilter("ignore", ImageWarning)


def _write_suspects(path: Path, evidence: Evidence, reader: Reader) -> None:
    """List the labels that the model doubts."""
    from crnnocr.evaluation.label_errors import suspects
    from crnnocr.report import label_error_files

    found = suspects(reader.recognizer, evidence.analysis.outcomes, reader.read)
    label_error_files.write(path, found.found, reader.model)
    were = plural(len(found.found), "label that was", "labels that were")
    console.info(f"{path}: {were} read otherwise, the most doubtful first")
    if found.unknown:
        cannot = plural(found.unknown, "more cannot be judged: it holds", "more cannot be judged: they hold")
        console.info(f"{cannot} characters that the model does not know")


def _write_page(path: Path, evidence: Evidence, reader: Reader) -> None:
    from crnnocr.report.html import page
    from crnnocr.report.samples import rows_of

    text = page(evidence, rows_of(evidence, reader))
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    console.info(f"{path}: open it in a browser")


def _judge(evidence: Evidence, max_cer: float | None) -> None:
    """Raises `GateError` where the model reads worse than it may, `PartialError` where pictures could not be read."""
    result, cer = evidence.analysis.result, evidence.analysis.scores["cer"]
    if max_cer is not None and cer.value > max_cer:
        raise GateError(f"the CER of {cer.value:.2%} ({cer.low:.2%} – {cer.high:.2%}) is above --max-cer {max_cer:.2%}")
    if unreadable := len(result.unreadable):
        total = plural(unreadable + result.scores.n, "picture")
        raise PartialError(f"{unreadable:,} of {total} could not be read, and {'is' if unreadable == 1 else 'are'} not scored")
