"""The self-contained graph: gray images in, class ids and confidences out, so that a host only has to look up characters.

Inputs: `pictures` (N, height, width) uint8, each image at the upper left; `sizes` (N, 2) int64, height and width of each.
Outputs: those of `add_best_path`, and `log_probs` and `frames` as the network gives them.

The resize is Pillow's, to the byte: one axis after the other, along the line first, each rounded to bytes, with antialiased
bilinear weights in fixed point of 22 bits, as in Pillow's `Resample.c`. ONNX's own Resize has these weights too, but not every
runtime rounds as Pillow does, and it takes one size for a whole batch. The weights are computed in the graph from the sizes,
in double precision, in which all sums are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import MAX_WIDTH, Orientation
from crnnocr.errors import ModelError, UsageError
from crnnocr.graph.builder import ElementType, Graph, GraphBuilder, Model, TensorSpecs
from crnnocr.graph.network import Network, add_network
from crnnocr.metrics.calibration import LOG_ODDS, LOG_PROBS, Calibration
from crnnocr.text.charset import BLANK

if TYPE_CHECKING:
    from crnnocr.inference.engines import OnnxEngine

OPSET = 18

OUTPUTS: TensorSpecs = {
    "ids": (ElementType.INT64, ["batch", "characters"]),
    "character_confidences": (ElementType.FLOAT, ["batch", "characters"]),
    "lengths": (ElementType.INT64, ["batch"]),
    "confidences": (ElementType.FLOAT, ["batch"]),
}
"""Of the best path."""

_FIXED_POINT = 2.0**22
_GAP = -1
"""Stands among the classes for the blank or a space."""
_END = np.iinfo(np.int64).max


class Result(NamedTuple):
    """The graph's output for one image."""

    ids: tuple[int, ...]
    """Class ids from left to right."""
    confidence: float
    """Calibrated probability that the text is right."""
    character_confidences: tuple[float, ...]
    log_probs: NDArray[np.float32]
    """(T, C) natural-log probabilities of its true frames."""


def build(
    network: Network, orientation: Orientation, calibration: Calibration, spaces: Sequence[int], metadata: Mapping[str, str]
) -> Model:
    """Build the graph of a network with preprocessing and decoding. Raises `UsageError` if lines run neither along nor down."""
    if orientation not in (Orientation.HORIZONTAL, Orientation.VERTICAL):
        raise UsageError(
            f"the lines of this model are {orientation}, which a self-contained graph cannot read: "
            "export it with `orientation=horizontal` or `orientation=vertical`"
        )
    graph = GraphBuilder()
    images, widths = _add_preprocessing(graph, network, orientation)
    log_probs, frames = add_network(graph, network, images, widths)
    add_best_path(graph, log_probs, frames, calibration, spaces)
    inputs: TensorSpecs = {
        "pictures": (ElementType.UINT8, ["batch", "height", "width"]),
        "sizes": (ElementType.INT64, ["batch", 2]),
    }
    more: TensorSpecs = {
        "log_probs": (ElementType.FLOAT, ["batch", "frames", network.classes]),
        "frames": (ElementType.INT64, ["batch"]),
    }
    return graph.model(inputs, {**OUTPUTS, **more}, metadata, OPSET)


def run(engine: OnnxEngine, images: Sequence[NDArray[np.uint8]]) -> list[Result]:
    """Run a graph on gray images, in one batch. Raises `ModelError` if its outputs cannot be of these images."""
    outputs = ("ids", "lengths", "confidences", "character_confidences", "log_probs", "frames")
    ids, lengths, confidences, of_characters, log_probs, frames = engine.run(outputs, stack(images))
    rows = (len(images),)
    are_aligned = (ids.shape[:1], of_characters.shape, log_probs.shape[:1]) == (rows, ids.shape, rows) and log_probs.ndim == 3
    if not (are_aligned and ids.ndim == 2 and {lengths.shape, confidences.shape, frames.shape} == {rows}):
        raise ModelError("the graph gives results of other shapes than its images have: it is damaged")
    for counts, most in ((lengths, ids.shape[1]), (frames, log_probs.shape[1])):
        if counts.min() < 0 or counts.max() > most:
            raise ModelError(f"the graph gives lengths from {counts.min()} to {counts.max()}, of at most {most}: it is damaged")
    return [
        Result(
            tuple(ids[row, : lengths[row]].tolist()),
            float(confidences[row]),
            tuple(of_characters[row, : lengths[row]].tolist()),
            log_probs[row, : frames[row]],
        )
        for row in range(len(images))
    ]


def stack(images: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
    """Bring gray images of any sizes into the form of the graph's inputs."""
    sizes = np.array([image.shape for image in images], dtype=np.int64)
    together = np.zeros((len(images), *sizes.max(axis=0)), dtype=np.uint8)
    for place, image in zip(together, images, strict=True):
        place[: image.shape[0], : image.shape[1]] = image
    return {"pictures": together, "sizes": sizes}


def _add_preprocessing(graph: GraphBuilder, network: Network, orientation: Orientation) -> tuple[str, str]:
    """The graph's inputs → the network's `images` and `widths`, as `images.Preprocessor` and `images.to_batch` make them."""
    add, constant, config = graph.add, graph.constant, network.config
    vertical = orientation is Orientation.VERTICAL
    across, along = (
        add("Gather", ["sizes", constant(axis)], axis=1) for axis in ((1, 0) if vertical else (0, 1))
    )  # (N,) pixels each
    scaled = add("Div", [_to_double(graph, add("Mul", [along, constant(config.height)])), _to_double(graph, across)])
    width = add("Cast", [add("Round", [scaled])], to=ElementType.INT64)
    width = add("Min", [add("Max", [width, constant(1)]), constant(MAX_WIDTH)])
    widths = add("Max", [width, constant(config.min_width)])
    columns = add("ReduceMax", [widths], keepdims=0)
    along_first = "pictures" if vertical else add("Transpose", ["pictures"], perm=[0, 2, 1])  # (N, along, across)
    resized = add_resize(graph, along_first, along, width, columns)  # (N, W, across)
    across_first = add("Transpose", [resized], perm=[0, 2, 1])
    heights = add("Add", [add("Mul", [across, constant(0)]), constant(config.height)])
    lines = add_resize(graph, across_first, across, heights, constant(config.height), reverse=vertical)  # (N, H, W)
    values = add("Cast", [lines], to=ElementType.FLOAT)
    values = add("Div", [values, constant(np.array(127.5, np.float32))])
    values = add("Unsqueeze", [add("Sub", [values, constant(np.array(1, np.float32))]), constant([1])])
    column = add("Range", [constant(0), columns, constant(1)])
    inside = add("Less", [column, add("Unsqueeze", [widths, constant([1])])])  # (N, W)
    mask = add("Unsqueeze", [add("Cast", [inside], to=ElementType.FLOAT), constant([1, 2])])
    return add("Mul", [values, mask]), widths


def add_resize(graph: GraphBuilder, images: str, size: str, target: str, columns: str, *, reverse: bool = False) -> str:
    """Resize the middle axis of `images` (N, A, B).

    Args:
        graph: where to add it.
        images: bytes; those past an image's own size are ignored.
        size: (N,) int64 true sizes of the axis.
        target: (N,) int64 sizes to resize it to.
        columns: int64 length of the axis in the result. What is past an image's own target repeats its last column.
        reverse: whether the axis is counted from its end.

    Returns:
        The name of the (N, columns, B) bytes.
    """
    add, constant = graph.add, graph.constant
    taps, weights = _resize_weights(graph, size, target, columns)
    index = add("Cast", [taps], to=ElementType.INT64)
    last = add("Unsqueeze", [add("Sub", [size, constant(1)]), constant([1, 2])])  # (N, 1, 1)
    index = add("Min", [index, last])
    if reverse:
        index = add("Sub", [last, index])
    values = add("GatherND", [images, add("Unsqueeze", [index, constant([3])])], batch_dims=1)  # (N, columns, taps, B)
    values = add("Cast", [values], to=ElementType.DOUBLE)
    rows = add("MatMul", [add("Unsqueeze", [weights, constant([2])]), values])  # (N, columns, 1, B)
    total = add("Squeeze", [rows, constant([2])])
    raised = add("Add", [total, _double(graph, _FIXED_POINT / 2)])
    rounded = add("Floor", [add("Div", [raised, _double(graph, _FIXED_POINT)])])
    return add("Cast", [add("Min", [rounded, _double(graph, 255.0)])], to=ElementType.UINT8)


def _resize_weights(graph: GraphBuilder, size: str, target: str, columns: str) -> tuple[str, str]:
    """The source columns that each column of the result is made of, and their fixed-point weights.

    Both are (N, columns, taps) doubles.
    """
    add, constant, axis_1 = graph.add, graph.constant, graph.constant([1])
    axis_2 = graph.constant([2])
    half, one, zero = (_double(graph, value) for value in (0.5, 1.0, 0.0))
    sizes = add("Cast", [size], to=ElementType.DOUBLE)
    scale = add("Div", [sizes, add("Cast", [target], to=ElementType.DOUBLE)])  # (N,)
    support = add("Unsqueeze", [add("Max", [scale, one]), axis_1])  # (N, 1)
    last = add("Unsqueeze", [add("Sub", [target, constant(1)]), axis_1])
    column = add("Min", [add("Range", [constant(0), columns, constant(1)]), last])  # (N, columns)
    middle = add("Add", [add("Cast", [column], to=ElementType.DOUBLE), half])
    center = add("Mul", [middle, add("Unsqueeze", [scale, axis_1])])
    first = add("Max", [add("Floor", [add("Add", [add("Sub", [center, support]), half])]), zero])
    end = add("Min", [add("Floor", [add("Add", [add("Add", [center, support]), half])]), add("Unsqueeze", [sizes, axis_1])])
    reach = add("Cast", [add("Ceil", [add("ReduceMax", [support], keepdims=0)])], to=ElementType.INT64)  # over all axes
    count = add("Add", [add("Mul", [reach, constant(2)]), constant(1)])
    offsets = add("Cast", [add("Range", [constant(0), count, constant(1)])], to=ElementType.DOUBLE)  # (taps,)
    taps = add("Add", [add("Unsqueeze", [first, axis_2]), offsets])
    distance = add("Add", [add("Sub", [taps, add("Unsqueeze", [center, axis_2])]), half])
    relative = add("Mul", [distance, add("Reciprocal", [add("Unsqueeze", [support, axis_2])])])
    triangle = add("Max", [add("Sub", [one, add("Abs", [relative])]), zero])
    within = add("Cast", [add("Less", [taps, add("Unsqueeze", [end, axis_2])])], to=ElementType.DOUBLE)
    weights = add("Mul", [triangle, within])
    weights = add("Div", [weights, add("ReduceSum", [weights, axis_2], keepdims=1)])
    return taps, add("Floor", [add("Add", [add("Mul", [weights, _double(graph, _FIXED_POINT)]), half])])


def add_best_path(
    graph: GraphBuilder, log_probs: str, frames: str, calibration: Calibration, spaces: Sequence[int] = ()
) -> None:
    """Add greedy CTC decoding: `log_probs` (N, T, C) and their (N,) true `frames` → `OUTPUTS`.

    `ids` are the classes of the best path, repeats merged, blanks dropped and spaces made single as in `decoding`: `lengths`
    of them for each line, zero after them. A character's confidence is its highest probability among its frames. A text's
    confidence is its probability summed over all alignments, calibrated, as in `predict`; so is that of an empty one, which is
    as certain as in its least certain frame.
    """
    add, constant = graph.add, graph.constant
    frame = add("Range", [constant(0), _length(graph, log_probs, 1), constant(1)])  # (T,)
    valid = add("Less", [frame, add("Unsqueeze", [frames, constant([1])])])  # (N, T)
    best = add("Where", [valid, add("ArgMax", [log_probs], axis=2, keepdims=0), constant(BLANK)])
    begins, belongs = _add_runs(graph, best, spaces)
    ordinal = _count(graph, begins)  # (N, T), from 1
    lengths = add("ReduceMax", [ordinal, constant([1])], "lengths", keepdims=0)
    # Column 0 takes what belongs to no character, and is cut off.
    first, column = (add("Mul", [ordinal, add("Cast", [of], to=ElementType.INT64)]) for of in (begins, belongs))
    empty = add("Pad", [add("Mul", [best, constant(0)]), constant([0, 1, 0, 0])])  # (N, 1 + T)
    highest = add("Exp", [add("ReduceMax", [log_probs, constant([2])], keepdims=0)])
    confident = add("ScatterElements", [add("Cast", [empty], to=ElementType.FLOAT), column, highest], axis=1, reduction="max")
    found = add("ScatterElements", [empty, first, best], axis=1, reduction="max")
    longest = add("Max", [add("ReduceMax", [lengths], keepdims=1), constant([1])])
    cut = [constant([1]), add("Add", [longest, constant([1])]), constant([1])]
    ids = add("Slice", [found, *cut], "ids")
    add("Slice", [confident, *cut], "character_confidences")
    probs = _with_gap(graph, log_probs, spaces)
    text_log_probs = _text_log_probs(graph, probs, valid, ids, lengths, spaces)
    gaps = add("Squeeze", [add("Slice", [probs, constant([_GAP]), constant([_END]), constant([2])]), constant([2])])  # (N, T)
    gaps = add("Where", [valid, gaps, constant(np.array(1, np.float32))])
    emptiness = add("Log", [add("ReduceMin", [gaps, constant([1])], keepdims=0)])
    is_empty = add("Less", [lengths, constant(1)])
    _add_calibration(graph, add("Where", [is_empty, emptiness, text_log_probs]), calibration)


def _with_gap(graph: GraphBuilder, log_probs: str, spaces: Sequence[int]) -> str:
    """(N, T, C + 1) probabilities of the classes, and at last of the blank or a space."""
    add, constant = graph.add, graph.constant
    probs = add("Exp", [log_probs])
    gap = add("ReduceSum", [add("Gather", [probs, constant([BLANK, *spaces])], axis=2), constant([2])])
    return add("Concat", [probs, gap], axis=2)


def _add_runs(graph: GraphBuilder, best: str, spaces: Sequence[int]) -> tuple[str, str]:
    """(N, T) classes of best paths → (N, T) whether a character begins in a frame, and whether the frame belongs to one."""
    add, constant = graph.add, graph.constant
    before = add("Pad", [best, constant([0, 1, 0, -1]), constant(BLANK)])
    is_space = _is_any(graph, best, spaces)
    is_letter = add("And", [add("Greater", [best, constant(BLANK)]), add("Not", [is_space])])
    begins = add("And", [is_letter, add("Not", [add("Equal", [best, before])])])
    if not spaces:
        return begins, is_letter
    letters = _count(graph, begins)  # so far: the gap that a space is in
    is_inner = add("And", [add("Greater", [letters, constant(0)]), add("Less", [letters, _greatest(graph, letters)])])
    is_kept = add("And", [is_space, is_inner])
    seen = _count(graph, is_kept)
    before_gap = add("Mul", [seen, add("Cast", [begins], to=ElementType.INT64)])
    before_gaps = add(
        "ScatterElements", [add("Pad", [add("Mul", [best, constant(0)]), constant([0, 1, 0, 0])]), letters, before_gap],
        axis=1, reduction="max",
    )  # fmt: skip
    in_gap = add("Sub", [seen, add("GatherElements", [before_gaps, letters], axis=1)])
    is_first = add("And", [is_kept, add("Equal", [in_gap, constant(1)])])
    return add("Or", [begins, is_first]), add("Or", [is_letter, is_kept])


def _count(graph: GraphBuilder, flags: str) -> str:
    """(N, T): how many flags there are up to each one."""
    return graph.add("CumSum", [graph.add("Cast", [flags], to=ElementType.INT64), graph.constant(1)])


def _greatest(graph: GraphBuilder, values: str) -> str:
    """(N, 1): the greatest of each row."""
    return graph.add("ReduceMax", [values, graph.constant([1])], keepdims=1)


def _is_any(graph: GraphBuilder, classes: str, some: Sequence[int]) -> str:
    """Whether classes are one of some."""
    found = graph.add("Less", [classes, graph.constant(BLANK)])
    for each in some:
        found = graph.add("Or", [found, graph.add("Equal", [classes, graph.constant(each)])])
    return found


def _text_log_probs(graph: GraphBuilder, probs: str, valid: str, ids: str, lengths: str, spaces: Sequence[int]) -> str:
    """(N,) log-probabilities of the texts, summed over their alignments (`decoding.forward`).

    The forward variables are scaled to a sum of one in each frame, and the logs of the scales added up. Single precision is
    enough: no path is more probable than the best one, and that is the text's own.
    """
    add, constant = graph.add, graph.constant
    # States: blank, first character, blank, second character, …, blank: (N, S), S = 2 L + 1.
    pairs = add("Pad", [add("Unsqueeze", [ids, constant([2])]), constant([0, 0, 1, 0, 0, 0])])  # (N, L, 2)
    states = add("Pad", [add("Reshape", [pairs, constant([0, -1])]), constant([0, 0, 0, 1])])
    index = add("Range", [constant(0), _length(graph, states, 1), constant(1)])  # (S,)
    two_before = add("Pad", [states, constant([0, 2, 0, -2])])
    skips = add("And", [add("Not", [add("Equal", [states, two_before])]), add("Greater", [states, constant(BLANK)])])
    add("Cast", [skips], "skips", to=ElementType.FLOAT)  # (N, S)
    add("Cast", [add("Not", [_is_any(graph, states, spaces)])], "stays", to=ElementType.FLOAT)  # (N, S)
    last = add("Unsqueeze", [add("Mul", [lengths, constant(2)]), constant([1])])  # (N, 1): the last blank
    emitted = states
    if spaces:
        after_space = _is_any(graph, add("Pad", [states, constant([0, 1, 0, -1])]), spaces)
        is_edge = add("Or", [add("Equal", [index, last]), add("Equal", [index, constant(0)])])
        emitted = add("Where", [add("Or", [after_space, is_edge]), constant(_GAP), states])
    # All probability starts in the first blank, one frame early, and moves on to that blank or to the first character.
    first = add("Cast", [add("Less", [index, constant(1)])], to=ElementType.FLOAT)
    start = add("Expand", [first, add("Shape", [states])])
    is_frame = add("Unsqueeze", [add("Transpose", [valid], perm=[1, 0]), constant([2])])  # (T, N, 1)
    scanned = [start, _state_probs(graph, probs, emitted), is_frame]
    graph.add_node("Scan", scanned, ["forward", "log_scales"], "forward", body=_forward_step(), num_scan_inputs=2)
    total = add("ReduceSum", ["log_scales", constant([0, 2])], keepdims=0)
    ends = add("And", [add("LessOrEqual", [index, last]), add("GreaterOrEqual", [index, add("Sub", [last, constant(1)])])])
    at_end = add("Mul", ["forward", add("Cast", [ends], to=ElementType.FLOAT)])
    return add("Add", [total, add("Log", [add("ReduceSum", [at_end, constant([1])], keepdims=0)])])


def _state_probs(graph: GraphBuilder, probs: str, states: str) -> str:
    """(T, N, S) probability of each state's class in each frame; of the blank or a space where it is `_GAP`."""
    add, constant = graph.add, graph.constant
    frames = add("Shape", [probs], start=1, end=2)
    batch, size = add("Shape", [states], start=0, end=1), add("Shape", [states], start=1, end=2)
    index = add("Expand", [add("Unsqueeze", [states, constant([1])]), add("Concat", [batch, frames, size], axis=0)])
    return add("Transpose", [add("GatherElements", [probs, index], axis=2)], perm=[1, 0, 2])


def _forward_step() -> Graph:
    """One frame: (N, S) forward variables → those of the next frame, and the (N, 1) log of their scale."""
    step = GraphBuilder()
    node = step.add_node
    node("Pad", ["before", "one"], ["from_left"])
    node("Pad", ["before", "two"], ["from_second"])
    node("Mul", ["from_second", "skips"], ["skipped"])
    node("Mul", ["before", "stays"], ["stayed"])
    node("Sum", ["stayed", "from_left", "skipped"], ["moved"])
    node("Mul", ["moved", "emitted"], ["after"])
    node("ReduceSum", ["after", "axis"], ["sum"], keepdims=1)
    node("Max", ["sum", "tiny"], ["scale"])
    node("Div", ["after", "scale"], ["scaled"])
    node("Where", ["is_frame", "scaled", "before"], ["next"])
    node("Log", ["scale"], ["log"])
    node("Where", ["is_frame", "log", "zero"], ["log_scale"])
    constants = {
        "one": np.array([0, 1, 0, -1]),
        "two": np.array([0, 2, 0, -2]),
        "axis": np.array([1]),
        "tiny": np.array(np.finfo(np.float32).tiny),
        "zero": np.array(0, np.float32),
    }
    for name, array in constants.items():
        step.constant(array, name)
    inputs = {"before": (ElementType.FLOAT, None), "emitted": (ElementType.FLOAT, None), "is_frame": (ElementType.BOOL, None)}
    outputs = {"next": (ElementType.FLOAT, None), "log_scale": (ElementType.FLOAT, None)}
    return step.graph("frame", inputs, outputs)


def _add_calibration(graph: GraphBuilder, log_probs: str, calibration: Calibration) -> str:
    """(N,) log-probabilities → calibrated `confidences`, as `Calibration.apply`."""
    add = graph.add
    bounded = _to_double(graph, log_probs)
    bounded = add("Max", [add("Min", [bounded, _double(graph, LOG_PROBS[1])]), _double(graph, LOG_PROBS[0])])
    odds = add("Sub", [bounded, add("Log", [add("Sub", [_double(graph, 1.0), add("Exp", [bounded])])])])
    odds = add("Add", [add("Div", [odds, _double(graph, calibration.temperature)]), _double(graph, calibration.bias)])
    odds = add("Max", [add("Min", [odds, _double(graph, LOG_ODDS[1])]), _double(graph, LOG_ODDS[0])])
    return add("Cast", [add("Sigmoid", [odds])], "confidences", to=ElementType.FLOAT)


def _length(graph: GraphBuilder, tensor: str, axis: int) -> str:
    """The length of an axis, as a scalar."""
    return graph.add("Squeeze", [graph.add("Shape", [tensor], start=axis, end=axis + 1), graph.constant([0])])


def _double(graph: GraphBuilder, value: float) -> str:
    """A constant in double precision."""
    return graph.constant(np.array(value, dtype=np.float64))


def _to_double(graph: GraphBuilder, tensor: str) -> str:
    return graph.add("Cast", [tensor], to=ElementType.DOUBLE)
