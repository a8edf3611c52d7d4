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

    def number(value: float) -> str:
        return constant(np.array(value, dtype=np.float64))

    sizes = add("Cast", [size], to=TensorProto.DOUBLE)
    scale = add("Div", [sizes, add("Cast", [wanted], to=TensorProto.DOUBLE)])  # (N,)
    support = add("Max", [scale, number(1.0)])
    apart = constant([1])
    scale, support = add("Unsqueeze", [scale, apart]), add("Unsqueeze", [support, apart])  # (N, 1)
    last = add("Unsqueeze", [add("Sub", [wanted, constant(1)]), apart])
    places = add("Min", [add("Range", [constant(0), columns, constant(1)]), last])  # (N, columns)
    middle = add("Add", [add("Cast", [places], to=TensorProto.DOUBLE), number(0.5)])
    centre = add("Mul", [middle, scale])
    low = add("Add", [add("Sub", [centre, support]), number(0.5)])
    high = add("Add", [add("Add", [centre, support]), number(0.5)])
    first = add("Max", [add("Floor", [low]), number(0.0)])
    end = add("Min", [add("Floor", [high]), add("Unsqueeze", [sizes, apart])])
    most = add("ReduceMax", [support], keepdims=0)  # over all axes
    reach = add("Add", [add("Mul", [add("Cast", [add("Ceil", [most])], to=TensorProto.INT64), constant(2)]), constant(1)])
    steps = add("Cast", [add("Range", [constant(0), reach, constant(1)])], to=TensorProto.DOUBLE)  # (taps,)
    deeper = constant([2])
    taps = add("Add", [add("Unsqueeze", [first, deeper]), steps])  # (N, columns, taps)
    distance = add("Add", [add("Sub", [taps, add("Unsqueeze", [centre, deeper])]), number(0.5)])
    share = add("Mul", [distance, add("Reciprocal", [add("Unsqueeze", [support, deeper])])])
    triangle = add("Max", [add("Sub", [number(1.0), add("Abs", [share])]), number(0.0)])
    within = add("Cast", [add("Less", [taps, add("Unsqueeze", [end, deeper])])], to=TensorProto.DOUBLE)
    weights = add("Mul", [triangle, within])
    weights = add("Div", [weights, add("ReduceSum", [weights, deeper], keepdims=1)])
    weights = add("Floor", [add("Add", [add("Mul", [weights, number(_FIXED_POINT)]), number(0.5)])])
    inside = add("Cast", [taps], to=TensorProto.INT64)
    ending = add("Unsqueeze", [add("Sub", [size, constant(1)]), constant([1, 2])])  # (N, 1, 1)
    inside = add("Min", [inside, ending])
    if turned:
        inside = add("Sub", [ending, inside])
    looked_at = add("GatherND", [pictures, add("Unsqueeze", [inside, constant([3])])], batch_dims=1)  # (N, columns, taps, B)
    looked_at = add("Cast", [looked_at], to=TensorProto.DOUBLE)
    rows = add("MatMul", [add("Unsqueeze", [weights, deeper]), looked_at])  # (N, columns, 1, B)
    total = add("Squeeze", [rows, deeper])
    rounded = add("Floor", [add("Div", [add("Add", [total, number(_FIXED_POINT / 2)]), number(_FIXED_POINT)])])
    return add("Cast", [add("Min", [rounded, number(255.0)])], to=TensorProto.UINT8)
