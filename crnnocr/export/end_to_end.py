"""Pillow's resize with antialiased bilinear weights, to the byte, as nodes of a graph.

Each pass brings one axis to its new size: along the line first, then its height, each rounded to bytes, in fixed-point
weights of 22 bits, as `Resample.c` of Pillow does. ONNX's own Resize has these weights too, but not every runtime's rounds as
Pillow does, and it takes one size for a whole batch. The weights are worked out in the graph from the sizes, in double
precision, in which all sums are exact.

Greedy CTC as nodes of a graph: from log-probabilities to class ids and confidences.

A graph that takes grey pictures as they are and gives texts: nothing is left to do around it but to look up characters.

Inputs: `pictures` (N, height, width) uint8, each at the upper left of its own; `sizes` (N, 2) int64, height and width of each.
Outputs: those of `best_path`, and `log_probs` and `frames` as the network gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from crnnocr.config import MAX_WIDTH, Orientation
from crnnocr.errors import UsageError
from crnnocr.export.onnx_graph import Network, Nodes, Tensors, add_network
from crnnocr.inference.engines import OnnxEngine
from crnnocr.metrics.calibration import LOG_ODDS, LOG_PROBS, Calibration
from crnnocr.text.charset import BLANK

_FIXED_POINT = 2.0**22


def add_resize(nodes: Nodes, pictures: str, size: str, wanted: str, columns: str, *, turned: bool = False) -> str:
    """Bring the middle axis of `pictures` (N, A, B) to other sizes.

    Args:
        nodes: the graph in the making.
        pictures: bytes; what is past a picture's own size is never looked at.
        size: (N,) int64 true sizes of the axis.
        wanted: (N,) int64 the sizes that they are brought to.
        columns: int64, the size of the axis in the result; what is past a picture's own repeats its last one.
        turned: whether the axis is counted from its end.

    Returns:
        The name of the (N, columns, B) bytes.
    """
    add, constant = nodes.add, nodes.constant
    taps, weights = _weighted(nodes, size, wanted, columns)
    inside = add("Cast", [taps], to=TensorProto.INT64)
    ending = add("Unsqueeze", [add("Sub", [size, constant(1)]), constant([1, 2])])  # (N, 1, 1)
    inside = add("Min", [inside, ending])
    if turned:
        inside = add("Sub", [ending, inside])
    looked_at = add("GatherND", [pictures, add("Unsqueeze", [inside, constant([3])])], batch_dims=1)  # (N, columns, taps, B)
    looked_at = add("Cast", [looked_at], to=TensorProto.DOUBLE)
    rows = add("MatMul", [add("Unsqueeze", [weights, constant([2])]), looked_at])  # (N, columns, 1, B)
    total = add("Squeeze", [rows, constant([2])])
    raised = add("Add", [total, _number(nodes, _FIXED_POINT / 2)])
    rounded = add("Floor", [add("Div", [raised, _number(nodes, _FIXED_POINT)])])
    return add("Cast", [add("Min", [rounded, _number(nodes, 255.0)])], to=TensorProto.UINT8)


def _weighted(nodes: Nodes, size: str, wanted: str, columns: str) -> tuple[str, str]:
    """The places that each column of the result looks at, and their weights in fixed point: both (N, columns, taps) doubles."""
    add, constant, apart, deeper = nodes.add, nodes.constant, nodes.constant([1]), nodes.constant([2])
    half, one, zero = (_number(nodes, value) for value in (0.5, 1.0, 0.0))
    sizes = add("Cast", [size], to=TensorProto.DOUBLE)
    scale = add("Div", [sizes, add("Cast", [wanted], to=TensorProto.DOUBLE)])  # (N,)
    support = add("Unsqueeze", [add("Max", [scale, one]), apart])  # (N, 1)
    last = add("Unsqueeze", [add("Sub", [wanted, constant(1)]), apart])
    places = add("Min", [add("Range", [constant(0), columns, constant(1)]), last])  # (N, columns)
    middle = add("Add", [add("Cast", [places], to=TensorProto.DOUBLE), half])
    center = add("Mul", [middle, add("Unsqueeze", [scale, apart])])
    first = add("Max", [add("Floor", [add("Add", [add("Sub", [center, support]), half])]), zero])
    end = add("Min", [add("Floor", [add("Add", [add("Add", [center, support]), half])]), add("Unsqueeze", [sizes, apart])])
    most = add("Cast", [add("Ceil", [add("ReduceMax", [support], keepdims=0)])], to=TensorProto.INT64)  # over all axes
    reach = add("Add", [add("Mul", [most, constant(2)]), constant(1)])
    steps = add("Cast", [add("Range", [constant(0), reach, constant(1)])], to=TensorProto.DOUBLE)  # (taps,)
    taps = add("Add", [add("Unsqueeze", [first, deeper]), steps])
    distance = add("Add", [add("Sub", [taps, add("Unsqueeze", [center, deeper])]), half])
    share = add("Mul", [distance, add("Reciprocal", [add("Unsqueeze", [support, deeper])])])
    triangle = add("Max", [add("Sub", [one, add("Abs", [share])]), zero])
    within = add("Cast", [add("Less", [taps, add("Unsqueeze", [end, deeper])])], to=TensorProto.DOUBLE)
    weights = add("Mul", [triangle, within])
    weights = add("Div", [weights, add("ReduceSum", [weights, deeper], keepdims=1)])
    return taps, add("Floor", [add("Add", [add("Mul", [weights, _number(nodes, _FIXED_POINT)]), half])])


def _number(nodes: Nodes, value: float) -> str:
    return nodes.constant(np.array(value, dtype=np.float64))


OUTPUTS: Tensors = {
    "ids": (TensorProto.INT64, ["batch", "characters"]),
    "character_confidences": (TensorProto.FLOAT, ["batch", "characters"]),
    "lengths": (TensorProto.INT64, ["batch"]),
    "confidences": (TensorProto.FLOAT, ["batch"]),
}


def add_best_path(nodes: Nodes, log_probs: str, frames: str, calibration: Calibration) -> None:
    """Add what reads `log_probs` (N, T, C) of `frames` (N,) frames each, and gives `OUTPUTS`.

    `ids` are the classes of the best path, repeats merged and blanks dropped, `lengths` many of each line and zero after
    these. A character's confidence is its highest probability among its frames. That of a text is its probability summed over
    all alignments, calibrated, as in `predict`.
    """
    add, constant = nodes.add, nodes.constant
    place = add("Range", [constant(0), _size(nodes, log_probs, 1), constant(1)])  # (T,)
    valid = add("Less", [place, add("Unsqueeze", [frames, constant([1])])])  # (N, T)
    best = add("Where", [valid, add("ArgMax", [log_probs], axis=2, keepdims=0), constant(BLANK)])
    before = add("Pad", [best, constant([0, 1, 0, -1]), constant(BLANK)])
    is_character = add("Greater", [best, constant(BLANK)])
    begins = add("And", [is_character, add("Not", [add("Equal", [best, before])])])
    ordinal = add("CumSum", [add("Cast", [begins], to=TensorProto.INT64), constant(1)])  # (N, T), from 1
    lengths = add("ReduceMax", [ordinal, constant([1])], "lengths", keepdims=0)
    # Column 0 takes what belongs to no character, and is cut off.
    column = add("Mul", [ordinal, add("Cast", [is_character], to=TensorProto.INT64)])
    empty = add("Pad", [add("Mul", [best, constant(0)]), constant([0, 1, 0, 0])])  # (N, 1 + T)
    peaks = add("Exp", [add("ReduceMax", [log_probs, constant([2])], keepdims=0)])
    sure = add("ScatterElements", [add("Cast", [empty], to=TensorProto.FLOAT), column, peaks], axis=1, reduction="max")
    found = add("ScatterElements", [empty, column, best], axis=1, reduction="max")
    longest = add("Max", [add("ReduceMax", [lengths], keepdims=1), constant([1])])
    cut = [constant([1]), add("Add", [longest, constant([1])]), constant([1])]
    ids = add("Slice", [found, *cut], "ids")
    add("Slice", [sure, *cut], "character_confidences")
    _calibrated(nodes, _text_log_probs(nodes, log_probs, valid, ids, lengths), calibration)


def _size(nodes: Nodes, tensor: str, axis: int) -> str:
    """The length of an axis, as a number."""
    return nodes.add("Squeeze", [nodes.add("Shape", [tensor], start=axis, end=axis + 1), nodes.constant([0])])


def _text_log_probs(nodes: Nodes, log_probs: str, valid: str, ids: str, lengths: str) -> str:
    """(N,) log-probabilities of the texts, summed over their alignments (Graves et al. 2006, section 4.1).

    The forward variables are scaled to a sum of one in each frame, and the logs of the scales added up. In single precision
    that loses nothing that counts: no path is more probable than the best one, which the text was taken from.
    """
    add, constant = nodes.add, nodes.constant
    # States: blank, first character, blank, second character, …, blank: (N, S), S = 2 L + 1.
    between = add("Pad", [add("Unsqueeze", [ids, constant([2])]), constant([0, 0, 1, 0, 0, 0])])  # (N, L, 2)
    states = add("Pad", [add("Reshape", [between, constant([0, -1])]), constant([0, 0, 0, 1])])
    index = add("Range", [constant(0), _size(nodes, states, 1), constant(1)])  # (S,)
    two_before = add("Pad", [states, constant([0, 2, 0, -2])])
    skips = add("And", [add("Not", [add("Equal", [states, two_before])]), add("Greater", [states, constant(BLANK)])])
    add("Cast", [skips], "skips", to=TensorProto.FLOAT)  # (N, S)
    # All begins in the first blank, a frame before the first: from there it steps to that blank or to the first character.
    first = add("Cast", [add("Less", [index, constant(1)])], to=TensorProto.FLOAT)
    start = add("Expand", [first, add("Shape", [states])])
    is_frame = add("Unsqueeze", [add("Transpose", [valid], perm=[1, 0]), constant([2])])  # (T, N, 1)
    scanned = [start, _emitted(nodes, log_probs, states), is_frame]
    nodes.nodes.append(
        helper.make_node("Scan", scanned, ["forward", "log_scales"], name="forward", body=_step(), num_scan_inputs=2)
    )
    total = add("ReduceSum", ["log_scales", constant([0, 2])], keepdims=0)
    last = add("Unsqueeze", [add("Mul", [lengths, constant(2)]), constant([1])])  # (N, 1): the last blank
    ends = add("And", [add("LessOrEqual", [index, last]), add("GreaterOrEqual", [index, add("Sub", [last, constant(1)])])])
    there = add("Mul", ["forward", add("Cast", [ends], to=TensorProto.FLOAT)])
    return add("Add", [total, add("Log", [add("ReduceSum", [there, constant([1])], keepdims=0)])])


def _emitted(nodes: Nodes, log_probs: str, states: str) -> str:
    """(T, N, S) probability of each state's class in each frame."""
    add, constant = nodes.add, nodes.constant
    frames = add("Shape", [log_probs], start=1, end=2)
    batch, size = add("Shape", [states], start=0, end=1), add("Shape", [states], start=1, end=2)
    wanted = add("Expand", [add("Unsqueeze", [states, constant([1])]), add("Concat", [batch, frames, size], axis=0)])
    probs = add("Exp", [add("GatherElements", [log_probs, wanted], axis=2)])  # (N, T, S)
    return add("Transpose", [probs], perm=[1, 0, 2])


def _step() -> onnx.GraphProto:
    """One frame: (N, S) forward variables to those of the next frame, and the (N, 1) log of what they were scaled by."""
    node = helper.make_node
    body = [
        node("Pad", ["before", "one"], ["from_left"]),
        node("Pad", ["before", "two"], ["from_second"]),
        node("Mul", ["from_second", "skips"], ["skipped"]),
        node("Sum", ["before", "from_left", "skipped"], ["moved"]),
        node("Mul", ["moved", "emitted"], ["after"]),
        node("ReduceSum", ["after", "axis"], ["sum"], keepdims=1),
        node("Max", ["sum", "tiny"], ["scale"]),
        node("Div", ["after", "scale"], ["scaled"]),
        node("Where", ["is_frame", "scaled", "before"], ["next"]),
        node("Log", ["scale"], ["log"]),
        node("Where", ["is_frame", "log", "zero"], ["log_scale"]),
    ]
    constants = {
        "one": np.array([0, 1, 0, -1]),
        "two": np.array([0, 2, 0, -2]),
        "axis": np.array([1]),
        "tiny": np.array(np.finfo(np.float32).tiny),
        "zero": np.array(0, np.float32),
    }
    value, number = helper.make_tensor_value_info, TensorProto.FLOAT
    inputs = [value("before", number, None), value("emitted", number, None), value("is_frame", TensorProto.BOOL, None)]
    outputs = [value("next", number, None), value("log_scale", number, None)]
    return helper.make_graph(
        body, "frame", inputs, outputs, [numpy_helper.from_array(array, name) for name, array in constants.items()]
    )


def _calibrated(nodes: Nodes, log_probs: str, calibration: Calibration) -> str:
    """The (N,) calibrated `confidences` of log-probabilities: see `Calibration.apply`."""
    add = nodes.add

    def number(value: float) -> str:
        return nodes.constant(np.array(value, dtype=np.float64))

    bounded = add("Cast", [log_probs], to=TensorProto.DOUBLE)
    bounded = add("Max", [add("Min", [bounded, number(LOG_PROBS[1])]), number(LOG_PROBS[0])])
    odds = add("Sub", [bounded, add("Log", [add("Sub", [number(1.0), add("Exp", [bounded])])])])
    odds = add("Add", [add("Div", [odds, number(calibration.temperature)]), number(calibration.bias)])
    odds = add("Max", [add("Min", [odds, number(LOG_ODDS[1])]), number(LOG_ODDS[0])])
    return add("Cast", [add("Sigmoid", [odds])], "confidences", to=TensorProto.FLOAT)


OPSET = 18


class Reading(NamedTuple):
    """What such a graph says of one picture."""

    ids: tuple[int, ...]
    """Class ids, as they stand from left to right."""
    confidence: float
    """How likely the text is right."""
    character_confidences: tuple[float, ...]
    """How likely each character is right."""
    log_probs: NDArray[np.float32]
    """(T, C) natural-log probabilities of its own frames."""


def build(network: Network, orientation: Orientation, calibration: Calibration, metadata: dict[str, str]) -> onnx.ModelProto:
    """The graph of a network with all that stands before and after it.

    Raises `UsageError` where lines may run in other ways than along or down.
    """
    if orientation not in (Orientation.HORIZONTAL, Orientation.VERTICAL):
        raise UsageError(
            f"the lines of this model are {orientation}, which a self-contained graph cannot read: "
            "export it with --orientation horizontal or vertical"
        )
    nodes = Nodes()
    images, widths = _add_line(nodes, network, orientation)
    log_probs, frames = add_network(nodes, network, images, widths)
    add_best_path(nodes, log_probs, frames, calibration)
    inputs: Tensors = {
        "pictures": (TensorProto.UINT8, ["batch", "height", "width"]),
        "sizes": (TensorProto.INT64, ["batch", 2]),
    }
    more: Tensors = {
        "log_probs": (TensorProto.FLOAT, ["batch", "frames", network.classes]),
        "frames": (TensorProto.INT64, ["batch"]),
    }
    return nodes.model(inputs, {**OUTPUTS, **more}, metadata, OPSET)


def _add_line(nodes: Nodes, network: Network, orientation: Orientation) -> tuple[str, str]:
    """From pictures to the network's `images` and `widths`: see `images.Preprocessor` and `images.to_batch`."""
    add, constant, shape = nodes.add, nodes.constant, network.config
    vertical = orientation is Orientation.VERTICAL
    across, along = (
        add("Gather", ["sizes", constant(axis)], axis=1) for axis in ((1, 0) if vertical else (0, 1))
    )  # (N,) pixels each
    exact = add("Div", [_double(nodes, add("Mul", [along, constant(shape.height)])), _double(nodes, across)])
    width = add("Cast", [add("Round", [exact])], to=TensorProto.INT64)
    width = add("Min", [add("Max", [width, constant(1)]), constant(MAX_WIDTH)])
    widths = add("Max", [width, constant(shape.min_width)])
    columns = add("ReduceMax", [widths], keepdims=0)
    along_first = "pictures" if vertical else add("Transpose", ["pictures"], perm=[0, 2, 1])  # (N, along, across)
    resized = add_resize(nodes, along_first, along, width, columns)  # (N, W, across)
    across_first = add("Transpose", [resized], perm=[0, 2, 1])
    heights = add("Add", [add("Mul", [across, constant(0)]), constant(shape.height)])
    lines = add_resize(nodes, across_first, across, heights, constant(shape.height), turned=vertical)  # (N, H, W)
    values = add("Cast", [lines], to=TensorProto.FLOAT)
    values = add("Div", [values, constant(np.array(127.5, np.float32))])
    values = add("Unsqueeze", [add("Sub", [values, constant(np.array(1, np.float32))]), constant([1])])
    place = add("Range", [constant(0), columns, constant(1)])
    inside = add("Less", [place, add("Unsqueeze", [widths, constant([1])])])  # (N, W)
    mask = add("Unsqueeze", [add("Cast", [inside], to=TensorProto.FLOAT), constant([1, 2])])
    return add("Mul", [values, mask]), widths


def _double(nodes: Nodes, name: str) -> str:
    return nodes.add("Cast", [name], to=TensorProto.DOUBLE)


def stacked(pictures: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
    """Grey pictures of any sizes as the graph's inputs."""
    sizes = np.array([picture.shape for picture in pictures], dtype=np.int64)
    together = np.zeros((len(pictures), *sizes.max(axis=0)), dtype=np.uint8)
    for place, picture in zip(together, pictures, strict=True):
        place[: picture.shape[0], : picture.shape[1]] = picture
    return {"pictures": together, "sizes": sizes}


def readings(engine: OnnxEngine, pictures: Sequence[NDArray[np.uint8]]) -> list[Reading]:
    """What a graph reads in grey pictures, given to it together."""
    wanted = ("ids", "lengths", "confidences", "character_confidences", "log_probs", "frames")
    ids, lengths, confidences, of_characters, log_probs, frames = engine.run(wanted, stacked(pictures))
    return [
        Reading(
            tuple(ids[row, : lengths[row]].tolist()),
            float(confidences[row]),
            tuple(of_characters[row, : lengths[row]].tolist()),
            log_probs[row, : frames[row]],
        )
        for row in range(len(pictures))
    ]
