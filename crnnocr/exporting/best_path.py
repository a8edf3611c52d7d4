"""Greedy CTC as nodes of a graph: from log-probabilities to class ids and confidences."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from crnnocr.calibration import LOG_ODDS, LOG_PROBS, Calibration
from crnnocr.charset import BLANK
from crnnocr.exporting.nodes import Nodes, Tensors

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
