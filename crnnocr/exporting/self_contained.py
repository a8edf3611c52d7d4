"""A graph that takes grey pictures as they are and gives texts: nothing is left to do around it but to look up characters.

Inputs: `pictures` (N, height, width) uint8, each at the upper left of its own; `sizes` (N, 2) int64, height and width of each.
Outputs: those of `best_path`, and `log_probs` and `frames` as the network gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from crnnocr.calibration import Calibration
from crnnocr.config import MAX_WIDTH, Orientation
from crnnocr.engines import OnnxEngine
from crnnocr.errors import UsageError
from crnnocr.exporting import best_path
from crnnocr.exporting.nodes import Nodes, Tensors
from crnnocr.exporting.onnx_graph import Network, add_network
from crnnocr.exporting.resize import add_resize

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
    best_path.add_best_path(nodes, log_probs, frames, calibration)
    inputs: Tensors = {
        "pictures": (TensorProto.UINT8, ["batch", "height", "width"]),
        "sizes": (TensorProto.INT64, ["batch", 2]),
    }
    more: Tensors = {
        "log_probs": (TensorProto.FLOAT, ["batch", "frames", network.classes]),
        "frames": (TensorProto.INT64, ["batch"]),
    }
    return nodes.model(inputs, {**best_path.OUTPUTS, **more}, metadata, OPSET)


def _add_line(nodes: Nodes, network: Network, orientation: Orientation) -> tuple[str, str]:
    """From pictures to the network's `images` and `widths`: see `images.to_line` and `images.to_batch`."""
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
