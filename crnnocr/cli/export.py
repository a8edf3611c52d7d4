"""`crnnocr export`: hand a model over to other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import console, options
from crnnocr.config import ExportConfig, ExportFormat, Orientation
from crnnocr.errors import CrnnocrError, UsageError

if TYPE_CHECKING:
    from crnnocr.export.folder import Exported
    from crnnocr.export.verify import Picture
    from crnnocr.model.card import Card
    from crnnocr.model.registry import FoundModel

_DRAWN_SEED = 77
_DRAWN_HEIGHT = 48


@console.handle_errors
@options.expand_configs
def export_cli(
    model: options.Model = None,
    *,
    config: ExportConfig,
    verify: Annotated[
        list[Path] | None,
        typer.Option(
            "--verify", metavar="DATA", help="Labeled images to verify it with, repeatable; else real and synthetic ones."
        ),
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime", metavar="PATH|npm", help="web: a copy of onnxruntime-web, or npm to fetch it; else the installed one."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Where to write; by default ./NAME-onnx, ./NAME-onnx-int8, ./NAME-web …",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Write a model for other programs, with all that they need to know, and verify that it recognizes the same texts.

    If it does not, nothing new is left, and the exit code is 4.
    """
    from crnnocr.export import folder as exporting
    from crnnocr.export import web
    from crnnocr.model import registry

    if runtime is not None and config.format is not ExportFormat.WEB:
        raise UsageError("--runtime is for --format web")
    if output is not None and (output.suffix == ".onnx" or output.is_file()):
        raise UsageError(f"--output {output}: name a folder; the graph in it is {registry.GRAPH}")
    found = registry.find(model)
    console.info_model(found)
    taken = web.find(runtime) if config.format is ExportFormat.WEB else None
    if taken:
        console.info(f"runtime: onnxruntime-web {taken.version}")
    folder = output or Path(f"{found.name}-{config.folder}")
    exporting.check(folder, config, force)
    pictures = _pictures(verify or [], found, config)
    done = exporting.export(found.path, folder, config, pictures, taken, force)
    _say(done, found.name)
    if json_output:
        said = {
            "path": str(done.path),
            "model": found.name,
            "format": config.format.value,
            "precision": config.precision.value,
            "self_contained": config.self_contained,
            "bytes": done.size,
            **done.proof.to_json(),
        }
        typer.echo(json.dumps(said))


def _say(done: Exported, name: str) -> None:
    from crnnocr.formatting import plural

    proof = done.proof
    if done.removed:
        console.info(f"removed, of the export that was there: {', '.join(path.name for path in done.removed)}")
    for reason in proof.unreadable:
        console.warn(f"not among the proof: {reason}")
    for tie in proof.ties:
        console.warn(f"{tie} reads otherwise: two texts are equally probable there")
    told = f"{proof.equal:.2%} of the texts, CER {proof.cer:.2%} against {proof.source_cer:.2%}"
    if proof.difference is not None:
        told = f"all texts, log-probabilities within {proof.difference:.1e}"
    console.info(
        f"{done.path}: {done.size / 1e6:.1f} MB; reads the same as {name} on {plural(proof.pictures, 'picture')} "
        f"({proof.widths:,} different widths) in batches of {', '.join(map(str, proof.batch_sizes))} ({told})"
    )


def _pictures(verify: list[Path], found: FoundModel, config: ExportConfig) -> list[Picture]:
    """What the export is proven with."""
    from crnnocr.datasets.detection import load_datasets
    from crnnocr.export import verify as proof_pictures
    from crnnocr.formatting import plural
    from crnnocr.model import checkpoint

    if verify:
        datasets = load_datasets(verify)
        for source, dataset in zip(verify, datasets, strict=True):
            console.info(f"{source}: {plural(len(dataset.samples), 'labelled picture')} ({dataset.format})")
            console.warn_of_issues(dataset.issues)
        pictures = proof_pictures.of_samples(sample for dataset in datasets for sample in dataset.samples)
    elif config.is_exact or found.path.suffix != ".safetensors":
        return proof_pictures.built_in()
    else:
        card = checkpoint.load_card(found.path)
        pictures = [*proof_pictures.built_in(), *_drawn(card, config.orientation or card.orientation)]
    if not config.is_exact and len(pictures) < proof_pictures.ENOUGH:
        there = plural(len(pictures), "picture")
        console.info(f"changed copies of the {there} make up the {proof_pictures.ENOUGH:,} that the proof needs")
    return pictures


def _drawn(card: Card, orientation: Orientation) -> list[Picture]:
    """Drawn pictures of texts in the model's characters; none where they cannot be drawn here."""
    from crnnocr.config import SynthConfig
    from crnnocr.export.verify import ENOUGH, Picture
    from crnnocr.synth.sampler import Sampler

    if orientation is not Orientation.VERTICAL:
        orientation = Orientation.HORIZONTAL
    config = SynthConfig(seed=_DRAWN_SEED, charset=card.charset.characters, height=_DRAWN_HEIGHT, orientation=orientation)
    console.info(f"drawing {ENOUGH:,} pictures to prove it with, in a minute or two (--verify DATA takes yours)")
    try:
        sampler = Sampler(config)
        drawn = [sampler[index] for index in range(ENOUGH)]
    except CrnnocrError as error:
        console.warn(f"pictures of {card.name}'s characters cannot be drawn here: {error}")
        return []
    return [Picture(f"drawn picture {index}", picture, text) for index, (picture, text) in enumerate(drawn)]
