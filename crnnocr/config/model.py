"""The architecture of a network as data: its layers, how many frames they make of a line, and the presets."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, cast

from crnnocr.errors import ModelError

NORM_EPSILON = 1e-5
"""Added to the variance in batch normalization."""

_WIDE = 999
"""A line this wide, in pixels, gives a frame in every network."""
_MAX_HEIGHT = 2048
"""Pixels of the highest line."""

HeightWidth: TypeAlias = tuple[int, int]

Size = TypeVar("Size")
"""An `int`, or an integer array or tensor of sizes."""


def _output_size(size: Size, kernel: int, stride: int, padding: int) -> Size:
    given: Any = size
    # An empty input gives an empty output, though padding alone would fill a window.
    return cast("Size", ((given + 2 * padding - kernel) // stride + 1) * (given > 0))


@dataclass(frozen=True)
class Conv:
    """A convolution over the image, its normalization and a ReLU."""

    channels: int
    """Output channels."""
    kernel: HeightWidth = (3, 3)
    """Of the kernel."""
    padding: HeightWidth = (1, 1)
    """Zero padding above and below, and left and right, in pixels of its input."""
    norm: bool = True
    """Batch normalization before the ReLU."""

    stride: ClassVar[HeightWidth] = (1, 1)

    def output_size(self, size: Size, axis: Literal[0, 1]) -> Size:
        """Rows (axis 0) or columns (axis 1) that this layer makes of `size`."""
        return _output_size(size, self.kernel[axis], self.stride[axis], self.padding[axis])


@dataclass(frozen=True)
class Pool:
    """Maximum pooling."""

    kernel: HeightWidth
    """Height and width of the window."""
    stride: HeightWidth
    """Steps down and along, in pixels of its input."""
    padding: HeightWidth = (0, 0)
    """Padding above and below, and left and right; padding never wins the maximum."""

    def output_size(self, size: Size, axis: Literal[0, 1]) -> Size:
        """Rows (axis 0) or columns (axis 1) that this layer makes of `size`."""
        return _output_size(size, self.kernel[axis], self.stride[axis], self.padding[axis])


Layer: TypeAlias = Conv | Pool


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

    def __post_init__(self) -> None:
        sizes = (self.height, self.hidden, len(self.backbone), self.projection + 1)
        are_sizes = all(map(_is_size, sizes)) and self.height <= _MAX_HEIGHT
        is_possible = are_sizes and 0 <= self.dropout < 1 and all(map(_is_possible, self.backbone))
        has_output = is_possible and any(isinstance(layer, Conv) for layer in self.backbone) and self.rows > 0
        if not has_output or self.frames(_WIDE) < 1:
            raise ModelError(f"no network has this architecture: {self}")

    @functools.cache  # noqa: B019 (there are few architectures)
    def min_width_for(self, frames: int) -> int:
        """The narrowest line, in pixels, that gives this many frames."""
        low, high = self.min_width, self.min_width
        while self.frames(high) < frames:
            low, high = high, 2 * high
        return next(width for width in range(low, high + 1) if self.frames(width) >= frames)

    def frames(self, width: Size) -> Size:
        """The number of frames T of a line of `width` pixels; below 1 if it is too narrow."""
        for layer in self.backbone:
            width = layer.output_size(width, axis=1)
        return width

    def center(self, frame: float) -> float:
        """The middle of a frame's receptive field, in pixels from the line's left edge."""
        for layer in reversed(self.backbone):
            frame = frame * layer.stride[1] - layer.padding[1] + (layer.kernel[1] - 1) / 2
        return frame + 0.5

    @property
    def is_normalized(self) -> bool:
        """Whether every convolution is followed by batch normalization."""
        return all(layer.norm for layer in self.backbone if isinstance(layer, Conv))

    @property
    def min_width(self) -> int:
        """The narrowest line, in pixels, that gives a frame."""
        return next(width for width in range(1, _WIDE + 1) if self.frames(width) >= 1)

    @property
    def features(self) -> int:
        """Features per frame that the backbone passes to the first LSTM layer: channels × rows."""
        channels = [layer.channels for layer in self.backbone if isinstance(layer, Conv)]
        return channels[-1] * self.rows

    @property
    def rows(self) -> int:
        """Height of the backbone's last feature maps."""
        height = self.height
        for layer in self.backbone:
            height = layer.output_size(height, axis=0)
        return height

    def to_json(self) -> dict[str, Any]:
        """Values that JSON can hold; `from_json` takes them."""
        layers = [{"layer": type(layer).__name__.lower(), **asdict(layer)} for layer in self.backbone]
        return {**asdict(self), "backbone": layers}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ModelConfig:
        """The architecture that `to_json` wrote. Raises `ModelError` if it cannot be one."""
        try:
            return cls(**{**data, "backbone": tuple(map(_layer, data["backbone"]))})
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"the model's architecture cannot be read: {error}") from error


def _layer(data: dict[str, Any]) -> Layer:
    kinds: dict[str, Any] = {"conv": Conv, "pool": Pool}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key != "layer"}
    layer: Layer = kinds[data["layer"]](**values)
    return layer


def _is_possible(layer: Layer) -> bool:
    pairs = (layer.kernel, layer.stride, layer.padding)
    if not all(len(pair) == 2 and all(type(size) is int for size in pair) for pair in pairs):
        return False
    if not all(map(_is_size, (*layer.kernel, *layer.stride, *(size + 1 for size in layer.padding)))):
        return False
    most = [kernel - 1 if isinstance(layer, Conv) else kernel // 2 for kernel in layer.kernel]
    if any(padding > limit for padding, limit in zip(layer.padding, most, strict=True)):
        return False
    return isinstance(layer, Pool) or (_is_size(layer.channels) and isinstance(layer.norm, bool))


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
