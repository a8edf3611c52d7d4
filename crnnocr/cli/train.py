"""`crnnocr train`: train a model on labeled images."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crnnocr import runtime
from crnnocr.cli import console, options, train_view
from crnnocr.config import Orientation, Style, SynthConfig, TrainConfig
from crnnocr.errors import DataError, UsageError

if TYPE_CHECKING:
    from crnnocr.datasets import Dataset
    from crnnocr.synth.sampler import Sampler
    from crnnocr.training.prepare import Inspected
    from crnnocr.training.run import Finished, Order

_CHECK_SEED = 1_000_003
"""Added to the seed for drawn pictures to validate on."""


@console.handle_errors
@options.expand_configs
def train_cli(
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DATA...", help="Folders of labeled images, or label files; none with --synth alone."),
    ] = None,
    val: Annotated[
        list[Path] | None,
        typer.Option("--val", metavar="DATA", help="Images to validate on; by default some of DATA. Can be repeated."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only look for issues in the data; exits 1 if training cannot begin with it.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call the model; by default the data folder's name.")
    ] = None,
    *,
    config: TrainConfig,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the last interrupted run of the same data and options (or --name).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a model of the same name.")] = False,
    tensorboard: Annotated[
        Path | None, typer.Option("--tensorboard", metavar="FOLDER", help="Write the curves for TensorBoard too.")
    ] = None,
    device: options.Device = "auto",
    json_output: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Train a model on the labeled images of DATA, and make it the current one.

    Some of the images are held out to measure it, chosen by their content alone. --resume resumes a run that was interrupted
    or killed.
    """
    if config.mix != TrainConfig.mix and not (config.synth and data):
        raise UsageError("--mix is the share of synthetic images beside those of DATA: it needs both DATA and --synth")
    runtime.prepare_to_train()
    from crnnocr.datasets.detection import load_datasets
    from crnnocr.model import registry

    if not data and not config.synth:
        raise UsageError("name a folder of labelled pictures or a label file, or draw pictures with --synth en")
    drawn = f"synth-{config.synth}".replace(":", "-").replace(",", "-")
    wanted = registry.checked_name(name) if name is not None else _name_of(_name_from(data[0]) if data else drawn, force)
    _check_options(config, device, tensorboard)
    learn, validate = load_datasets(data or []), load_datasets(val or [])
    train_view.say_data(learn, "")
    train_view.say_data(validate, " to validate on")
    inspected = inspect(learn, validate, config)
    if check and json_output:
        typer.echo(json.dumps(_findings(inspected)))
    if inspected.is_fatal:
        raise DataError(str(inspected.issues[0]))
    if check:
        console.info("nothing is wrong with the data" if not inspected.issues else "training can begin with the data")
        return
    from crnnocr.training.prepare import prepare
    from crnnocr.training.run import Order

    draw, draw_to_check = (_sampler(config, inspected, more) for more in (0, _CHECK_SEED))
    prepared = prepare(inspected, config, wanted, draw, draw_to_check)
    finished = train(Order(prepared, config, learn, draw, force, device, resume, name is not None), tensorboard)
    if json_output and finished:
        typer.echo(json.dumps(_summary(finished)))


def inspect(learn: tuple[Dataset, ...], validate: tuple[Dataset, ...], config: TrainConfig) -> Inspected:
    """Read the pictures with a progress bar, and say what is wrong with them."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from crnnocr.training.prepare import inspect

    columns = (TextColumn("reading"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, console=console.console(), disable=not console.shows_progress(), transient=True) as bar:
        task = bar.add_task("", total=None)
        inspected = inspect(learn, validate, config, lambda done, total: bar.update(task, completed=done, total=total))
    for issue in inspected.issues:
        if issue.severity != "fatal":  # it ends the command
            train_view.say_issue(issue)
    return inspected


def train(order: Order, tensorboard: Path | None) -> Finished | None:
    """Train, showing what happens, and say what has become of it. None in any but the first of several processes."""
    from crnnocr.cli.train_view import TrainView
    from crnnocr.training.distributed import launched
    from crnnocr.training.history import Row, TensorBoard
    from crnnocr.training.resume import interrupted
    from crnnocr.training.run import Begun, run
    from crnnocr.training.trainer import Progress
    from crnnocr.training.validation import Validation

    finished: Finished | None = None
    name = ""
    events = run(order)
    try:
        with (
            TensorBoard(tensorboard) if tensorboard and launched().is_first else nullcontext() as board,
            TrainView() as view,
            console.deferred_signals(launched().size == 1) as signals,
        ):
            for event in events:
                if isinstance(event, Begun):
                    name = event.run
                    train_view.say_plan(order.prepared, order.config, event)
                elif isinstance(event, Progress):
                    view.progress(event)
                elif isinstance(event, Validation):
                    view.validation(event)
                    if board:
                        board.add(Row.of(event))
                else:
                    finished = event
                if signals and not finished:  # between two steps, where the state can be kept
                    events.close()
                    console.exit_on_signal(signals[0])
    except (KeyboardInterrupt, SystemExit) as end:
        goes_on = (
            f"; the same command with --resume goes on with {name}" if name in {kept.name for kept in interrupted()} else ""
        )
        message = f"no model was stored{goes_on}"
        if isinstance(end, SystemExit):
            console.info(f"ended: {message}")
            raise
        raise KeyboardInterrupt(message) from None
    if finished:
        train_view.say_end(finished)
    return finished


def _name_from(path: Path) -> str:
    """A model's name from the folder or label file of its data."""
    from crnnocr.model import registry

    path = path.resolve()
    return registry.similar_name(
        path.name if path.is_dir() else path.parent.name if path.stem in ("metadata", "labels") else path.stem
    )


def _name_of(data: str, force: bool) -> str:
    """What to call a model that was not named, from the name of its data; a shipped model's name counts as taken."""
    from crnnocr.model import registry

    if data not in registry.PRETRAINED.values():
        return registry.checked_name(data)
    return f"{data}-2" if force else data  # which becomes a free one in the end


def _check_options(config: TrainConfig, device: str, tensorboard: Path | None) -> None:
    """Raise what is wrong with the options before the pictures are read, which can take long."""
    from crnnocr.training.history import check_installed
    from crnnocr.training.prepare import start_from

    start_from(config)
    runtime.select_device(device)
    if config.deterministic:
        runtime.use_deterministic_kernels()
    if tensorboard:
        check_installed()


def _findings(inspected: Inspected) -> dict[str, Any]:
    findings = [{**each, "message": console.spell(each["message"])} for each in (issue.to_json() for issue in inspected.issues)]
    return {"samples": len(inspected.train), "fatal": inspected.is_fatal, "findings": findings}


def _sampler(config: TrainConfig, inspected: Inspected, more: int) -> Sampler | None:
    """Draws pictures to learn from as `--synth` says, with `more` added to the seed."""
    if config.synth is None:
        return None
    from crnnocr.synth.sampler import Sampler

    codes, _, style = config.synth.partition(":")
    if style and style not in list(Style):
        raise UsageError(f"--synth {config.synth}: the style is one of {', '.join(Style)}")
    start, drawn = inspected.start, SynthConfig()
    try:
        return Sampler(
            replace(
                drawn,
                lang=tuple(filter(None, codes.split(","))),
                style=Style(style) if style else drawn.style,
                seed=(config.seed + more) % 2**31,
                height=max(start.shape.height, drawn.height),
                orientation=Orientation.VERTICAL if start.orientation is Orientation.VERTICAL else drawn.orientation,
            )
        )
    except UsageError as error:
        raise UsageError(f"--synth {config.synth}: {error}") from error


def _summary(finished: Finished) -> dict[str, Any]:
    scores = finished.scores.to_json() if finished.scores else {}
    return {"model": finished.name, "path": str(finished.path), "seconds": round(finished.seconds, 1), **scores}
