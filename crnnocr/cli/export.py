"""`crnnocr export`: write a model for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crnnocr.cli import console, options, sources
from crnnocr.config import ExportConfig, ExportFormat, LabelConfig, Orientation
from crnnocr.errors import ConfigError, CrnnocrError, UsageError

if TYPE_CHECKING:
    from crnnocr.export.folder import Exported
    from crnnocr.export.verify import VerificationImage
    from crnnocr.model.card import Card
    from crnnocr.model.registry import FoundModel

_SYNTH_SEED = 77
_SYNTH_HEIGHT = 48


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
    labels: Annotated[LabelConfig, options.Without(("group", "empty"))],
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
    from crnnocr.export.folder import check_folder, export
    from crnnocr.export.verify import MIN_IMAGES
    from crnnocr.export.web import find_runtime
    from crnnocr.model import registry

    if runtime is not None and config.format is not ExportFormat.WEB:
        raise UsageError("`runtime` is for `format=web`")
    if output is not None and (output.suffix == ".onnx" or output.is_file()):
        raise ConfigError("output", f"{output}: name a folder; the graph in it is {registry.GRAPH}")
    found = registry.find(model)
    console.info_model(found)
    web_runtime = find_runtime(runtime) if config.format is ExportFormat.WEB else None
    if web_runtime:
        console.info(f"runtime: onnxruntime-web {web_runtime.version}")
    folder = output or Path(f"{found.name}-{config.folder}")
    check_folder(folder, config, force)
    images = _verification_images(verify or [], labels, found, config)
    done = export(found.path, folder, config, images=images, runtime=web_runtime, force=force, min_images=MIN_IMAGES)
    _report(done, found.name)
    if json_output:
        result = {
            "path": str(done.path),
            "model": found.name,
            "format": config.format.value,
            "precision": config.precision.value,
            "self_contained": config.self_contained,
            "bytes": done.size,
            **done.verification.to_json(),
        }
        typer.echo(json.dumps(result))


def _report(done: Exported, name: str) -> None:
    from crnnocr.formatting import plural

    found = done.verification
    if done.removed:
        console.info(f"removed files of the earlier export: {', '.join(path.name for path in done.removed)}")
    for reason in found.unreadable:
        console.warn(f"not used for verification: {reason}")
    for tie in found.ties:
        console.warn(f"{tie} gives another text: two are equally probable there")
    equal = f"{found.equal_texts:.2%} of the texts, {found.as_many_right:.2%} as many right"
    equal += f", CER {found.cer:.2%} against {found.model_cer:.2%}"
    if found.log_prob_difference is not None:
        equal = f"all texts, log-probabilities within {found.log_prob_difference:.1e}"
    console.info(
        f"{done.path}: {done.size / 1e6:.1f} MB; the same as {name} on {plural(found.images, 'image')} "
        f"({found.widths:,} different widths) in batches of {', '.join(map(str, found.batch_sizes))} ({equal})"
    )


def _verification_images(
    verify: list[Path], labels: LabelConfig, found: FoundModel, config: ExportConfig
) -> list[VerificationImage]:
    from crnnocr.export.verify import MIN_IMAGES, built_in_images, from_samples
    from crnnocr.formatting import plural
    from crnnocr.model import checkpoint

    if verify:
        images = from_samples(sample for dataset in sources.load_labeled(verify, labels) for sample in dataset.samples)
    elif config.is_exact or found.path.suffix != ".safetensors":
        return built_in_images()
    else:
        card = checkpoint.load_card(found.path)
        images = [*built_in_images(), *_synthesize(card, config.orientation or card.orientation)]
    if not config.is_exact and len(images) < MIN_IMAGES:
        console.info(f"varied copies of the {plural(len(images), 'image')} make up the {MIN_IMAGES:,} that verification needs")
    return images


def _synthesize(card: Card, orientation: Orientation) -> list[VerificationImage]:
    """Synthetic images of texts in the model's characters; none if they cannot be synthesized here."""
    from crnnocr.config import SynthConfig
    from crnnocr.export.verify import MIN_IMAGES, VerificationImage
    from crnnocr.synth.sampler import Sampler

    if orientation is not Orientation.VERTICAL:
        orientation = Orientation.HORIZONTAL
    config = SynthConfig(seed=_SYNTH_SEED, charset=card.charset.characters, height=_SYNTH_HEIGHT, orientation=orientation)
    console.info(f"making {MIN_IMAGES:,} synthetic images to verify it with, in a minute or two (--verify DATA uses yours)")
    try:
        sampler = Sampler(config)
        samples = [sampler[index] for index in range(MIN_IMAGES)]
    except CrnnocrError as error:
        console.warn(f"images with {card.name}'s characters cannot be synthesized here: {error}")
        return []
    return [VerificationImage(f"synthetic image {index}", image, text) for index, (image, text) in enumerate(samples)]
