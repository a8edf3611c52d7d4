"""The command line: one small file a command, each parsing its options and making one call into the library.

Nothing heavy is imported before a command runs, so that `crnnocr --help` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from crnnocr import __version__
from crnnocr.cli.console import open_closed_streams
from crnnocr.cli.eval import eval_cli
from crnnocr.cli.export import export_cli
from crnnocr.cli.models import app as models_app
from crnnocr.cli.predict import predict_cli
from crnnocr.cli.synth import synth_cli
from crnnocr.cli.train import train_cli
from crnnocr.errors import CrnnocrError
from crnnocr.formatting import escape_controls

app = typer.Typer(
    name="crnnocr",
    help="Train and run your own text-line recognizer: synth, train, eval, predict, export, models.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("synth", short_help="Make labeled images of text.")(synth_cli)
app.command("train", short_help="Train a model on labeled images.")(train_cli)
app.command(
    "eval",
    short_help="Measure how well a model recognizes.",
    context_settings={"token_normalize_func": lambda name: "normalise" if name == "normalize" else name},
)(eval_cli)
app.command("predict", short_help="Recognize images.")(predict_cli)
app.command("export", short_help="Write a model as ONNX, verified to recognize the same.")(export_cli)
app.add_typer(models_app, name="models", short_help="List, show, choose, import and remove models.")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crnnocr {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the `crnnocr` command."""
    open_closed_streams()
    try:
        app(prog_name="crnnocr")
    except CrnnocrError as error:  # of --help and the like, which are no command's
        typer.echo(f"error: {escape_controls(str(error))}", err=True)
        sys.exit(error.exit_code)
