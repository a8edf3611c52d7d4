"""A model as an ONNX file that says all about itself, kept only when it is proven to read the same."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from crnnocr.config import Precision
from crnnocr.engines import ONNX_CARD_KEY, ONNX_TRAINED_ON_KEY, PRECISION_KEY, SOURCE_HASH_KEY, OnnxEngine, TorchEngine
from crnnocr.errors import ModelError
from crnnocr.exporting import onnx_graph
from crnnocr.exporting.parity import Proof, built_in_pictures, prove
from crnnocr.files import replacing
from crnnocr.model import checkpoint
from crnnocr.model.checkpoint import Card
from crnnocr.model.crnn import CRNN


def export(model_file: Path, output: Path, precision: Precision = Precision.FP32) -> Proof:
    """Write the ONNX file of a model, whole and proven or not at all.

    Raises:
        ModelError: the model is not a `.safetensors` file, or cannot be read.
        GateError: the export reads otherwise than the model.
    """
    if model_file.suffix != ".safetensors":
        raise ModelError(f"{model_file} is an export already: name the model it was made from")
    card, model = checkpoint.load(model_file)
    source_hash = hashlib.sha256(model_file.read_bytes()).hexdigest()
    with replacing(output) as part:
        part.write_bytes(serialised(card, model, precision, checkpoint.trained_on(model_file), source_hash))
        return prove(TorchEngine(model, torch.device("cpu")), OnnxEngine(part), built_in_pictures(card))


def write_quantised(model_file: Path, output: Path) -> None:
    """Write the quantised ONNX file of a model whose card says how far its values reach."""
    card, model = checkpoint.load(model_file)
    source_hash = hashlib.sha256(model_file.read_bytes()).hexdigest()
    with replacing(output) as part:
        part.write_bytes(serialised(card, model, Precision.INT8, checkpoint.trained_on(model_file), source_hash))


def serialised(card: Card, model: CRNN, precision: Precision, trained_on: Collection[int] = (), source_hash: str = "") -> bytes:
    """The bytes of a model's ONNX file, unproven."""
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    metadata = {
        ONNX_CARD_KEY: json.dumps(card.to_json(), ensure_ascii=False),
        ONNX_TRAINED_ON_KEY: base64.b64encode(np.array(sorted(trained_on), dtype="<i8").tobytes()).decode(),
        PRECISION_KEY: precision.value,
        SOURCE_HASH_KEY: source_hash,
    }
    peaks = card.peaks if precision is Precision.INT8 else ()
    graph: bytes = onnx_graph.build(card.config, card.charset.classes, weights, metadata, peaks).SerializeToString()
    return graph
