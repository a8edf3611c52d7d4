"""The network as an ONNX graph, built layer by layer from its shape and weights.

torch's own exporters were tried: one fixes the number of frames, the other is deprecated. The graph is short enough to be
written out, batch normalisation folded into the convolutions, and is proven equal after each export.

Quantised, the maps between the convolutions are unsigned bytes and the kernels signed ones, as pairs of QuantizeLinear and
DequantizeLinear that a runtime turns into integer arithmetic. Scales are constants, so that a line's result does not depend on
its company; kernels have 7 bits, so that no sum of two products overflows on processors without VNNI. The first convolution,
the LSTM and the head stay in single precision.

Inputs: `images` (N, 1, H, W) float32, `widths` (N,) int64. Outputs: `log_probs` (N, T, C) float32, `frames` (N,) int64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from crnnocr.config import NORM_EPSILON, Conv, Layer, ModelConfig, Pool

OPSET = 17
IR_VERSION = 8

_KERNEL_LIMIT = 63
"""Largest byte in a quantised kernel."""

_BIAS_LIMIT = 2**30
"""Largest whole number in a quantised bias."""

Weights = dict[str, NDArray[np.float32]]
"""The network's `state_dict`, as arrays."""


def build(
    config: ModelConfig, classes: int, weights: Weights, metadata: dict[str, str], peaks: Sequence[float] = ()
) -> onnx.ModelProto:
    """The graph of a network of this shape with C classes and these weights.

    Where `peaks` are given, the highest value of the maps after each layer of the backbone, it is quantised.
    """
    graph = _Graph(weights)
    maps, frames = "images", "widths"
    for index, layer in enumerate(config.backbone):
        graph.scale_in, graph.scale = graph.scale, peaks[index] / 255 if peaks else None
        maps, frames = graph.stage(maps, frames, index, layer)
    features = graph.sequence(maps, config.features)  # (T, N, F)
    steps = graph.add("Cast", [frames], to=TensorProto.INT32)
    hidden = graph.lstm(features, steps, "lstm.first", config.hidden)
    if config.projection:
        hidden = graph.linear(hidden, "lstm.between")
    hidden = graph.lstm(hidden, steps, "lstm.second", config.hidden)
    batch_first = graph.add("Transpose", [graph.linear(hidden, "head")], perm=[1, 0, 2])
    graph.add("LogSoftmax", [batch_first], output="log_probs", axis=-1)
    graph.add("Identity", [frames], output="frames")
    return _model(graph, config.height, classes, metadata)


def _model(graph: _Graph, height: int, classes: int, metadata: dict[str, str]) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, height, "width"]),
        helper.make_tensor_value_info("widths", TensorProto.INT64, ["batch"]),
    ]
    outputs = [
        helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, ["batch", "frames", classes]),
        helper.make_tensor_value_info("frames", TensorProto.INT64, ["batch"]),
    ]
    proto = helper.make_graph(graph.nodes, "crnn", inputs, outputs, list(graph.constants.values()))
    model = helper.make_model(
        proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="crnnocr"
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants in the making. Methods add nodes and return the name of what they give."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.scale_in: float | None = None
        """What one step of the bytes that the current layer reads is worth; None where it reads floats."""
        self.scale: float | None = None
        """The same of what it writes."""

    def add(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """One node with one output."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, value: NDArray[np.generic] | list[int] | int, name: str = "") -> str:
        """A constant; integers become int64."""
        array = np.asarray(value)
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def stage(self, maps: str, widths: str, index: int, layer: Layer) -> tuple[str, str]:
        """One backbone layer over (N, K, h, W) maps, and the columns past each width set to zero."""
        (top, left), (height, width) = layer.padding, layer.kernel
        pads = [top, left, top, left]
        if isinstance(layer, Pool):
            maps = self.add("MaxPool", [maps], kernel_shape=[height, width], strides=list(layer.stride), pads=pads)
        else:
            kernel, bias = self._kernel(index, layer)
            maps = self.add("Conv", [maps, kernel, bias], kernel_shape=[height, width], pads=pads)
            maps = self.add("Relu", [maps])
        grown, step = 2 * left - width, layer.stride[1]
        if (grown, step) != (-1, 1):  # else as wide as before
            widths = self.add("Add", [widths, self.constant(grown)])
            widths = self.add("Div", [widths, self.constant(step)])
            widths = self.add("Add", [widths, self.constant(1)])
        return self._masked(maps, widths), widths

    def sequence(self, maps: str, features: int) -> str:
        """(N, K, h, T) maps → (T, N, K·h) features."""
        turned = self.add("Transpose", [maps], perm=[3, 0, 1, 2])
        return self.add("Reshape", [turned, self.constant([0, 0, features])])

    def lstm(self, features: str, steps: str, name: str, hidden: int) -> str:
        """(T, N, F) features → (T, N, 2·hidden), each line in its own (N,) steps."""
        stacked = [
            np.stack([self._gates(f"{name}.{way}.{kind}_l0", hidden) for way in ("along", "against")])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        inputs = [
            features,
            self.constant(stacked[0], f"{name}.W"),
            self.constant(stacked[1], f"{name}.R"),
            self.constant(np.concatenate(stacked[2:], axis=1), f"{name}.B"),
            steps,
        ]
        output = self.add("LSTM", inputs, direction="bidirectional", hidden_size=hidden)  # (T, 2, N, hidden)
        turned = self.add("Transpose", [output], perm=[0, 2, 1, 3])
        return self.add("Reshape", [turned, self.constant([0, 0, 2 * hidden])])

    def linear(self, features: str, name: str) -> str:
        """(…, F) features → (…, F')."""
        kernel = self.constant(self.weights[f"{name}.weight"].T, f"{name}.weight")
        product = self.add("MatMul", [features, kernel])
        return self.add("Add", [product, self.constant(self.weights[f"{name}.bias"], f"{name}.bias")])

    def _kernel(self, index: int, layer: Conv) -> tuple[str, str]:
        """Kernel and bias of a convolution, quantised if it reads bytes."""
        name = f"backbone.stages.{index}"
        kernel, bias = self._folded(index, layer)
        if self.scale_in is None:
            return self.constant(kernel, f"{name}.weight"), self.constant(bias, f"{name}.bias")
        steps = np.abs(kernel).max(axis=(1, 2, 3)) / _KERNEL_LIMIT  # (K,)
        least = np.abs(bias) / (self.scale_in * _BIAS_LIMIT)  # so that the bias of a channel that sees nothing has room
        steps = np.maximum.reduce([steps, least, np.full_like(steps, 1e-12)]).astype(np.float32)
        whole = np.round(kernel / steps[:, None, None, None]).astype(np.int8)
        bias_steps = steps * np.float32(self.scale_in)
        return (
            self._dequantised(self.constant(whole, f"{name}.weight"), steps, np.zeros(len(steps), np.int8)),
            self._dequantised(
                self.constant(np.round(bias / bias_steps).astype(np.int32), f"{name}.bias"),
                bias_steps,
                np.zeros(len(steps), np.int32),
            ),
        )

    def _dequantised(self, values: str, steps: NDArray[np.float32], zeros: NDArray[np.integer]) -> str:
        return self.add("DequantizeLinear", [values, self.constant(steps), self.constant(zeros)], axis=0)

    def _folded(self, index: int, layer: Conv) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernel and bias of a convolution with its batch normalisation in them."""
        name = f"backbone.stages.{index}"
        kernel = self.weights[f"{name}.0.weight"]
        if layer.norm:
            scale = self.weights[f"{name}.1.weight"] / np.sqrt(self.weights[f"{name}.1.running_var"] + NORM_EPSILON)
            kernel = kernel * scale[:, None, None, None]
            bias = self.weights[f"{name}.1.bias"] - self.weights[f"{name}.1.running_mean"] * scale
        else:
            bias = self.weights[f"{name}.0.bias"]
        return kernel, bias

    def _masked(self, maps: str, widths: str) -> str:
        """(N, K, h, W) maps, zero from each one's width on, and rounded to bytes where that is wanted."""
        columns = self.add("Shape", [maps], start=3, end=4)
        there = self.add("Squeeze", [columns, self.constant([0])])
        index = self.add("Range", [self.constant(0), there, self.constant(1)])  # (W,)
        inside = self.add("Less", [index, self.add("Unsqueeze", [widths, self.constant([1])])])  # (N, W)
        mask = self.add("Unsqueeze", [inside, self.constant([1, 2])])  # (N, 1, 1, W)
        if self.scale is None:
            return self.add("Mul", [maps, self.add("Cast", [mask], to=TensorProto.FLOAT)])
        step, zero = self.constant(np.array(self.scale, np.float32)), self.constant(np.array(0, np.uint8))
        whole = self.add("Where", [mask, self.add("QuantizeLinear", [maps, step, zero]), zero])
        return self.add("DequantizeLinear", [whole, step, zero])

    def _gates(self, name: str, hidden: int) -> NDArray[np.float32]:
        """LSTM weights with the gates in ONNX's order (input, output, forget, cell) instead of torch's (i, f, g, o)."""
        i, f, g, o = np.split(self.weights[name], 4)
        return np.concatenate((i, o, f, g))
