"""Integer arithmetic for the exported network: the ranges of its activations, its weights as bytes, LSTMs with a fixed range.

Quantized weights have 7 bits, so that no sum of two products overflows on processors without VNNI.

ONNX Runtime's DynamicQuantizeLSTM takes the scale of its input from the lowest and highest value of the whole batch, and the
scale of the state from all lines at each step, so that a line's result would depend on the other lines. Here both ranges are
fixed, by units that always reach their ends:

- The state has two more units. Their cells never forget and take nothing in, so that they give 1 and -1 at every step, and no
  unit gives more. ONNX Runtime's approximations of sigmoid and tanh exceed 1 by 1e-7 and 2e-7 at some places; the units stand
  at the highest one, found by trying every number.
- The input has its lowest and highest possible value in every frame: the states of another such LSTM do, and features from 0
  up do if one more of them always has the highest value.

All weights from these units and inputs are zero, so that they change nothing else. Gates are in ONNX's order: input, output,
forget, cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crnnocr import images
from crnnocr.config import ActivationRange

if TYPE_CHECKING:
    from crnnocr.model.crnn import CRNN

WEIGHT_LIMIT = 63
"""Largest absolute value of a quantized weight."""

LINES = 400
"""Lines that are enough to measure activation ranges."""

RANGE_UNITS = 2
"""Units that fix the range of an LSTM's state, behind its own."""

_BATCH_SIZE = 16
_VALUES = 8000
"""Values of each map and batch that its range is chosen by, beside the lowest and the highest."""
_LEAST_SHARE = 0.2
"""Of the lowest and the highest value: a range is at least so wide."""
_LOW = 0.3
_SATURATED = 20.0
"""Where a sigmoid is 0 or 1 in single precision."""
_HIGHEST_GATE = 17.87294
_HIGHEST_CELL = 8.602642
"""Where ONNX Runtime's sigmoid and tanh are highest."""

Floats = NDArray[np.float32]


def activation_ranges(model: CRNN, lines: Sequence[images.Line]) -> tuple[ActivationRange, ...]:
    """Choose the range of each of the backbone's maps, 0 included: the one whose bytes have the least mean squared error.

    Values outside it become its ends. Few of them are far from the others, and a range that holds them all is so wide that the
    others lose more.
    """
    import torch

    from crnnocr.model.layers import mask_columns

    model.eval()
    chosen = sorted(lines, key=lambda line: line.shape[1])
    rng = np.random.default_rng(0)
    found: list[list[Floats]] = []

    def observe(maps: torch.Tensor, widths: torch.Tensor) -> None:
        values = mask_columns(maps, widths).flatten().numpy()
        some = values[rng.integers(len(values), size=_VALUES)]
        found[-1].append(np.concatenate((some, [values.min(), values.max()])))

    for start in range(0, len(chosen), _BATCH_SIZE):
        batch, widths = images.to_batch(chosen[start : start + _BATCH_SIZE])
        found.append([])
        with torch.inference_mode():
            model.backbone.run(torch.from_numpy(batch), torch.from_numpy(widths), observe)
    return tuple(best_range(np.concatenate(values)) for values in zip(*found, strict=True))


def best_range(values: Floats) -> ActivationRange:
    """The range, 0 included, in which values as bytes have the least mean squared error."""
    lowest, highest = min(0.0, float(values.min())), max(1e-6, float(values.max()))
    # A low end like that of GELU, -0.17, is not cut off.
    shares = [(share if lowest < -_LOW * highest else 1.0, share) for share in np.linspace(_LEAST_SHARE, 1, 41).tolist()]
    ranges = [(low * lowest, high * highest) for low, high in shares]
    return min(ranges, key=lambda ends: float(np.square(_as_bytes(values, ends) - values).mean()))


def _as_bytes(values: Floats, ends: ActivationRange) -> Floats:
    """The values that bytes in a range stand for."""
    scale = (ends[1] - ends[0]) / 255
    zero = round(-ends[0] / scale)
    whole: Floats = np.clip(np.round(values / scale) + zero, 0, 255) - zero
    return whole * np.float32(scale)


@dataclass(frozen=True)
class QuantizedWeights:
    """An LSTM's weights from the input or from the state, as DynamicQuantizeLSTM takes them. The zero points are 0."""

    values: NDArray[np.int8]
    """(2, F, 4·H): for the forward and backward direction, from F inputs."""
    scale: Floats
    """(2, 4·H)."""

    @classmethod
    def of(cls, weights: Floats) -> QuantizedWeights:
        """Quantize (2, 4·H, F) weights."""
        scale = np.maximum(np.abs(weights).max(axis=2) / WEIGHT_LIMIT, 1e-12).astype(np.float32)
        return cls(np.round(weights / scale[:, :, None]).astype(np.int8).transpose(0, 2, 1), scale)


def add_range_units(inputs: Floats, states: Floats, biases: Floats) -> tuple[Floats, Floats, Floats]:
    """Add the units that fix the range of an LSTM's state.

    Args:
        inputs: (2, 4·H, F) weights from the input, forward and backward.
        states: (2, 4·H, H) weights from the state.
        biases: (2, 8·H), first those of the input, then those of the state.

    Returns:
        The same with H + 2 in place of H.
    """
    units = states.shape[2]
    more = np.zeros((2, 2, 4, RANGE_UNITS), np.float32)  # directions, input or state, gates, units
    more[:, 0] = np.array([-_SATURATED, _HIGHEST_GATE, _SATURATED, 0], np.float32)[:, None]
    all_biases = np.concatenate((biases.reshape(2, 2, 4, units), more), axis=3)
    return (
        _with_rows(inputs),
        np.concatenate((_with_rows(states), np.zeros((2, 4 * (units + RANGE_UNITS), RANGE_UNITS), np.float32)), axis=2),
        all_biases.reshape(2, -1),
    )


def initial_cells(units: int) -> Floats:
    """The (2, 1, H + 2) cells before the first frame: 0, and those of the range units at both ends."""
    cells = np.zeros((2, 1, units + RANGE_UNITS), np.float32)
    cells[:, :, units:] = _HIGHEST_CELL, -_HIGHEST_CELL
    return cells


def skip_range_units(weights: Floats) -> Floats:
    """(…, 2·H) weights from the output of an LSTM → (…, 2·(H + 2)), zero from its range units."""
    forward, backward = np.split(weights, 2, axis=-1)
    zeros = np.zeros((*weights.shape[:-1], RANGE_UNITS), np.float32)
    return np.concatenate((forward, zeros, backward, zeros), axis=-1)


def _with_rows(weights: Floats) -> Floats:
    """(2, 4·H, F) weights → (2, 4·(H + 2), F), zero to the range units."""
    directions, rows, columns = weights.shape
    zeros = np.zeros((directions, 4, RANGE_UNITS, columns), np.float32)
    return np.concatenate((weights.reshape(directions, 4, rows // 4, columns), zeros), axis=2).reshape(directions, -1, columns)
