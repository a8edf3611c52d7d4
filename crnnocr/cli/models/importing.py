"""`crnnocr models import`: store a model that was made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from crnnocr.cli import ui
from crnnocr.errors import ModelError, UsageError


@ui.boundary
def import_cli(
    source: Annotated[
        str, typer.Argument(metavar="FILE|URL", help="A .safetensors file, a folder with one, or an https address of one.")
    ],
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="SHA-256 of the file, 64 hex digits; needed for a URL.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call it; by default as when it was trained.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", envvar="CRNNOCR_OFFLINE", help="Take only what was downloaded before.")
    ] = False,
    json_output: ui.Json = False,
    quiet: ui.Quiet = False,
    verbose: ui.Verbose = False,
    debug: ui.Debug = False,
) -> None:
    """Store a model that was made elsewhere, if it can be read. The current model stays what it is.

    A download that was interrupted goes on where it stood.
    """
    from crnnocr.model import download, importing, store

    is_url = "://" in source
    if name is not None:
        store.checked_name(name)
    wanted = download.checked_sha256(sha256) if sha256 is not None else None
    if is_url:
        download.check_url(source)
    store.check_writable()
    file = _fetched(source, wanted, offline) if is_url else importing.weights_in(Path(source))
    if wanted and not is_url:
        importing.check_hash(file, wanted)

    from crnnocr.exporting import onnx_file

    try:
        imported = importing.add(file, onnx_file.derive, name)
    except ModelError as error:
        if not is_url:
            raise
        file.unlink(missing_ok=True)  # nobody needs it again
        raise ModelError(str(error).replace(str(file), source)) from error
    if imported.name != imported.wanted:
        ui.say(f"the name {imported.wanted} is taken: stored as {imported.name}")
    ui.say(f"stored {imported.name}: `crnnocr models use {imported.name}` makes it the current model")
    ui.detail(f"  {imported.path}")
    if json_output:
        typer.echo(json.dumps({"model": imported.name, "path": str(imported.path)}))


def _fetched(url: str, sha256: str | None, offline: bool) -> Path:
    """The file of a URL, with a progress bar."""
    from crnnocr.model import download

    if sha256 is None:
        raise UsageError(
            "--sha256 is missing: a download is taken only if it is the very file that was meant, which whoever offers it "
            "can say by its SHA-256"
        )
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("downloading"), BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=ui.console(), disable=not ui.shows_progress(), transient=True) as bar:
        task = bar.add_task("", total=None)
        try:
            return download.fetch(url, sha256, offline, lambda done, total: bar.update(task, completed=done, total=total))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the same command goes on with the download") from None
