"""Graphs that are like an export, but do something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Edit = Callable[[onnx.ModelProto], None]


def edited(graph: bytes, edit: Edit) -> bytes:
    model = onnx.load_model_from_string(graph)
    edit(model)
    return bytes(model.SerializeToString())


def add_constant(model: onnx.ModelProto, name: str, value: object) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(value), name))


def rewire(model: onnx.ModelProto, before: str, after: str, nodes: list[onnx.NodeProto]) -> None:
    """Put nodes in front of the others, which get the tensor `after` in place of `before`."""
    for node in model.graph.node:
        node.input[:] = [after if name == before else name for name in node.input]
    others = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *others])


def endless(model: onnx.ModelProto) -> None:
    """Counts to 2 to the 62 before it begins."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_on"], ["again"]), helper.make_node("Add", ["so_far", "zero"], ["sum"])],
        "body",
        [info("i", TensorProto.INT64, []), info("go_on", TensorProto.BOOL, []), info("so_far", TensorProto.INT64, None)],
        [info("again", TensorProto.BOOL, []), info("sum", TensorProto.INT64, None)],
    )
    for name, value in (("trips", 2**62), ("begin", True), ("zero", 0)):
        add_constant(model, name, value)
    rewire(model, "widths", "same_widths", [helper.make_node("Loop", ["trips", "begin", "widths"], ["same_widths"], body=body)])


def huge(model: onnx.ModelProto) -> None:
    """Needs 256 GB."""
    add_constant(model, "size", [2**36])
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["much"]),
        helper.make_node("ReduceMax", ["much"], ["none"], keepdims=0),
        helper.make_node("Cast", ["none"], ["zero"], to=TensorProto.INT64),
        helper.make_node("Add", ["widths", "zero"], ["same_widths"]),
    ]
    rewire(model, "widths", "same_widths", nodes)


def frames(count: int) -> Edit:
    """Says that each line has so many frames."""

    def edit(model: onnx.ModelProto) -> None:
        last = next(node for node in model.graph.node if "frames" in node.output)
        add_constant(model, "count", [count])
        last.CopyFrom(helper.make_node("Expand", ["count", "lines"], ["frames"]))
        rewire(model, "-", "-", [helper.make_node("Shape", ["widths"], ["lines"])])

    return edit


def doubled(model: onnx.ModelProto) -> None:
    """Gives two results for each line."""
    last = next(node for node in model.graph.node if "log_probs" in node.output)
    last.output[0] = "once"
    model.graph.node.append(helper.make_node("Concat", ["once", "once"], ["log_probs"], axis=0))


def no_numbers(model: onnx.ModelProto) -> None:
    """Has a weight that is not a number."""
    bias = constant(model, "head.bias")
    values = numpy_helper.to_array(bias).copy()
    values[1] = np.nan
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))


def improbable(model: onnx.ModelProto) -> None:
    """Gives log-probabilities of up to 1."""
    last = next(node for node in model.graph.node if "log_probs" in node.output)
    last.output[0] = "before"
    add_constant(model, "one", np.float32(1))
    model.graph.node.append(helper.make_node("Add", ["before", "one"], ["log_probs"]))


def outside(model: onnx.ModelProto) -> None:
    """Reads its weights from another file."""
    bias = constant(model, "head.bias")
    bias.ClearField("raw_data")
    bias.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../weights.bin"), ("offset", "0"), ("length", "4")):
        entry = bias.external_data.add()
        entry.key, entry.value = key, value


def outside_in_a_node(model: onnx.ModelProto) -> None:
    """Reads a constant from another file."""
    tensor = numpy_helper.from_array(np.array([1]), "t")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    rewire(model, "-", "-", [helper.make_node("Constant", [], ["more"], value=tensor)])


def another_size(model: onnx.ModelProto) -> None:
    """Reshapes to a huge size."""
    shape = next(c for c in model.graph.initializer if list(c.dims) == [3])
    shape.CopyFrom(numpy_helper.from_array(np.array([0, 0, 2**40]), shape.name))


def with_function(model: onnx.ModelProto) -> None:
    """Calls a function for a standard operator."""
    node = helper.make_node("Identity", ["a"], ["b"])
    model.functions.append(helper.make_function("", "Relu", ["a"], ["b"], [node], [helper.make_opsetid("", 17)]))


def other_operator(model: onnx.ModelProto) -> None:
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Neg"


def other_attribute(model: onnx.ModelProto) -> None:
    transpose = next(node for node in model.graph.node if node.op_type == "Transpose")
    transpose.attribute[0].ints[:] = [3, 0, 1, 2]


def other_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value += 8


def other_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 21


def custom_domain(model: onnx.ModelProto) -> None:
    next(node for node in model.graph.node if node.op_type == "Relu").domain = "com.example"


def constant(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    found: onnx.TensorProto = next(one for one in model.graph.initializer if one.name == name)
    return found


def write(path: Path, graph: bytes, edit: Edit) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(edited(graph, edit))
    return path
