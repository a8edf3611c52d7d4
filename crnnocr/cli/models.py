"""`crnnocr models`: list them, show one, make one the current model, remove one's own, import one that was made elsewhere."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from crnnocr.cli import console, options, sources
from crnnocr.config import LabelConfig
from crnnocr.errors import ConfigError, ModelError, UsageError
from crnnocr.formatting import duration, escape_controls, plural

if TYPE_CHECKING:
    from crnnocr.model.card import Card
    from crnnocr.model.registry import FoundModel, ModelInfo

_HEADER = ("", "name", "kind", "preset", "CER", "measured on", "size", "trained")
_NUMBERS = ("CER", "measured on", "size")
_MAX_CHARACTERS = 400
"""Characters of a charset that are shown."""
_WIDE = 10_000
"""Columns if stdout is no terminal, so that nothing is cut."""


@console.handle_errors
def models_cli(
    context: typer.Context,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """List the models: those that came with crnnocr, and your own. A * marks the one that is used if none is named.

    The CER is on images that were held out from a model's training, or on further synthetic ones if it was trained on such
    alone.
    """
    if context.invoked_subcommand:
        if json_output or quiet or verbose or debug:
            raise UsageError(f"options stand behind the command: crnnocr models {context.invoked_subcommand} …")
        return
    from crnnocr.model import registry

    models = registry.list_models()
    for model in models:
        if model.error:
            console.warn(model.error)
    if json_output:
        typer.echo(json.dumps([model.to_json() for model in models]))
    elif models:
        typer.echo(_table([_row(model) for model in models]))
    else:
        console.info("there is no model yet: make one with `crnnocr train DATA`, or import one with `crnnocr models import`")


def _row(model: ModelInfo) -> tuple[str, ...]:
    card, scores = model.card, model.card.scores if model.card else None
    trained = card.training.date if card and card.training else model.modified.isoformat()
    return (
        "*" if model.is_default else "",
        model.found.name,
        model.kind,
        card.config.preset if card else "damaged",
        f"{scores.cer:.2%}" if scores else "-",
        f"{scores.n:,} {'synthetic' if card and card.is_synthetic else 'held out'}" if scores else "-",
        f"{model.size / 1e6:.1f} MB",
        trained[:10],
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    """A table, with lines if stdout is a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    is_terminal = sys.stdout.isatty()
    table = Table(box=box.ROUNDED if is_terminal else None, pad_edge=is_terminal)
    for title in _HEADER:
        table.add_column(title, justify="right" if title in _NUMBERS else "left")
    for row in rows:
        table.add_row(*map(escape_controls, row))
    console = Console(markup=False, highlight=False, width=None if is_terminal else _WIDE)
    with console.capture() as rendered:  # rich would end a closed pipe in its own way
        console.print(table)
    return "\n".join(line.rstrip() for line in rendered.get().splitlines())


@console.handle_errors
def show_cli(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|PATH",
            help="Name of a model, model folder or file, or export; else the current model, or the pretrained one.",
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the model's card as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Print all that is known of a model: its characters, training, scores and files."""
    from crnnocr.model import registry

    found = registry.find(model)
    card = registry.load_card(found.path)
    if json_output:
        typer.echo(json.dumps(card.to_json()))
        return
    rows = [("model", found.label), *_network(card), *_training(card), *_accuracy(card), *_publication(card), *_files(found)]
    width = max(len(title) for title, _ in rows)
    for title, value in rows:
        typer.echo(f"{title:{width}}  {escape_controls(value)}".rstrip())


def _network(card: Card) -> Iterator[tuple[str, str]]:
    config = card.config
    known = card.charset.characters
    more = f" … and {len(known) - _MAX_CHARACTERS:,} more (--json has all)" if len(known) > _MAX_CHARACTERS else ""
    yield "characters", f"{len(known):,}: {known[:_MAX_CHARACTERS]}{more}"
    yield "preset", config.preset
    shape = f"lines {config.height} pixels high"
    if card.origin:
        yield (
            "origin",
            f"{card.origin}, a recognizer in PaddleOCR's format; given gray lines, each alone, of 320 columns or more",
        )
    else:
        shape += f", {config.convolutions} convolutions, LSTM of {config.hidden} units a direction"
    yield "shape", shape
    yield "orientation", card.orientation.value


def _training(card: Card) -> Iterator[tuple[str, str]]:
    training = card.training
    if not training:
        return
    data = training.data
    yield "trained", f"{training.date} by crnnocr {training.versions.crnnocr}"
    sources = [f"{source.name} ({source.samples:,}, {source.format})" for source in data.sources]
    synthetic = [f"synthetic ({training.synth})"] if training.synth else []
    yield "data", ", ".join([*sources, *synthetic]) or "unknown"
    if not card.is_synthetic:
        groups = f", in groups by {training.group}" if training.group else ""
        measured = f"{data.held_out:,} to validate on"
        if data.folds:
            measured = f"{data.held_out:,} of them in {data.folds}-fold cross-validation"
        unlabeled = f" and {data.pseudo_labeled:,} unlabeled ones" if data.pseudo_labeled else ""
        yield "", f"{data.learned:,} images to train on{unlabeled}, {measured}{groups}"
    yield (
        "steps",
        f"{training.steps:,}, {training.pictures_shown:,} images seen, {duration(training.seconds)} on {training.device}, "
        f"from {training.start or 'scratch'}",
    )


def _accuracy(card: Card) -> Iterator[tuple[str, str]]:
    from crnnocr.metrics.scores import headline

    scores, calibration = card.scores, card.calibration
    kind = "synthetic" if card.is_synthetic else "held-out"
    yield "scores", f"{headline(scores.values)}, on {scores.n:,} {kind} images" if scores else "not measured"
    fitted = f"fitted on {calibration.samples:,} held-out predictions, {calibration.errors:,} of them wrong"
    few = "" if calibration.is_calibrated else ", too few to count as calibrated"
    yield "confidences", f"temperature {calibration.temperature:.3f}, bias {calibration.bias:+.3f}, {fitted}{few}"
    yield "precision", f"{card.precision} on a CPU"


def _publication(card: Card) -> Iterator[tuple[str, str]]:
    """More about a model that comes with crnnocr."""
    about = card.training.about if card.training else None
    if not about:
        return
    title = "real crops"
    for name, score in about.real_crops.items():
        value, low, high = (100 * each for each in (score.value, score.low, score.high))
        yield title, f"{name.removesuffix(' %')} {value:.1f} % ({low:.1f} – {high:.1f}), {score.pictures:,} images"
        title = ""
    yield "images", about.pictures
    if about.before:
        yield "before", about.before
    yield "limits", about.limits
    yield "licence", about.licence
    yield "reproduce", about.reproduce


def _files(found: FoundModel) -> Iterator[tuple[str, str]]:
    from crnnocr.files import sha256_of
    from crnnocr.model import registry

    yield "sha256", f"{sha256_of(found.path)} ({found.path.name})"
    yield "folder", str(found.path.parent)
    for file in registry.files(found):
        yield "", f"{file.name}, {file.stat().st_size:,} bytes"


@console.handle_errors
def use_cli(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a model, your own or a pretrained one.")],
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make a model the current one, which `predict`, `eval` and `export` use if none is named."""
    from crnnocr.model import registry

    registry.make_current(registry.find_named(name).name)
    console.info(f"{name!r} is now the current model")


@console.handle_errors
def path_cli(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of a model; else the current model, or the pretrained one.")
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Print the path of a model's folder, and nothing else."""
    from crnnocr.model import registry

    found = registry.find(None) if name is None else registry.find_named(name)
    typer.echo(str(found.path.parent))


@console.handle_errors
def rm_cli(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a model of your own.")],
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Remove a model of your own and all files of its folder, without asking.

    A model that an interrupted training started from stays, because the training could not be resumed without it.
    """
    from crnnocr.model import registry
    from crnnocr.training import resume

    found = registry.find_named(name)
    model = registry.describe(found, registry.default_path())
    resume.check_unneeded(found)
    registry.remove(found)
    console.info(f"removed {name}, {model.size / 1e6:.1f} MB: {found.path.parent}")
    if model.is_default:
        _name_next_default(name)


def _name_next_default(removed: str) -> None:
    from crnnocr.model import registry

    try:
        console.info(f"{removed} was the current model; from now on {registry.find(None).label} is used")
    except ModelError as error:
        console.info(f"{removed} was the current model; {error}")


@console.handle_errors
@options.expand_configs
def import_cli(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE|URL", help="A .safetensors or .onnx file, a folder with one, or an https URL of one."),
    ],
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="SHA-256 of the file, 64 hex digits; needed for a URL.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call it; by default the name it was trained under.")
    ] = None,
    dictionary: Annotated[
        Path | None,
        typer.Option(
            "--dictionary", metavar="FILE", help="Characters of PaddleOCR's recognizer, a line each, or inference.yml."
        ),
    ] = None,
    verify: Annotated[
        list[Path] | None,
        typer.Option("--verify", metavar="DATA", help="Labeled images to measure that recognizer on, and to calibrate it."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", envvar="CRNNOCR_OFFLINE", help="Use only what was downloaded before.")
    ] = False,
    *,
    labels: LabelConfig,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Store a model that was made elsewhere, after loading it. The current model stays the same.

    It may be one of crnnocr, or a recognizer in PaddleOCR's format (PP-OCRv3 to v6) as ONNX, which cannot be trained. An
    interrupted download is resumed. A graph (.onnx) is a program, which is run from then on: import it only if you trust
    where it comes from.
    """
    from crnnocr.model import download, registry

    is_url = "://" in source
    if name is not None:
        registry.checked_name(name)
    wanted = download.checked_sha256(sha256) if sha256 is not None else None
    if is_url:
        download.check_url(source)
    registry.check_writable()
    file = _fetch(source, wanted, offline) if is_url else registry.file_at(Path(source))
    if wanted and not is_url:
        registry.check_hash(file, wanted)

    from crnnocr.export.folder import check_graph, derive_onnx

    is_graph = (urlsplit(source).path if is_url else str(file)).endswith(".onnx")
    try:
        if is_graph:
            with _converted(file, dictionary, verify or [], labels) as graph:
                imported = registry.add_graph(graph, check_graph, name)
        elif dictionary or verify:
            raise UsageError("--dictionary and --verify are for recognizers in PaddleOCR's format, not for models of crnnocr")
        else:
            imported = registry.add(file, derive_onnx, name)
    except ModelError as error:
        if not is_url:
            raise
        file.unlink(missing_ok=True)  # it is of no use
        raise ModelError(f"{source}: {error}") from error
    if imported.name != imported.wanted:
        console.info(f"the name {imported.wanted!r} is taken: stored as {imported.name!r}")
    console.info(f"stored {imported.name}: `crnnocr models use {imported.name}` makes it the current model")
    _show_scores(registry.load_card(imported.path))
    console.verbose(f"  {imported.path}")
    if json_output:
        typer.echo(json.dumps({"model": imported.name, "path": str(imported.path)}))


def _show_scores(card: Card) -> None:
    """Show how good another program's recognizer is, if it was measured."""
    scores = card.scores
    if card.origin and scores:
        few = "" if card.calibration.is_calibrated else "; too few are wrong, or right, to calibrate confidences"
        console.info(f"CER {scores.cer:.2%}, exact {scores.exact_match:.1%} on {plural(scores.n, 'image')}{few}")


@contextmanager
def _converted(file: Path, dictionary: Path | None, verify: list[Path], labels: LabelConfig) -> Iterator[Path]:
    """A graph that crnnocr exported, or one that is made of another program's recognizer."""
    from crnnocr.model import exported

    if exported.ONNX_CARD_KEY in exported.load_metadata(exported.read_content(file), file):
        if dictionary or verify:
            raise UsageError(
                f"--dictionary and --verify are for recognizers in PaddleOCR's format, and crnnocr exported {file}"
            )
        yield file
        return
    from crnnocr.export.paddleocr import convert

    samples = [sample for dataset in sources.load_labeled(verify, labels) for sample in dataset.samples] if verify else []
    content = convert(file, dictionary, samples)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file.name
        path.write_bytes(content)
        yield path


def _fetch(url: str, sha256: str | None, offline: bool) -> Path:
    """Download a file, with a progress bar."""
    from crnnocr.model import download

    if sha256 is None:
        raise ConfigError(
            "sha256", "is missing: a download is only stored if it is the file that was meant; whoever offers it knows its hash"
        )
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("downloading"), BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console.console(), disable=not console.shows_progress(), transient=True) as bar:
        task = bar.add_task("", total=None)
        try:
            return download.fetch(url, sha256, offline, lambda done, total: bar.update(task, completed=done, total=total))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command resumes the download") from None


app = typer.Typer(rich_markup_mode=None)
app.callback(invoke_without_command=True)(models_cli)
app.command("show", short_help="Print all that is known of a model.")(show_cli)
app.command("use", short_help="Make a model the current one.")(use_cli)
app.command("path", short_help="Print the path of a model's folder.")(path_cli)
app.command("rm", short_help="Remove a model of your own.")(rm_cli)
app.command("import", short_help="Store a model that was made elsewhere.")(import_cli)
