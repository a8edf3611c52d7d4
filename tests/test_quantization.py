"""The network in int8: the same alone and in a batch, and used only if its accuracy is as good."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from digits import CONFIG, SHAPE, image_of, number, numbers, prepared, trained_below

from crnnocr import images
from crnnocr.config import DEFAULT_PRESET, PRESETS, EngineChoice, ExportConfig, Precision
from crnnocr.errors import ModelError
from crnnocr.export import folder as exporting
from crnnocr.graph import quantization
from crnnocr.images import Preprocessor
from crnnocr.inference.engines import OnnxEngine, load_engine
from crnnocr.model import checkpoint
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.model.exported import PRECISION_KEY
from crnnocr.text.charset import Charset
from crnnocr.training import run as training
from crnnocr.training.finalize import Finished
from crnnocr.training.run import Order

LINES = [
    Preprocessor.for_model(SHAPE).line(image_of(text)) for text in (number(1), "7", "5327532753275", number(2, 9), number(3))
]


def train(folder: Path) -> Finished:
    data = numbers(folder / "data")
    *_, end = training.run(Order(prepared(data, CONFIG, name="numbers"), CONFIG, (data,), device="cpu"))
    assert isinstance(end, Finished)
    return end


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads numbers. Not to be written to."""
    folder = tmp_path_factory.mktemp("quantized")
    with trained_below(folder):
        return train(folder).path


@pytest.fixture
def quantized(model_file: Path) -> OnnxEngine:
    return OnnxEngine(model_file.parent / "model.int8.onnx")


def test_a_line_gives_the_same_alone_and_in_any_batch(quantized: OnnxEngine) -> None:
    together, frames = quantized.log_probs(*images.to_batch(LINES))
    for row, line in enumerate(LINES):
        alone, (count,) = quantized.log_probs(*images.to_batch([line]))
        assert frames[row] == count
        np.testing.assert_allclose(together[row, :count], alone[0, :count], atol=1e-3)


def test_everything_except_the_first_convolution_and_the_head_is_computed_in_int8(model_file: Path, tmp_path: Path) -> None:
    # A node too many between them keeps ONNX Runtime from it, and then it is slower than single precision.
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(model_file.parent / "model.int8.onnx", options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert kinds["QLinearConv"] == SHAPE.convolutions - 1
    assert kinds["Conv"] + kinds["FusedConv"] == 1
    assert (kinds["DynamicQuantizeLSTM"], kinds["LSTM"]) == (2, 0)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_gives_nearly_the_same_in_int8_alone_or_not(preset: str) -> None:
    torch.manual_seed(0)
    shape = PRESETS[preset]
    texts = (number(1), "7", "5327532753275", number(2))
    lines = [Preprocessor.for_model(shape).line(image_of(text)) for text in texts]
    charset = Charset("0123456789")
    model = CRNN(shape, charset.classes).eval()
    card = Card("random", charset, shape, activation_ranges=quantization.activation_ranges(model, lines))
    exact, quantized = (
        OnnxEngine(exporting.serialize_onnx(card, model, ExportConfig(precision=precision)))
        for precision in (Precision.FP32, Precision.INT8)
    )
    batch = images.to_batch(lines)
    (ours, frames), (theirs, _) = quantized.log_probs(*batch), exact.log_probs(*batch)
    for row, (line, count) in enumerate(zip(lines, frames, strict=True)):
        alone, _ = quantized.log_probs(*images.to_batch([line]))
        np.testing.assert_allclose(ours[row, :count], alone[0, :count], atol=1e-3)
        np.testing.assert_allclose(np.exp(ours[row, :count]), np.exp(theirs[row, :count]), atol=0.02)
        assert ours[row, :count].std(axis=0).max() > 0.001


def test_it_is_near_the_network(quantized: OnnxEngine, model_file: Path) -> None:
    _, exact, _ = load_engine(model_file, "cpu", EngineChoice.TORCH)
    batch = images.to_batch(LINES)
    (ours, frames), (theirs, _) = quantized.log_probs(*batch), exact.log_probs(*batch)
    differences = [np.abs(np.exp(ours[i, :n]) - np.exp(theirs[i, :n])).max() for i, n in enumerate(frames)]
    assert 0 < max(differences) < 0.2
    assert quantized.precision is Precision.INT8
    assert "int8" in quantized.description


def test_the_card_says_which_precision_is_used(model_file: Path) -> None:
    card = checkpoint.load_card(model_file)
    assert len(card.activation_ranges) == SHAPE.activations == len(SHAPE.backbone)
    engine = load_engine(model_file, "cpu")[1]
    assert isinstance(engine, OnnxEngine)
    assert engine.precision is card.precision


def test_if_its_error_rate_is_higher_the_network_itself_is_used(
    tmp_path: Path, own_registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)
    measure = quantization.activation_ranges
    monkeypatch.setattr(
        quantization, "activation_ranges", lambda *given: tuple((low, high / 50) for low, high in measure(*given))
    )
    end = train(tmp_path)
    assert end.precision is Precision.FP32
    assert checkpoint.load_card(end.path).precision is Precision.FP32
    engine = load_engine(end.path, "cpu")[1]
    assert isinstance(engine, OnnxEngine)
    assert engine.precision is Precision.FP32


def test_the_fp32_file_is_used_if_the_int8_one_is_missing_or_stale(model_file: Path, tmp_path: Path) -> None:
    card, model = checkpoint.load(model_file)
    path = tmp_path / model_file.name
    checkpoint.save(path, replace(card, precision=Precision.INT8), model, set())
    exporting.write_fp32(path, tmp_path / "model.onnx")
    for stale in (False, True):
        if stale:
            (tmp_path / "model.int8.onnx").write_bytes((model_file.parent / "model.int8.onnx").read_bytes())
        engine = load_engine(path, "cpu")[1]
        assert isinstance(engine, OnnxEngine)
        assert engine.precision is Precision.FP32


def test_a_precision_of_a_later_version_is_an_error(model_file: Path) -> None:
    graph = onnx.load_from_string(exporting.serialize_onnx(*checkpoint.load(model_file), ExportConfig()))
    next(entry for entry in graph.metadata_props if entry.key == PRECISION_KEY).value = "int4"
    with pytest.raises(ModelError, match="later crnnocr"):
        OnnxEngine(graph.SerializeToString())


def test_the_bias_of_a_channel_with_a_zero_kernel_is_kept(model_file: Path) -> None:
    card, model = checkpoint.load(model_file)
    weights = model.state_dict()
    weights["backbone.stages.2.0.weight"][3] = 0
    model.load_state_dict(weights)
    batch = images.to_batch(LINES)
    for precision in Precision:
        engine = OnnxEngine(exporting.serialize_onnx(card, model, ExportConfig(precision=precision)))
        log_probs, frames = engine.log_probs(*batch)
        if precision is Precision.FP32:
            exact = log_probs
    assert max(np.abs(np.exp(log_probs[i, :n]) - np.exp(exact[i, :n])).max() for i, n in enumerate(frames)) < 0.2
