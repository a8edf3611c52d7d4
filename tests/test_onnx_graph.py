"""The exported network gives the model's numbers and describes itself, or is not kept."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import BODIES, random_body
from onnx import TensorProto, helper
from typer.testing import Result

from crnnocr import images
from crnnocr.config import PRESETS, ExportConfig, ModelConfig, Precision
from crnnocr.errors import GateError, ModelError
from crnnocr.export import folder as exporting
from crnnocr.export import verify
from crnnocr.graph import end_to_end, network
from crnnocr.graph.builder import GraphBuilder
from crnnocr.inference.engines import OnnxEngine, TorchEngine, load_engine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model import checkpoint
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.model.exported import ONNX_CARD_KEY, ONNX_TRAINED_ON_KEY
from crnnocr.text.charset import Charset

CHARSET = Charset(" 0123456789aß漢")
SHAPES = {**PRESETS, **BODIES, **{f"random {seed}": random_body(seed) for seed in range(6)}}

all_shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def random_network(shape: ModelConfig) -> CRNN:
    """A network with random weights and random batch-norm statistics, which a new one has not."""
    torch.manual_seed(0)
    model = CRNN(shape, CHARSET.classes)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.3)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
    torch.nn.init.normal_(model.head.weight, std=1)  # so that the frames differ
    return model.eval()


def onnx_engine(model: CRNN, path: Path) -> OnnxEngine:
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    metadata = {ONNX_CARD_KEY: json.dumps(Card("x", CHARSET, model.config).to_json())}
    given = network.Network(model.config, model.classes, weights)
    path.write_bytes(network.build(given, metadata).to_onnx().SerializeToString())
    return OnnxEngine(path)


def random_lines(widths: list[int], height: int) -> list[images.Line]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, size=(height, width), dtype=np.uint8) for width in widths]


@all_shapes
def test_the_graph_gives_the_networks_numbers_at_any_width_and_in_any_batch(shape: ModelConfig, tmp_path: Path) -> None:
    model = random_network(shape)
    reference, other = TorchEngine(model, torch.device("cpu")), onnx_engine(model, tmp_path / "x.onnx")
    lines = random_lines([shape.min_width + more for more in (1, 21, 32, 47, 64, 101, 150, 333)], shape.height)
    for batch in ([line] for line in lines), (lines[:3], lines[5:]), (lines, lines[::-1]):
        for together in batch:
            inputs = images.to_batch(together)
            (wanted, frames), (given, given_frames) = reference.log_probs(*inputs), other.log_probs(*inputs)
            assert frames.tolist() == given_frames.tolist() == [shape.frames(line.shape[1]) for line in together]
            for row, count in enumerate(frames.tolist()):
                assert np.abs(wanted[row, :count] - given[row, :count]).max() < 1e-4


@all_shapes
def test_a_line_gives_the_same_alone_and_padded(shape: ModelConfig, tmp_path: Path) -> None:
    engine = onnx_engine(random_network(shape), tmp_path / "x.onnx")
    lines = random_lines([shape.min_width + more for more in (40, 33, 200)], shape.height)
    together, frames = engine.log_probs(*images.to_batch(lines))
    for row, line in enumerate(lines):
        alone, _ = engine.log_probs(*images.to_batch([line]))
        assert np.abs(alone[0] - together[row, : frames[row]]).max() < 1e-4
        assert alone[0].std(axis=0).max() > 0.02, "all frames are the same, so this proves nothing"


@all_shapes
def test_the_narrowest_line_of_a_config_works(shape: ModelConfig, tmp_path: Path) -> None:
    model = random_network(shape)
    inputs = images.to_batch(random_lines([shape.min_width], shape.height))
    for engine in (TorchEngine(model, torch.device("cpu")), onnx_engine(model, tmp_path / "x.onnx")):
        assert engine.log_probs(*inputs)[1].tolist() == [shape.frames(shape.min_width)]


@all_shapes
def test_in_half_precision_the_numbers_are_near_the_networks_alone_or_not(shape: ModelConfig) -> None:
    model = random_network(shape)
    graph = exporting.serialize_onnx(Card("x", CHARSET, shape), model, ExportConfig(precision=Precision.FP16))
    exact, half = TorchEngine(model, torch.device("cpu")), OnnxEngine(graph)
    lines = random_lines([shape.min_width + more for more in (40, 33, 200)], shape.height)
    (wanted, frames), (given, _) = exact.log_probs(*images.to_batch(lines)), half.log_probs(*images.to_batch(lines))
    for row, (line, count) in enumerate(zip(lines, frames.tolist(), strict=True)):
        alone, _ = half.log_probs(*images.to_batch([line]))
        assert np.abs(given[row, :count] - alone[0]).max() < 1e-4
        assert np.abs(given[row, :count] - wanted[row, :count]).max() < 0.05


def test_an_export_holds_card_hash_and_training_ids(tiny_model: Path, tmp_path: Path) -> None:
    exporting.write_fp32(tiny_model, tmp_path / "tiny.onnx")
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "tiny.onnx").metadata_props}
    card = json.loads(metadata["crnnocr"])
    assert Card.from_text(metadata["crnnocr"], tmp_path) == checkpoint.load_card(tiny_model)
    assert card["blank"] == 0
    assert card["preprocessing"].items() >= {"channels": 1, "height": 16, "black": -1, "white": 1, "padding": 0}.items()
    assert card["preprocessing"]["min_width"] == checkpoint.load_card(tiny_model).config.min_width
    assert metadata["crnnocr.source_sha256"] == hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    ids = np.frombuffer(base64.b64decode(metadata[ONNX_TRAINED_ON_KEY]), dtype="<i8")
    assert set(ids.tolist()) == checkpoint.trained_on(tiny_model)


def test_an_export_is_a_model_like_any_other(tiny_model: Path, tiny_data: Path, tmp_path: Path) -> None:
    exporting.write_fp32(tiny_model, tmp_path / "tiny.onnx")
    card, _, trained_on = load_engine(tmp_path / "tiny.onnx")
    assert card == checkpoint.load_card(tiny_model)
    assert trained_on == checkpoint.trained_on(tiny_model)
    files = sorted(tiny_data.glob("*.png"))
    predictions = [list(Recognizer.load(str(m), "cpu").predict(files)) for m in (tiny_model, tmp_path / "tiny.onnx")]
    texts = [[prediction.text for prediction in each] for each in predictions]
    assert texts[0] == texts[1]
    assert any(texts[0])
    confidences = [[prediction.confidence for prediction in each] for each in predictions]
    assert confidences[0] == pytest.approx(confidences[1], abs=1e-3)


def test_the_verification_is_on_real_images_of_several_widths(tiny_model: Path, tmp_path: Path) -> None:
    found = exporting.write_fp32(tiny_model, tmp_path / "tiny.onnx")
    assert found.images >= 4
    assert found.widths >= 4
    assert found.batch_sizes == (1, 3, 8)
    assert found.equal_texts == 1
    assert found.log_prob_difference is not None
    assert found.log_prob_difference <= verify.TOLERANCE


@pytest.fixture
def planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change every other number of one weight in every graph that is built."""
    add_network = network.add_network

    def wrong(nodes: GraphBuilder, given: network.Network, *rest: str) -> tuple[str, str]:
        changed = given.weights[request.param].copy()
        changed.flat[::2] -= 0.5  # not a single one, which may belong to a unit without effect in so small a model
        return add_network(nodes, replace(given, weights={**given.weights, request.param: changed}), *rest)

    monkeypatch.setattr(network, "add_network", wrong)
    monkeypatch.setattr(end_to_end, "add_network", wrong)


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    "planted",
    ["backbone.stages.0.0.weight", "backbone.stages.4.1.running_mean", "lstm.first.against.bias_ih_l0", "head.bias"],
    indirect=True,
)
def test_an_export_that_differs_is_not_kept(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    with pytest.raises(GateError, match=r"differs from the model, so it was not kept: \S+\.(png|jpg) (as|by)"):
        exporting.write_fp32(tiny_model, folder / "tiny.onnx")
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("planted", "current_model")
@pytest.mark.parametrize("planted", ["head.bias"], indirect=True)
@pytest.mark.parametrize("min_images", [20, pytest.param(verify.MIN_IMAGES, marks=pytest.mark.slow)])
def test_the_command_then_ends_with_4_and_keeps_the_earlier_file(
    min_images: int, tmp_path: Path, run_cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "MIN_IMAGES", min_images)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"an earlier export")
    for options in ((), ("--self-contained",), ("--precision", "fp16"), ("--precision", "int8")):
        result = run_cli("export", "--output", folder, "--force", *options)
        assert (result.exit_code, result.stdout) == (4, ""), options
        assert "error: the export differs from the model" in result.stderr
        assert [path.name for path in folder.iterdir()] == ["model.onnx"]
        assert (folder / "model.onnx").read_bytes() == b"an earlier export"
        assert not list(tmp_path.glob(".*"))


def test_an_export_cannot_be_exported(tiny_model: Path, tmp_path: Path) -> None:
    exporting.write_fp32(tiny_model, tmp_path / "tiny.onnx")
    with pytest.raises(ModelError, match=r"tiny\.onnx is a graph already"):
        exporting.write_fp32(tmp_path / "tiny.onnx", tmp_path / "again.onnx")


def foreign_graph(metadata: dict[str, str]) -> bytes:
    """A graph whose output is its input."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "foreign", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "was not exported by crnnocr: it holds no card"),
        (b"not a graph", "is not an ONNX graph, or is damaged"),
        (foreign_graph({}), "was not exported by crnnocr: it holds no card"),
        (foreign_graph({ONNX_CARD_KEY: "{}"}), "is not a model of crnnocr"),
        (foreign_graph({ONNX_CARD_KEY: "not JSON"}), "is not a model of crnnocr"),
        (foreign_graph({ONNX_CARD_KEY: '{"format_version": 2}'}), "pip install -U crnnocr"),
    ],
    ids=["empty", "no graph", "foreign", "no version", "no JSON", "newer"],
)
def test_a_foreign_onnx_file_is_an_error_that_names_it(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"foreign\.onnx .*{message}"):
        OnnxEngine(path)
