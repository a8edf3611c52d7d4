"""The architecture of a network as data: its layers, how many frames they make of a line, and the presets."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

from crnnocr.errors import ModelError

NORM_EPSILON = 1e-5
"""Added to the variance in normalization, unless a layer says otherwise."""

_WIDE = 999
"""A line this wide, in pixels, gives a frame in every network."""
_MAX_HEIGHT = 2048
"""Pixels of the highest line."""
_MAX_LAYERS = 1000
"""Layers that no network has more of."""
_MAX_DEPTH = 4
"""Layers around a layer that no network has more of."""

HeightWidth: TypeAlias = tuple[int, int]

ActivationRange: TypeAlias = tuple[float, float]
"""Lowest and highest value of maps, 0 included."""

Size = TypeVar("Size")
"""An `int`, or an integer array or tensor of sizes."""

Activation: TypeAlias = Literal["none", "relu", "gelu", "swish", "hard-swish"]
"""A function of each value: GELU is x·Φ(x) (Hendrycks, Gimpel 2016, arXiv 1606.08415), Swish x·sigmoid(x) (Ramachandran, Zoph,
Le 2017, arXiv 1710.05941), Hard-Swish x·clip(x / 6 + 1/2, 0, 1) (Howard et al. 2019, arXiv 1905.02244).
"""


class _Window:
    """A window that moves over the maps."""

    kernel: HeightWidth
    stride: HeightWidth
    padding: HeightWidth
    more_padding: HeightWidth

    def output_size(self, size: Size, axis: Literal[0, 1]) -> Size:
        """Rows (axis 0) or columns (axis 1) that this layer makes of `size`."""
        given: Any = size
        padded = given + 2 * self.padding[axis] + self.more_padding[axis]
        # An empty input gives an empty output, though padding alone would fill a window.
        return cast("Size", ((padded - self.kernel[axis]) // self.stride[axis] + 1) * (given > 0))

    @property
    def sees_beside(self) -> bool:
        """Whether it sees columns beside the line, which must hold zeros."""
        return self.padding[1] + self.more_padding[1] > 0

    @property
    def keeps_size(self) -> bool:
        """Whether it gives as many rows and columns as it is given."""
        paddings = zip(self.kernel, self.padding, self.more_padding, strict=True)
        return self.stride == (1, 1) and all(kernel - 1 == 2 * both + more for kernel, both, more in paddings)


@dataclass(frozen=True)
class Conv(_Window):
    """A convolution, its normalization and an activation."""

    channels: int
    """Output channels."""
    kernel: HeightWidth = (3, 3)
    """Height and width of the kernel."""
    padding: HeightWidth = (1, 1)
    """Zeros above and below, and left and right, in pixels of its input."""
    norm: bool = True
    """Batch normalization before the activation, in place of a bias."""
    stride: HeightWidth = (1, 1)
    """Steps down and along, in pixels of its input."""
    more_padding: HeightWidth = (0, 0)
    """Further zeros below, and right, for kernels of even size."""
    activation: Activation = "relu"
    """Function of the result."""
    is_depthwise: bool = False
    """Whether each channel is made from the input channel of the same number alone."""


@dataclass(frozen=True)
class Pool(_Window):
    """Maximum or average pooling."""

    kernel: HeightWidth
    """Height and width of the window."""
    stride: HeightWidth
    """Steps down and along, in pixels of its input."""
    padding: HeightWidth = (0, 0)
    """Zeros above and below, and left and right. They never win the maximum: its input has no negative values then."""
    more_padding: HeightWidth = (0, 0)
    """Further zeros below, and right."""
    is_average: bool = False
    """Whether it gives the mean in place of the maximum; it cannot be padded then."""


@dataclass(frozen=True)
class Excitation:
    """Squeeze-and-excitation: each channel times a factor from 0 to 1, computed from the means of all channels over the line.

    Two linear layers with a ReLU between them and a hard sigmoid, clip(x / 6 + 1/2, 0, 1), behind them: Hu, Shen, Sun 2018,
    "Squeeze-and-Excitation Networks" (arXiv 1709.01507).
    """

    units: int
    """Units of the first linear layer."""


@dataclass(frozen=True)
class LayerNorm:
    """Normalization of the channels at each place: Ba, Kiros, Hinton 2016, "Layer Normalization" (arXiv 1607.06450)."""

    epsilon: float = NORM_EPSILON
    """Added to the variance."""


@dataclass(frozen=True)
class Attention:
    """Self-attention along the line, in each row by itself: Vaswani et al. 2017, "Attention Is All You Need"
    (arXiv 1706.03762).
    """

    heads: int
    """Parts of the channels, each with attention weights of its own."""


@dataclass(frozen=True)
class Residual:
    """Layers whose result is added to what they are given: He et al. 2016, "Deep Residual Learning" (arXiv 1512.03385)."""

    layers: tuple[Layer, ...]
    """From first to last. They keep size and channels."""


@dataclass(frozen=True)
class Concat:
    """Branches that are given the same maps, and whose channels are put one after the other."""

    branches: tuple[tuple[Layer, ...], ...]
    """The layers of each, from first to last. They keep the size."""


Leaf: TypeAlias = Conv | Pool | Excitation | LayerNorm | Attention
"""A layer that holds no others."""
Layer: TypeAlias = Leaf | Residual | Concat


@dataclass(frozen=True)
class ModelConfig:
    """The architecture of a CRNN: all that is needed to build it again, except its charset."""

    preset: str
    """Its name."""
    height: int
    """Height of every line, in pixels."""
    backbone: tuple[Layer, ...]
    """The layers over the image, from first to last."""
    hidden: int
    """Units of each direction of each LSTM layer."""
    projection: int = 0
    """Width of a linear layer between the two LSTM layers; 0 for none."""
    dropout: float = 0.0
    """Share of the sequence features that is dropped in training, before each LSTM layer and the head."""
    skip: bool = False
    """Whether the auxiliary head, which sees the convolutional features alone, is added to the head's result."""

    def __post_init__(self) -> None:
        if _places(self.backbone) > _MAX_LAYERS:
            raise ModelError(f"no network has more than {_MAX_LAYERS:,} layers")
        sizes = (self.height, self.hidden, len(self.backbone), self.projection + 1)
        is_possible = (
            all(map(_is_size, sizes))
            and self.height <= _MAX_HEIGHT
            and not isinstance(self.projection, bool)
            and 0 <= self.dropout < 1
            and isinstance(self.skip, bool)
            and all(map(_is_possible, self.backbone))
            and _fit(self.backbone)
        )
        has_output = is_possible and self.convolutions > 0 and self.rows > 0
        if not has_output or self.frames(_WIDE) < 1:
            raise ModelError(f"no network has this architecture: {self!s:.500}")

    @functools.cache  # noqa: B019 (there are few architectures)
    def min_width_for(self, frames: int) -> int:
        """The narrowest line, in pixels, that gives this many frames, and at least one."""
        return bisect.bisect_left(range(2**62), max(frames, 1), key=self.frames)

    def frames(self, width: Size) -> Size:
        """The number of frames T of a line of `width` pixels; below 1 if it is too narrow."""
        return _output_size(self.backbone, width, axis=1)

    def center(self, frame: float) -> float:
        """The middle of a frame's receptive field, in pixels from the line's left edge."""
        first, last = _seen(self.backbone, frame, frame)
        return (first + last) / 2 + 0.5

    def leaves(self) -> Iterator[tuple[str, Leaf, int]]:
        """Each layer that holds no others, with its name in the network's `state_dict` and its number of input channels."""
        return _leaves("backbone.stages", self.backbone, 1)

    @property
    def convolutions(self) -> int:
        """How many convolutions there are."""
        return sum(isinstance(layer, Conv) for _, layer, _ in self.leaves())

    @property
    def attends(self) -> bool:
        """Whether frames attend to each other, so that memory grows with the square of their number."""
        return any(isinstance(leaf, Attention) for _, leaf, _ in self.leaves())

    @property
    def activations(self) -> int:
        """How many maps have a range of their own: those after each layer, and those before each activation that can give
        negative values.
        """
        return _places(self.backbone)

    @property
    def is_normalized(self) -> bool:
        """Whether every convolution is followed by batch normalization."""
        return all(layer.norm for _, layer, _ in self.leaves() if isinstance(layer, Conv))

    @property
    def min_width(self) -> int:
        """The narrowest line, in pixels, that gives a frame."""
        return self.min_width_for(1)

    @property
    def features(self) -> int:
        """Features per frame that the backbone passes to the first LSTM layer: channels × rows."""
        return functools.reduce(lambda channels, layer: _channels(layer, channels), self.backbone, 1) * self.rows

    @property
    def rows(self) -> int:
        """Height of the backbone's last feature maps."""
        return _output_size(self.backbone, self.height, axis=0)

    def to_json(self) -> dict[str, Any]:
        """Values that JSON can hold; `from_json` takes them."""
        return {**asdict(self), "backbone": list(map(_to_json, self.backbone))}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ModelConfig:
        """The architecture that `to_json` wrote. Raises `ModelError` if it cannot be one."""
        try:
            return cls(**{**data, "backbone": tuple(map(_layer, data["backbone"]))})
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"the model's architecture cannot be read: {error!s:.200}") from error


def _output_size(layers: Sequence[Layer], size: Size, axis: Literal[0, 1]) -> Size:
    for layer in layers:
        if isinstance(layer, Conv | Pool):  # the others keep it
            size = layer.output_size(size, axis)
    return size


def _seen(layers: Sequence[Layer], first: float, last: float) -> tuple[float, float]:
    """The first and the last column in the windows that these two are made of; layers that see the whole line have none."""
    for layer in reversed(layers):
        if isinstance(layer, Conv | Pool):
            first = first * layer.stride[1] - layer.padding[1]
            last = last * layer.stride[1] - layer.padding[1] + layer.kernel[1] - 1
        else:
            ends = [_seen(chain, first, last) for chain in _chains(layer)] or [(first, last)]
            first, last = min(end[0] for end in ends), max(end[1] for end in ends)
    return first, last


def _chains(layer: Layer) -> Sequence[Sequence[Layer]]:
    """The layers that a layer holds, one after the other; in several such branches, or none."""
    if isinstance(layer, Residual):
        return [layer.layers]
    return layer.branches if isinstance(layer, Concat) else []


def _leaves(name: str, layers: Sequence[Layer], channels: int) -> Iterator[tuple[str, Leaf, int]]:
    for index, layer in enumerate(layers):
        own = f"{name}.{index}"
        if isinstance(layer, Residual):
            yield from _leaves(own, layer.layers, channels)
        elif isinstance(layer, Concat):
            for number, branch in enumerate(layer.branches):
                yield from _leaves(f"{own}.{number}", branch, channels)
        else:
            yield own, layer, channels
        channels = _channels(layer, channels)


def _places(layers: Sequence[Layer]) -> int:
    """How many maps with ranges of their own there are in layers."""
    within = sum(_places(chain) for layer in layers for chain in _chains(layer))
    before = sum(isinstance(layer, Conv) and layer.activation in ("gelu", "swish", "hard-swish") for layer in layers)
    return len(layers) + before + within


def _channels(layer: Layer, channels: int) -> int:
    """The channels that a layer makes of so many."""
    if isinstance(layer, Conv):
        return layer.channels
    chains = _chains(layer)
    return sum(functools.reduce(lambda given, each: _channels(each, given), chain, channels) for chain in chains) or channels


def _is_signed(layer: Layer, is_signed: bool) -> bool:
    """Whether a layer can give negative values, if it is given such, or none."""
    if isinstance(layer, Conv):
        return layer.activation != "relu"
    if isinstance(layer, LayerNorm | Attention):
        return True
    ends = [functools.reduce(lambda given, each: _is_signed(each, given), chain, is_signed) for chain in _chains(layer)]
    return any(ends) or (is_signed and not isinstance(layer, Concat))


_LEAVES: dict[str, Any] = {kind.__name__.lower(): kind for kind in (Conv, Pool, Excitation, LayerNorm, Attention)}


def _to_json(layer: Layer) -> dict[str, Any]:
    """A layer as values that JSON can hold: its kind, and those of its fields that are not as by default."""
    data: dict[str, Any] = {"layer": type(layer).__name__.lower()}
    if isinstance(layer, Residual):
        return data | {"layers": list(map(_to_json, layer.layers))}
    if isinstance(layer, Concat):
        return data | {"branches": [list(map(_to_json, branch)) for branch in layer.branches]}
    return data | {each.name: value for each in fields(layer) if (value := getattr(layer, each.name)) != each.default}


def _layer(data: dict[str, Any], depth: int = 0) -> Layer:
    if depth > _MAX_DEPTH:
        raise ModelError(f"no network has layers in more than {_MAX_DEPTH} others")
    if data["layer"] == "residual":
        return Residual(tuple(_layer(each, depth + 1) for each in data["layers"]))
    if data["layer"] == "concat":
        return Concat(tuple(tuple(_layer(each, depth + 1) for each in branch) for branch in data["branches"]))
    leaf: Leaf = _leaf(data)
    return leaf


def _leaf(data: dict[str, Any]) -> Any:
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key != "layer"}
    return _LEAVES[data["layer"]](**values)


def _is_possible(layer: Layer) -> bool:
    """Whether such a layer can be, wherever it stands."""
    if isinstance(layer, Excitation):
        return _is_size(layer.units)
    if isinstance(layer, LayerNorm):
        return isinstance(layer.epsilon, float) and 1e-6 <= layer.epsilon <= 1
    if isinstance(layer, Attention):
        return _is_size(layer.heads)
    if isinstance(layer, Residual | Concat):
        chains = _chains(layer)
        within = [each for chain in chains for each in chain]
        keep_size = all(each.keeps_size for each in within if isinstance(each, Conv | Pool))
        return all(map(_is_possible, within)) and keep_size and bool(chains) and all(chains)
    pairs = (layer.kernel, layer.stride, layer.padding, layer.more_padding)
    if not all(len(pair) == 2 and all(type(size) is int for size in pair) for pair in pairs):
        return False
    paddings = (*layer.padding, *layer.more_padding)
    if not all(map(_is_size, (*layer.kernel, *layer.stride, *(size + 1 for size in paddings)))):
        return False
    most = [kernel - 1 if isinstance(layer, Conv) else kernel // 2 for kernel in layer.kernel]
    if any(one + more > limit for one, more, limit in zip(layer.padding, layer.more_padding, most, strict=True)):
        return False
    if isinstance(layer, Pool):
        return isinstance(layer.is_average, bool) and not (layer.is_average and any(paddings))
    are_bools = isinstance(layer.norm, bool) and isinstance(layer.is_depthwise, bool)
    return are_bools and _is_size(layer.channels) and layer.activation in get_args(Activation)


def _fit(layers: Sequence[Layer], channels: int = 1, is_signed: bool = True) -> bool:
    """Whether layers, one after the other, can take the maps that they are given."""
    for layer in layers:
        if not all(_fit(chain, channels, is_signed) for chain in _chains(layer)):
            return False
        after = _channels(layer, channels)
        if isinstance(layer, Residual) and after != channels:
            return False
        if isinstance(layer, Attention) and channels % layer.heads:
            return False
        if isinstance(layer, Conv) and layer.is_depthwise and after != channels:
            return False
        if isinstance(layer, Pool) and is_signed and any(layer.padding + layer.more_padding):
            return False
        channels, is_signed = after, _is_signed(layer, is_signed)
    return True


def _is_size(size: object) -> bool:
    return type(size) is int and 0 < size < 2**31


_HALVE = Pool((2, 2), (2, 2))
_HALVE_HEIGHT = Pool((2, 1), (2, 1))
_PADDED_POOL = Pool((2, 2), (2, 1), (0, 1))

DEFAULT_PRESET = "small"


def _slim(preset: str, first: tuple[int, int], middle: tuple[int, ...], last: tuple[int, int], hidden: int) -> ModelConfig:
    """A CRNN for lines 40 pixels high, with a frame every 4 pixels, given the channels of its convolutions.

    Two poolings halve height and width, then two the height alone.
    """
    backbone: list[Layer] = []
    for channels, pool in ((first[:1], _HALVE), (first[1:], _HALVE), (middle, _HALVE_HEIGHT), (last, _HALVE_HEIGHT)):
        backbone += [*map(Conv, channels), pool]
    return ModelConfig(preset=preset, height=40, backbone=tuple(backbone), hidden=hidden, dropout=0.1)


PRESETS: dict[str, ModelConfig] = {
    "tiny": _slim("tiny", (12, 28), (48, 48), (80, 96), hidden=64),
    "small": _slim("small", (16, 40), (72, 72), (112, 144), hidden=96),
    "base": _slim("base", (24, 64), (128, 128, 128), (208, 208), hidden=176),
    # Shi, Bai, Yao 2015 (arXiv 1507.05717), table 1; the linear layer between the LSTM layers is that of the authors' own
    # code, and brings the parameters to the 8.3 million of their table 3.
    "classic": ModelConfig(
        preset="classic",
        height=32,
        backbone=(
            Conv(64, norm=False),
            _HALVE,
            Conv(128, norm=False),
            _HALVE,
            Conv(256, norm=False),
            Conv(256, norm=False),
            _PADDED_POOL,
            Conv(512),
            Conv(512),
            _PADDED_POOL,
            Conv(512, kernel=(2, 2), padding=(0, 0), norm=False),
        ),
        hidden=256,
        projection=256,
    ),
}
