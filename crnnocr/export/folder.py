"""Write a model's ONNX files: beside the model, for crnnocr's own use of onnxruntime, or as a folder for other programs.

What is written is verified, or nothing is written.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError

from crnnocr.config import ExportConfig, ExportFormat, Orientation, Precision
from crnnocr.errors import ConfigError, GateError, ImageError, ModelError, UsageError
from crnnocr.export import web
from crnnocr.export.model_card import DIRECTION, ModelCard
from crnnocr.export.verify import (
    MIN_IMAGES,
    EndToEndBackend,
    LineBackend,
    Verification,
    VerificationImage,
    built_in_images,
    verify,
    with_copies,
)
from crnnocr.export.web import Runtime
from crnnocr.files import atomic_files, atomic_write
from crnnocr.graph import quantization
from crnnocr.graph.assembly import assemble
from crnnocr.images import Preprocessor
from crnnocr.inference.engines import DERIVED, OnnxEngine, TorchEngine
from crnnocr.model import checkpoint
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.model.exported import (
    DIRECTION_KEY,
    ONNX_CARD_KEY,
    ONNX_TRAINED_ON_KEY,
    PRECISION_KEY,
    SOURCE_HASH_KEY,
    read_content,
)
from crnnocr.model.registry import GRAPH, WEIGHTS

MODEL_JSON, README = "model.json", "README.md"


def derive_onnx(model_file: Path) -> None:
    """Write the ONNX files that onnxruntime runs in place of a model, beside it.

    If the one in single precision differs from the model, it is not kept, and torch runs the model.
    """
    with suppress(GateError):
        write_fp32(model_file, model_file.parent / DERIVED[Precision.FP32])
    if checkpoint.load_card(model_file).activation_ranges:
        write_int8(model_file, model_file.parent / DERIVED[Precision.INT8])


def write_fp32(model_file: Path, output: Path) -> Verification:
    """Write the ONNX file of a model in single precision, whole and verified or not at all.

    Raises:
        ModelError: the model is not a `.safetensors` file, or cannot be read.
        GateError: the export differs from the model.
    """
    card, model, source_hash = load_source(model_file)
    with atomic_write(output) as part:
        part.write_bytes(serialize_onnx(card, model, ExportConfig(), checkpoint.trained_on(model_file), source_hash))
        engine = OnnxEngine(part, is_trusted=True)  # it was made here, and is verified
        source = LineBackend(card, TorchEngine(model, torch.device("cpu")))
        return verify(source, LineBackend(engine.card, engine), built_in_images(), is_exact=True)


def write_int8(model_file: Path, output: Path) -> None:
    """Write the quantized ONNX file of a model whose card has activation ranges, whole but not verified."""
    card, model, source_hash = load_source(model_file)
    config = ExportConfig(precision=Precision.INT8)
    with atomic_write(output) as part:
        part.write_bytes(serialize_onnx(card, model, config, checkpoint.trained_on(model_file), source_hash))


def load_source(model_file: Path) -> tuple[Card, CRNN, str]:
    """Load the card and the network of a model, and hash its file. Raises `ModelError` if it is an export."""
    if model_file.suffix != ".safetensors":
        raise ModelError(f"{model_file} is a graph already: name the model of crnnocr that it was made from, if it was")
    return *checkpoint.load(model_file), hashlib.sha256(model_file.read_bytes()).hexdigest()


def check_graph(path: Path) -> None:
    """Check that a graph from elsewhere is all in its file, and gives what its card says for a blank line.

    Raises `ModelError` if not.
    """
    try:
        model = onnx.load_model_from_string(read_content(path))
    except DecodeError as error:
        raise ModelError(f"{path} is not an ONNX graph, or is damaged") from error
    if has_external_data(model):
        raise ModelError(f"{path} has tensors in other files: have the program that made it write a single one")
    engine = OnnxEngine(path, is_trusted=True)
    config = engine.card.config
    width = max(config.min_width, 2 * config.height)
    engine.log_probs(np.ones((1, 1, config.height, width), np.float32), np.array([width]))


def has_external_data(message: Any) -> bool:
    """Whether a protobuf message of ONNX has a tensor, however deep in it, whose numbers are in another file."""
    if isinstance(message, onnx.TensorProto) and (message.data_location or message.external_data):
        return True
    return any(
        has_external_data(inner)
        for field, value in message.ListFields()
        if field.message_type
        for inner in (value if isinstance(value, Sequence) else [value])
    )


def serialize_onnx(
    card: Card, model: CRNN, config: ExportConfig, trained_on: Collection[int] = (), source_hash: str = ""
) -> bytes:
    """The bytes of a model's ONNX file, not verified.

    Raises:
        ModelError: int8 is wanted, and the card has no activation ranges.
        UsageError: a self-contained graph cannot read lines of this orientation, or of several rows.
    """
    if config.self_contained and card.rows > 1:
        raise UsageError(
            f"{card.name} reads {card.rows} rows of text as one line, which a self-contained graph cannot put together"
        )
    metadata = {
        ONNX_CARD_KEY: json.dumps(card.to_json(), ensure_ascii=False),
        ONNX_TRAINED_ON_KEY: base64.b64encode(np.array(sorted(trained_on), dtype="<i8").tobytes()).decode(),
        PRECISION_KEY: config.precision.value,
        SOURCE_HASH_KEY: source_hash,
        DIRECTION_KEY: DIRECTION,
    }
    if config.precision is Precision.INT8 and not card.activation_ranges:
        raise ModelError(f"{card.name} cannot be quantized: its card has no activation ranges")
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    graph = assemble(card, weights, config.precision, config.self_contained, metadata)
    content: bytes = graph.to_onnx().SerializeToString()
    return content


@dataclass(frozen=True)
class Exported:
    """An export that was written."""

    path: Path
    """The graph, or the page."""
    files: tuple[Path, ...]
    verification: Verification
    removed: tuple[Path, ...] = ()
    """Files of an export in the other format that was there."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.files)


def export(
    model_file: Path,
    folder: Path,
    config: ExportConfig = ExportConfig(),  # noqa: B008 (frozen)
    images: Sequence[VerificationImage] = (),
    runtime: Runtime | None = None,
    force: bool = False,
    min_images: int = MIN_IMAGES,
) -> Exported:
    """Write a model for other programs: a verified folder with all that belongs to it, or nothing.

    Args:
        model_file: the `.safetensors` file.
        folder: where to write; other files in it stay.
        config: the format, and what the graph computes.
        images: the images to verify it on; by default the real ones that come with crnnocr.
        runtime: what a page runs the graph with.
        force: replace files that are there, and remove those of an export in the other format.
        min_images: images needed to count shares of equal texts; varied copies make up for missing ones.

    Raises:
        UsageError: files are there, or this model cannot be exported so.
        ModelError: the model cannot be read.
        GateError: the export differs from the model.
    """
    is_page = config.format is ExportFormat.WEB
    if is_page and runtime is None:
        raise ConfigError("runtime", "is needed for a page: where onnxruntime-web is")
    stale = check_folder(folder, config, force)
    card, model, source_hash = load_source(model_file)
    card = replace(card, orientation=_orientation(config, card))
    images = list(images or built_in_images())
    if not config.is_exact:
        images = with_copies(images, min_images)
    if config.precision is Precision.INT8 and not card.activation_ranges:
        card = with_activation_ranges(card, model, images)
    with atomic_files(folder, replaces=stale) as part:
        graph = part / GRAPH
        graph.write_bytes(serialize_onnx(card, model, config, checkpoint.trained_on(model_file), source_hash))
        verification = _verified(card, model, graph, config, images, min_images=1 if config.is_exact else min_images)
        start = web.INDEX if is_page else GRAPH
        about = ModelCard(card, config, verification, graph.read_bytes(), source_hash, start)
        if is_page:
            assert runtime is not None
            web.write_page(part, card, graph, runtime)
        (part / MODEL_JSON).write_text(json.dumps(about.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        (part / README).write_text(about.readme(), encoding="utf-8")
    files = tuple(folder / name for name in _file_names(config.format))
    return Exported(folder / start, files, verification, tuple(stale))


def check_folder(folder: Path, config: ExportConfig, force: bool = False) -> list[Path]:
    """Check that an export may be written to a folder.

    Returns the files of an export in the other format, which it would replace. Raises `UsageError` if it may not be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder with `output`")
    if (folder / WEIGHTS).exists():
        raise UsageError(f"{folder} is the folder of a model: name another one with `output`")
    names = _file_names(config.format)
    earlier = _earlier_format(folder)
    stale = [folder / name for name in _file_names(earlier) if name not in names] if earlier else []
    there = [path for path in (*(folder / name for name in names), *stale) if path.exists()]
    for path in there:
        if path.is_dir():
            raise UsageError(f"{path} is a folder, where a file is to be written: name another folder with `output`")
    if there and not force:
        raise UsageError(f"{there[0]} is there already: name another folder with `output`, or replace it with `force`")
    return [path for path in stale if path.exists()]


def with_activation_ranges(card: Card, model: CRNN, images: Sequence[VerificationImage]) -> Card:
    """Measure the activation ranges over the first of the images that can be read, for a card that has none."""
    preprocessor = Preprocessor.for_model(card.config, card.orientation, rows=card.rows)
    lines = []
    for image in images[: quantization.LINES]:
        with suppress(ImageError):  # the verification reports it
            lines.append(preprocessor.line(image.gray()))
    return replace(card, activation_ranges=quantization.activation_ranges(model, lines))


def _orientation(config: ExportConfig, card: Card) -> Orientation:
    """Which way the lines run for the export. A self-contained graph cannot try several ways."""
    wanted = config.orientation or card.orientation
    return Orientation.HORIZONTAL if config.self_contained and wanted is Orientation.AUTO else wanted


def _file_names(format: ExportFormat) -> list[str]:
    return [*(web.FILES if format is ExportFormat.WEB else (GRAPH,)), MODEL_JSON, README]


def _earlier_format(folder: Path) -> ExportFormat | None:
    """The format of the export in a folder, as its `model.json` says."""
    try:
        return ExportFormat(json.loads((folder / MODEL_JSON).read_text(encoding="utf-8"))["export"]["format"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _verified(
    card: Card, model: CRNN, graph: Path, config: ExportConfig, images: Sequence[VerificationImage], min_images: int
) -> Verification:
    engine = OnnxEngine(graph, is_trusted=True)  # it was made here, and is verified
    if json.loads(engine.metadata[ONNX_CARD_KEY]) != json.loads(json.dumps(card.to_json())):
        raise GateError("the card in the export is not the model's, so it was not kept")
    source = LineBackend(card, TorchEngine(model, torch.device("cpu")))
    backend = EndToEndBackend(card, engine) if config.self_contained else LineBackend(engine.card, engine)
    return verify(source, backend, images, config.is_exact, min_images)
