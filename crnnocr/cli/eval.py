"""`crnnocr eval`: measure how well a model reads."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import results, ui
from crnnocr.cli.comparing import Wanted, load_readers, other
from crnnocr.config import DecodeConfig, EngineChoice, ReadConfig
from crnnocr.errors import GateError, PartialError, UsageError
from crnnocr.files import replacing
from crnnocr.plurals import counted

if TYPE_CHECKING:
    from crnnocr.datasets import Dataset
    from crnnocr.evaluation.evidence import Evidence
    from crnnocr.evaluation.measuring import Evaluation, Readings
    from crnnocr.evaluation.reader import Reader

_DEFAULTS = DecodeConfig()
_NAMED = 3
"""Unknown characters that are named without --verbose."""


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
    quick: ui.Quick = ReadConfig.quick,
    everything: Annotated[bool, typer.Option("--all", help="Score the pictures that the model was trained on, too.")] = False,
    normalise: Annotated[
        list[str] | None,
        typer.Option(
            "--normalise",
            metavar="nfc|nfkc|case|spaces|quotes",
            help="Differences that do not count; several with commas between.",
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
        str | None, typer.Option("--max-cer", metavar="SHARE", help="End with 4 if the CER is greater, such as 0.05 or 5%.")
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
    from crnnocr.evaluation.measuring import Evaluation
    from crnnocr.normalising import Normalisation

    ui.outlast_readers()
    if json_output and tsv:
        raise UsageError("give --json or --tsv, not both")
    gate = None if max_cer is None else _gate(max_cer)
    normalisation = Normalisation.parse(normalise or [])
    decode = DecodeConfig(beam, 1, allow, block, lexicon, pattern, lm, lm_weight)
    first = Wanted(model, device, engine, decode, ReadConfig(orientation, invert, quick=quick))
    wanted = [first] if compare is None else [first, other(compare, first)]
    _check_outputs(report, suspect_labels)
    datasets = _datasets(data, suspect_labels)
    readers = load_readers(wanted)
    names = [str(source) for source in data]
    second = readers[1] if compare is not None else None
    evaluation = Evaluation(datasets, readers[0], second, normalisation, everything=everything, names=names)
    _say(evaluation)
    evidence = evaluation.measure(_tracked)
    for reason in evidence.analysis.result.unreadable:
        ui.warn(reason)
    try:
        with ui.printed_if_read():
            results.show(evidence, json_output, tsv)
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
        from crnnocr.report import outputs, suspect_files

        if suspect_labels:
            suspect_files.check(suspect_labels)
        outputs.check(report, suspect_labels)


def _datasets(data: Sequence[Path], suspect_labels: Path | None) -> Sequence[Dataset]:
    """The labelled pictures, and in words what they are."""
    from crnnocr.datasets.detect import load_datasets
    from crnnocr.report import suspect_files

    datasets = load_datasets(data)
    for source, dataset in zip(data, datasets, strict=True):
        ui.say(f"{source}: {counted(len(dataset.samples), 'labelled picture')} ({dataset.format})")
        ui.say_faults(dataset.faults)
    if suspect_labels:
        samples = (sample for dataset in datasets for sample in dataset.samples)
        if reason := suspect_files.hindrance(suspect_labels, samples):
            ui.warn(f"{suspect_labels} will be a list to look at, and no data set: {reason}")
    return datasets


def _say(evaluation: Evaluation) -> None:
    """Say what the model cannot read, and what is left out."""
    unknown, models = evaluation.unknown, evaluation.models
    if unknown:
        more = f"; and {len(unknown) - _NAMED} more (--verbose lists them)" if len(unknown) > _NAMED else ""
        ui.warn(f"{models[0]} cannot read characters that it does not know: {'; '.join(unknown[:_NAMED])}{more}")
    for character in unknown[_NAMED:]:
        ui.detail(f"  {character}")
    if evaluation.trained_on:
        scored, left_out = counted(len(evaluation.samples), "held-out picture"), evaluation.trained_on
        are = "is" if left_out == 1 else "are"
        ui.say(f"scored: the {scored}; {left_out:,} that {' or '.join(models)} was trained on {are} left out (--all)")


def _tracked(readings: Readings, total: int) -> Readings:
    """The readings, with a progress bar; once they are there, what pictures warn of is said, and not again."""
    from rich.progress import track

    from crnnocr.images import ImageWarning

    yield from track(readings, "reading", total, console=ui.console(), disable=not ui.shows_progress(), transient=True)
    warnings.simplefilter("ignore", ImageWarning)


def _write_suspects(path: Path, evidence: Evidence, reader: Reader) -> None:
    """List the labels that the model doubts."""
    from crnnocr.evaluation.suspects import suspects
    from crnnocr.report import suspect_files

    found = suspects(reader.recognizer, evidence.analysis.outcomes, reader.read)
    suspect_files.write(path, found.found, reader.model)
    were = counted(len(found.found), "label that was", "labels that were")
    ui.say(f"{path}: {were} read otherwise, the most doubtful first")
    if found.unknown:
        cannot = counted(found.unknown, "more cannot be judged: it holds", "more cannot be judged: they hold")
        ui.say(f"{cannot} characters that the model does not know")


def _write_page(path: Path, evidence: Evidence, reader: Reader) -> None:
    from crnnocr.report.page import page
    from crnnocr.report.samples import rows_of

    text = page(evidence, rows_of(evidence, reader))
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    ui.say(f"{path}: open it in a browser")


def _judge(evidence: Evidence, max_cer: float | None) -> None:
    """Raises `GateError` where the model reads worse than it may, `PartialError` where pictures could not be read."""
    result, cer = evidence.analysis.result, evidence.analysis.scores["cer"]
    if max_cer is not None and cer.value > max_cer:
        raise GateError(f"the CER of {cer.value:.2%} ({cer.low:.2%} – {cer.high:.2%}) is above --max-cer {max_cer:.2%}")
    if unreadable := len(result.unreadable):
        total = counted(unreadable + result.scores.n, "picture")
        raise PartialError(f"{unreadable:,} of {total} could not be read, and {'is' if unreadable == 1 else 'are'} not scored")
