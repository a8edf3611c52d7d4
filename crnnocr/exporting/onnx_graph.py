"""The network as an ONNX graph, built layer by layer from its shape and weights.

torch's own exporters were tried: one fixes the number of frames, the other is deprecated. The graph is short enough to be
written out, batch normalisation folded into the convolutions, and is proven equal after each export.

Quantised, the maps between the convolutions are unsigned bytes and the kernels signed ones, as pairs of QuantizeLinear and
DequantizeLinear that a runtime turns into integer arithmetic, and the LSTMs compute with bytes too. Scales are constants, so
that a line's result does not depend on its company; weights have 7 bits, so that no sum of two products overflows on processors
without VNNI. The first convolution and the head stay in single precision.

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
from crnnocr.exporting import pinned_lstm

OPSET = 17
IR_VERSION = 8
_ONNXRUNTIME = "com.microsoft"
"""The operators of ONNX Runtime that are not in the standard."""

_KERNEL_LIMIT = 63
"""Largest byte in a quantised kernel."""

_BLOCK = 16
"""Channels that ONNX Runtime handles together in single precision: of other numbers, it puts maps in order again and again."""

_BIAS_LIMIT = 2**30
"""Largest whole number in a quantised bias."""

Floats = NDArray[np.float32]
Weights = dict[str, Floats]
"""The network's `state_dict`, as arrays."""


def build(
    config: ModelConfig, classes: int, weights: Weights, metadata: dict[str, str], peaks: Sequence[float] = ()
) -> onnx.ModelProto:
    """The graph of a network of this shape with C classes and these weights.

    Where `peaks` are given, the highest value of the maps after each layer of the backbone, it is quantised, unless there
    is one convolution only.
    """
    convolutions = sum(isinstance(layer, Conv) for layer in config.backbone)
    graph = _Graph(weights, peaks if convolutions > 1 else ())
    maps, frames = "images", "widths"
    for index, layer in enumerate(config.backbone):
        maps, frames = graph.stage(maps, frames, index, layer)
    features = graph.sequence(graph.dequantised(maps))  # (T, N, F)
    steps = graph.add("Cast", [frames], to=TensorProto.INT32)
    hidden = graph.lstms(features, steps, config)
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
    opsets = [helper.make_opsetid("", OPSET), *([helper.make_opsetid(_ONNXRUNTIME, 1)] if graph.peaks else [])]
    model = helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="crnnocr")
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants in the making. Methods add nodes and return the name of what they give."""

    def __init__(self, weights: Weights, peaks: Sequence[float]) -> None:
        self.weights = weights
        self.peaks = peaks
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.channels = 1
        """Of the maps, where they are quantised later: those of the first convolution may be more than the network's."""
        self.step: float | None = None
        """What one step is worth where the maps are bytes; None where they are floats."""

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
        """One backbone layer over (N, K, h, W) maps and their (N,) true widths.

        What lies past a line's width is set to zero before the layers that see it: those that pad, but for the first, whose
        input is zero there.
        """
        (top, left), (height, width) = layer.padding, layer.kernel
        pads = [top, left, top, left]
        if index and left:
            maps = self._masked(maps, widths)
        if isinstance(layer, Pool):
            maps = self.add("MaxPool", [maps], kernel_shape=[height, width], strides=list(layer.stride), pads=pads)
        else:
            if self.peaks and index and not self.step:
                maps = self._quantised(maps, self.peaks[index - 1])
            kernel, bias = self._kernel(index, layer)
            maps = self.add("Conv", [self.dequantised(maps), kernel, bias], kernel_shape=[height, width], pads=pads)
            maps = self.add("Relu", [maps])
            if self.step:
                maps = self._quantised(maps, self.peaks[index])
        grown, step = 2 * left - width, layer.stride[1]
        if (grown, step) != (-1, 1):  # else as wide as before
            widths = self.add("Add", [widths, self.constant(grown)])
            widths = self.add("Div", [widths, self.constant(step)])
            widths = self.add("Add", [widths, self.constant(1)])
        return maps, widths

    def _quantised(self, maps: str, peak: float) -> str:
        """Maps of values from zero to `peak` as unsigned bytes."""
        self.step = peak / 255
        return self.add("QuantizeLinear", [maps, *self._scale()])

    def dequantised(self, maps: str) -> str:
        """The maps as floats."""
        return self.add("DequantizeLinear", [maps, *self._scale()]) if self.step else maps

    def _scale(self) -> tuple[str, str]:
        """What a step of the maps is worth, and the byte that stands for zero."""
        return self.constant(np.array(self.step, np.float32)), self.constant(np.array(0, np.uint8))

    def sequence(self, maps: str) -> str:
        """(N, K, h, T) maps → (T, N, h·K) features."""
        turned = self.add("Transpose", [maps], perm=[3, 0, 2, 1])
        return self.add("Reshape", [turned, self.constant([0, 0, -1])])

    def lstms(self, features: str, steps: str, config: ModelConfig) -> str:
        """(T, N, F) features → (T, N, 2·hidden) of both bidirectional LSTMs, each line in its own (N,) steps.

        Quantised, they have pins, and what is linear between them is a part of the second one.
        """
        inputs, states, biases = self._recurrent("lstm.first")
        by_row = inputs.reshape(*inputs.shape[:2], -1, config.rows).swapaxes(2, 3)  # (2, 4·hidden, h, K)
        inputs = by_row.reshape(inputs.shape)
        if self.peaks:
            highest = self.constant(np.array(255 * np.float32(self.step or 0)))
            features = self.add("Pad", [features, self.constant([0, 0, 0, 0, 0, 1]), highest])
            inputs = np.pad(inputs, ((0, 0), (0, 0), (0, 1)))
        hidden = self._lstm(features, steps, "lstm.first", inputs, states, biases)
        inputs, states, biases = self._recurrent("lstm.second")
        if config.projection and not self.peaks:
            hidden = self.linear(hidden, "lstm.between")
        elif config.projection:
            biases[:, : inputs.shape[1]] += inputs @ self.weights["lstm.between.bias"]
            inputs = inputs @ self.weights["lstm.between.weight"]
        if self.peaks:
            inputs = pinned_lstm.from_pinned(inputs)
        return self._lstm(hidden, steps, "lstm.second", inputs, states, biases)

    def _recurrent(self, name: str) -> tuple[Floats, Floats, Floats]:
        """An LSTM's (2, 4·H, F) weights of the input and (2, 4·H, H) of the state, along and against, and (2, 8·H) biases."""
        inputs, states, *biases = (
            np.stack([self._gates(f"{name}.{way}.{kind}_l0") for way in ("along", "against")])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return inputs, states, np.concatenate(biases, axis=1)

    def _lstm(self, features: str, steps: str, name: str, inputs: Floats, states: Floats, biases: Floats) -> str:
        """(T, N, F) features → (T, N, 2·hidden) of one bidirectional LSTM."""
        if self.peaks:
            inputs, states, biases = pinned_lstm.pinned(inputs, states, biases)
        hidden, bias = states.shape[2], self.constant(biases, f"{name}.B")
        how: dict[str, Any] = {"direction": "bidirectional", "hidden_size": hidden}
        if self.peaks:
            cells = self.constant(pinned_lstm.first_cells(hidden - pinned_lstm.PINS), f"{name}.cells")
            lines = self.add("Shape", [steps])
            size = self.add("Concat", [self.constant([2]), lines, self.constant([hidden])], axis=0)
            kernels, scales = zip(
                *(self._bytes(f"{name}.{side}", weights) for side, weights in (("W", inputs), ("R", states))), strict=True
            )
            given = [features, *kernels, bias, steps, "", self.add("Expand", [cells, size]), "", *scales[0], *scales[1]]
            output = self.add("DynamicQuantizeLSTM", given, domain=_ONNXRUNTIME, **how)
        else:
            given = [features, self.constant(inputs, f"{name}.W"), self.constant(states, f"{name}.R"), bias, steps]
            output = self.add("LSTM", given, **how)  # (T, 2, N, hidden)
        turned = self.add("Transpose", [output], perm=[0, 2, 1, 3])
        return self.add("Reshape", [turned, self.constant([0, 0, 2 * hidden])])

    def _bytes(self, name: str, weights: Floats) -> tuple[str, tuple[str, str]]:
        """Weights of a quantised LSTM, and their scales with their zero points."""
        kernel = pinned_lstm.Bytes.of(weights)
        zeros = self.constant(np.zeros(kernel.steps.shape, np.int8))
        return self.constant(kernel.values, name), (self.constant(kernel.steps), zeros)

    def linear(self, features: str, name: str) -> str:
        """(…, F) features → (…, F')."""
        kernel = self.weights[f"{name}.weight"]
        if self.peaks:
            kernel = pinned_lstm.from_pinned(kernel)
        product = self.add("MatMul", [features, self.constant(kernel.T, f"{name}.weight")])
        return self.add("Add", [product, self.constant(self.weights[f"{name}.bias"], f"{name}.bias")])

    def _kernel(self, index: int, layer: Conv) -> tuple[str, str]:
        """Kernel and bias of a convolution, quantised if it reads bytes."""
        name = f"backbone.stages.{index}"
        kernel, bias = self._folded(index, layer)
        if self.peaks:
            kernel = np.pad(kernel, ((0, 0), (0, self.channels - kernel.shape[1]), (0, 0), (0, 0)))
            spare = 0 if self.step else -len(kernel) % _BLOCK
            kernel, bias = np.pad(kernel, ((0, spare), (0, 0), (0, 0), (0, 0))), np.pad(bias, (0, spare))
            self.channels = len(kernel)
        if not self.step:
            return self.constant(kernel, f"{name}.weight"), self.constant(bias, f"{name}.bias")
        steps = np.abs(kernel).max(axis=(1, 2, 3)) / _KERNEL_LIMIT  # (K,)
        least = np.abs(bias) / (self.step * _BIAS_LIMIT)  # so that the bias of a channel that sees nothing has room
        steps = np.maximum.reduce([steps, least, np.full_like(steps, 1e-12)]).astype(np.float32)
        whole = np.round(kernel / steps[:, None, None, None]).astype(np.int8)
        bias_steps = steps * np.float32(self.step)
        return (
            self._dequantised(self.constant(whole, f"{name}.weight"), steps, np.zeros(len(steps), np.int8)),
            self._dequantised(
                self.constant(np.round(bias / bias_steps).astype(np.int32), f"{name}.bias"),
                bias_steps,
                np.zeros(len(steps), np.int32),
            ),
        )

    def _dequantised(self, values: str, steps: Floats, zeros: NDArray[np.integer]) -> str:
        return self.add("DequantizeLinear", [values, self.constant(steps), self.constant(zeros)], axis=0)

    def _folded(self, index: int, layer: Conv) -> tuple[Floats, Floats]:
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
        """(N, K, h, W) maps, zero from each one's width on."""
        columns = self.add("Shape", [maps], start=3, end=4)
        there = self.add("Squeeze", [columns, self.constant([0])])
        index = self.add("Range", [self.constant(0), there, self.constant(1)])  # (W,)
        inside = self.add("Less", [index, self.add("Unsqueeze", [widths, self.constant([1])])])  # (N, W)
        mask = self.add("Unsqueeze", [inside, self.constant([1, 2])])  # (N, 1, 1, W)
        zero = self.constant(np.array(0, np.uint8 if self.step else np.float32))
        return self.add("Where", [mask, maps, zero])

    def _gates(self, name: str) -> Floats:
        """LSTM weights with the gates in ONNX's order (input, output, forget, cell) instead of torch's (i, f, g, o)."""
        i, f, g, o = np.split(self.weights[name], 4)
        return np.concatenate((i, o, f, g))
