"""The network as an ONNX graph, built layer by layer from its config and weights.

torch's own exporters cannot do it: one fixes the number of frames, the other is deprecated. The graph is short enough to be
written node by node, with batch normalization folded into the convolutions, and each export is verified.

In int8, the maps between the convolutions are unsigned bytes and the kernels signed ones, as pairs of QuantizeLinear and
DequantizeLinear that a runtime turns into integer arithmetic, and the LSTMs compute with bytes too. Scales are constants, so
that a line's result is the same in any batch. The first convolution, activations other than ReLU, squeeze-and-excitation and
what it scales, attention, layer normalization, sums and the head stay in single precision: channels that are far larger before
they are scaled than after it would cost the others their digits.

Inputs: `images` (N, 1, H, W) float32, `widths` (N,) int64. Outputs: `log_probs` (N, T, C) float32, `frames` (N,) int64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import (
    NORM_EPSILON,
    ActivationRange,
    Attention,
    Concat,
    Conv,
    Excitation,
    Layer,
    LayerNorm,
    Leaf,
    ModelConfig,
    Pool,
    Precision,
    Residual,
)
from crnnocr.graph import quantization
from crnnocr.graph.builder import ONNXRUNTIME, ElementType, GraphBuilder, Model, TensorSpecs
from crnnocr.graph.quantization import Floats, QuantizedWeights

OPSET = 17

_BLOCK = 16
"""Channels that ONNX Runtime computes together in single precision. It reorders maps with another number again and again."""

_UNSEEN = -1e30
"""The score of a place outside the line: its weight is 0."""

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
    activation_ranges: tuple[ActivationRange, ...] = ()
    """The lowest and highest value of each of the backbone's maps; needed for int8, else empty."""


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
    maps, frames = layers.backbone(images, widths)
    features = layers.to_sequence(maps)  # (T, N, F)
    steps = graph.add("Cast", [frames], to=ElementType.INT32)
    hidden = layers.lstms(features, steps, maps)
    scores = layers.linear(hidden, "head")
    if network.config.skip:
        scores = graph.add("Add", [scores, layers.auxiliary(features)])
    batch_first = graph.add("Transpose", [scores], perm=[1, 0, 2])
    log_probs = graph.add("LogSoftmax", [batch_first], output="log_probs", axis=-1)
    return log_probs, graph.add("Identity", [frames], output="frames")


@dataclass(frozen=True)
class _Maps:
    """Maps (N, K, h, W) in the graph."""

    name: str
    channels: int
    """K. It may be more than the network's: the further ones are zero."""
    rows: int
    """h."""
    place: int
    """Index of their range; -1 for the images."""
    scale: float | None = None
    """The difference of values whose bytes differ by 1; None if they are no bytes."""
    zero: int = 0
    """The byte for 0."""


class _Layers:
    """Adds the layers of a network to a graph."""

    def __init__(self, graph: GraphBuilder, network: Network) -> None:
        self.graph = graph
        self.network = network
        self.is_half = network.precision is Precision.FP16
        self.ranges = network.activation_ranges if network.config.convolutions > 1 else ()
        """Empty if nothing is quantized."""
        self.places = count()
        """Indices of the ranges of maps that are added."""
        self.masks: dict[tuple[str, str], str] = {}
        """By the tensor of widths, and the type."""

    def backbone(self, images: str, widths: str) -> tuple[_Maps, str]:
        """(N, 1, H, W) images with (N,) true widths → (N, K, h, T) maps with (N,) frames."""
        start = self.graph.add("Cast", [images], to=ElementType.FLOAT16) if self.is_half else images
        maps = _Maps(start, 1, self.network.config.height, place=-1)
        return self._chain(maps, widths, "backbone.stages", self.network.config.backbone)

    def _chain(self, maps: _Maps, widths: str, name: str, layers: Sequence[Layer]) -> tuple[_Maps, str]:
        """Layers one after the other."""
        for index, (layer, after) in enumerate(zip_longest(layers, layers[1:])):
            own = f"{name}.{index}"
            if isinstance(layer, Residual):
                maps = self._sum(maps, self._chain(maps, widths, own, layer.layers)[0])
            elif isinstance(layer, Concat):
                branches = enumerate(layer.branches)
                maps = self._concat([self._chain(maps, widths, f"{own}.{number}", branch)[0] for number, branch in branches])
            elif isinstance(layer, Conv) and isinstance(after, Excitation):
                maps, widths = self._leaf(self._floats(maps), widths, own, layer, may_be_bytes=False)
            else:
                maps, widths = self._leaf(maps, widths, own, layer)
        return maps, widths

    def _leaf(self, maps: _Maps, widths: str, name: str, layer: Leaf, may_be_bytes: bool = True) -> tuple[_Maps, str]:
        """One layer over maps with (N,) true widths. The columns past a line's width are zeroed before the layers that see
        them; the images are zero there. A convolution that `may_be_bytes` is quantized if the network is.
        """
        if isinstance(layer, Excitation):
            return self._excitation(maps, widths, name), widths
        if isinstance(layer, Attention):
            return self._attention(maps, widths, name, layer.heads), widths
        if isinstance(layer, LayerNorm):
            return self._layer_norm(maps, name, layer.epsilon), widths
        if layer.sees_beside and maps.place >= 0:
            maps = self._masked(maps, widths)
        if isinstance(layer, Conv):
            maps = self._convolution(self._bytes(maps) if may_be_bytes else maps, name, layer)
        else:
            maps = self._pool(maps, layer)
        growth, stride = 2 * layer.padding[1] + layer.more_padding[1] - layer.kernel[1], layer.stride[1]
        if (growth, stride) != (-1, 1):  # else as wide as before
            widths = self.graph.add("Add", [widths, self.graph.constant(growth)])
            widths = self.graph.add("Div", [widths, self.graph.constant(stride)])
            widths = self.graph.add("Add", [widths, self.graph.constant(1)])
        return maps, widths

    def _pool(self, maps: _Maps, layer: Pool) -> _Maps:
        if layer.is_average:
            maps = self._floats(maps)
        kind = "AveragePool" if layer.is_average else "MaxPool"
        pooled = self.graph.add(kind, [maps.name], **_window(layer) | {"strides": list(layer.stride)})
        return replace(maps, name=pooled, rows=layer.output_size(maps.rows, axis=0), place=next(self.places))

    def _convolution(self, maps: _Maps, name: str, layer: Conv) -> _Maps:
        kernel, bias, channels = self._kernel(maps, name, layer)
        window = _window(layer) | ({"group": maps.channels} if layer.is_depthwise else {})
        result = self.graph.add("Conv", [self._floats(maps).name, kernel, bias], **window)
        if layer.activation == "relu":
            result = self.graph.add("Relu", [result])
        found = _Maps(result, channels, layer.output_size(maps.rows, axis=0), next(self.places))
        if maps.scale:
            found = self._bytes(found)
        if activate := {"gelu": self._gelu, "swish": self._swish, "hard-swish": self._hard_swish}.get(layer.activation):
            found = self._floats(found)
            found = replace(found, name=activate(found.name), place=next(self.places))
        return found

    def _gelu(self, maps: str) -> str:
        """x·Φ(x), in the form that runtimes know; quantized, ONNX Runtime does not find it, as it copies what is used twice."""
        if self.ranges:
            return self.graph.add("Gelu", [maps], domain=ONNXRUNTIME)
        erf = self.graph.add("Erf", [self.graph.add("Div", [maps, self._number(math.sqrt(2))])])
        product = self.graph.add("Mul", [maps, self.graph.add("Add", [erf, self._number(1)])])
        return self.graph.add("Mul", [product, self._number(0.5)])

    def _swish(self, maps: str) -> str:
        return self.graph.add("Mul", [maps, self.graph.add("Sigmoid", [maps])])

    def _hard_swish(self, maps: str) -> str:
        return self.graph.add("Mul", [maps, self._hard_sigmoid(maps, self._number)])

    def _hard_sigmoid(self, values: str, number: Callable[[float], str]) -> str:
        scaled = self.graph.add("Mul", [values, number(1 / 6)])
        return self.graph.add("Clip", [self.graph.add("Add", [scaled, number(0.5)]), number(0), number(1)])

    def _excitation(self, maps: _Maps, widths: str, name: str) -> _Maps:
        """The means and the linear layers are computed in single precision; quantized, in double precision: lines of other
        widths are added up in another order, and what differs in its last digits alone would give other bytes.
        """
        maps = self._floats(self._masked(maps, widths))
        kind, number = (ElementType.DOUBLE, np.float64) if self.ranges else (ElementType.FLOAT, np.float32)
        is_wider = self.is_half or self.ranges
        wide = self.graph.add("Cast", [maps.name], to=kind) if is_wider else maps.name
        sums = self.graph.add("ReduceSum", [wide, self.graph.constant([2, 3])], keepdims=0)  # (N, K)
        columns = self.graph.add("Cast", [self.graph.add("Unsqueeze", [widths, self.graph.constant([1])])], to=kind)
        rows = self.graph.constant(np.array(maps.rows, number))
        means = self.graph.add("Div", [sums, self.graph.add("Mul", [columns, rows])])
        squeezed = self.graph.add("Relu", [self._dense(means, f"{name}.squeeze", kind)])
        excited = self._dense(squeezed, f"{name}.excite", kind)
        excited = self.graph.add("Cast", [excited], to=ElementType.FLOAT) if self.ranges else excited
        factors = self.graph.add("Unsqueeze", [self._hard_sigmoid(excited, self._single), self.graph.constant([2, 3])])
        factors = self.graph.add("Cast", [factors], to=ElementType.FLOAT16) if self.is_half else factors
        return replace(maps, name=self.graph.add("Mul", [maps.name, factors]), place=next(self.places))

    def _layer_norm(self, maps: _Maps, name: str, epsilon: float) -> _Maps:
        """Computed in single precision."""
        weights = (self._stored(self.network.weights[f"{name}.{part}"], f"{name}.{part}") for part in ("weight", "bias"))
        epsilon = float(np.float32(epsilon))  # as it is read again
        normalized = self.graph.add("LayerNormalization", [self._places(maps), *weights], axis=-1, epsilon=epsilon)
        return self._maps(maps, normalized)

    def _attention(self, maps: _Maps, widths: str, name: str, heads: int) -> _Maps:
        """Computed in single precision, and head by head: all the weights of a long line together would fill the memory."""
        given = self._dense(self._places(self._masked(maps, widths)), f"{name}.given")
        by_part = self.graph.add("Reshape", [given, self.graph.constant([0, 0, 0, 3 * heads, -1])])
        first = self.graph.add("Transpose", [by_part], perm=[0, 1, 3, 2, 4])  # (N, h, 3·heads, W, K/heads)
        parts = [f"{name}.{part}.{head}" for part in ("queries", "keys", "values") for head in range(heads)]
        self.graph.add_node("Split", [first, self.graph.constant([1] * (3 * heads))], parts, parts[0], axis=2)
        inside = self.graph.add("Unsqueeze", [self._inside(maps, widths), self.graph.constant([1])])  # (N, 1, 1, 1, W)
        scale, unseen = self._single((maps.channels // heads) ** -0.5), self._single(_UNSEEN)
        seen = []
        for queries, keys, values in zip(parts[:heads], parts[heads : 2 * heads], parts[2 * heads :], strict=True):
            scaled = self.graph.add("Mul", [queries, scale])
            scores = self.graph.add("MatMul", [scaled, self.graph.add("Transpose", [keys], perm=[0, 1, 2, 4, 3])])
            weights = self.graph.add("Softmax", [self.graph.add("Where", [inside, scores, unseen])], axis=-1)  # (N, h, 1, W, W)
            seen.append(self.graph.add("MatMul", [weights, values]))
        by_place = self.graph.add("Transpose", [self.graph.add("Concat", seen, axis=2)], perm=[0, 1, 3, 2, 4])
        together = self.graph.add("Reshape", [by_place, self.graph.constant([0, 0, 0, -1])])
        return self._maps(maps, self._dense(together, f"{name}.result"))

    def _places(self, maps: _Maps) -> str:
        """Maps → (N, h, W, K) in single precision."""
        name = self._floats(maps).name
        name = self.graph.add("Cast", [name], to=ElementType.FLOAT) if self.is_half else name
        return self.graph.add("Transpose", [name], perm=[0, 2, 3, 1])

    def _maps(self, before: _Maps, places: str) -> _Maps:
        """(N, h, W, K) in single precision → maps of the same size as those before."""
        name = self.graph.add("Transpose", [places], perm=[0, 3, 1, 2])
        name = self.graph.add("Cast", [name], to=ElementType.FLOAT16) if self.is_half else name
        return replace(before, name=name, place=next(self.places), scale=None, zero=0)

    def _sum(self, maps: _Maps, others: _Maps) -> _Maps:
        maps = self._floats(maps)
        return replace(maps, name=self.graph.add("Add", [maps.name, self._floats(others).name]), place=next(self.places))

    def _concat(self, branches: Sequence[_Maps]) -> _Maps:
        floats = [self._floats(branch) for branch in branches]
        together = self.graph.add("Concat", [branch.name for branch in floats], axis=1)
        return replace(floats[0], name=together, channels=sum(each.channels for each in floats), place=next(self.places))

    def to_sequence(self, maps: _Maps) -> str:
        """(N, K, h, T) maps → (T, N, h·K) features in single precision."""
        name = self._floats(maps).name
        name = self.graph.add("Cast", [name], to=ElementType.FLOAT) if self.is_half else name
        time_first = self.graph.add("Transpose", [name], perm=[3, 0, 2, 1])
        return self.graph.add("Reshape", [time_first, self.graph.constant([0, 0, -1])])

    def lstms(self, features: str, steps: str, maps: _Maps) -> str:
        """(T, N, F) features of the maps → (T, N, 2·hidden) of both bidirectional LSTMs, each line in its own (N,) steps.

        Quantized, they have range units, and the projection between them becomes a part of the second one.
        """
        config, weights = self.network.config, self.network.weights
        inputs, states, biases = self._lstm_weights("lstm.first")
        inputs = self._by_row(inputs)
        if self.ranges:
            features, ends = self._between_ends(features, maps)
            inputs = np.pad(inputs, ((0, 0), (0, 0), (0, ends)))
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

    def _between_ends(self, features: str, maps: _Maps) -> tuple[str, int]:
        """Features that lie in one range, with further ones at its ends, and how many these are. 0 is an end of any range."""
        if maps.scale and not maps.zero:  # bytes lie in it
            ends = [float(255 * np.float32(maps.scale))]
        else:
            ends = list(self.ranges[maps.place])
            features = self.graph.add("Clip", [features, *map(self._single, ends)])
        for end in ends:
            value = self._single(end)
            features = self.graph.add("Pad", [features, self.graph.constant([0, 0, 0, 0, 0, 1]), value])
        return features, len(ends)

    def linear(self, features: str, name: str) -> str:
        """(…, F) features → (…, F')."""
        weights = self.network.weights[f"{name}.weight"]
        kernel = quantization.skip_range_units(weights) if self.ranges else weights
        product = self.graph.add("MatMul", [features, self._stored(kernel.T, f"{name}.weight")])
        return self.graph.add("Add", [product, self._stored(self.network.weights[f"{name}.bias"], f"{name}.bias")])

    def auxiliary(self, features: str) -> str:
        """(T, N, F) features → (T, N, C) of the auxiliary head."""
        weights = self._by_row(self.network.weights["auxiliary.weight"])
        product = self.graph.add("MatMul", [features, self._stored(weights.T, "auxiliary.weight")])
        return self.graph.add("Add", [product, self._stored(self.network.weights["auxiliary.bias"], "auxiliary.bias")])

    def _by_row(self, weights: Floats) -> Floats:
        """Weights (…, F) from features that are ordered by channel and row → by row and channel, as the graph has them."""
        by_row = weights.reshape(*weights.shape[:-1], -1, self.network.config.rows).swapaxes(-1, -2)  # (…, h, K)
        return by_row.reshape(weights.shape)

    def _dense(self, features: str, name: str, kind: ElementType = ElementType.FLOAT) -> str:
        """(…, K) features of a type → (…, K')."""
        weight, bias = (self.network.weights[f"{name}.{part}"] for part in ("weight", "bias"))
        stored = [self._stored(weight.T, f"{name}.weight"), self._stored(bias, f"{name}.bias")]
        if kind != ElementType.FLOAT:
            stored = [self.graph.add("Cast", [each], to=kind) for each in stored]
        return self.graph.add("Add", [self.graph.add("MatMul", [features, stored[0]]), stored[1]])

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

    def _bytes(self, maps: _Maps) -> _Maps:
        """Maps as bytes, if the network is quantized and they are not the images."""
        if maps.scale or not self.ranges or maps.place < 0:
            return maps
        lowest, highest = self.ranges[maps.place]
        scale = (highest - lowest) / 255
        maps = replace(maps, scale=scale, zero=round(-lowest / scale))
        return replace(maps, name=self.graph.add("QuantizeLinear", [maps.name, *self._scale_and_zero_point(maps)]))

    def _floats(self, maps: _Maps) -> _Maps:
        """Maps as numbers."""
        if not maps.scale:
            return maps
        name = self.graph.add("DequantizeLinear", [maps.name, *self._scale_and_zero_point(maps)])
        return replace(maps, name=name, scale=None, zero=0)

    def _scale_and_zero_point(self, maps: _Maps) -> tuple[str, str]:
        return self.graph.constant(np.array(maps.scale, np.float32)), self.graph.constant(np.array(maps.zero, np.uint8))

    def _number(self, value: float) -> str:
        """A number in the precision of the maps."""
        return self.graph.constant(np.array(value, np.float16 if self.is_half else np.float32))

    def _single(self, value: float) -> str:
        return self.graph.constant(np.array(value, np.float32))

    def _stored(self, value: Floats, name: str) -> str:
        """Weights that are computed with in single precision but, in fp16, stored in half precision."""
        if not self.is_half:
            return self.graph.constant(value, name)
        return self.graph.add("Cast", [self.graph.constant(_half(value), f"{name}.half")], name, to=ElementType.FLOAT)

    def _kernel(self, maps: _Maps, name: str, layer: Conv) -> tuple[str, str, int]:
        """Kernel and bias of a convolution, quantized if it reads bytes, and the channels that it gives."""
        kernel, bias = self._folded(name, layer)
        if self.ranges and not layer.is_depthwise:
            kernel = np.pad(kernel, ((0, 0), (0, maps.channels - kernel.shape[1]), (0, 0), (0, 0)))
            spare = -len(kernel) % _BLOCK if maps.place < 0 and self._is_plain_at_first else 0
            kernel, bias = np.pad(kernel, ((0, spare), (0, 0), (0, 0), (0, 0))), np.pad(bias, (0, spare))
        if self.is_half:
            return (
                self.graph.constant(_half(kernel), f"{name}.weight"),
                self.graph.constant(_half(bias), f"{name}.bias"),
                len(bias),
            )
        if not maps.scale:
            return self.graph.constant(kernel, f"{name}.weight"), self.graph.constant(bias, f"{name}.bias"), len(bias)
        scale = np.abs(kernel).max(axis=(1, 2, 3)) / quantization.WEIGHT_LIMIT  # (K,)
        for_bias = np.abs(bias) / (maps.scale * _BIAS_LIMIT)  # so that the bias of a channel with a zero kernel fits
        scale = np.maximum.reduce([scale, for_bias, np.full_like(scale, 1e-12)]).astype(np.float32)
        whole = np.round(kernel / scale[:, None, None, None]).astype(np.int8)
        bias_scale = scale * np.float32(maps.scale)
        return (
            self._dequantized_constant(self.graph.constant(whole, f"{name}.weight"), scale, np.zeros(len(scale), np.int8)),
            self._dequantized_constant(
                self.graph.constant(np.round(bias / bias_scale).astype(np.int32), f"{name}.bias"),
                bias_scale,
                np.zeros(len(scale), np.int32),
            ),
            len(bias),
        )

    @property
    def _is_plain_at_first(self) -> bool:
        """Whether another convolution alone reads the first one's channels, and makes each of its own from all of them."""
        layers = (layer for layer in self.network.config.backbone if not isinstance(layer, Pool))
        first, second = next(layers), next(layers, None)
        return isinstance(first, Conv) and isinstance(second, Conv) and not second.is_depthwise

    def _dequantized_constant(self, values: str, scale: Floats, zero_point: NDArray[np.integer]) -> str:
        return self.graph.add("DequantizeLinear", [values, self.graph.constant(scale), self.graph.constant(zero_point)], axis=0)

    def _folded(self, name: str, layer: Conv) -> tuple[Floats, Floats]:
        """Kernel and bias of a convolution with its batch normalization folded in."""
        weights = self.network.weights
        kernel = weights[f"{name}.0.weight"]
        if layer.norm:
            scale = weights[f"{name}.1.weight"] / np.sqrt(weights[f"{name}.1.running_var"] + NORM_EPSILON)
            kernel = kernel * scale[:, None, None, None]
            bias = weights[f"{name}.1.bias"] - weights[f"{name}.1.running_mean"] * scale
        else:
            bias = weights[f"{name}.0.bias"]
        return kernel, bias

    def _masked(self, maps: _Maps, widths: str) -> _Maps:
        """The maps, zero from each one's (N,) true width on."""
        if maps.scale or self.is_half:
            zero = np.uint8(maps.zero) if maps.scale else np.float16(0)
            masked = self.graph.add("Where", [self._inside(maps, widths), maps.name, self.graph.constant(np.array(zero))])
        else:  # much faster
            masked = self.graph.add("Mul", [maps.name, self._ones(maps, widths)])
        return replace(maps, name=masked)

    def _ones(self, maps: _Maps, widths: str) -> str:
        """(N, 1, 1, W): 1 inside the (N,) true widths, else 0."""
        key = widths, "float"
        if key not in self.masks:
            self.masks[key] = self.graph.add("Cast", [self._inside(maps, widths)], to=ElementType.FLOAT)
        return self.masks[key]

    def _inside(self, maps: _Maps, widths: str) -> str:
        """(N, 1, 1, W): whether each column lies inside the (N,) true widths."""
        key = widths, "bool"
        if key not in self.masks:
            columns = self.graph.add("Shape", [maps.name], start=3, end=4)
            end = self.graph.add("Squeeze", [columns, self.graph.constant([0])])
            index = self.graph.add("Range", [self.graph.constant(0), end, self.graph.constant(1)])  # (W,)
            within = self.graph.add("Less", [index, self.graph.add("Unsqueeze", [widths, self.graph.constant([1])])])  # (N, W)
            self.masks[key] = self.graph.add("Unsqueeze", [within, self.graph.constant([1, 2])])
        return self.masks[key]


def _window(layer: Conv | Pool) -> dict[str, Any]:
    """The attributes of a node with a window; a convolution's strides only if they are not 1."""
    (top, left), (bottom, right) = layer.padding, layer.more_padding
    strides = {"strides": list(layer.stride)} if layer.stride != (1, 1) else {}
    return {"kernel_shape": list(layer.kernel), **strides, "pads": [top, left, top + bottom, left + right]}


def _half(value: Floats) -> NDArray[np.float16]:
    """Numbers in half precision, limited to its range."""
    limit = float(np.finfo(np.float16).max)
    return np.clip(value, -limit, limit).astype(np.float16)
