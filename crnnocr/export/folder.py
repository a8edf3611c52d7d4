"""A model handed over: a folder with the graph or the page, what there is to know about it, and nothing that is not proven."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from crnnocr.config import ExportConfig, ExportFormat, Orientation, Precision
from crnnocr.errors import GateError, ImageError, UsageError
from crnnocr.export import model_card, onnx_file, quantization, verify, web
from crnnocr.export.verify import Lines, Picture, Pictures, Proof, prove
from crnnocr.export.web import Runtime
from crnnocr.files import atomic_files
from crnnocr.images import Preprocessor
from crnnocr.inference.engines import ONNX_CARD_KEY, OnnxEngine, TorchEngine
from crnnocr.model import checkpoint
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.model.registry import GRAPH, WEIGHTS

MODEL_JSON, README = "model.json", "README.md"


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    """The graph, or the page."""
    files: tuple[Path, ...]
    """All files."""
    proof: Proof
    """That it reads as the model does."""
    removed: tuple[Path, ...] = ()
    """Files of an export of the other format that was there."""

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(file.stat().st_size for file in self.files)


def export(
    model_file: Path,
    folder: Path,
    config: ExportConfig = ExportConfig(),  # noqa: B008 (frozen)
    pictures: Sequence[Picture] = (),
    runtime: Runtime | None = None,
    force: bool = False,
) -> Exported:
    """Write a model for other programs: a folder with all that belongs to it, proven, or nothing.

    Args:
        model_file: the `.safetensors` file.
        folder: where to write; what else is there stays.
        config: what to write.
        pictures: what to prove it with; by default the real ones that come with crnnocr. Where shares are to be counted,
            changed copies of them are added until there are enough.
        runtime: what a page runs the graph with.
        force: replace files that are there, and remove those of an export of the other format.

    Raises:
        UsageError: files are there, or this model cannot be had so.
        ModelError: the model cannot be read.
        GateError: the export reads otherwise than the model.
    """
    is_page = config.format is ExportFormat.WEB
    if is_page and runtime is None:
        raise UsageError("a page needs onnxruntime-web: --runtime says where it is")
    stale = check(folder, config, force)
    card, model, source_hash = onnx_file.opened(model_file)
    card = replace(card, orientation=_orientation(config, card))
    pictures = list(pictures or verify.built_in())
    if not config.is_exact:
        pictures = verify.enough(pictures, verify.ENOUGH)
    if config.precision is Precision.INT8 and not card.activation_ranges:
        card = with_peaks(card, model, pictures)
    with atomic_files(folder, replaces=stale) as part:
        graph = part / GRAPH
        graph.write_bytes(onnx_file.serialised(card, model, config, checkpoint.trained_on(model_file), source_hash))
        proof = _proven(card, model, graph, config, pictures)
        said = model_card.data(card, config, proof, graph, source_hash, web.INDEX if is_page else GRAPH)
        if is_page:
            assert runtime is not None
            web.write(part, card, graph, runtime)
        (part / MODEL_JSON).write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        (part / README).write_text(model_card.readme(card, config, said), encoding="utf-8")
    files = tuple(folder / name for name in _names(config.format))
    return Exported(folder / (web.INDEX if is_page else GRAPH), files, proof, tuple(stale))


def _orientation(config: ExportConfig, card: Card) -> Orientation:
    """Which way the lines run for the export: a graph that takes pictures cannot look at them in several ways."""
    wanted = config.orientation or card.orientation
    return Orientation.HORIZONTAL if config.self_contained and wanted is Orientation.AUTO else wanted


def check(folder: Path, config: ExportConfig, force: bool = False) -> list[Path]:
    """The files of an export of the other format in a folder, which one that is written there takes the place of.

    Raises `UsageError` where it may not be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder with --output")
    if (folder / WEIGHTS).exists():
        raise UsageError(f"{folder} is the folder of a model: name another one with --output")
    names = _names(config.format)
    before = _format_there(folder)
    stale = [folder / name for name in _names(before) if name not in names] if before else []
    there = [path for path in (*(folder / name for name in names), *stale) if path.exists()]
    for path in there:
        if path.is_dir():
            raise UsageError(f"{path} is a folder, where a file is to be written: name another folder with --output")
    if there and not force:
        raise UsageError(f"{there[0]} is there already: name another folder with --output, or replace it with --force")
    return [path for path in stale if path.exists()]


def _names(format: ExportFormat) -> list[str]:
    """The files of an export."""
    return [*(web.FILES if format is ExportFormat.WEB else (GRAPH,)), MODEL_JSON, README]


def _format_there(folder: Path) -> ExportFormat | None:
    """What was exported to a folder before, as its `model.json` says."""
    try:
        return ExportFormat(json.loads((folder / MODEL_JSON).read_text(encoding="utf-8"))["export"]["format"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _proven(card: Card, model: CRNN, graph: Path, config: ExportConfig, pictures: Sequence[Picture]) -> Proof:
    engine = OnnxEngine(graph)
    if json.loads(engine.metadata[ONNX_CARD_KEY]) != json.loads(json.dumps(card.to_json())):
        raise GateError("the export says otherwise of itself than the model, so it was not kept")
    source = Lines(card, TorchEngine(model, torch.device("cpu")))
    export = Pictures(card, engine) if config.self_contained else Lines(engine.card, engine)
    return prove(source, export, pictures, config.is_exact, 1 if config.is_exact else verify.ENOUGH)


def with_peaks(card: Card, model: CRNN, pictures: Sequence[Picture]) -> Card:
    """A card that says how far the network's values reach over the first of the pictures that can be read."""
    preprocessor = Preprocessor.for_model(card.config, card.orientation)
    lines = []
    for picture in pictures[: quantization.LINES]:
        try:
            lines.append(preprocessor.line(picture.grey()))
        except ImageError:
            continue  # the proof says which
    return replace(card, activation_ranges=quantization.activation_ranges(model, lines))
