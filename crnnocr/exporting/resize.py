"""Pillow's resize with antialiased bilinear weights, to the byte, as nodes of a graph.

Each pass brings one axis to its new size: along the line first, then its height, each rounded to bytes, in fixed-point
weights of 22 bits, as `Resample.c` of Pillow does. ONNX's own Resize has these weights too, but not every runtime's rounds as
Pillow does, and it takes one size for a whole batch. The weights are worked out in the graph from the sizes, in double
precision, in which all sums are exact.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from crnnocr.exporting.nodes import Nodes

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
    centre = add("Mul", [middle, add("Unsqueeze", [scale, apart])])
    first = add("Max", [add("Floor", [add("Add", [add("Sub", [centre, support]), half])]), zero])
    end = add("Min", [add("Floor", [add("Add", [add("Add", [centre, support]), half])]), add("Unsqueeze", [sizes, apart])])
    most = add("Cast", [add("Ceil", [add("ReduceMax", [support], keepdims=0)])], to=TensorProto.INT64)  # over all axes
    reach = add("Add", [add("Mul", [most, constant(2)]), constant(1)])
    steps = add("Cast", [add("Range", [constant(0), reach, constant(1)])], to=TensorProto.DOUBLE)  # (taps,)
    taps = add("Add", [add("Unsqueeze", [first, deeper]), steps])
    distance = add("Add", [add("Sub", [taps, add("Unsqueeze", [centre, deeper])]), half])
    share = add("Mul", [distance, add("Reciprocal", [add("Unsqueeze", [support, deeper])])])
    triangle = add("Max", [add("Sub", [one, add("Abs", [share])]), zero])
    within = add("Cast", [add("Less", [taps, add("Unsqueeze", [end, deeper])])], to=TensorProto.DOUBLE)
    weights = add("Mul", [triangle, within])
    weights = add("Div", [weights, add("ReduceSum", [weights, deeper], keepdims=1)])
    return taps, add("Floor", [add("Add", [add("Mul", [weights, _number(nodes, _FIXED_POINT)]), half])])


def _number(nodes: Nodes, value: float) -> str:
    return nodes.constant(np.array(value, dtype=np.float64))
