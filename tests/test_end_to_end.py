"""The self-contained graph: it resizes to the byte as Pillow does, and gives what `predict` gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import BODIES
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from PIL import Image
from typer.testing import Result as CliResult

from crnnocr import images
from crnnocr.config import MAX_WIDTH, DecodeConfig, ExportConfig, ModelConfig, Orientation, Precision, ReadConfig
from crnnocr.decoding.forward import text_log_probs
from crnnocr.decoding.hypothesis import greedy
from crnnocr.errors import GateError, UsageError
from crnnocr.export import folder as exporting
from crnnocr.export import verify as verification
from crnnocr.export.verify import EndToEndBackend, Gray, LineBackend, VerificationImage, from_samples, verify
from crnnocr.graph import end_to_end, quantization
from crnnocr.graph.builder import GraphBuilder
from crnnocr.graph.end_to_end import Result, add_resize
from crnnocr.images import Preprocessor
from crnnocr.inference.engines import OnnxEngine, TorchEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.calibration import Calibration
from crnnocr.model import checkpoint
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.text.charset import Charset

SELF_CONTAINED = ExportConfig(self_contained=True)


def random_image(height: int, width: int, seed: int = 0) -> Gray:
    """Black and white points, whose averages are halves as often as possible."""
    return np.random.default_rng([seed, height, width]).choice(np.array([0, 1, 127, 255], np.uint8), size=(height, width))


@pytest.fixture(scope="module")
def resize() -> onnxruntime.InferenceSession:
    """A graph that resizes the middle axis."""
    nodes = GraphBuilder()
    columns = nodes.add("ReduceMax", ["wanted"], keepdims=0)
    nodes.add("Identity", [add_resize(nodes, "pictures", "size", "wanted", columns)], "resized")
    inputs = {
        "pictures": (TensorProto.UINT8, ["n", "a", "b"]),
        "size": (TensorProto.INT64, ["n"]),
        "wanted": (TensorProto.INT64, ["n"]),
    }
    model = nodes.model(inputs, {"resized": (TensorProto.UINT8, ["n", "c", "b"])}, {}, end_to_end.OPSET).to_onnx()
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 31, 32, 40, 41, 64, 80, 97, 160, 401, 1000])
def test_the_resize_is_pillows_to_the_byte(size: int, resize: onnxruntime.InferenceSession) -> None:
    gray = random_image(size, 50)
    for wanted in (1, 2, 5, 20, 39, 40, 41, 80, 200, 333, 1000):
        (given,) = resize.run(None, {"pictures": gray[None], "size": np.array([size]), "wanted": np.array([wanted])})
        expected = np.asarray(Image.fromarray(gray).resize((50, wanted), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(given[0], expected, err_msg=f"{size} to {wanted}")


def engine_of(model_file: Path, orientation: Orientation = Orientation.HORIZONTAL) -> OnnxEngine:
    card, model, _ = exporting.load_source(model_file)
    return OnnxEngine(exporting.serialize_onnx(replace(card, orientation=orientation), model, SELF_CONTAINED))


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> OnnxEngine:
    return engine_of(tiny_model)


SIZES = [(16, 60), (15, 61), (31, 17), (40, 200), (5, 90), (100, 333), (90, 50), (1, 1), (17, 500)]
"""None much taller than wide: Pillow resizes those in the other order, so that single values differ by one."""


def log_probs_of(engine: OnnxEngine, grays: list[Gray]) -> list[NDArray[np.float32]]:
    log_probs, frames = engine.run(["log_probs", "frames"], end_to_end.stack(grays))
    return [log_probs[row, :count] for row, count in enumerate(frames.tolist())]


@pytest.mark.parametrize("orientation", [Orientation.HORIZONTAL, Orientation.VERTICAL])
def test_the_network_gets_the_line_that_predict_gives_it(orientation: Orientation, tiny_model: Path) -> None:
    card, model, _ = exporting.load_source(tiny_model)
    lines_engine = OnnxEngine(exporting.serialize_onnx(card, model, ExportConfig()))
    whole = engine_of(tiny_model, orientation)
    grays = [random_image(*size) for size in SIZES]
    if orientation is Orientation.VERTICAL:
        grays = [np.ascontiguousarray(gray.T) for gray in grays]
    preprocessor = Preprocessor.for_model(card.config, orientation)
    lines = [preprocessor.line(gray) for gray in grays]
    for line, alone, together in zip(
        lines, [log_probs_of(whole, [gray])[0] for gray in grays], log_probs_of(whole, grays), strict=True
    ):
        expected = lines_engine.log_probs(*images.to_batch([line]))[0][0]
        np.testing.assert_allclose(alone, expected, atol=1e-5)
        np.testing.assert_allclose(together, expected, atol=1e-5)


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("shape", BODIES.values(), ids=BODIES)
def test_with_every_kind_of_layer_it_gives_what_the_network_alone_gives(shape: ModelConfig, precision: Precision) -> None:
    torch.manual_seed(0)
    grays, charset = [random_image(*size) for size in SIZES], Charset("abc")
    lines = [Preprocessor.for_model(shape).line(gray) for gray in grays]
    model = CRNN(shape, charset.classes).eval()
    card = Card("x", charset, shape, activation_ranges=quantization.activation_ranges(model, lines))
    plain, whole = (
        OnnxEngine(exporting.serialize_onnx(card, model, ExportConfig(precision=precision, self_contained=self_contained)))
        for self_contained in (False, True)
    )
    for line, gray, together in zip(lines, grays, log_probs_of(whole, grays), strict=True):
        expected = plain.log_probs(*images.to_batch([line]))[0][0]
        for found in (log_probs_of(whole, [gray])[0], together):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 if precision is Precision.FP16 else 1e-5)


def test_images_give_the_same_alone_and_together(engine: OnnxEngine, tiny_data: Path) -> None:
    grays = [np.asarray(images.load_gray(path)) for path in sorted(tiny_data.glob("*.png"))[:9]]
    together = end_to_end.run(engine, grays)
    for gray, result in zip(grays, together, strict=True):
        (alone,) = end_to_end.run(engine, [gray])
        assert alone.ids == result.ids
        assert alone.confidence == pytest.approx(result.confidence, abs=1e-5)


def best_paths(log_probs: list[NDArray[np.float32]], calibration: Calibration, spaces: tuple[int, ...] = ()) -> list[Result]:
    """Run the nodes of `add_best_path` on log-probabilities."""
    nodes = GraphBuilder()
    end_to_end.add_best_path(nodes, "log_probs", "frames", calibration, spaces)
    inputs = {"log_probs": (TensorProto.FLOAT, ["n", "t", "c"]), "frames": (TensorProto.INT64, ["n"])}
    model = nodes.model(inputs, end_to_end.OUTPUTS, {}, end_to_end.OPSET).to_onnx()
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    frames = np.array([len(line) for line in log_probs])
    together = np.full((len(log_probs), frames.max(), log_probs[0].shape[1]), -0.1, np.float32)  # padding means nothing
    for place, line in zip(together, log_probs, strict=True):
        place[: len(line)] = line
    names = ["ids", "lengths", "confidences", "character_confidences"]
    ids, lengths, confidences, characters = session.run(names, {"log_probs": together, "frames": frames})
    assert all((row[n:] == 0).all() for row, n in zip(ids, lengths, strict=True))
    return [
        Result(tuple(row[:n].tolist()), float(confidence), tuple(of_each[:n].tolist()), line)
        for row, n, confidence, of_each, line in zip(ids, lengths, confidences, characters, log_probs, strict=True)
    ]


@pytest.mark.parametrize("spaces", [(), (1,), (2, 3)])
def test_best_paths_and_their_confidences_are_those_of_the_decoders(spaces: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    lines = []
    for index in range(200):
        logits = rng.normal(size=(int(rng.integers(1, 30)), 5)) * (0.3, 1, 3, 10)[index % 4]
        lines.append((logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32))
    lines.append(np.log(np.full((12, 5), (0.96, 0.01, 0.01, 0.01, 0.01), np.float32)))  # no text at all
    calibration = Calibration(1.7, -0.4)
    found = best_paths(lines, calibration, spaces)
    assert not found[-1].ids
    for line, result in zip(lines, found, strict=True):
        assert result.ids == greedy(line, spaces).ids
        log_prob = float(text_log_probs([line], [result.ids], spaces)[0])
        if not result.ids:
            log_prob = float(np.log(np.exp(line[:, [0, *spaces]]).sum(axis=1).min()))
        assert result.confidence == pytest.approx(calibration.apply(log_prob), abs=1e-4)


def test_a_character_is_as_confident_as_its_most_confident_frame() -> None:
    probs = np.array([[0.1, 0.6, 0.3], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]], np.float32)
    (result,) = best_paths([np.log(probs)], Calibration())
    assert result.ids == (1, 1, 2)
    assert result.character_confidences == pytest.approx((0.8, 0.7, 0.8))


def test_a_space_is_as_confident_as_the_most_confident_frame_of_its_gap() -> None:
    path = [3, 0, 3, 1, 1, 0, 3, 0, 0, 3, 3, 1, 2, 3, 3, 2, 3]  # of a, b and the space, with spaces at the edges
    highest = np.array([0.9, 0.5, 0.9, 0.5, 0.6, 0.5, 0.5, 0.5, 0.5, 0.8, 0.5, 0.7, 0.5, 0.6, 0.5, 0.5, 0.9], np.float32)
    probs = np.repeat((1 - highest[:, None]) / 3, 4, axis=1)
    probs[np.arange(len(path)), path] = highest
    (result,) = best_paths([np.log(probs)], Calibration(), (3,))
    assert result.ids == (1, 3, 1, 2, 3, 2)
    assert result.character_confidences == pytest.approx((0.6, 0.8, 0.7, 0.5, 0.6, 0.5))


def test_all_texts_may_be_empty() -> None:
    (result,) = best_paths([np.log(np.array([[0.9, 0.1], [0.8, 0.2]], np.float32))], Calibration())
    assert result.ids == ()
    assert result.confidence == pytest.approx(0.8, abs=1e-4)  # as certain as the least certain frame
    assert result.character_confidences == ()


@pytest.mark.parametrize("precision", list(Precision))
def test_predict_takes_a_self_contained_export_with_all_options(
    precision: Precision, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    exporting.export(
        tiny_model, tmp_path / "whole", ExportConfig(precision=precision, self_contained=True), near(tiny_data), min_images=8
    )
    exporting.export(tiny_model, tmp_path / "plain", ExportConfig(precision=precision), near(tiny_data), min_images=8)
    grays = sorted(tiny_data.glob("*.png"))[:8]
    decode, read = DecodeConfig(beam=4, top_k=2), ReadConfig(characters=True)
    plain, whole = (list(Recognizer.load(tmp_path / name).predict(grays, decode, read)) for name in ("plain", "whole"))
    assert [prediction.text for prediction in plain] == [prediction.text for prediction in whole]
    assert any(prediction.text for prediction in whole)
    assert [p.confidence for p in plain] == pytest.approx([p.confidence for p in whole], abs=1e-4)
    assert [len(p.characters) for p in plain] == [len(p.characters) for p in whole]


def near(folder: Path) -> list[VerificationImage]:
    """The images that the tiny model knows by heart: of others it is so unsure that any rounding shows."""
    from crnnocr.datasets.detection import load_dataset

    return from_samples(load_dataset(folder).samples[:8])


def test_a_vertical_export_recognizes_vertical_lines(tiny_model: Path, tiny_data: Path, tmp_path: Path) -> None:
    config = ExportConfig(self_contained=True, orientation=Orientation.VERTICAL)
    turned = [replace(one, source=Image.fromarray(np.rot90(one.gray(), -1))) for one in near(tiny_data)]
    exporting.export(tiny_model, tmp_path / "vertical", config, turned, min_images=8)
    recognizer = Recognizer.load(tmp_path / "vertical")
    assert recognizer.card.orientation is Orientation.VERTICAL
    found = [prediction.text for prediction in recognizer.predict([gray.source for gray in turned])]
    assert found == [gray.text for gray in turned]


def test_the_export_of_a_model_for_all_orientations_is_horizontal(tiny_model: Path, tiny_data: Path, tmp_path: Path) -> None:
    card, model = checkpoint.load(tiny_model)
    checkpoint.save(tmp_path / "x.safetensors", replace(card, orientation=Orientation.AUTO), model, set())
    exporting.export(tmp_path / "x.safetensors", tmp_path / "out", SELF_CONTAINED, near(tiny_data), min_images=8)
    assert Recognizer.load(tmp_path / "out").card.orientation is Orientation.HORIZONTAL


def test_lines_that_run_upward_are_an_error(tiny_model: Path, tmp_path: Path) -> None:
    card, model = checkpoint.load(tiny_model)
    checkpoint.save(tmp_path / "x.safetensors", replace(card, orientation=Orientation.UPWARD), model, set())
    with pytest.raises(UsageError, match="`orientation=horizontal` or `orientation=vertical`"):
        exporting.export(tmp_path / "x.safetensors", tmp_path / "out", SELF_CONTAINED)
    assert not (tmp_path / "out").exists()


def coarser_weights(graph: onnx.GraphProto) -> None:
    """Give the weights of the resize 2 bits in place of 22."""
    for constant in graph.initializer:
        if constant.data_type == TensorProto.DOUBLE and (value := numpy_helper.to_array(constant)) in (2.0**22, 2.0**21):
            constant.CopyFrom(numpy_helper.from_array(value / 2.0**20, constant.name))


def another_blank(graph: onnx.GraphProto) -> None:
    """Take class 1 for a blank, too."""
    first = next(node for node in graph.node if node.op_type == "Greater")
    replace_constant(graph, first.input[1], 1)


def narrower_lines(graph: onnx.GraphProto) -> None:
    """Cut lines off at 24 pixels."""
    largest = next(c.name for c in graph.initializer if c.dims == [] and numpy_helper.to_array(c) == MAX_WIDTH)
    replace_constant(graph, largest, 24)


def replace_constant(graph: onnx.GraphProto, name: str, value: int) -> None:
    constant = next(constant for constant in graph.initializer if constant.name == name)
    constant.CopyFrom(numpy_helper.from_array(np.array(value), name))


@pytest.mark.parametrize("edit", [None, coarser_weights, another_blank, narrower_lines])
def test_another_preprocessing_or_blank_is_caught(
    edit: Callable[[onnx.GraphProto], None] | None, tiny_model: Path, tiny_data: Path
) -> None:
    card, network, _ = exporting.load_source(tiny_model)
    model = onnx.load_from_string(exporting.serialize_onnx(card, network, SELF_CONTAINED))
    if edit:
        edit(model.graph)
    source = LineBackend(card, TorchEngine(network, torch.device("cpu")))
    export = EndToEndBackend(card, OnnxEngine(model.SerializeToString(), is_trusted=True))
    if edit:
        with pytest.raises(GateError, match=r"differs from the model.*\.png as '"):
            verify(source, export, near(tiny_data), is_exact=False)
    else:
        assert verify(source, export, near(tiny_data), is_exact=False).equal_texts == 1


@pytest.mark.usefixtures("current_model")
def test_the_command_exports_it_and_predict_runs_it(
    tiny_data: Path, tmp_path: Path, run_cli: Callable[..., CliResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MIN_IMAGES", 40)
    monkeypatch.chdir(tmp_path)
    grays = sorted(tiny_data.glob("*.png"))[:4]
    result = run_cli("export", "--self-contained", "--verify", tiny_data)
    assert result.exit_code == 0, result.stderr
    given = {entry.name for entry in onnx.load(tmp_path / "tiny-onnx-self-contained/model.onnx").graph.input}
    assert given == {"pictures", "sizes"}
    ours, theirs = (run_cli("predict", *grays, *model).stdout for model in ((), ("--model", "tiny-onnx-self-contained")))
    assert ours == theirs
