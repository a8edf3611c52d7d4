"""`crnnocr eval`: measure how well a model reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import ui
from crnnocr.cli.loading import load
from crnnocr.config import DecodeConfig, EngineChoice, ReadConfig
from crnnocr.errors import DataError, PartialError

if TYPE_CHECKING:
    from crnnocr.datasets import Sample
    from crnnocr.recognizer import Prediction

_DEFAULTS = DecodeConfig()
_NAMED = 3
"""Unknown characters that are named without --verbose."""


@ui.boundary
def eval_cli(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of labelled pictures, or a label file.")],
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
    from crnnocr import report
    from crnnocr.datasets.characters import unknown_characters
    from crnnocr.datasets.detect import load_dataset
    from crnnocr.evaluation import read_samples, score, unseen

    decode = DecodeConfig(beam, 1, allow, block, lexicon, pattern, lm, lm_weight)
    read = ReadConfig(orientation, invert)
    dataset = load_dataset(data)
    ui.say(f"{data}: {len(dataset.samples):,} labelled pictures ({dataset.format})")
    ui.say_faults(dataset.faults)
    name, recognizer, decoder = load(model, device, engine, decode)
    if unknown := unknown_characters(dataset.samples, recognizer.card.charset):
        more = f"; and {len(unknown) - _NAMED} more (--verbose lists them)" if len(unknown) > _NAMED else ""
        ui.warn(f"{name} cannot read characters that it does not know: {'; '.join(unknown[:_NAMED])}{more}")
        for character in unknown[_NAMED:]:
            ui.detail(f"  {character}")
    samples = list(dataset.samples) if everything else unseen(dataset.samples, recognizer)
    seen = len(dataset.samples) - len(samples)
    if not samples:
        raise DataError(f"{name} was trained on all {seen:,} pictures of {data}: give others, or score them with --all")
    if seen:
        ui.say(f"scored: the {len(samples):,} held-out pictures; {seen:,} that {name} was trained on are left out (--all)")
    result = score(_tracked(read_samples(recognizer, samples, decoder, read), len(samples)))
    for reason in result.unreadable:
        ui.warn(reason)
    if json_output:
        typer.echo(json.dumps(report.to_json(result, name)))
    else:
        _show(report.rows(result.scores))
    if result.unreadable:
        raise PartialError(f"{len(result.unreadable)} of {len(samples)} pictures could not be read, and are not scored")


def _tracked(readings: Iterable[tuple[Sample, Prediction]], total: int) -> Iterable[tuple[Sample, Prediction]]:
    from rich.progress import track

    return track(readings, "reading", total, console=ui.console(), disable=not ui.shows_progress(), transient=True)


def _show(rows: list[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    console = Console()
    with console.capture() as rendered:  # rich would end a closed pipe in its own way
        console.print(table)
    typer.echo(rendered.get(), nl=False)
