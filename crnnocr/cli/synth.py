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
from crnnocr.errors import UsageError

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
    order = Order(folder, config, count, force, workers, format)
    result: dict[str, Any] = {}
    if preview:
        result |= draw_preview(preview, order)
    if dry_run:
        result |= show_plan(order, plain=not json_output, whole=verbose)
    if not (preview or dry_run):
        result |= draw_set(order, whole=verbose)
    if json_output:
        typer.echo(json.dumps(result))


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    folder: Path
    config: SynthConfig
    count: int
    force: bool
    workers: int | None
    format: LabelFormat


def draw_preview(path: Path, order: Order) -> dict[str, Any]:
    """Draw a contact sheet. Returns what `--json` prints."""
    from crnnocr.synth.dataset import preview
    from crnnocr.synth.dataset.folder import check
    from crnnocr.synth.sampler import Sampler

    if path.suffix.lower() != ".png":
        raise UsageError(f"--preview {path}: name a .png file")
    check(order.folder, order.count, order.workers)
    samples = preview.save(path, Sampler(order.config), order.count)
    console.info(f"{path}: the first {samples} samples")
    return {"preview": str(path), "samples": samples}


def show_plan(order: Order, plain: bool, whole: bool) -> dict[str, Any]:
    """Print what would be drawn, if `plain`. Returns what `--json` prints."""
    from crnnocr.synth.dataset.summary import plan

    found = plan(order.folder, order.config, order.count, order.force, order.workers, order.format)
    if plain:
        typer.echo("\n".join(found.lines(whole)))
    return found.to_json()


def draw_set(order: Order, whole: bool) -> dict[str, Any]:
    """Draw the pictures, and say what they are. Returns what `--json` prints."""
    from crnnocr.synth.dataset.folder import check
    from crnnocr.synth.dataset.summary import summarise
    from crnnocr.synth.sampler import Sampler

    check(order.folder, order.count, order.workers)
    sampler = Sampler(order.config)
    started = time.monotonic()
    try:
        drawn = draw_with_progress(order, sampler)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("what is drawn is kept, and the same command completes it") from None
    seconds = time.monotonic() - started
    summary = summarise(order.folder, order.count, sampler)
    console.info(f"{order.folder}: {order.count:,} pictures{_how_drawn(drawn, order.count, seconds)}; labels in metadata.jsonl")
    for line in summary.lines(whole):
        console.info(f"  {line}")
    counts = {"folder": str(order.folder), "count": order.count, "drawn": drawn, "seconds": round(seconds, 3)}
    return counts | summary.to_json()


def _how_drawn(drawn: int, count: int, seconds: float) -> str:
    from crnnocr.formatting import duration

    if not drawn:
        return ", all there already"
    which = "" if drawn == count else f", {drawn:,} of them"
    return f"{which} drawn in {duration(seconds)} ({drawn / seconds:,.0f}/s)"


def draw_with_progress(order: Order, sampler: Sampler) -> int:
    """Draw with a progress bar; returns how many pictures were drawn."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from crnnocr.synth.dataset.folder import draw

    drawn, began = 0, 0.0
    columns = (TextColumn("drawing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    with Progress(*columns, console=console.console(), disable=not console.shows_progress(), transient=True) as progress:
        task = progress.add_task("", total=order.count, pace="")
        drawing = draw(order.folder, order.config, order.count, order.force, order.workers, order.format, sampler)
        with closing(drawing) as pictures:  # closed at once, so that Ctrl-C leaves the labels
            for there in pictures:
                began = began or time.monotonic()
                drawn += 1
                progress.update(task, completed=there, pace=_pace(drawn, order.count - there, time.monotonic() - began))
    return drawn


def _pace(drawn: int, missing: int, seconds: float) -> str:
    """Rate and time left, once they can be told."""
    from crnnocr.formatting import duration

    return f"{drawn / seconds:,.0f}/s, {duration(missing * seconds / drawn)} left" if seconds > 1 else ""


def _characters(value: str) -> str:
    """The characters that are typed, or that the file of this name holds, but for its line ends."""
    from crnnocr.files import read_lines

    try:
        typed = not Path(value).is_file()
    except OSError:  # longer than a file name can be
        typed = True
    return value if typed else "".join(line.rstrip("\r") for _, line in read_lines(Path(value)))
