"""`crnnocr synth`: make labelled pictures."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from crnnocr.cli import ui
from crnnocr.config import DEFAULT_COUNT, Style, SynthConfig
from crnnocr.errors import UsageError

_DEFAULTS = SynthConfig()


@ui.boundary
def synth_cli(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the pictures go.")] = Path("data"),
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", help="How many pictures.")] = DEFAULT_COUNT,
    lang: Annotated[str, typer.Option("--lang", metavar="en|de|fr|zh", help="Language of the texts.")] = _DEFAULTS.lang,
    words: Annotated[
        str | None,
        typer.Option("--words", metavar="N[-M]", help="Words a picture; by default {}-{}.".format(*_DEFAULTS.words)),
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", metavar="FILE", help="Draw the lines of this UTF-8 file, in turn.")
    ] = None,
    height: Annotated[int, typer.Option("--height", metavar="PIXELS", help="Height of the pictures.")] = _DEFAULTS.height,
    style: Annotated[Style, typer.Option("--style", help="Looks of the pictures.")] = _DEFAULTS.style,
    seed: ui.Seed = _DEFAULTS.seed,
    force: Annotated[bool, typer.Option("--force", help="Mix into a folder that holds something else.")] = False,
    json_output: ui.Json = False,
    quiet: ui.Quiet = False,
    verbose: ui.Verbose = False,
    debug: ui.Debug = False,
) -> None:
    """Make COUNT labelled pictures of text in FOLDER, with metadata.jsonl beside them.

    The same call again completes an interrupted set; a larger --count extends it.
    """
    if words and text:
        raise UsageError("give --words or --text, not both: a line of the file is a text as it is")
    config = SynthConfig(
        lang=lang,
        seed=seed,
        words=_words(words) if words else _DEFAULTS.words,
        text=str(text) if text else None,
        height=height,
        style=style,
    )
    ui.detail(f"  {config}")
    started = time.monotonic()
    try:
        drawn = synth(folder, config, count, force)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("what is drawn is kept, and the same command completes it") from None
    seconds = time.monotonic() - started
    now = "drawn" if drawn == count else f"{drawn:,} of them drawn now"
    ui.say(f"{folder}: {count:,} pictures, {now} in {seconds:.1f} s; labels in metadata.jsonl")
    if json_output:
        typer.echo(json.dumps({"folder": str(folder), "count": count, "drawn": drawn, "seconds": round(seconds, 3)}))


def synth(folder: Path, config: SynthConfig, count: int, force: bool) -> int:
    """Draw with a progress bar; returns how many pictures were drawn."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from crnnocr.synth.folder import draw

    drawn = 0
    columns = (TextColumn("drawing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ui.console(), disable=not ui.shows_progress(), transient=True) as progress:
        task = progress.add_task("", total=count)
        with closing(draw(folder, config, count, force)) as pictures:  # closed at once, so that Ctrl-C leaves the labels
            for there in pictures:
                drawn += 1
                progress.update(task, completed=there)
    return drawn


def _words(text: str) -> tuple[int, int]:
    fewest, _, most = text.partition("-")
    if not fewest.isdecimal() or (most and not most.isdecimal()):
        raise UsageError(f"--words {text}: give a number or a range, such as 2 or 1-3")
    return int(fewest), int(most or fewest)
