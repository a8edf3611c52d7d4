"""`crnnocr models`: list them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from crnnocr.cli import ui
from crnnocr.errors import UsageError

if TYPE_CHECKING:
    from crnnocr.model.catalogue import Entry

_HEADER = ("", "name", "kind", "preset", "CER", "measured on", "size", "trained")
_NUMBERS = ("CER", "measured on", "size")
_WIDE = 10_000
"""Columns where there is no terminal, so that nothing is cut."""


@ui.boundary
def models_cli(
    context: typer.Context,
    json_output: ui.Json = False,
    quiet: ui.Quiet = False,
    verbose: ui.Verbose = False,
    debug: ui.Debug = False,
) -> None:
    """List the models: those that came with crnnocr, and your own. A * marks the one that is taken when none is named.

    The CER is that of the pictures that were held out from a model's training, or, where it has learnt from drawn pictures
    alone, of further ones.
    """
    if context.invoked_subcommand:
        if json_output or quiet or verbose or debug:
            raise UsageError(f"options stand behind the command: crnnocr models {context.invoked_subcommand} …")
        return
    from crnnocr.model import catalogue

    entries = catalogue.entries()
    for entry in entries:
        if entry.error:
            ui.warn(entry.error)
    if json_output:
        typer.echo(json.dumps([entry.to_json() for entry in entries]))
    elif entries:
        typer.echo(_rendered([_row(entry) for entry in entries]))
    else:
        ui.say("there is no model yet: make one with `crnnocr train DATA`, or take one with `crnnocr models import`")


def _row(entry: Entry) -> tuple[str, ...]:
    said = entry.to_json()
    measured = said["cer"] is not None
    return (
        "*" if entry.is_taken else "",
        entry.found.name,
        entry.kind,
        "damaged" if entry.error else said["preset"],
        f"{said['cer']:.2%}" if measured else "-",
        f"{said['n']:,} {'drawn' if said['drawn'] else 'held out'}" if measured and said["n"] is not None else "-",
        f"{entry.size / 1e6:.1f} MB",
        (said["trained"] or said["modified"])[:10],
    )


def _rendered(rows: list[tuple[str, ...]]) -> str:
    """A table with lines on a terminal, else one of words and spaces."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    is_terminal = sys.stdout.isatty()
    table = Table(box=box.ROUNDED if is_terminal else None, pad_edge=is_terminal)
    for title in _HEADER:
        table.add_column(title, justify="right" if title in _NUMBERS else "left")
    for row in rows:
        table.add_row(*map(ui.on_one_line, row))
    console = Console(markup=False, highlight=False, width=None if is_terminal else _WIDE)
    with console.capture() as rendered:  # rich would end a closed pipe in its own way
        console.print(table)
    return "\n".join(line.rstrip() for line in rendered.get().splitlines())
