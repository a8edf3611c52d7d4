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

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from crnnocr.config import NORM_EPSILON, Conv, Layer, ModelConfig, Pool, Precision
from crnnocr.exporting.nodes import Nodes, Tensors

OPSET = 17

_KERNEL_LIMIT = 63
"""Largest byte in a quantised kernel."""

_BIAS_LIMIT = 2**30
"""Largest whole number in a quantised bias."""

Weights = dict[str, NDArray[np.float32]]
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
    peaks: tuple[float, ...] = ()
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
        layers.scale_in, layers.scale = layers.scale, network.peaks[index] / 255 if network.peaks else None
        maps, frames = layers.stage(maps, frames, index, layer)
    features = layers.sequence(maps, network.config.features)  # (T, N, F)
    steps = nodes.add("Cast", [frames], to=TensorProto.INT32)
    hidden = layers.lstm(features, steps, "lstm.first", network.config.hidden)
    if network.config.projection:
        hidden = layers.linear(hidden, "lstm.between")
    hidden = layers.lstm(hidden, steps, "lstm.second", network.config.hidden)
    batch_first = nodes.add("Transpose", [layers.linear(hidden, "head")], perm=[1, 0, 2])
    log_probs = nodes.add("LogSoftmax", [batch_first], output="log_probs", axis=-1)
    return log_probs, nodes.add("Identity", [frames], output="frames")


class _Layers:
    """Adds the layers of a network."""

    def __init__(self, nodes: Nodes, network: Network) -> None:
        self.nodes = nodes
        self.network = network
        self.is_half = network.precision is Precision.FP16
        self.scale_in: float | None = None
        """What one step of the bytes that the current layer reads is worth; None where it reads floats."""
        self.scale: float | None = None
        """The same of what it writes."""

    def stage(self, maps: str, widths: str, index: int, layer: Layer) -> tuple[str, str]:
        """One backbone layer over (N, K, h, W) maps, and the columns past each width set to zero."""
        (top, left), (height, width) = layer.padding, layer.kernel
        pads = [top, left, top, left]
        if isinstance(layer, Pool):
            maps = self.nodes.add("MaxPool", [maps], kernel_shape=[height, width], strides=list(layer.stride), pads=pads)
        else:
            kernel, bias = self._kernel(index, layer)
            maps = self.nodes.add("Conv", [maps, kernel, bias], kernel_shape=[height, width], pads=pads)
            maps = self.nodes.add("Relu", [maps])
        grown, step = 2 * left - width, layer.stride[1]
        if (grown, step) != (-1, 1):  # else as wide as before
            widths = self.nodes.add("Add", [widths, self.nodes.constant(grown)])
            widths = self.nodes.add("Div", [widths, self.nodes.constant(step)])
            widths = self.nodes.add("Add", [widths, self.nodes.constant(1)])
        return self._masked(maps, widths), widths

    def begun(self, images: str) -> str:
        """The pictures in the numbers that the convolutions compute with."""
        return self.nodes.add("Cast", [images], to=TensorProto.FLOAT16) if self.is_half else images

    def sequence(self, maps: str, features: int) -> str:
        """(N, K, h, T) maps → (T, N, K·h) features in single precision."""
        maps = self.nodes.add("Cast", [maps], to=TensorProto.FLOAT) if self.is_half else maps
        turned = self.nodes.add("Transpose", [maps], perm=[3, 0, 1, 2])
        return self.nodes.add("Reshape", [turned, self.nodes.constant([0, 0, features])])

    def lstm(self, features: str, steps: str, name: str, hidden: int) -> str:
        """(T, N, F) features → (T, N, 2·hidden), each line in its own (N,) steps."""
        stacked = [
            np.stack([self._gates(f"{name}.{way}.{kind}_l0", hidden) for way in ("along", "against")])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        inputs = [
            features,
            self._kept(stacked[0], f"{name}.W"),
            self._kept(stacked[1], f"{name}.R"),
            self._kept(np.concatenate(stacked[2:], axis=1), f"{name}.B"),
            steps,
        ]
        output = self.nodes.add("LSTM", inputs, direction="bidirectional", hidden_size=hidden)  # (T, 2, N, hidden)
        turned = self.nodes.add("Transpose", [output], perm=[0, 2, 1, 3])
        return self.nodes.add("Reshape", [turned, self.nodes.constant([0, 0, 2 * hidden])])

    def linear(self, features: str, name: str) -> str:
        """(…, F) features → (…, F')."""
        kernel = self._kept(self.network.weights[f"{name}.weight"].T, f"{name}.weight")
        product = self.nodes.add("MatMul", [features, kernel])
        return self.nodes.add("Add", [product, self._kept(self.network.weights[f"{name}.bias"], f"{name}.bias")])

    def _kept(self, value: NDArray[np.float32], name: str) -> str:
        """Weights that are computed with in single precision, and kept in half of it where that is wanted."""
        if not self.is_half:
            return self.nodes.constant(value, name)
        return self.nodes.add("Cast", [self.nodes.constant(_halved(value), f"{name}.half")], name, to=TensorProto.FLOAT)

    def _kernel(self, index: int, layer: Conv) -> tuple[str, str]:
        """Kernel and bias of a convolution, quantised if it reads bytes."""
        name = f"backbone.stages.{index}"
        kernel, bias = self._folded(index, layer)
        if self.is_half:
            return self.nodes.constant(_halved(kernel), f"{name}.weight"), self.nodes.constant(_halved(bias), f"{name}.bias")
        if self.scale_in is None:
            return self.nodes.constant(kernel, f"{name}.weight"), self.nodes.constant(bias, f"{name}.bias")
        steps = np.abs(kernel).max(axis=(1, 2, 3)) / _KERNEL_LIMIT  # (K,)
        least = np.abs(bias) / (self.scale_in * _BIAS_LIMIT)  # so that the bias of a channel that sees nothing has room
        steps = np.maximum.reduce([steps, least, np.full_like(steps, 1e-12)]).astype(np.float32)
        whole = np.round(kernel / steps[:, None, None, None]).astype(np.int8)
        bias_steps = steps * np.float32(self.scale_in)
        return (
            self._dequantised(self.nodes.constant(whole, f"{name}.weight"), steps, np.zeros(len(steps), np.int8)),
            self._dequantised(
                self.nodes.constant(np.round(bias / bias_steps).astype(np.int32), f"{name}.bias"),
                bias_steps,
                np.zeros(len(steps), np.int32),
            ),
        )

    def _dequantised(self, values: str, steps: NDArray[np.float32], zeros: NDArray[np.integer]) -> str:
        return self.nodes.add("DequantizeLinear", [values, self.nodes.constant(steps), self.nodes.constant(zeros)], axis=0)

    def _folded(self, index: int, layer: Conv) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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
        """(N, K, h, W) maps, zero from each one's width on, and rounded to bytes where that is wanted."""
        columns = self.nodes.add("Shape", [maps], start=3, end=4)
        there = self.nodes.add("Squeeze", [columns, self.nodes.constant([0])])
        index = self.nodes.add("Range", [self.nodes.constant(0), there, self.nodes.constant(1)])  # (W,)
        inside = self.nodes.add("Less", [index, self.nodes.add("Unsqueeze", [widths, self.nodes.constant([1])])])  # (N, W)
        mask = self.nodes.add("Unsqueeze", [inside, self.nodes.constant([1, 2])])  # (N, 1, 1, W)
        if self.scale is None:
            kind = TensorProto.FLOAT16 if self.is_half else TensorProto.FLOAT
            return self.nodes.add("Mul", [maps, self.nodes.add("Cast", [mask], to=kind)])
        step, zero = self.nodes.constant(np.array(self.scale, np.float32)), self.nodes.constant(np.array(0, np.uint8))
        whole = self.nodes.add("Where", [mask, self.nodes.add("QuantizeLinear", [maps, step, zero]), zero])
        return self.nodes.add("DequantizeLinear", [whole, step, zero])

    def _gates(self, name: str, hidden: int) -> NDArray[np.float32]:
        """LSTM weights with the gates in ONNX's order (input, output, forget, cell) instead of torch's (i, f, g, o)."""
        i, f, g, o = np.split(self.network.weights[name], 4)
        return np.concatenate((i, o, f, g))


def _halved(value: NDArray[np.float32]) -> NDArray[np.float16]:
    """Numbers in half precision; what is beyond it, at its end."""
    most = float(np.finfo(np.float16).max)
    return np.clip(value, -most, most).astype(np.float16)
