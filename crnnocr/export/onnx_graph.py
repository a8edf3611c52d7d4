"""An ONNX graph in the making: nodes and constants, named as they come.

The network as an ONNX graph, built layer by layer from its shape and weights.

torch's own exporters cannot give it: one fixes the number of frames, the other is deprecated. The graph is short enough to be
written out, batch normalisation folded into the convolutions, and is proven equal after each export.

Quantised, the maps between the convolutions are unsigned bytes and the kernels signed ones, as pairs of QuantizeLinear and
DequantizeLinear that a runtime turns into integer arithmetic, and the LSTMs compute with bytes too. Scales are constants, so
that a line's result does not depend on its company; weights have 7 bits, so that no sum of two products overflows on processors
without VNNI. The first convolution and the head stay in single precision.

Inputs: `images` (N, 1, H, W) float32, `widths` (N,) int64. Outputs: `log_probs` (N, T, C) float32, `frames` (N,) int64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from crnnocr.config import NORM_EPSILON, Conv, Layer, ModelConfig, Pool, Precision
from crnnocr.export import quantization

IR_VERSION = 8
ONNXRUNTIME = "com.microsoft"
"""The operators of ONNX Runtime that are not in the standard."""

Tensors: TypeAlias = Mapping[str, tuple[int, Sequence[int | str]]]
"""Names of inputs or outputs, with the type and the shape of each."""


class Nodes:
    """Nodes and constants in the making. Methods add nodes and return the name of what they give."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def add(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """One node with one output."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, value: NDArray[np.generic] | Sequence[int] | int, name: str = "") -> str:
        """A constant; integers become int64."""
        array = np.asarray(value)
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.array(array, order="C"), name)
        return name

    def model(
        self,
        inputs: Tensors,
        outputs: Tensors,
        metadata: dict[str, str],
        opset: int,
    ) -> onnx.ModelProto:
        """The whole as a checked model. Inputs and outputs have a type and a shape each."""
        given, result = (
            [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in values.items()]
            for values in (inputs, outputs)
        )
        graph = helper.make_graph(self.nodes, "crnn", given, result, list(self.constants.values()))
        opsets = [helper.make_opsetid("", opset)]
        if any(node.domain == ONNXRUNTIME for node in self.nodes):
            opsets.append(helper.make_opsetid(ONNXRUNTIME, 1))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="crnnocr")
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model


OPSET = 17

_KERNEL_LIMIT = 63
"""Largest byte in a quantised kernel."""

_BLOCK = 16
"""Channels that ONNX Runtime handles together in single precision: of other numbers, it puts maps in order again and again."""

_BIAS_LIMIT = 2**30
"""Largest whole number in a quantised bias."""

Floats = NDArray[np.float32]
Weights = dict[str, Floats]
"""The network's `state_dict`, as arrays."""


@dataclass(frozen=True)
class Network:
    """A network that is to be written out."""

    config: ModelConfig
    """Its shape."""
    classes: int
    """C: characters and the blank."""
    weights: Weights
    """Its weights."""
    precision: Precision = Precision.FP32
    """The numbers that it is to compute with."""
    activation_ranges: tuple[float, ...] = ()
    """The highest value of the maps after each layer of the backbone: needed for bytes."""


def build(network: Network, metadata: dict[str, str]) -> onnx.ModelProto:
    """The graph of a network alone."""
    nodes = Nodes()
    add_network(nodes, network, "images", "widths")
    inputs: Tensors = {
        "images": (TensorProto.FLOAT, ["batch", 1, network.config.height, "width"]),
        "widths": (TensorProto.INT64, ["batch"]),
    }
    outputs: Tensors = {
        "log_probs": (TensorProto.FLOAT, ["batch", "frames", network.classes]),
        "frames": (TensorProto.INT64, ["batch"]),
    }
    return nodes.model(inputs, outputs, metadata, OPSET)


def add_network(nodes: Nodes, network: Network, images: str, widths: str) -> tuple[str, str]:
    """Add a network that reads `images` (N, 1, H, W) of `widths` (N,); gives `log_probs` (N, T, C) and `frames` (N,)."""
    layers = _Layers(nodes, network)
    maps, frames = layers.begun(images), widths
    for index, layer in enumerate(network.config.backbone):
        maps, frames = layers.stage(maps, frames, index, layer)
    features = layers.sequence(maps)  # (T, N, F)
    steps = nodes.add("Cast", [frames], to=TensorProto.INT32)
    hidden = layers.lstms(features, steps)
    batch_first = nodes.add("Transpose", [layers.linear(hidden, "head")], perm=[1, 0, 2])
    log_probs = nodes.add("LogSoftmax", [batch_first], output="log_probs", axis=-1)
    return log_probs, nodes.add("Identity", [frames], output="frames")


class _Layers:
    """Adds the layers of a network."""

    def __init__(self, nodes: Nodes, network: Network) -> None:
        self.nodes = nodes
        self.network = network
        self.is_half = network.precision is Precision.FP16
        convolutions = sum(isinstance(layer, Conv) for layer in network.config.backbone)
        self.activation_ranges = network.activation_ranges if convolutions > 1 else ()
        self.channels = 1
        """Of the maps, where they are quantised later: those of the first convolution may be more than the network's."""
        self.step: float | None = None
        """What one step is worth where the maps are bytes; None where they are floats."""

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
            maps = self.nodes.add("MaxPool", [maps], kernel_shape=[height, width], strides=list(layer.stride), pads=pads)
        else:
            if self.activation_ranges and index and not self.step:
                maps = self._quantised(maps, self.activation_ranges[index - 1])
            kernel, bias = self._kernel(index, layer)
            maps = self.nodes.add("Conv", [self._floats(maps), kernel, bias], kernel_shape=[height, width], pads=pads)
            maps = self.nodes.add("Relu", [maps])
            if self.step:
                maps = self._quantised(maps, self.activation_ranges[index])
        grown, step = 2 * left - width, layer.stride[1]
        if (grown, step) != (-1, 1):  # else as wide as before
            widths = self.nodes.add("Add", [widths, self.nodes.constant(grown)])
            widths = self.nodes.add("Div", [widths, self.nodes.constant(step)])
            widths = self.nodes.add("Add", [widths, self.nodes.constant(1)])
        return maps, widths

    def begun(self, images: str) -> str:
        """The pictures in the numbers that the convolutions compute with."""
        return self.nodes.add("Cast", [images], to=TensorProto.FLOAT16) if self.is_half else images

    def sequence(self, maps: str) -> str:
        """(N, K, h, T) maps → (T, N, h·K) features in single precision."""
        maps = self._floats(maps)
        maps = self.nodes.add("Cast", [maps], to=TensorProto.FLOAT) if self.is_half else maps
        turned = self.nodes.add("Transpose", [maps], perm=[3, 0, 2, 1])
        return self.nodes.add("Reshape", [turned, self.nodes.constant([0, 0, -1])])

    def lstms(self, features: str, steps: str) -> str:
        """(T, N, F) features → (T, N, 2·hidden) of both bidirectional LSTMs, each line in its own (N,) steps.

        Quantised, they have pins, and what is linear between them is a part of the second one.
        """
        config, weights = self.network.config, self.network.weights
        inputs, states, biases = self._recurrent("lstm.first")
        by_row = inputs.reshape(*inputs.shape[:2], -1, config.rows).swapaxes(2, 3)  # (2, 4·hidden, h, K)
        inputs = by_row.reshape(inputs.shape)
        if self.activation_ranges:
            highest = self.nodes.constant(np.array(255 * np.float32(self.step or 0)))
            features = self.nodes.add("Pad", [features, self.nodes.constant([0, 0, 0, 0, 0, 1]), highest])
            inputs = np.pad(inputs, ((0, 0), (0, 0), (0, 1)))
        hidden = self._lstm(features, steps, "lstm.first", inputs, states, biases)
        inputs, states, biases = self._recurrent("lstm.second")
        if config.projection and not self.activation_ranges:
            hidden = self.linear(hidden, "lstm.between")
        elif config.projection:
            biases[:, : inputs.shape[1]] += inputs @ weights["lstm.between.bias"]
            inputs = inputs @ weights["lstm.between.weight"]
        if self.activation_ranges:
            inputs = quantization.from_pinned(inputs)
        return self._lstm(hidden, steps, "lstm.second", inputs, states, biases)

    def linear(self, features: str, name: str) -> str:
        """(…, F) features → (…, F')."""
        weights = self.network.weights[f"{name}.weight"]
        kernel = quantization.from_pinned(weights) if self.activation_ranges else weights
        product = self.nodes.add("MatMul", [features, self._kept(kernel.T, f"{name}.weight")])
        return self.nodes.add("Add", [product, self._kept(self.network.weights[f"{name}.bias"], f"{name}.bias")])

    def _recurrent(self, name: str) -> tuple[Floats, Floats, Floats]:
        """An LSTM's (2, 4·H, F) weights of the input and (2, 4·H, H) of the state, along and against, and (2, 8·H) biases."""
        inputs, states, *biases = (
            np.stack([self._gates(f"{name}.{way}.{kind}_l0") for way in ("along", "against")])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return inputs, states, np.concatenate(biases, axis=1)

    def _lstm(self, features: str, steps: str, name: str, inputs: Floats, states: Floats, biases: Floats) -> str:
        """(T, N, F) features → (T, N, 2·hidden) of one bidirectional LSTM."""
        if self.activation_ranges:
            inputs, states, biases = quantization.pinned(inputs, states, biases)
        hidden, bias = states.shape[2], self._kept(biases, f"{name}.B")
        how: dict[str, Any] = {"direction": "bidirectional", "hidden_size": hidden}
        if self.activation_ranges:
            cells = self.nodes.constant(quantization.first_cells(hidden - quantization.PINS), f"{name}.cells")
            lines = self.nodes.add("Shape", [steps])
            size = self.nodes.add("Concat", [self.nodes.constant([2]), lines, self.nodes.constant([hidden])], axis=0)
            first_cells = self.nodes.add("Expand", [cells, size])
            (along, its_scale), (back, their_scale) = (
                self._bytes(f"{name}.{side}", weights) for side, weights in (("W", inputs), ("R", states))
            )
            given = [features, along, back, bias, steps, "", first_cells, "", *its_scale, *their_scale]
            output = self.nodes.add("DynamicQuantizeLSTM", given, domain=ONNXRUNTIME, **how)
        else:
            given = [features, self._kept(inputs, f"{name}.W"), self._kept(states, f"{name}.R"), bias, steps]
            output = self.nodes.add("LSTM", given, **how)  # (T, 2, N, hidden)
        turned = self.nodes.add("Transpose", [output], perm=[0, 2, 1, 3])
        return self.nodes.add("Reshape", [turned, self.nodes.constant([0, 0, 2 * hidden])])

    def _bytes(self, name: str, weights: Floats) -> tuple[str, tuple[str, str]]:
        """Weights of a quantised LSTM, and their scales with their zero points."""
        kernel = quantization.Bytes.of(weights)
        zeros = self.nodes.constant(np.zeros(kernel.steps.shape, np.int8))
        return self.nodes.constant(kernel.values, name), (self.nodes.constant(kernel.steps), zeros)

    def _quantised(self, maps: str, peak: float) -> str:
        """Maps of values from zero to `peak` as unsigned bytes."""
        self.step = peak / 255
        return self.nodes.add("QuantizeLinear", [maps, *self._scale()])

    def _floats(self, maps: str) -> str:
        """The maps as floats."""
        return self.nodes.add("DequantizeLinear", [maps, *self._scale()]) if self.step else maps

    def _scale(self) -> tuple[str, str]:
        """What a step of the maps is worth, and the byte that stands for zero."""
        return self.nodes.constant(np.array(self.step, np.float32)), self.nodes.constant(np.array(0, np.uint8))

    def _kept(self, value: Floats, name: str) -> str:
        """Weights that are computed with in single precision, and kept in half of it where that is wanted."""
        if not self.is_half:
            return self.nodes.constant(value, name)
        return self.nodes.add("Cast", [self.nodes.constant(_halved(value), f"{name}.half")], name, to=TensorProto.FLOAT)

    def _kernel(self, index: int, layer: Conv) -> tuple[str, str]:
        """Kernel and bias of a convolution, quantised if it reads bytes."""
        name = f"backbone.stages.{index}"
        kernel, bias = self._folded(index, layer)
        if self.activation_ranges:
            kernel = np.pad(kernel, ((0, 0), (0, self.channels - kernel.shape[1]), (0, 0), (0, 0)))
            spare = 0 if self.step else -len(kernel) % _BLOCK
            kernel, bias = np.pad(kernel, ((0, spare), (0, 0), (0, 0), (0, 0))), np.pad(bias, (0, spare))
            self.channels = len(kernel)
        if self.is_half:
            return self.nodes.constant(_halved(kernel), f"{name}.weight"), self.nodes.constant(_halved(bias), f"{name}.bias")
        if not self.step:
            return self.nodes.constant(kernel, f"{name}.weight"), self.nodes.constant(bias, f"{name}.bias")
        steps = np.abs(kernel).max(axis=(1, 2, 3)) / _KERNEL_LIMIT  # (K,)
        least = np.abs(bias) / (self.step * _BIAS_LIMIT)  # so that the bias of a channel that sees nothing has room
        steps = np.maximum.reduce([steps, least, np.full_like(steps, 1e-12)]).astype(np.float32)
        whole = np.round(kernel / steps[:, None, None, None]).astype(np.int8)
        bias_steps = steps * np.float32(self.step)
        return (
            self._dequantised(self.nodes.constant(whole, f"{name}.weight"), steps, np.zeros(len(steps), np.int8)),
            self._dequantised(
                self.nodes.constant(np.round(bias / bias_steps).astype(np.int32), f"{name}.bias"),
                bias_steps,
                np.zeros(len(steps), np.int32),
            ),
        )

    def _dequantised(self, values: str, steps: Floats, zeros: NDArray[np.integer]) -> str:
        return self.nodes.add("DequantizeLinear", [values, self.nodes.constant(steps), self.nodes.constant(zeros)], axis=0)

    def _folded(self, index: int, layer: Conv) -> tuple[Floats, Floats]:
        """Kernel and bias of a convolution with its batch normalisation in them."""
        name = f"backbone.stages.{index}"
        weights = self.network.weights
        kernel = weights[f"{name}.0.weight"]
        if layer.norm:
            scale = weights[f"{name}.1.weight"] / np.sqrt(weights[f"{name}.1.running_var"] + NORM_EPSILON)
            kernel = kernel * scale[:, None, None, None]
            bias = weights[f"{name}.1.bias"] - weights[f"{name}.1.running_mean"] * scale
        else:
            bias = weights[f"{name}.0.bias"]
        return kernel, bias

    def _masked(self, maps: str, widths: str) -> str:
        """(N, K, h, W) maps, zero from each one's width on."""
        columns = self.nodes.add("Shape", [maps], start=3, end=4)
        there = self.nodes.add("Squeeze", [columns, self.nodes.constant([0])])
        index = self.nodes.add("Range", [self.nodes.constant(0), there, self.nodes.constant(1)])  # (W,)
        inside = self.nodes.add("Less", [index, self.nodes.add("Unsqueeze", [widths, self.nodes.constant([1])])])  # (N, W)
        mask = self.nodes.add("Unsqueeze", [inside, self.nodes.constant([1, 2])])  # (N, 1, 1, W)
        zero = np.array(0, np.uint8 if self.step else np.float16 if self.is_half else np.float32)
        return self.nodes.add("Where", [mask, maps, self.nodes.constant(zero)])

    def _gates(self, name: str) -> Floats:
        """LSTM weights with the gates in ONNX's order (input, output, forget, cell) instead of torch's (i, f, g, o)."""
        i, f, g, o = np.split(self.network.weights[name], 4)
        return np.concatenate((i, o, f, g))


def _halved(value: Floats) -> NDArray[np.float16]:
    """Numbers in half precision; what is beyond it, at its end."""
    most = float(np.finfo(np.float16).max)
    return np.clip(value, -most, most).astype(np.float16)
