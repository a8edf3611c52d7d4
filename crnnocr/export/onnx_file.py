"""A model as an ONNX file that says all about itself."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from crnnocr.config import ExportConfig, Precision
from crnnocr.errors import GateError, ModelError
from crnnocr.export import end_to_end, onnx_graph, verify
from crnnocr.export.verify import Lines, Proof, prove
from crnnocr.files import atomic_write
from crnnocr.inference.engines import (
    DERIVED,
    DIRECTION_KEY,
    ONNX_CARD_KEY,
    ONNX_TRAINED_ON_KEY,
    PRECISION_KEY,
    SOURCE_HASH_KEY,
    OnnxEngine,
    TorchEngine,
)
from crnnocr.model import checkpoint
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN

DIRECTION = "visual"
"""Class ids follow each other as the characters stand on paper, from left to right."""


def write(model_file: Path, output: Path) -> Proof:
    """Write the ONNX file of a model in single precision, whole and proven or not at all.

    Raises:
        ModelError: the model is not a `.safetensors` file, or cannot be read.
        GateError: the export reads otherwise than the model.
    """
    card, model, source_hash = opened(model_file)
    with atomic_write(output) as part:
        part.write_bytes(serialised(card, model, ExportConfig(), checkpoint.trained_on(model_file), source_hash))
        engine = OnnxEngine(part)
        source = Lines(card, TorchEngine(model, torch.device("cpu")))
        return prove(source, Lines(engine.card, engine), verify.built_in(), exact=True)


def write_quantised(model_file: Path, output: Path) -> None:
    """Write the quantised ONNX file of a model whose card says how far its values reach."""
    card, model, source_hash = opened(model_file)
    config = ExportConfig(precision=Precision.INT8)
    with atomic_write(output) as part:
        part.write_bytes(serialised(card, model, config, checkpoint.trained_on(model_file), source_hash))


def derive(model_file: Path) -> None:
    """Write beside a model what onnxruntime reads in its place; torch does where that reads otherwise than the model."""
    with suppress(GateError):
        write(model_file, model_file.parent / DERIVED[Precision.FP32])
    if checkpoint.load_card(model_file).activation_ranges:
        write_quantised(model_file, model_file.parent / DERIVED[Precision.INT8])


def opened(model_file: Path) -> tuple[Card, CRNN, str]:
    """The card and the network of a model, and the hash of its file. Raises `ModelError` where it is an export already."""
    if model_file.suffix != ".safetensors":
        raise ModelError(f"{model_file} is an export already: name the model it was made from")
    return *checkpoint.load(model_file), hashlib.sha256(model_file.read_bytes()).hexdigest()


def serialised(card: Card, model: CRNN, config: ExportConfig, trained_on: Collection[int] = (), source_hash: str = "") -> bytes:
    """The bytes of a model's ONNX file, unproven. Raises `ModelError` where it cannot be quantised."""
    metadata = {
        ONNX_CARD_KEY: json.dumps(card.to_json(), ensure_ascii=False),
        ONNX_TRAINED_ON_KEY: base64.b64encode(np.array(sorted(trained_on), dtype="<i8").tobytes()).decode(),
        PRECISION_KEY: config.precision.value,
        SOURCE_HASH_KEY: source_hash,
        DIRECTION_KEY: DIRECTION,
    }
    if config.precision is Precision.INT8 and not card.activation_ranges:
        raise ModelError(f"{card.name} cannot be quantised: its card does not say how far its values reach")
    network = onnx_graph.Network(
        config=card.config,
        classes=card.charset.classes,
        weights={name: value.numpy() for name, value in model.state_dict().items()},
        precision=config.precision,
        activation_ranges=card.activation_ranges if config.precision is Precision.INT8 else (),
    )
    if config.self_contained:
        graph = end_to_end.build(network, card.orientation, card.calibration, metadata)
    else:
        graph = onnx_graph.build(network, metadata)
    content: bytes = graph.SerializeToString()
    return content
