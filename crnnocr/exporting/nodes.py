"""An ONNX graph in the making: nodes and constants, named as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

IR_VERSION = 8
ONNXRUNTIME = "com.microsoft"
"""The operators of ONNX Runtime that are not in the standard."""

Tensors: TypeAlias = Mapping[str, tuple[int, Sequence[int | str]]]
"""Names of inputs or outputs, with the type and the shape of each."""


class Nodes:
    """Nodes and constants in the making. Methods add nodes and return the name of what they give."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def add(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """One node with one output."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, value: NDArray[np.generic] | Sequence[int] | int, name: str = "") -> str:
        """A constant; integers become int64."""
        array = np.asarray(value)
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.array(array, order="C"), name)
        return name

    def model(
        self,
        inputs: Tensors,
        outputs: Tensors,
        metadata: dict[str, str],
        opset: int,
    ) -> onnx.ModelProto:
        """The whole as a checked model. Inputs and outputs have a type and a shape each."""
        given, result = (
            [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in values.items()]
            for values in (inputs, outputs)
        )
        graph = helper.make_graph(self.nodes, "crnn", given, result, list(self.constants.values()))
        opsets = [helper.make_opsetid("", opset)]
        if any(node.domain == ONNXRUNTIME for node in self.nodes):
            opsets.append(helper.make_opsetid(ONNXRUNTIME, 1))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="crnnocr")
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model
