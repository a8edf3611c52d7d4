"""The network in int8: the same alone and in a batch, and used only if its accuracy is as good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from digits import CONFIG, SHAPE, image_of, number, numbers, prepared, trained_below
from networks import BODIES, FOLDED, NORMED, random_body

from crnnocr import images
from crnnocr.config import DEFAULT_PRESET, PRESETS, Concat, Conv, EngineChoice, Excitation, ExportConfig, ModelConfig, Precision
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
from crnnocr.training.stages import Order

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


def optimized(graph: bytes, folder: Path) -> Counter[str]:
    """How many nodes of each kind ONNX Runtime makes of a graph."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


def test_everything_except_the_first_convolution_and_the_head_is_computed_in_int8(model_file: Path, tmp_path: Path) -> None:
    # A node too many between them keeps ONNX Runtime from it, and then it is slower than single precision.
    kinds = optimized((model_file.parent / "model.int8.onnx").read_bytes(), tmp_path)
    assert kinds["QLinearConv"] == SHAPE.convolutions - 1
    assert kinds["Conv"] + kinds["FusedConv"] == 1
    assert (kinds["DynamicQuantizeLSTM"], kinds["LSTM"]) == (2, 0)


DIGITS = Charset("0123456789")


def quantizable(shape: ModelConfig, lines: Sequence[images.Line]) -> tuple[Card, CRNN]:
    """A random network with the ranges that its maps have for some lines."""
    torch.manual_seed(0)
    model = CRNN(shape, DIGITS.classes).eval()
    return Card("random", DIGITS, shape, activation_ranges=quantization.activation_ranges(model, lines)), model


def in_precision(precision: Precision, card: Card, model: CRNN) -> bytes:
    return exporting.serialize_onnx(card, model, ExportConfig(precision=precision))


@pytest.mark.parametrize("shape", BODIES.values(), ids=BODIES)
def test_of_every_kind_of_layer_onnx_runtime_makes_the_nodes_that_are_fast(shape: ModelConfig, tmp_path: Path) -> None:
    card, model = quantizable(shape, LINES)
    convolutions = [leaf for _, leaf, _ in shape.leaves() if isinstance(leaf, Conv)]
    gelus = sum(leaf.activation == "gelu" for leaf in convolutions)
    excitations = sum(isinstance(layer, Excitation) for layer in shape.backbone)
    assert gelus
    assert excitations
    kinds = optimized(in_precision(Precision.INT8, card, model), tmp_path)
    assert kinds["QLinearConv"] == len(convolutions) - 1 - excitations  # and the convolutions in front of these
    assert kinds["Conv"] + kinds["FusedConv"] == 1 + excitations
    assert (kinds["Gelu"], kinds["Erf"], kinds["DynamicQuantizeLSTM"]) == (gelus, 0, 2)
    kinds = optimized(in_precision(Precision.FP32, card, model), tmp_path)
    assert kinds["Conv"] + kinds["FusedConv"] == len(convolutions)
    assert (kinds["Gelu"], kinds["Erf"], kinds["LSTM"]) == (gelus, 0, 2)


SHAPES = {**PRESETS, **BODIES, **{f"random {seed}": random_body(seed) for seed in range(12)}}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_network_gives_nearly_the_same_in_int8_alone_or_not(shape: ModelConfig) -> None:
    texts = (number(1), "7", "5327532753275", number(2))
    lines = [Preprocessor.for_model(shape).line(image_of(text)) for text in texts]
    card, model = quantizable(shape, lines)
    assert len(card.activation_ranges) == shape.activations
    exact, quantized = (OnnxEngine(in_precision(precision, card, model)) for precision in (Precision.FP32, Precision.INT8))
    batch = images.to_batch(lines)
    (ours, frames), (theirs, _) = quantized.log_probs(*batch), exact.log_probs(*batch)
    for row, (line, count) in enumerate(zip(lines, frames, strict=True)):
        alone, _ = quantized.log_probs(*images.to_batch([line]))
        np.testing.assert_allclose(ours[row, :count], alone[0, :count], atol=1e-3)
        np.testing.assert_allclose(np.exp(ours[row, :count]), np.exp(theirs[row, :count]), atol=0.02)
        assert count == 1 or ours[row, :count].std(axis=0).max() > 0.001


@pytest.mark.parametrize("shape", [NORMED, FOLDED], ids=["normed", "folded"])
def test_int8_gives_a_line_the_same_bits_alone_and_in_any_batch(shape: ModelConfig) -> None:
    engine = OnnxEngine(in_precision(Precision.INT8, *quantizable(shape, LINES)))
    together, frames = engine.log_probs(*images.to_batch(LINES))
    for row, line in enumerate(LINES):
        alone, (count,) = engine.log_probs(*images.to_batch([line]))
        np.testing.assert_array_equal(together[row, :count], alone[0])
        assert count == frames[row]


@pytest.mark.parametrize("shape", [*BODIES.values(), SHAPE], ids=[*BODIES, "vgg"])
def test_values_that_were_never_measured_change_no_other_line(shape: ModelConfig) -> None:
    """Not even in the LSTM, whose scale is that of the whole batch."""
    card, model = quantizable(shape, LINES)
    narrow = tuple((low / 4, high / 4) for low, high in card.activation_ranges)
    engine = OnnxEngine(in_precision(Precision.INT8, replace(card, activation_ranges=narrow), model))
    loud = np.where(np.arange(200) % 8 < 4, 255, 0)[None].repeat(shape.height, axis=0).astype(np.uint8)
    for line in LINES:
        alone, (count,) = engine.log_probs(*images.to_batch([line]))
        beside, _ = engine.log_probs(*images.to_batch([line, loud]))
        np.testing.assert_allclose(beside[0, :count], alone[0], rtol=0, atol=1e-6)


def test_the_channels_of_a_first_convolution_with_others_beside_it_stay_apart() -> None:
    """A convolution that all others build on alone gets more channels, which are zero."""
    branches = Concat(((Conv(3), Conv(2, norm=False)), (Conv(3, activation="gelu"),)))
    shape = replace(SHAPE, backbone=(branches, *SHAPE.backbone))
    card, model = quantizable(shape, LINES)
    batch = images.to_batch(LINES)
    exact, quantized = (OnnxEngine(in_precision(each, card, model)) for each in (Precision.FP32, Precision.INT8))
    (theirs, frames), (ours, _) = exact.log_probs(*batch), quantized.log_probs(*batch)
    for row, count in enumerate(frames):
        np.testing.assert_allclose(np.exp(ours[row, :count]), np.exp(theirs[row, :count]), atol=0.02)


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
