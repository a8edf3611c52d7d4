"""The network as an ONNX graph, built layer by layer from its config and weights.

torch's own exporters cannot do it: one fixes the number of frames, the other is deprecated. The graph is short enough to be
written node by node, with batch normalization folded into the convolutions, and each export is verified.

In int8, the maps between the convolutions are unsigned bytes and the kernels signed ones, as pairs of QuantizeLinear and
DequantizeLinear that a runtime turns into integer arithmetic, and the LSTMs compute with bytes too. Scales are constants, so
that a line's result is the same in any batch. The first convolution and the head stay in single precision.

Inputs: `images` (N, 1, H, W) float32, `widths` (N,) int64. Outputs: `log_probs` (N, T, C) float32, `frames` (N,) int64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import NORM_EPSILON, Conv, Layer, ModelConfig, Pool, Precision
from crnnocr.graph import quantization
from crnnocr.graph.builder import ONNXRUNTIME, ElementType, GraphBuilder, Model, TensorSpecs
from crnnocr.graph.quantization import Floats, QuantizedWeights

OPSET = 17

_BLOCK = 16
"""Channels that ONNX Runtime computes together in single precision. It reorders maps with another number again and again."""

_BIAS_LIMIT = 2**30
"""Largest absolute value of a quantized bias."""


@dataclass(frozen=True)
class Network:
    """A network to export."""

    config: ModelConfig
    classes: int
    """C: the characters and the blank."""
    weights: dict[str, Floats]
    """Its `state_dict`, as arrays."""
    precision: Precision = Precision.FP32
    activation_ranges: tuple[float, ...] = ()
    """The highest value after each layer of the backbone; needed for int8, else empty."""


def build(network: Network, metadata: Mapping[str, str]) -> Model:
    """Build the graph of a network alone."""
    graph = GraphBuilder()
    add_network(graph, network, "images", "widths")
    inputs: TensorSpecs = {
        "images": (ElementType.FLOAT, ["batch", 1, network.config.height, "width"]),
        "widths": (ElementType.INT64, ["batch"]),
    }
    outputs: TensorSpecs = {
        "log_probs": (ElementType.FLOAT, ["batch", "frames", network.classes]),
        "frames": (ElementType.INT64, ["batch"]),
    }
    return graph.model(inputs, outputs, metadata, OPSET)


def add_network(graph: GraphBuilder, network: Network, images: str, widths: str) -> tuple[str, str]:
    """Add a network: `images` (N, 1, H, W) and `widths` (N,) → `log_probs` (N, T, C) and `frames` (N,)."""
    layers = _Layers(graph, network)
    maps, frames = layers.start(images), widths
    for index, layer in enumerate(network.config.backbone):
        maps, frames = layers.backbone_layer(maps, frames, index, layer)
    features = layers.to_sequence(maps)  # (T, N, F)
    steps = graph.add("Cast", [frames], to=ElementType.INT32)
    hidden = layers.lstms(features, steps)
    batch_first = graph.add("Transpose", [layers.linear(hidden, "head")], perm=[1, 0, 2])
    log_probs = graph.add("LogSoftmax", [batch_first], output="log_probs", axis=-1)
    return log_probs, graph.add("Identity", [frames], output="frames")


class _Layers:
    """Adds the layers of a network to a graph."""

    def __init__(self, graph: GraphBuilder, network: Network) -> None:
        self.graph = graph
        self.network = network
        self.is_half = network.precision is Precision.FP16
        convolutions = sum(isinstance(layer, Conv) for layer in network.config.backbone)
        self.ranges = network.activation_ranges if convolutions > 1 else ()
        """Empty if nothing is quantized."""
        self.channels = 1
        """Of the maps, if they are quantized later: those of the first convolution may be more than the network's."""
        self.scale: float | None = None
        """Scale of the maps while they are bytes, whose zero point is 0; None while they are floats."""

    def start(self, images: str) -> str:
        """(N, 1, H, W) images in the precision of the convolutions."""
        return self.graph.add("Cast", [images], to=ElementType.FLOAT16) if self.is_half else images

    def backbone_layer(self, maps: str, widths: str, index: int, layer: Layer) -> tuple[str, str]:
        """Add one layer over (N, K, h, W) maps with (N,) true widths.

        The columns past a line's width are zeroed before the layers that see them: those with padding, except the first,
        whose input is zero there.
        """
        (top, left), (height, width) = layer.padding, layer.kernel
        pads = [top, left, top, left]
        if index and left:
            maps = self._mask(maps, widths)
        if isinstance(layer, Pool):
            maps = self.graph.add("MaxPool", [maps], kernel_shape=[height, width], strides=list(layer.stride), pads=pads)
        else:
            if self.ranges and index and not self.scale:
                maps = self._quantize(maps, self.ranges[index - 1])
            kernel, bias = self._kernel(index, layer)
            maps = self.graph.add("Conv", [self._dequantize(maps), kernel, bias], kernel_shape=[height, width], pads=pads)
            maps = self.graph.add("Relu", [maps])
            if self.scale:
                maps = self._quantize(maps, self.ranges[index])
        growth, stride = 2 * left - width, layer.stride[1]
        if (growth, stride) != (-1, 1):  # else as wide as before
            widths = self.graph.add("Add", [widths, self.graph.constant(growth)])
            widths = self.graph.add("Div", [widths, self.graph.constant(stride)])
            widths = self.graph.add("Add", [widths, self.graph.constant(1)])
        return maps, widths

    def to_sequence(self, maps: str) -> str:
        """(N, K, h, T) maps → (T, N, h·K) features in single precision."""
        maps = self._dequantize(maps)
        maps = self.graph.add("Cast", [maps], to=ElementType.FLOAT) if self.is_half else maps
        time_first = self.graph.add("Transpose", [maps], perm=[3, 0, 2, 1])
        return self.graph.add("Reshape", [time_first, self.graph.constant([0, 0, -1])])

    def lstms(self, features: str, steps: str) -> str:
        """(T, N, F) features → (T, N, 2·hidden) of both bidirectional LSTMs, each line in its own (N,) steps.

        Quantized, they have range units, and the projection between them becomes a part of the second one.
        """
        config, weights = self.network.config, self.network.weights
        inputs, states, biases = self._lstm_weights("lstm.first")
        by_row = inputs.reshape(*inputs.shape[:2], -1, config.rows).swapaxes(2, 3)  # (2, 4·hidden, h, K)
        inputs = by_row.reshape(inputs.shape)
        if self.ranges:
            highest = self.graph.constant(np.array(255 * np.float32(self.scale or 0)))
            features = self.graph.add("Pad", [features, self.graph.constant([0, 0, 0, 0, 0, 1]), highest])
            inputs = np.pad(inputs, ((0, 0), (0, 0), (0, 1)))
        hidden = self._lstm(features, steps, "lstm.first", inputs, states, biases)
        inputs, states, biases = self._lstm_weights("lstm.second")
        if config.projection and not self.ranges:
            hidden = self.linear(hidden, "lstm.between")
        elif config.projection:
            biases[:, : inputs.shape[1]] += inputs @ weights["lstm.between.bias"]
            inputs = inputs @ weights["lstm.between.weight"]
        if self.ranges:
            inputs = quantization.skip_range_units(inputs)
        return self._lstm(hidden, steps, "lstm.second", inputs, states, biases)

    def linear(self, features: str, name: str) -> str:
        """(…, F) features → (…, F')."""
        weights = self.network.weights[f"{name}.weight"]
        kernel = quantization.skip_range_units(weights) if self.ranges else weights
        product = self.graph.add("MatMul", [features, self._stored(kernel.T, f"{name}.weight")])
        return self.graph.add("Add", [product, self._stored(self.network.weights[f"{name}.bias"], f"{name}.bias")])

    def _lstm_weights(self, name: str) -> tuple[Floats, Floats, Floats]:
        """An LSTM's (2, 4·H, F) weights from the input, (2, 4·H, H) from the state, forward and backward, (2, 8·H) biases."""
        inputs, states, *biases = (
            np.stack([self._gates(f"{name}.{direction}.{kind}_l0") for direction in ("along", "against")])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return inputs, states, np.concatenate(biases, axis=1)

    def _gates(self, name: str) -> Floats:
        """LSTM weights with the gates in ONNX's order (input, output, forget, cell) instead of torch's (i, f, g, o)."""
        i, f, g, o = np.split(self.network.weights[name], 4)
        return np.concatenate((i, o, f, g))

    def _lstm(self, features: str, steps: str, name: str, inputs: Floats, states: Floats, biases: Floats) -> str:
        """(T, N, F) features → (T, N, 2·hidden) of one bidirectional LSTM."""
        if self.ranges:
            inputs, states, biases = quantization.add_range_units(inputs, states, biases)
        hidden, bias = states.shape[2], self._stored(biases, f"{name}.B")
        attributes: dict[str, Any] = {"direction": "bidirectional", "hidden_size": hidden}
        if self.ranges:
            cells = self.graph.constant(quantization.initial_cells(hidden - quantization.RANGE_UNITS), f"{name}.cells")
            lines = self.graph.add("Shape", [steps])
            size = self.graph.add("Concat", [self.graph.constant([2]), lines, self.graph.constant([hidden])], axis=0)
            initial_cells = self.graph.add("Expand", [cells, size])
            (w, w_scale), (r, r_scale) = (
                self._quantized_weights(f"{name}.{kind}", weights) for kind, weights in (("W", inputs), ("R", states))
            )
            given = [features, w, r, bias, steps, "", initial_cells, "", *w_scale, *r_scale]
            output = self.graph.add("DynamicQuantizeLSTM", given, domain=ONNXRUNTIME, **attributes)
        else:
            given = [features, self._stored(inputs, f"{name}.W"), self._stored(states, f"{name}.R"), bias, steps]
            output = self.graph.add("LSTM", given, **attributes)  # (T, 2, N, hidden)
        batch_second = self.graph.add("Transpose", [output], perm=[0, 2, 1, 3])
        return self.graph.add("Reshape", [batch_second, self.graph.constant([0, 0, 2 * hidden])])

    def _quantized_weights(self, name: str, weights: Floats) -> tuple[str, tuple[str, str]]:
        """Weights of a quantized LSTM, and their scale and zero point."""
        quantized = QuantizedWeights.of(weights)
        zero_point = self.graph.constant(np.zeros(quantized.scale.shape, np.int8))
        return self.graph.constant(quantized.values, name), (self.graph.constant(quantized.scale), zero_point)

    def _quantize(self, maps: str, highest: float) -> str:
        """Maps of values from zero to `highest` as unsigned bytes."""
        self.scale = highest / 255
        return self.graph.add("QuantizeLinear", [maps, *self._scale_and_zero_point()])

    def _dequantize(self, maps: str) -> str:
        return self.graph.add("DequantizeLinear", [maps, *self._scale_and_zero_point()]) if self.scale else maps

    def _scale_and_zero_point(self) -> tuple[str, str]:
        return self.graph.constant(np.array(self.scale, np.float32)), self.graph.constant(np.array(0, np.uint8))

    def _stored(self, value: Floats, name: str) -> str:
        """Weights that are computed with in single precision but, in fp16, stored in half precision."""
        if not self.is_half:
            return self.graph.constant(value, name)
        return self.graph.add("Cast", [self.graph.constant(_half(value), f"{name}.half")], name, to=ElementType.FLOAT)

    def _kernel(self, index: int, layer: Conv) -> tuple[str, str]:
        """Kernel and bias of a convolution, quantized if it reads bytes."""
        name = f"backbone.stages.{index}"
        kernel, bias = self._folded(index, layer)
        if self.ranges:
            kernel = np.pad(kernel, ((0, 0), (0, self.channels - kernel.shape[1]), (0, 0), (0, 0)))
            spare = 0 if self.scale else -len(kernel) % _BLOCK
            kernel, bias = np.pad(kernel, ((0, spare), (0, 0), (0, 0), (0, 0))), np.pad(bias, (0, spare))
            self.channels = len(kernel)
        if self.is_half:
            return self.graph.constant(_half(kernel), f"{name}.weight"), self.graph.constant(_half(bias), f"{name}.bias")
        if not self.scale:
            return self.graph.constant(kernel, f"{name}.weight"), self.graph.constant(bias, f"{name}.bias")
        scale = np.abs(kernel).max(axis=(1, 2, 3)) / quantization.WEIGHT_LIMIT  # (K,)
        for_bias = np.abs(bias) / (self.scale * _BIAS_LIMIT)  # so that the bias of a channel with a zero kernel fits
        scale = np.maximum.reduce([scale, for_bias, np.full_like(scale, 1e-12)]).astype(np.float32)
        whole = np.round(kernel / scale[:, None, None, None]).astype(np.int8)
        bias_scale = scale * np.float32(self.scale)
        return (
            self._dequantized_constant(self.graph.constant(whole, f"{name}.weight"), scale, np.zeros(len(scale), np.int8)),
            self._dequantized_constant(
                self.graph.constant(np.round(bias / bias_scale).astype(np.int32), f"{name}.bias"),
                bias_scale,
                np.zeros(len(scale), np.int32),
            ),
        )

    def _dequantized_constant(self, values: str, scale: Floats, zero_point: NDArray[np.integer]) -> str:
        return self.graph.add("DequantizeLinear", [values, self.graph.constant(scale), self.graph.constant(zero_point)], axis=0)

    def _folded(self, index: int, layer: Conv) -> tuple[Floats, Floats]:
        """Kernel and bias of a convolution with its batch normalization folded in."""
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

    def _mask(self, maps: str, widths: str) -> str:
        """(N, K, h, W) maps, zero from each one's true width on."""
        columns = self.graph.add("Shape", [maps], start=3, end=4)
        end = self.graph.add("Squeeze", [columns, self.graph.constant([0])])
        index = self.graph.add("Range", [self.graph.constant(0), end, self.graph.constant(1)])  # (W,)
        inside = self.graph.add("Less", [index, self.graph.add("Unsqueeze", [widths, self.graph.constant([1])])])  # (N, W)
        mask = self.graph.add("Unsqueeze", [inside, self.graph.constant([1, 2])])  # (N, 1, 1, W)
        zero = np.array(0, np.uint8 if self.scale else np.float16 if self.is_half else np.float32)
        return self.graph.add("Where", [mask, maps, self.graph.constant(zero)])


def _half(value: Floats) -> NDArray[np.float16]:
    """Numbers in half precision, limited to its range."""
    limit = float(np.finfo(np.float16).max)
    return np.clip(value, -limit, limit).astype(np.float16)
