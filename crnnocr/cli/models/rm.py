"""`crnnocr models rm`: remove a model."""

from __future__ import annotations

from typing import Annotated

import typer

from crnnocr.cli import ui
from crnnocr.errors import ModelError


@ui.boundary
def rm_cli(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a model of your own.")],
    quiet: ui.Quiet = False,
    debug: ui.Debug = False,
) -> None:
    """Remove a model of your own and all files of its folder, without asking.

    A model that an interrupted training began from stays, since that could not go on without it.
    """
    from crnnocr.model import catalogue, store
    from crnnocr.training import runs

    found = store.named(name)
    entry = catalogue.entry(found, catalogue.taken())
    runs.check_unneeded(found)
    store.remove(found)
    ui.say(f"removed {name}, {entry.size / 1e6:.1f} MB: {found.path.parent}")
    if entry.is_taken:
        _say_next(name)


def _say_next(removed: str) -> None:
    """What is taken now that the current model is gone."""
    from crnnocr.model import store

    try:
        ui.say(f"{removed} was the current model; from now on {store.find(None).told} is taken where none is named")
    except ModelError as error:
        ui.say(f"{removed} was the current model; {error}")
