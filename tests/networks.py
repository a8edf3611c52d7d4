"""Networks with every kind of layer: a small one like PP-OCRv6's recognizers, the same as a graph in the style of theirs, and
random ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from crnnocr.config import (
    NORM_EPSILON,
    Activation,
    Attention,
    Concat,
    Conv,
    Excitation,
    Layer,
    LayerNorm,
    ModelConfig,
    Pool,
    Residual,
)
from crnnocr.errors import ModelError


def _body(norm: bool) -> ModelConfig:
    """A network for lines 16 pixels high, with a frame every 4 pixels."""
    conv = partial(Conv, norm=norm)
    small = partial(conv, kernel=(2, 2), padding=(0, 0), more_padding=(1, 1))
    pointwise = partial(conv, kernel=(1, 1), padding=(0, 0))
    linear = partial(Conv, kernel=(1, 1), padding=(0, 0), norm=False)
    depthwise = partial(conv, activation="none", is_depthwise=True)
    neck = (
        Residual((conv(12, kernel=(1, 5), padding=(0, 2), activation="swish", is_depthwise=True),)),
        Residual((LayerNorm(), Attention(3))),
        Residual((LayerNorm(), linear(24, activation="swish"), linear(12, activation="none"))),
        LayerNorm(1e-3),
    )
    layers = (
        conv(8, stride=(2, 2)),
        Concat(((Pool((2, 2), (1, 1), more_padding=(1, 1)),), (small(4), small(8)))),
        conv(8, stride=(2, 2)),
        pointwise(12),
        depthwise(12),
        Excitation(3),
        Residual((pointwise(24, activation="gelu"), pointwise(12, activation="none"))),
        depthwise(12),
        Residual((pointwise(24, activation="hard-swish"), pointwise(12, activation="none"))),
        depthwise(12, stride=(2, 1)),
        pointwise(24, activation="gelu"),
        pointwise(16, activation="none"),
        Pool((2, 2), (2, 1), is_average=True),
        pointwise(20, activation="swish"),
        Concat(((pointwise(6, activation="swish"),), (pointwise(12, activation="swish"), *neck))),
    )
    return ModelConfig(preset="lcnet", height=16, backbone=layers, hidden=12, skip=True)


NORMED = _body(norm=True)
FOLDED = _body(norm=False)
"""With the normalization folded into the convolutions."""

BODIES: dict[str, ModelConfig] = {
    "normed": NORMED,
    "folded": FOLDED,
    "gelu first": replace(
        FOLDED, backbone=(Conv(8, stride=(2, 2), norm=False, activation="gelu"), *FOLDED.backbone[2:-1]), skip=False
    ),
}


class _Source:
    """Adds nodes to a graph, as PaddlePaddle's converter writes them."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [f"{kind}.{len(self.nodes)}"], **attributes))
        return str(self.nodes[-1].output[0])

    def constant(self, value: object, kind: type[np.generic] = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.array(value, kind), f"constant.{len(self.constants)}"))
        return str(self.constants[-1].name)

    def conv(self, maps: str, stage: str, pads: int | list[int] = 0, stride: tuple[int, int] = (1, 1), group: int = 1) -> str:
        """A convolution, and its batch normalization or its bias as nodes of their own."""
        name, kernel = f"backbone.stages.{stage}", self.weights[f"backbone.stages.{stage}.0.weight"]
        window = {"pads": [pads] * 4 if isinstance(pads, int) else pads, "strides": stride, "kernel_shape": kernel.shape[2:]}
        maps = self.add("Conv", maps, self.constant(kernel), group=group, **window)
        if f"{name}.0.bias" in self.weights:
            return self.add("Add", maps, self.constant(self.weights[f"{name}.0.bias"][None, :, None, None]))
        statistics = (self.weights[f"{name}.1.{each}"] for each in ("weight", "bias", "running_mean", "running_var"))
        return self.add("BatchNormalization", maps, *map(self.constant, statistics), epsilon=NORM_EPSILON)

    def gelu(self, maps: str) -> str:
        erf = self.add("Erf", self.add("Div", maps, self.constant(2**0.5)))
        return self.add("Mul", self.add("Mul", maps, self.add("Add", erf, self.constant(1))), self.constant(0.5))

    def swish(self, maps: str) -> str:
        return self.add("Mul", maps, self.add("Sigmoid", maps))

    def excitation(self, maps: str, stage: str) -> str:
        """Squeeze-and-excitation over the whole image, with 1x1 convolutions."""
        values = self.add("ReduceMean", maps, axes=[2, 3], keepdims=1)
        for part in ("squeeze", "excite"):
            weight, bias = (self.weights[f"backbone.stages.{stage}.{part}.{each}"] for each in ("weight", "bias"))
            values = self.add("Conv", values, self.constant(weight[:, :, None, None]), kernel_shape=[1, 1])
            values = self.add("Add", values, self.constant(bias[None, :, None, None]))
            values = self.add("Relu", values) if part == "squeeze" else values
        return self.add("Mul", maps, self.add("HardSigmoid", values, alpha=1 / 6, beta=0.5))

    def linear(self, frames: str, stage: str) -> str:
        """(1, W, K) frames → (1, W, K'); the weights may be those of a 1x1 convolution."""
        weight, bias = (self.weights[f"backbone.stages.{stage}.{part}"] for part in ("weight", "bias"))
        product = self.add("MatMul", frames, self.constant(weight.reshape(weight.shape[:2]).T))
        return self.add("Add", product, self.constant(bias))

    def layer_norm(self, frames: str, stage: str, epsilon: float = NORM_EPSILON) -> str:
        weight, bias = (self.weights[f"backbone.stages.{stage}.{part}"] for part in ("weight", "bias"))
        apart = self.add("Sub", frames, self.add("ReduceMean", frames, axes=[-1]))
        variance = self.add("ReduceMean", self.add("Pow", apart, self.constant(2)), axes=[-1])
        deviation = self.add("Sqrt", self.add("Add", variance, self.constant(epsilon)))
        scaled = self.add("Mul", self.add("Div", apart, deviation), self.constant(weight))
        return self.add("Add", scaled, self.constant(bias))

    def attention(self, frames: str, stage: str, heads: int) -> str:
        size = len(self.weights[f"backbone.stages.{stage}.result.bias"]) // heads
        shape = self.constant([0, -1, 3, heads, size], np.int64)
        given = self.add("Reshape", self.linear(frames, f"{stage}.given"), shape)
        by_part = self.add("Transpose", given, perm=[2, 0, 3, 1, 4])  # (3, 1, heads, W, K/heads)
        queries, keys, values = (self.add("Gather", by_part, self.constant(i, np.int64), axis=0) for i in range(3))
        scaled = self.add("Mul", queries, self.constant([size**-0.5]))
        products = self.add("MatMul", scaled, self.add("Transpose", keys, perm=[0, 1, 3, 2]))
        seen = self.add("MatMul", self.add("Softmax", products, axis=3), values)
        together = self.add(
            "Reshape", self.add("Transpose", seen, perm=[0, 2, 1, 3]), self.constant([0, -1, heads * size], np.int64)
        )
        return self.linear(together, f"{stage}.result")


def source_graph(weights: Mapping[str, NDArray[Any]]) -> bytes:
    """The body as an ONNX file, written by hand: `images` (1, 1, 16, W) → `maps` (1, 18, 1, T), without any padding."""
    source = _Source(weights)
    maps = source.add("Relu", source.conv("images", "0", 1, (2, 2)))
    pooled = source.add("MaxPool", maps, kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1])
    branch = maps
    for index in range(2):
        branch = source.add("Relu", source.conv(branch, f"1.1.{index}", [0, 0, 1, 1]))
    maps = source.add("Concat", pooled, branch, axis=1)
    maps = source.add("Relu", source.conv(maps, "2", 1, (2, 2)))
    maps = source.add("Relu", source.conv(maps, "3"))
    maps = source.excitation(source.conv(maps, "4", 1, group=12), "5")
    maps = source.add("Add", maps, source.conv(source.gelu(source.conv(maps, "6.0")), "6.1"))
    maps = source.conv(maps, "7", 1, group=12)
    maps = source.add("Add", maps, source.conv(source.add("HardSwish", source.conv(maps, "8.0")), "8.1"))
    maps = source.conv(maps, "9", 1, (2, 1), group=12)
    maps = source.conv(source.gelu(source.conv(maps, "10")), "11")
    maps = source.add("AveragePool", maps, kernel_shape=[2, 2], strides=[2, 1])
    maps = source.swish(source.conv(maps, "13"))
    short = source.swish(source.conv(maps, "14.0.0"))
    maps = source.swish(source.conv(maps, "14.1.0"))
    maps = source.add("Add", maps, source.swish(source.conv(maps, "14.1.1.0", [0, 2, 0, 2], group=12)))
    frames = source.add("Transpose", source.add("Squeeze", maps, source.constant([2], np.int64)), perm=[0, 2, 1])
    frames = source.add("Add", frames, source.attention(source.layer_norm(frames, "14.1.2.0"), "14.1.2.1", heads=3))
    within = source.swish(source.linear(source.layer_norm(frames, "14.1.3.0"), "14.1.3.1.0"))
    frames = source.layer_norm(source.add("Add", frames, source.linear(within, "14.1.3.2.0")), "14.1.4", 1e-3)
    maps = source.add("Unsqueeze", source.add("Transpose", frames, perm=[0, 2, 1]), source.constant([2], np.int64))
    source.nodes.append(helper.make_node("Concat", [short, maps], ["maps"], axis=1))
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 1, 16, "width"])
    result = helper.make_tensor_value_info("maps", TensorProto.FLOAT, None)
    graph = helper.make_graph(source.nodes, "source", [given], [result], source.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return bytes(model.SerializeToString())


def random_body(seed: int) -> ModelConfig:
    """A network for lines 16 pixels high, of layers of any kind in any order that is possible."""
    rng = Random(seed)
    config = ModelConfig("random", 16, (Conv(3),), hidden=4, skip=rng.random() < 0.3)
    for _ in range(20):
        layers = list(config.backbone)
        layers.insert(rng.randint(0, len(layers)), _random_layer(rng))
        with suppress(ModelError):
            config = replace(config, backbone=tuple(layers))
    return config


def _random_layer(rng: Random, depth: int = 0) -> Layer:
    """A layer that keeps the size if it is in another."""
    kind = rng.choice((Conv, Pool, Excitation, LayerNorm, Attention, Residual, Concat))
    if kind is Excitation:
        return Excitation(rng.randint(1, 3))
    if kind is LayerNorm:
        return LayerNorm(rng.choice((1e-5, 1e-3)))
    if kind is Attention:
        return Attention(rng.randint(1, 2))
    if kind is Residual and depth < 2:
        return Residual(_random_chain(rng, depth))
    if kind is Concat and depth < 2:
        return Concat(tuple(_random_chain(rng, depth) for _ in range(rng.randint(1, 3))))
    return (_random_pool if kind is Pool else _random_conv)(rng, keeps_size=depth > 0)


def _random_chain(rng: Random, depth: int) -> tuple[Layer, ...]:
    return tuple(_random_layer(rng, depth + 1) for _ in range(rng.randint(1, 2)))


def _random_conv(rng: Random, keeps_size: bool = False) -> Conv:
    norm, activation, is_depthwise = rng.random() < 0.5, rng.choice(get_args(Activation)), rng.random() < 0.3
    return Conv(rng.randint(1, 4), **_window(rng, keeps_size), norm=norm, activation=activation, is_depthwise=is_depthwise)


def _random_pool(rng: Random, keeps_size: bool = False) -> Pool:
    return Pool(**{"stride": (1, 1), **_window(rng, keeps_size)}, is_average=rng.random() < 0.3)


def _window(rng: Random, keeps_size: bool) -> dict[str, Any]:
    """Kernel, stride and paddings."""
    kernel = rng.randint(1, 3), rng.randint(1, 3)
    if keeps_size:
        padding = [rng.randint(0, (size - 1) // 2) for size in kernel]
        more = (size - 1 - 2 * both for size, both in zip(kernel, padding, strict=True))
        return {"kernel": kernel, "padding": tuple(padding), "more_padding": tuple(more)}
    padding, more_padding, stride = ([rng.choice(sizes) for _ in kernel] for sizes in ((0, 0, 1), (0, 0, 1), (1, 1, 2)))
    return {"kernel": kernel, "padding": tuple(padding), "more_padding": tuple(more_padding), "stride": tuple(stride)}
