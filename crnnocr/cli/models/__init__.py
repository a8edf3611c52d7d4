"""`crnnocr models`: the models that there are, and what is done with them."""

from __future__ import annotations

import typer

from crnnocr.cli.models.importing import import_cli
from crnnocr.cli.models.listing import models_cli
from crnnocr.cli.models.path import path_cli
from crnnocr.cli.models.rm import rm_cli
from crnnocr.cli.models.show import show_cli
from crnnocr.cli.models.use import use_cli

app = typer.Typer(rich_markup_mode=None)
app.callback(invoke_without_command=True)(models_cli)
app.command("show", short_help="Say all that is known of a model.")(show_cli)
app.command("use", short_help="Make a model the current one.")(use_cli)
app.command("path", short_help="Print the path of a model's folder.")(path_cli)
app.command("rm", short_help="Remove a model of your own.")(rm_cli)
app.command("import", short_help="Store a model that was made elsewhere.")(import_cli)
