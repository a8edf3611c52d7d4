"""`crnnocr train`: learn from labelled pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import ui
from crnnocr.config import DEFAULT_PRESET, PRESETS, TrainConfig

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from crnnocr.datasets import Dataset
    from crnnocr.training.loop import Progress
    from crnnocr.training.run import Finished, Prepared
    from crnnocr.training.validation import Validation

_DEFAULTS = TrainConfig()
_SHOWN_READINGS = 3
_HARDLY_READS = 0.5
_STEPS_BEFORE_A_PACE = 20


@ui.boundary
def train_cli(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of labelled pictures, or a label file.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call the model; by default the data folder's name.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="|".join(PRESETS),
            help=f"Shape of the model; by default {DEFAULT_PRESET}, or the start model's.",
        ),
    ] = _DEFAULTS.preset,
    start: Annotated[
        str, typer.Option("--from", metavar="scratch|NAME|PATH", help="Begin anew, or from the weights of a model.")
    ] = _DEFAULTS.start,
    epochs: Annotated[
        int | None, typer.Option("--epochs", metavar="N", help="Times each picture is seen; by default by their number.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="M", help="Wall time of the training, in place of --epochs.")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="N", help="Pictures a step.")] = _DEFAULTS.batch_size,
    seed: ui.Seed = _DEFAULTS.seed,
    force: Annotated[bool, typer.Option("--force", help="Replace a model of the same name.")] = False,
    device: ui.Device = "auto",
    json_output: ui.Json = False,
    quiet: ui.Quiet = False,
    verbose: ui.Verbose = False,
    debug: ui.Debug = False,
) -> None:
    """Train a model on the labelled pictures of DATA, and make it the current one.

    Some of the pictures are held out to measure it; which, is a matter of their content alone.
    """
    config = TrainConfig(preset=preset, start=start, epochs=epochs, minutes=minutes, batch_size=batch_size, seed=seed)
    from crnnocr.datasets.detect import load_dataset
    from crnnocr.model import store

    wanted = store.checked_name(name or ui.name_from(data))
    dataset = load_dataset(data)
    ui.say(f"{data}: {len(dataset.samples):,} labelled pictures ({dataset.format})")
    ui.say_faults(dataset.faults)
    try:
        finished = train(dataset, config, wanted, force, device)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("no model was stored") from None
    if json_output:
        typer.echo(json.dumps(_summary(finished)))


def train(dataset: Dataset, config: TrainConfig, wanted: str, force: bool, device: str) -> Finished:
    """Train, showing what happens, and say what has become of it."""
    from crnnocr.training.loop import Progress
    from crnnocr.training.run import prepare, run
    from crnnocr.training.validation import Validation

    prepared = prepare(dataset, config, wanted)
    ui.say_faults(prepared.faults)
    _say_plan(prepared, config)
    with _bar() as bar:
        task, cer = bar.add_task("training", total=1.0, status=""), "–"
        for event in run(prepared, dataset, config, force, device):
            if isinstance(event, Progress):
                bar.update(task, completed=event.done, status=_status(event, cer))
            elif isinstance(event, Validation):
                cer = f"{event.scores.cer:.1%}"
                _say_validation(event)
            else:
                finished = event
    _say_end(finished, wanted)
    return finished


def _say_plan(prepared: Prepared, config: TrainConfig) -> None:
    card = prepared.card
    length = f"{config.minutes:g} min" if config.minutes else f"{prepared.epochs} epoch{'s' * (prepared.epochs > 1)}"
    ui.say(
        f"training {card.config.preset} from {config.start} for {length}: {len(prepared.examples):,} pictures to learn from, "
        f"{len(prepared.held_out):,} held out, {len(card.charset.characters)} characters"
    )
    if not prepared.held_out:
        ui.warn("nothing is held out to measure with: there is too little data")
    ui.detail(f"  characters: {card.charset.characters}")


def _bar() -> Bar:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("training"), BarColumn(bar_width=24), TaskProgressColumn(), TextColumn("{task.fields[status]}"))
    return Progress(*columns, console=ui.console(), disable=not ui.shows_progress(), transient=True)


def _status(progress: Progress, cer: str) -> str:
    minutes, seconds = divmod(round(progress.seconds_left), 60)
    pace = f"{progress.rate:.0f} images/s  {minutes}:{seconds:02d} left" if progress.step >= _STEPS_BEFORE_A_PACE else ""
    return f"epoch {progress.epoch}  loss {progress.loss:.3f}  CER {cer}  {pace}"


def _say_validation(validation: Validation) -> None:
    scores = validation.scores
    kept = "  kept" if validation.is_best else ""
    ui.say(
        f"step {validation.step:>6,}  loss {validation.loss:.3f}  CER {scores.cer:7.2%}  exact {scores.exact:6.1%}  "
        f"Levenshtein {scores.mean_levenshtein:.2f}{kept}"
    )
    for truth, reading in validation.readings[:_SHOWN_READINGS]:
        ui.say(f"    {truth} ✓" if truth == reading else f"    {truth} → {reading or '(nothing)'}")


def _say_end(finished: Finished, wanted: str) -> None:
    if finished.name != wanted:
        ui.say(f"the name {wanted} was taken (--force would replace it): stored as {finished.name}")
    minutes, seconds = divmod(round(finished.seconds), 60)
    measured = (
        f"CER {finished.scores.cer:.2%}, exact {finished.scores.exact:.1%} on {finished.scores.n} held-out pictures"
        if finished.scores
        else "not measured"
    )
    ui.say(f"{finished.name} is now the current model: {measured}, after {minutes}:{seconds:02d} min")
    if finished.scores and finished.scores.cer > _HARDLY_READS:
        ui.warn(f"{finished.name} hardly reads yet: train for longer (--minutes), or with more pictures")
    ui.detail(f"  {finished.path}")


def _summary(finished: Finished) -> dict[str, object]:
    from dataclasses import asdict

    scores = asdict(finished.scores) if finished.scores else {}
    return {"model": finished.name, "path": str(finished.path), "seconds": round(finished.seconds, 1), **scores}
