"""`crnnocr synth`: make labeled images."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crnnocr.cli import console, options
from crnnocr.config import DEFAULT_COUNT, LabelFormat, SynthConfig
from crnnocr.errors import ConfigError
from crnnocr.formatting import escape_controls

if TYPE_CHECKING:
    from crnnocr.synth.sampler import Sampler


@console.handle_errors
@options.expand_configs
def synth_cli(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the images go.")] = Path("data"),
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", help="How many images.")] = DEFAULT_COUNT,
    *,
    config: SynthConfig,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="Processes that render; by default as fits the cores and the work."),
    ] = None,
    format: Annotated[
        LabelFormat,
        typer.Option("--format", "-f", help="Labels for other tools, beside metadata.jsonl, which is always there."),
    ] = LabelFormat.IMAGEFOLDER,
    preview: Annotated[
        Path | None, typer.Option("--preview", metavar="FILE.png", help="Write a sheet of the first samples, and nothing else.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and write nothing.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Mix into a folder that holds something else; a set of other options in it is replaced."),
    ] = False,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Make COUNT labeled images of text in FOLDER, with metadata.jsonl beside them.

    The same call again completes an interrupted set; a larger --count extends it.
    """
    if config.charset is not None:
        config = replace(config, charset=_characters(config.charset))
    console.verbose(f"  {config}")
    request = Request(folder, config, count, force, workers, format)
    result: dict[str, Any] = {}
    if preview:
        result |= save_preview(preview, request)
    if dry_run:
        result |= print_estimate(request, plain=not json_output, whole=verbose)
    if not (preview or dry_run):
        result |= make_set(request, whole=verbose)
    if json_output:
        typer.echo(json.dumps(result))


@dataclass(frozen=True)
class Request:
    """The set that is asked for."""

    folder: Path
    config: SynthConfig
    count: int
    force: bool
    workers: int | None
    format: LabelFormat


def save_preview(path: Path, request: Request) -> dict[str, Any]:
    """Save a contact sheet. Returns what `--json` prints."""
    from crnnocr.synth.dataset import preview
    from crnnocr.synth.dataset.folder import check_arguments
    from crnnocr.synth.sampler import Sampler

    if path.suffix.lower() != ".png":
        raise ConfigError("preview", f"{path}: name a .png file")
    check_arguments(request.folder, request.count, request.workers)
    samples = preview.save(path, Sampler(request.config), request.count)
    console.info(f"{path}: the first {samples} samples")
    return {"preview": str(path), "samples": samples}


def print_estimate(request: Request, plain: bool, whole: bool) -> dict[str, Any]:
    """Print what would be made, if `plain`. Returns what `--json` prints."""
    from crnnocr.synth.dataset.summary import estimate

    estimated = estimate(
        request.folder, request.config, request.count, force=request.force, workers=request.workers, format=request.format
    )
    if plain:
        typer.echo("\n".join(map(escape_controls, estimated.lines(whole))))
    return estimated.to_json()


def make_set(request: Request, whole: bool) -> dict[str, Any]:
    """Make the set and show its summary. Returns what `--json` prints."""
    from crnnocr.synth.dataset.folder import check_arguments
    from crnnocr.synth.dataset.summary import summarize
    from crnnocr.synth.sampler import Sampler

    check_arguments(request.folder, request.count, request.workers)
    sampler = Sampler(request.config)
    started = time.monotonic()
    try:
        made = _generate_with_progress(request, sampler)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the images so far are kept, and the same command completes the set") from None
    seconds = time.monotonic() - started
    summary = summarize(request.folder, request.count, sampler)
    console.info(f"{request.folder}: {_made(made, request.count, seconds)}; labels in metadata.jsonl")
    for line in summary.lines(whole):
        console.info(f"  {line}")
    counts = {"folder": str(request.folder), "count": request.count, "drawn": made, "seconds": round(seconds, 3)}
    return counts | summary.to_json()


def _made(made: int, count: int, seconds: float) -> str:
    from crnnocr.formatting import duration, plural

    images = plural(count, "image")
    if not made:
        return f"{images}, all there already"
    which = "" if made == count else f", {made:,} of them"
    return f"{images}{which} made in {duration(seconds)} ({made / seconds:,.0f}/s)"


def _generate_with_progress(request: Request, sampler: Sampler) -> int:
    """Generate the images with a progress bar. Returns the number of new ones."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from crnnocr.synth.dataset.folder import generate

    made, began = 0, 0.0
    columns = (TextColumn("making images"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, console=console.console(), disable=not console.shows_progress(), transient=True) as progress:
        task = progress.add_task("", total=request.count, rate="")
        images = generate(
            request.folder,
            request.config,
            request.count,
            force=request.force,
            workers=request.workers,
            format=request.format,
            sampler=sampler,
        )
        with closing(images):  # at once, so that Ctrl-C leaves the labels
            for there in images:
                began = began or time.monotonic()
                made += 1
                progress.update(task, completed=there, rate=_rate(made, request.count - there, time.monotonic() - began))
    return made


def _rate(made: int, missing: int, seconds: float) -> str:
    """Images per second and the time left, after the first second."""
    from crnnocr.formatting import duration

    return f"{made / seconds:,.0f}/s, {duration(missing * seconds / made)} left" if seconds > 1 else ""


def _characters(value: str) -> str:
    """The characters that are typed, or all characters of the file of this name except its line ends."""
    from crnnocr.files import read_lines

    try:
        typed = not Path(value).is_file()
    except OSError:  # longer than a file name can be
        typed = True
    return value if typed else "".join(line.rstrip("\r") for _, line in read_lines(Path(value)))
