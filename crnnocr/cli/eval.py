"""`crnnocr eval`: evaluate a model on labeled images."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import console, options, sources
from crnnocr.cli.prediction_rows import Format, RowWriter
from crnnocr.config import EngineConfig, LabelConfig, NormalizationStep
from crnnocr.errors import ConfigError, GateError, PartialError, UsageError
from crnnocr.files import atomic_write, is_device
from crnnocr.formatting import escape_controls, plural

if TYPE_CHECKING:
    from rich.console import Console

    from crnnocr.datasets import Dataset
    from crnnocr.evaluation.evaluate import Evaluation, Evaluator
    from crnnocr.evaluation.outcomes import Predictions, System
    from crnnocr.report.terminal import Table

_WIDTH = 150
"""Columns of the tables if stdout is no terminal."""
_MAX_NAMED = 3
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
        str | None,
        typer.Option(
            "--max-cer", metavar="SHARE", help="Exit with code 4 if the CER is greater than this, such as 0.05 or 5%."
        ),
    ] = None,
    labels: LabelConfig,
    tsv: Annotated[bool, typer.Option("--tsv", help="Print a row for each image on stdout.")] = False,
    engine: EngineConfig,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Recognize the images of DATA and compare the texts with their labels.

    Images that the model was trained on are left out, because they would flatter it.
    """
    from crnnocr.evaluation.evaluate import Evaluator
    from crnnocr.text.normalization import Normalization

    console.ignore_broken_pipe()
    if json_output and tsv:
        raise UsageError("give --json or --tsv, not both")
    gate = None if max_cer is None else _parse_share(max_cer)
    normalization = Normalization.parse(normalise or [])
    first = options.Setup(model, engine, decode, read)
    setups = [first] if compare is None else [first, options.parse_compare(compare, first)]
    _check_outputs(report, suspect_labels)
    datasets = _load_datasets(data, labels, suspect_labels)
    system, *others = options.load_systems(setups)
    datasets = _grouped(datasets, data, labels, [system, *others])
    names = [str(source) for source in data]
    second = others[0] if others else None
    evaluator = Evaluator(datasets, system, second, normalization, everything=everything, names=names)
    _describe(evaluator)
    evaluation = evaluator.run(_with_progress)
    for reason in evaluation.analysis.result.unreadable:
        console.warn(reason)
    try:
        with console.ignoring_closed_stdout():
            _print(evaluation, json_output, tsv)
    finally:  # even if stdout cannot be written
        if suspect_labels:
            _write_label_errors(suspect_labels, evaluation, system)
        if report:
            _write_page(report, evaluation, system)
    _judge(evaluation, gate)


def _parse_share(value: str) -> float:
    """Parse what `--max-cer` takes: 0.05, or 5%. Raises `UsageError` if it is neither."""
    number, per_cent, rest = value.strip().partition("%")
    try:
        share = float(number) / (100 if per_cent else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1 or rest:
        raise UsageError(f"--max-cer takes a share from 0 to 1 or a percentage such as 5%, not {value or 'an empty text'}")
    return share


def _check_outputs(report: Path | None, suspect_labels: Path | None) -> None:
    """Check before hours of work that its results can be written."""
    if report and suspect_labels and not is_device(report) and os.path.realpath(report) == os.path.realpath(suspect_labels):
        raise UsageError(f"--report and --suspect-labels are both {report}: name two files")
    if suspect_labels:
        from crnnocr.report import label_error_files

        label_error_files.check_path(suspect_labels)
    if report:
        from crnnocr.report import html

        html.check_page(report)


def _load_datasets(data: Sequence[Path], labels: LabelConfig, suspect_labels: Path | None) -> Sequence[Dataset]:
    from crnnocr.report import label_error_files

    datasets = sources.load_labeled(data, labels)
    if suspect_labels:
        samples = (sample for dataset in datasets for sample in dataset.samples)
        if reason := label_error_files.limitation(suspect_labels, samples):
            console.warn(f"{suspect_labels} will be a list to look at, and no data set: {reason}")
    return datasets


def _grouped(
    datasets: Sequence[Dataset], data: Sequence[Path], labels: LabelConfig, systems: Sequence[System]
) -> Sequence[Dataset]:
    """The data sets with the groups that a model was trained by, if none are given and the data have these."""
    trainings = (system.recognizer.card.training for system in systems)
    group = next((training.group for training in trainings if training and training.group), None)
    if group is None or labels.group is not None:
        return datasets
    from crnnocr.datasets.detection import load_datasets

    try:
        return load_datasets(data, replace(labels, group=group))
    except ConfigError as error:
        if error.field != "group":
            raise
        return datasets


def _describe(evaluator: Evaluator) -> None:
    """Say which characters the model does not know, and how many samples are left out."""
    unknown, models = evaluator.unknown, evaluator.models
    if unknown:
        more = f"; and {len(unknown) - _MAX_NAMED} more (--verbose lists them)" if len(unknown) > _MAX_NAMED else ""
        console.warn(f"{models[0]} cannot read characters that it does not know: {'; '.join(unknown[:_MAX_NAMED])}{more}")
    for character in unknown[_MAX_NAMED:]:
        console.verbose(f"  {character}")
    if evaluator.trained_on:
        scored, left_out = plural(len(evaluator.samples), "held-out image"), evaluator.trained_on
        are = "is" if left_out == 1 else "are"
        group = ", or on others of their group," if any(sample.group for sample in evaluator.samples) else ""
        trained = f"{left_out:,} that {' or '.join(models)} was trained on{group}"
        console.info(f"scored: the {scored}; {trained} {are} left out (--all)")


def _with_progress(predictions: Predictions, total: int) -> Predictions:
    """Show a progress bar while predictions come; after that, images give no more warnings."""
    from rich.progress import track

    from crnnocr.images import ImageWarning

    yield from track(
        predictions, "reading", total, console=console.console(), disable=not console.shows_progress(), transient=True
    )
    warnings.simplefilter("ignore", ImageWarning)


def _print(evaluation: Evaluation, json_output: bool, tsv: bool) -> None:
    """Print the result on stdout; if that holds rows, print the tables on stderr."""
    from crnnocr.report import json as result
    from crnnocr.report import terminal

    if json_output:
        typer.echo(json.dumps(result.to_json(evaluation)))
        return
    if tsv:
        rows = RowWriter(sys.stdout.buffer, Format.tsv)
        for row in result.tsv(evaluation):
            rows.write(row)
    out = _table_console()
    tables = (_rendered(out, table) for table in terminal.tables(evaluation, out.width))
    lines = [line for table in tables for line in table.splitlines()] + list(terminal.lines(evaluation))
    for line in lines:
        if tsv:
            console.info(line)
        else:
            typer.echo(escape_controls(line))


def _table_console() -> Console:
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def _rendered(out: Console, table: Table) -> str:
    from rich.table import Table as RichTable

    rich_table = RichTable()
    for i, title in enumerate(table.header):
        rich_table.add_column(escape_controls(title), justify="right" if i else "left")
    for row in table.rows:
        rich_table.add_row(*map(escape_controls, row))
    with out.capture() as rendered:  # rich would end a closed pipe in its own way
        out.print(rich_table)
    return rendered.get()


def _write_label_errors(path: Path, evaluation: Evaluation, system: System) -> None:
    from crnnocr.evaluation.label_errors import find_label_errors
    from crnnocr.report import label_error_files

    errors = find_label_errors(system.recognizer, evaluation.analysis.outcomes, system.read_config)
    label_error_files.write(path, errors.found, system.model)
    labels = plural(len(errors.found), "label that differs from its", "labels that differ from their")
    console.info(f"{path}: {labels} prediction, the most suspicious first")
    if errors.unjudged:
        cannot = plural(errors.unjudged, "more cannot be judged: it holds", "more cannot be judged: they hold")
        console.info(f"{cannot} characters that the model does not know")


def _write_page(path: Path, evaluation: Evaluation, system: System) -> None:
    from crnnocr.report import html

    text = html.render_page(evaluation, system)
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    console.info(f"{path}: open it in a browser")


def _judge(evaluation: Evaluation, max_cer: float | None) -> None:
    """Raise `GateError` if the CER is too high, and `PartialError` if images could not be read."""
    result, cer = evaluation.analysis.result, evaluation.analysis.scores["cer"]
    if max_cer is not None and cer.value > max_cer:
        raise GateError(f"the CER of {cer.value:.2%} ({cer.low:.2%} – {cer.high:.2%}) is above --max-cer {max_cer:.2%}")
    if unreadable := len(result.unreadable):
        total = plural(unreadable + result.scores.n, "image")
        raise PartialError(f"{unreadable:,} of {total} could not be read, and {'is' if unreadable == 1 else 'are'} not scored")
