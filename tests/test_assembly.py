"""A graph from elsewhere is run only if it is what crnnocr builds for its card, or if the user has imported it."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import hostile_graphs as hostile
import numpy as np
import onnx
import pytest
import torch
from networks import BODIES, FOLDED
from onnx import helper
from PIL import Image
from typer.testing import Result

from crnnocr import runtime
from crnnocr.config import PRESETS, ExportConfig, ModelConfig, Orientation, Precision
from crnnocr.errors import ModelError
from crnnocr.export import folder as exporting
from crnnocr.graph import assembly, end_to_end, onnx_file
from crnnocr.inference.engines import OnnxEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model import registry
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.text.charset import Charset

CHARSET = Charset(" 0123456789aß漢")
SHAPES = {**PRESETS, **BODIES}


@pytest.fixture(scope="module")
def graph(tiny_model: Path) -> bytes:
    card, model, _ = exporting.load_source(tiny_model)
    return exporting.serialize_onnx(card, model, ExportConfig())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("L", (60, 20), 255).save(tmp_path / "image.png")
    return tmp_path / "image.png"


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
def test_the_shapes_of_weights_are_those_of_the_network(config: ModelConfig) -> None:
    with torch.device("meta"):
        model = CRNN(config, CHARSET.classes)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    unused = ("num_batches",) if config.skip else ("num_batches", "auxiliary")
    own = {name: shape for name, shape in expected.items() if not any(each in name for each in unused)}
    assert assembly.weight_shapes(config, CHARSET.classes) == own


@pytest.mark.parametrize(
    ("name", "precision", "self_contained"), [*itertools.product(sorted(SHAPES), Precision, (False, True))]
)
def test_every_export_is_what_is_built_for_its_card(name: str, precision: Precision, self_contained: bool) -> None:
    rng, config = np.random.default_rng(0), SHAPES[name]
    shapes = assembly.weight_shapes(config, CHARSET.classes)
    weights = {name: rng.uniform(0.1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    ranges = tuple((-low, high) for low, high in rng.uniform((0, 1), (3, 9), (config.activations, 2)).tolist())
    for orientation in (Orientation.HORIZONTAL, Orientation.VERTICAL):
        card = Card("x", CHARSET, config, orientation, activation_ranges=ranges)
        model = assembly.assemble(card, weights, precision, self_contained, {"a": "b"})
        found = onnx_file.read(model.to_onnx().SerializeToString())
        assembly.check(found, card, precision)
        assert found.metadata == {"a": "b"}
        with pytest.raises(ValueError, match=r"."):
            assembly.check(found, replace(card, config=replace(card.config, hidden=card.config.hidden + 8)), precision)


CHECKED = {
    hostile.endless: "nodes instead of",
    hostile.huge: "nodes instead of",
    hostile.frames(-1): "nodes instead of",
    hostile.doubled: "nodes instead of",
    hostile.outside: "in another file",
    hostile.outside_in_a_node: "no export of crnnocr has",
    hostile.another_size: "constant",
    hostile.with_function: "a field 25 that no export",
    hostile.other_operator: "Neg, should be Relu",
    hostile.other_attribute: "Transpose, attribute perm, is another",
    hostile.other_input: "its inputs are others",
    hostile.other_opset: "another version of ONNX",
    hostile.custom_domain: "should be Relu",
}


@pytest.mark.parametrize("edit", CHECKED, ids=lambda edit: edit.__name__)
def test_a_graph_of_another_kind_is_an_error_before_onnxruntime_sees_it(
    edit: hostile.Edit, graph: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OnnxEngine(graph)

    def never() -> None:
        pytest.fail("it was loaded")

    monkeypatch.setattr(runtime, "import_onnxruntime", never)
    path = hostile.write(tmp_path / "odd.onnx", graph, edit)
    with pytest.raises(ModelError, match=rf"odd\.onnx is not the graph .*{CHECKED[edit]}.*models import"):
        OnnxEngine(path)


def another_attribute(kind: str, name: str) -> hostile.Edit:
    def edit(model: onnx.ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == kind and any(a.name == name for a in node.attribute))
        attribute = next(attribute for attribute in node.attribute if attribute.name == name)
        if attribute.ints:
            attribute.ints[0] += 1
        else:
            attribute.i += 1

    return edit


def another_operator(before: str, after: str) -> hostile.Edit:
    def edit(model: onnx.ModelProto) -> None:
        next(node for node in model.graph.node if node.op_type == before).op_type = after

    return edit


def unmasked(model: onnx.ModelProto) -> None:
    """Does not hide what is right of the lines from a squeeze-and-excitation."""
    sums = next(node for node in model.graph.node if node.op_type == "ReduceSum")
    masked = next(node for node in model.graph.node if sums.input[0] in node.output)
    sums.input[0] = masked.input[1]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (another_attribute("Conv", "strides"), "Conv, attribute strides, is another"),
        (another_attribute("Conv", "group"), "Conv, attribute group, is another"),
        (another_attribute("MaxPool", "pads"), "MaxPool, attribute pads, is another"),
        (another_attribute("AveragePool", "kernel_shape"), "AveragePool, attribute kernel_shape, is another"),
        (another_attribute("Concat", "axis"), "Concat, attribute axis, is another"),
        (another_operator("Erf", "Tanh"), "Tanh, should be Erf"),
        (another_operator("Sigmoid", "Exp"), "Exp, should be Sigmoid"),
        (unmasked, "ReduceSum, has other inputs or outputs"),
    ],
)
def test_a_graph_with_a_changed_layer_is_an_error(edit: hostile.Edit, message: str) -> None:
    card, model = Card("x", CHARSET, FOLDED), CRNN(FOLDED, CHARSET.classes).eval()
    graph = exporting.serialize_onnx(card, model, ExportConfig())
    OnnxEngine(graph)
    with pytest.raises(ModelError, match=message):
        OnnxEngine(hostile.edited(graph, edit))


def test_a_graph_with_weights_that_are_no_numbers_is_an_error(graph: bytes) -> None:
    with pytest.raises(ModelError, match=r"head\.bias holds what is not a finite number: it is damaged"):
        OnnxEngine(hostile.edited(graph, hostile.no_numbers))


def test_what_two_readers_could_read_in_two_ways_is_an_error(graph: bytes) -> None:
    for more in (graph, b"\x08\x08", b"\x3a\x00"):  # all of it again, another IR version, another graph
        with pytest.raises(ModelError, match=r"comes twice|no export of crnnocr"):
            OnnxEngine(graph + more)
    with pytest.raises(ModelError, match="damaged"):
        OnnxEngine(graph + b"\x3b")  # a group


def test_a_card_of_other_sizes_takes_no_memory(graph: bytes) -> None:
    def larger(model: object) -> None:
        entry = next(one for one in model.metadata_props if one.key == "crnnocr")  # type: ignore[attr-defined]
        card = json.loads(entry.value)
        card["model"]["hidden"] = 10**9
        entry.value = json.dumps(card)

    with pytest.raises(ModelError, match="its weights do not fit its card"):
        OnnxEngine(hostile.edited(graph, larger))


def test_it_runs_once_it_is_imported(graph: bytes, image: Path, tmp_path: Path, run_cli: Callable[..., Result]) -> None:
    def same(model: object) -> None:
        """Another name of a node: the same results, but another program."""
        model.graph.node[0].name = "optimized"  # type: ignore[attr-defined]
        model.graph.node[0].doc_string = "by another tool"  # type: ignore[attr-defined]

    path = hostile.write(tmp_path / "optimized.onnx", graph, same)
    refused = run_cli("predict", image, "--model", path)
    assert refused.exit_code == 1
    assert f"crnnocr models import {path}" in refused.stderr
    imported = run_cli("models", "import", path, "--name", "theirs", "--json")
    assert imported.exit_code == 0, imported.stderr
    assert json.loads(imported.stdout)["path"] == str(registry.path_of("theirs").with_name("model.onnx"))
    assert run_cli("predict", image, "--model", "theirs").exit_code == 0
    assert registry.own_names() == ["theirs"]
    assert json.loads(run_cli("models", "show", "theirs", "--json").stdout)["name"] == "tiny"
    assert json.loads(run_cli("models", "--json").stdout)[0]["preset"] == "tiny"
    assert registry.free_name("theirs") == "theirs-2"
    assert run_cli("predict", image, "--model", path).exit_code == 1, "the file elsewhere is as little trusted as before"
    assert run_cli("export", "--model", "theirs").exit_code == 1
    assert run_cli("models", "rm", "theirs").exit_code == 0
    assert registry.own_names() == []


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (hostile.frames(-1), "gives -1 frames for lines that have"),
        (hostile.frames(10**9), "gives 1000000000 frames"),
        (hostile.doubled, "gives results of shape"),
        (hostile.no_numbers, "no probabilities"),
        (hostile.improbable, "no probabilities"),
        (hostile.huge, "cannot be run"),
        (hostile.outside, "tensors in other files"),
        (hostile.outside_in_a_node, "tensors in other files"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_gives_no_results_is_not_imported(
    edit: hostile.Edit, message: str, graph: bytes, tmp_path: Path, run_cli: Callable[..., Result]
) -> None:
    path = hostile.write(tmp_path / "odd.onnx", graph, edit)
    result = run_cli("models", "import", path)
    assert result.exit_code == 1
    assert message in result.stderr
    assert registry.own_names() == []
    if "other files" not in message:
        engine = OnnxEngine(path, is_trusted=True)
        with pytest.raises(ModelError, match=message):
            Recognizer(engine.card, engine).log_probs([np.zeros((16, 40), np.uint8)])


@pytest.mark.parametrize(("output", "value"), [("lengths", -1), ("lengths", 10**9), ("frames", -1), ("frames", 10**9)])
def test_a_self_contained_graph_with_other_lengths_verifies_nothing(output: str, value: int, tiny_model: Path) -> None:
    card, model, _ = exporting.load_source(tiny_model)
    graph = exporting.serialize_onnx(card, model, ExportConfig(self_contained=True))

    def edit(model: onnx.ModelProto) -> None:
        last = next(node for node in model.graph.node if output in node.output)
        last.output[:] = ["before" if name == output else name for name in last.output]
        for node in model.graph.node:
            node.input[:] = ["before" if name == output else name for name in node.input]
        hostile.add_constant(model, "zero", 0)
        hostile.add_constant(model, "value", value)
        model.graph.node.append(helper.make_node("Mul", ["before", "zero"], ["none"]))
        model.graph.node.append(helper.make_node("Add", ["none", "value"], [output]))

    engine = OnnxEngine(hostile.edited(graph, edit), is_trusted=True)
    with pytest.raises(ModelError, match=f"gives lengths from {value}"):
        end_to_end.run(engine, [np.zeros((20, 50), np.uint8), np.zeros((16, 30), np.uint8)])


@pytest.fixture
def _heeds_interrupts() -> Iterator[None]:
    """Let child processes heed SIGINT, which whoever runs the tests in the background may have ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.usefixtures("_heeds_interrupts")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_graph_that_never_ends_is_stopped(number: int, code: int, graph: bytes, image: Path, tmp_path: Path) -> None:
    endless = hostile.write(tmp_path / "endless.onnx", graph, hostile.endless)
    stored = hostile.write(registry.path_of("endless").with_name("model.onnx"), graph, hostile.endless)
    for command in (["predict", str(image), "--model", "endless"], ["models", "import", str(endless), "--name", "again"]):
        process = subprocess.Popen([sys.executable, "-m", "crnnocr", *command], stderr=subprocess.PIPE, text=True)
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(6)
            process.send_signal(number)
            start = time.monotonic()
            _, messages = process.communicate(timeout=10)
        finally:
            process.kill()  # it would go on without end
        assert (process.returncode, "Traceback" in messages) == (code, False)
        assert time.monotonic() - start < 5
    assert registry.own_names() == ["endless"]
    assert {path.name for path in stored.parent.parent.iterdir()} == {"endless"}
