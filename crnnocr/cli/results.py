"""What `eval` prints on stdout: tables for people, JSON, or a row for each picture."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from crnnocr.cli import ui
from crnnocr.cli.rows import Format, Rows

if TYPE_CHECKING:
    from rich.console import Console

    from crnnocr.evaluation.evidence import Evidence
    from crnnocr.report.terminal import Table

_WIDTH = 150
"""Columns of the tables where stdout is no terminal."""


def show(evidence: Evidence, json_output: bool, tsv: bool) -> None:
    """The result on stdout; where that holds rows, what is for people on stderr."""
    from crnnocr.report import rows, terminal, values

    if json_output:
        typer.echo(json.dumps(values.to_json(evidence)))
        return
    if tsv:
        out = Rows(sys.stdout.buffer, Format.tsv)
        for row in rows.tsv(evidence):
            out.write(row)
    console = _console()
    tables = (_rendered(console, table) for table in terminal.tables(evidence, console.width))
    text = "".join([*tables, *(f"{line}\n" for line in terminal.lines(evidence))])
    if tsv:
        ui.say(text.rstrip("\n"))
    else:
        typer.echo(text, nl=False)


def _console() -> Console:
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else _WIDTH)


def _rendered(console: Console, shown: Table) -> str:
    from rich.table import Table as Drawn

    table = Drawn()
    for i, title in enumerate(shown.header):
        table.add_column(title, justify="right" if i else "left")
    for row in shown.rows:
        table.add_row(*row)
    with console.capture() as rendered:  # rich would end a closed pipe in its own way
        console.print(table)
    return rendered.get()
