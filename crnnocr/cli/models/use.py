"""`crnnocr models use`: the model that is taken when none is named."""

from __future__ import annotations

from typing import Annotated

import typer

from crnnocr.cli import ui


@ui.boundary
def use_cli(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a model, your own or a shipped one.")],
    quiet: ui.Quiet = False,
    debug: ui.Debug = False,
) -> None:
    """Make a model the current one, which `predict`, `eval` and `export` take when none is named."""
    from crnnocr.model import store

    store.make_current(store.named(name).name)
    ui.say(f"{name} is now the current model")
