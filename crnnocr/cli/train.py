"""`crnnocr train`: train a model on labeled images."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crnnocr import runtime
from crnnocr.cli import console, options, train_view
from crnnocr.config import LabelConfig, Orientation, Style, SynthConfig, TrainConfig
from crnnocr.errors import CrnnocrError, DataError, UsageError

if TYPE_CHECKING:
    from crnnocr.cli.train_view import TrainView
    from crnnocr.datasets import Dataset, Sample
    from crnnocr.synth.sampler import Sampler
    from crnnocr.training.finalize import Finished
    from crnnocr.training.history import TensorBoard
    from crnnocr.training.prepare import Inspected
    from crnnocr.training.run import Event
    from crnnocr.training.stages import Order

_CODES = 2000
"""Codes of which synthetic images are made."""

_VALIDATION_SEED_OFFSET = 1_000_003
"""Added to the seed for synthetic images to validate on."""


@console.handle_errors
@options.expand_configs
def train_cli(
    context: typer.Context,
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DATA...", help="Folders of labeled images, or label files; none with --synth alone."),
    ] = None,
    val: Annotated[
        list[Path] | None,
        typer.Option("--val", metavar="DATA", help="Images to validate on; by default some of DATA. Can be repeated."),
    ] = None,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option(
            "--unlabelled", metavar="IMAGES", help="Images without labels, to train on what is recognized confidently in them."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only look for issues in the data; exits 1 if training cannot begin with it.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call the model; by default the data folder's name.")
    ] = None,
    *,
    labels: LabelConfig,
    config: TrainConfig,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the last interrupted run of the same data and options (or --name).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Let a better model replace one of the same name.")] = False,
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

    Some of the images are held out to measure it, chosen by their content or group alone. --resume resumes a run that was
    interrupted or killed.
    """
    _check_combinations(context, config, bool(data), bool(val), bool(unlabelled))
    runtime.prepare_to_train()
    from crnnocr.datasets.detection import load_datasets
    from crnnocr.model import registry

    if not data and not config.synthetic:
        raise UsageError("name a folder of labeled images or a label file, or train on synthetic images with --synth en")
    if name is not None:
        model_name = registry.checked_name(name)
    else:
        model_name = _default_name(_name_from(data[0]) if data else _name_from_synth(config.synthetic), force)
    _check_early(config, device, tensorboard)
    train_sets, validation_sets = load_datasets(data or [], labels), load_datasets(val or [], labels)
    train_view.show_data(train_sets, "")
    train_view.show_data(validation_sets, " to validate on")
    inspected = _inspect(train_sets, validation_sets, config, _unlabeled(unlabelled or [], labels.group))
    if check and json_output:
        typer.echo(json.dumps(_inspection_json(inspected)))
    if inspected.is_fatal:
        raise DataError(str(inspected.issues[0]))
    if check:
        console.info("nothing is wrong with the data" if not inspected.issues else "training can begin with the data")
        return
    from crnnocr.training.prepare import prepare
    from crnnocr.training.stages import Order

    synthetic, synthetic_validation = (_sampler(config, inspected, offset) for offset in (0, _VALIDATION_SEED_OFFSET))
    codes = ""
    if config.synth is None:
        synthetic, codes = _sampler_of_codes(config, inspected)
    order = Order(
        prepared=prepare(inspected, config, model_name, synthetic, synthetic_validation),
        config=config,
        sources=train_sets,
        synthetic=synthetic,
        codes=codes,
        force=force,
        device=device,
        resume=resume,
        named=name is not None,
    )
    if unlabelled:
        _check_unlabeled(order)
    finished = train(order, tensorboard)
    if json_output and finished:
        typer.echo(json.dumps(_result_json(finished)))


def train(order: Order, tensorboard: Path | None) -> Finished | None:
    """Train, showing what happens and what comes of it. None in any but the main one of several processes."""
    from crnnocr.cli.train_view import TrainView
    from crnnocr.training.distributed import DistributedContext
    from crnnocr.training.finalize import Finished
    from crnnocr.training.history import TensorBoard
    from crnnocr.training.resume import interrupted_runs
    from crnnocr.training.run import Begun, Finalizing, run

    context = DistributedContext.from_environment()
    finished: Finished | None = None
    run_name = ""
    events = run(order)
    try:
        with (
            TensorBoard(tensorboard) if tensorboard and context.is_main else nullcontext() as board,
            TrainView() as view,
            console.deferred_signals(context.world_size == 1) as signals,
        ):
            for event in events:
                _show(event, order, view, board)
                if isinstance(event, Begun):
                    run_name = event.run
                elif isinstance(event, Finished):
                    finished = event
                if signals and not isinstance(event, Finalizing | Finished):  # between two steps, where the state can be saved
                    events.close()
                    console.exit_on_signal(signals[0])
    except (KeyboardInterrupt, SystemExit) as end:
        can_resume = run_name in {each.name for each in interrupted_runs()}
        message = "no model was stored" + f"; the same command with --resume resumes {run_name!r}" * can_resume
        if isinstance(end, SystemExit):
            console.info(f"ended: {message}")
            raise
        raise KeyboardInterrupt(message) from None
    if finished:
        train_view.show_result(finished)
    return finished


def _show(event: Event, order: Order, view: TrainView, board: TensorBoard | None) -> None:
    from crnnocr.training.history import HistoryRow
    from crnnocr.training.improvement import StartMeasured
    from crnnocr.training.run import Begun
    from crnnocr.training.schedule import Progress
    from crnnocr.training.stages import FoldMeasured, PseudoLabelsMeasured, StageBegun
    from crnnocr.training.validation import Validation

    if isinstance(event, Begun):
        train_view.show_plan(order.prepared, order.config, event)
    elif isinstance(event, StartMeasured):
        train_view.show_start(event, order.prepared.folds)
    elif isinstance(event, Progress):
        view.progress(event)
    elif isinstance(event, StageBegun):
        view.begin_stage(event)
    elif isinstance(event, FoldMeasured):
        view.fold(event)
    elif isinstance(event, PseudoLabelsMeasured):
        view.pseudo_labels(event)
    elif isinstance(event, Validation):
        view.validation(event)
        if board:
            board.add(HistoryRow.of(event))


def _default_name(data_name: str, force: bool) -> str:
    """The name of a model from that of its data; the name of a pretrained model counts as taken."""
    from crnnocr.model import registry

    if data_name not in registry.PRETRAINED:
        return registry.checked_name(data_name)
    return f"{data_name}-2" if force else data_name  # which is replaced by a free one in the end


def _name_from(data: Path) -> str:
    """A model's name from the folder or label file of its data."""
    from crnnocr.model import registry

    data = data.resolve()
    return registry.similar_name(
        data.name if data.is_dir() else data.parent.name if data.stem in ("metadata", "labels") else data.stem
    )


def _name_from_synth(synth: str) -> str:
    return f"synth-{synth}".replace(":", "-").replace(",", "-")


def _check_early(config: TrainConfig, device: str, tensorboard: Path | None) -> None:
    """Raise errors of the options before the images are read, which can take long."""
    from crnnocr.training.history import check_tensorboard
    from crnnocr.training.prepare import start_from

    start_from(config)
    runtime.select_device(device)
    if config.deterministic:
        runtime.use_deterministic_kernels()
    if tensorboard:
        check_tensorboard()


def _check_combinations(context: typer.Context, config: TrainConfig, data: bool, val: bool, unlabelled: bool) -> None:
    """Raise `UsageError` for options that would have no effect beside the others."""
    from crnnocr.training.distributed import DistributedContext

    def is_typed(name: str) -> bool:
        source = context.get_parameter_source(name)
        return source is not None and source.name == "COMMANDLINE"

    if is_typed("mix") and not (config.synthetic and data):
        raise UsageError("--mix is the share of synthetic images beside those of DATA: it needs both DATA and --synth")
    given = [name for name in ("min_confidence", "pattern", "lexicon", "allow") if is_typed(name)]
    if given and not unlabelled:
        raise UsageError(f"--{given[0].replace('_', '-')} says what is taken from the images of --unlabelled: give these, too")
    if unlabelled and not data:
        raise UsageError("--unlabelled needs labeled images beside it: name them as DATA")
    if config.folds and val:
        raise UsageError("--folds measures on the images of DATA, --val on others: give one of them")
    if (config.folds or unlabelled) and DistributedContext.from_environment().world_size > 1:
        raise UsageError(f"--{'unlabelled' if unlabelled else 'folds'} trains in a single process: start without torchrun")


def _unlabeled(folders: list[Path], group: str | None) -> list[Sample]:
    """The images without labels that were named, in the groups that an expression finds in their paths."""
    from crnnocr.cli import sources
    from crnnocr.datasets import Dataset, Sample
    from crnnocr.datasets.groups import grouped
    from crnnocr.errors import ConfigError

    if not folders:
        return []
    for folder in folders:
        if not folder.exists():
            raise UsageError(f"--unlabelled {folder}: there is no such file or folder")
    names = sources.named([str(folder) for folder in folders], None, recursive=True)
    dataset = Dataset(folders[0], "images", tuple(Sample(Path(name), "") for name in names))
    if group:
        with suppress(ConfigError):  # it is a column, or an expression for other paths
            dataset = grouped(dataset, group)
    return list(dataset.samples)


def _check_unlabeled(order: Order) -> None:
    """Warn if none of the unlabeled images is left. Raises `UsageError` if no text is possible in them."""
    from crnnocr.decoding.decoder import Decoder
    from crnnocr.training.pseudo_labels import decoding

    config, labels = order.config, order.prepared.train.texts
    Decoder(decoding(config), order.prepared.card.charset)
    if config.pattern and not any(re.fullmatch(config.pattern, text) for text in labels):
        raise UsageError(f"--pattern {config.pattern}: none of the labels matches it, such as {labels[0]!r}")
    if config.allow and not any(set(config.allow).issuperset(text) for text in labels):
        raise UsageError(f"--allow {config.allow}: none of the labels has these characters alone, such as {labels[0]!r}")
    if order.prepared.unlabeled is None:
        console.warn("no image of --unlabelled is left: all have a label in the data, or cannot be read")
    elif not order.prepared.has_held_out_images:
        console.warn("the images of --unlabelled are not used: nothing is held out to measure with whether they help")


def _inspect(
    train_sets: tuple[Dataset, ...], validation_sets: tuple[Dataset, ...], config: TrainConfig, unlabeled: list[Sample]
) -> Inspected:
    """Read the images with a progress bar, and show their issues, except a fatal one, which ends the command."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from crnnocr.datasets.issues import Severity
    from crnnocr.training.prepare import inspect

    columns = (TextColumn("reading"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, console=console.console(), disable=not console.shows_progress(), transient=True) as bar:
        task = bar.add_task("", total=None)
        inspected = inspect(
            train_sets,
            validation_sets,
            config,
            lambda done, total: bar.update(task, completed=done, total=total),
            unlabeled,
        )
    for issue in inspected.issues:
        if issue.severity is not Severity.FATAL:
            train_view.show_issue(issue)
    return inspected


def _sampler(config: TrainConfig, inspected: Inspected, seed_offset: int) -> Sampler | None:
    """Makes the synthetic images that `--synth` asks for."""
    if not config.synthetic:
        return None
    from crnnocr.synth.sampler import Sampler

    codes, _, style = config.synthetic.partition(":")
    if style and style not in list(Style):
        raise UsageError(f"--synth {config.synth}: the style is one of {', '.join(Style)}")
    start, defaults = inspected.start, SynthConfig()
    try:
        return Sampler(
            replace(
                defaults,
                lang=tuple(filter(None, codes.split(","))),
                style=Style(style) if style else defaults.style,
                seed=(config.seed + seed_offset) % 2**31,
                height=max(start.model_config.height, defaults.height),
                orientation=Orientation.VERTICAL if start.orientation is Orientation.VERTICAL else defaults.orientation,
            )
        )
    except UsageError as error:
        raise UsageError(f"--synth {config.synth}: {error}") from error


def _sampler_of_codes(config: TrainConfig, inspected: Inspected) -> tuple[Sampler | None, str]:
    """Makes synthetic images of the labels' form, if these are few and codes that fonts draw, and there is a start model.

    The form comes with it, as a regular expression.
    """
    import numpy as np

    from crnnocr.files import atomic_write, cache_directory
    from crnnocr.synth.sampler import Sampler
    from crnnocr.text.label_pattern import induce

    start = inspected.start
    if not start.found or len(inspected.train) > config.few_codes or start.orientation is not Orientation.HORIZONTAL:
        return None, ""
    pattern = induce(inspected.train.texts)
    if pattern is None:
        return None, ""
    rng = np.random.default_rng(config.seed)
    texts = "".join(f"{pattern.text(rng)}\n" for _ in range(_CODES))
    path = cache_directory() / "codes" / f"{hashlib.blake2b(texts.encode(), digest_size=16).hexdigest()}.txt"
    height = max(start.model_config.height, SynthConfig().height)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some characters may be drawn by no font
        try:
            with atomic_write(path) as part:
                part.write_text(texts, encoding="utf-8")
            sampler = Sampler(SynthConfig(text=str(path), style=Style.SCENE, seed=config.seed, height=height))
        except CrnnocrError:  # no font draws them, or the cache cannot be written
            return None, ""
    share = f"{config.mix:.0%} synthetic images of this form are mixed in"
    console.info(f"the labels look like {pattern.regex}: {share} (--synth off for none)")
    return sampler, pattern.regex


def _inspection_json(inspected: Inspected) -> dict[str, Any]:
    issues = (issue.to_json() for issue in inspected.issues)
    findings = [{**each, "message": console.spell(each["message"])} for each in issues]
    return {"samples": len(inspected.train), "fatal": inspected.is_fatal, "findings": findings}


def _result_json(finished: Finished) -> dict[str, Any]:
    scores = finished.scores.to_json() if finished.scores else {}
    found = {"model": finished.name, "path": str(finished.path), "seconds": round(finished.seconds, 1), **scores}
    found["current"] = finished.is_current
    if finished.cer:
        found["cer_interval"] = [round(finished.cer.low, 6), round(finished.cer.high, 6)]
    if finished.folds:
        found["folds"] = finished.folds
    if finished.pseudo_labeled:
        found["pseudo_labeled"] = finished.pseudo_labeled
    if gained := finished.improvement:
        found["start"] = {"model": gained.start, **gained.before.to_json()}
        found["verdict"] = gained.verdict
    return found
