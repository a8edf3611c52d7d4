"""`crnnocr models path`: where a model is."""

from __future__ import annotations

from typing import Annotated

import typer

from crnnocr.cli import ui


@ui.boundary
def path_cli(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of a model; else the current, or shipped one.")
    ] = None,
    debug: ui.Debug = False,
) -> None:
    """Print the path of a model's folder, and nothing else."""
    from crnnocr.model import store

    found = store.find(None) if name is None else store.named(name)
    typer.echo(str(found.path.parent))
