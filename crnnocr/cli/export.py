"""`crnnocr export`: hand a model over to other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from crnnocr.cli import ui
from crnnocr.errors import UsageError


@ui.boundary
def export_cli(
    model: ui.Model = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write; by default ./NAME.onnx.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    json_output: ui.Json = False,
    quiet: ui.Quiet = False,
    verbose: ui.Verbose = False,
    debug: ui.Debug = False,
) -> None:
    """Write a model as ONNX, charset and preprocessing in its metadata, and prove that it reads the same.

    Where it does not, nothing new is left, and the exit code is 4.
    """
    from crnnocr.exporting.onnx_file import export
    from crnnocr.model import store

    found = store.find(model)
    ui.say_model(found)
    target = output or Path(f"{found.name}.onnx")
    if target.suffix != ".onnx":
        raise UsageError(f"--output {target}: the name of an ONNX file ends in .onnx")
    if target.exists() and not force:
        raise UsageError(f"{target} is there already: name another with --output, or replace it with --force")
    proof = export(found.path, target)
    ui.say(
        f"{target}: reads the same as {found.name} on {proof.pictures} pictures of {proof.widths} widths in batches of "
        f"{', '.join(map(str, proof.batch_sizes))} (log-probabilities within {proof.difference:.1e})"
    )
    if json_output:
        typer.echo(json.dumps({"path": str(target), "model": found.name, "max_log_prob_difference": proof.difference}))
