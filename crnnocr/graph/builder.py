"""A graph as data: nodes, constants, inputs and outputs. It becomes an ONNX file in `GraphBuilder.model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

IR_VERSION = 8
ONNXRUNTIME = "com.microsoft"
"""Domain of ONNX Runtime's operators that are not in the standard."""


class ElementType(IntEnum):
    """Types of a tensor's elements, numbered as in `onnx.TensorProto`."""

    FLOAT = 1
    UINT8 = 2
    INT8 = 3
    INT32 = 6
    INT64 = 7
    BOOL = 9
    FLOAT16 = 10
    DOUBLE = 11


TensorSpecs: TypeAlias = Mapping[str, tuple[int, Sequence[int | str] | None]]
"""Type and shape of inputs or outputs, by name. A shape of None is not known."""

Attribute: TypeAlias = "int | str | tuple[int, ...] | Graph"


@dataclass(frozen=True)
class Node:
    """An operator that is applied to tensors."""

    kind: str
    inputs: tuple[str, ...]
    """Names of tensors; an empty one is left out."""
    outputs: tuple[str, ...]
    name: str = ""
    domain: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they are computed, with constants, inputs and outputs."""

    name: str
    nodes: Sequence[Node]
    constants: Mapping[str, NDArray[np.generic]]
    inputs: TensorSpecs
    outputs: TensorSpecs


@dataclass(frozen=True)
class Model:
    """A graph, and what a file says of it."""

    graph: Graph
    metadata: Mapping[str, str]
    opsets: Mapping[str, int]
    """Version of the operators, by domain."""
    ir_version: int = IR_VERSION

    def to_onnx(self) -> onnx.ModelProto:
        """The file's content, checked."""
        import onnx
        from onnx import helper

        model = helper.make_model(
            _graph_proto(self.graph),
            opset_imports=[helper.make_opsetid(domain, version) for domain, version in self.opsets.items()],
            ir_version=self.ir_version,
            producer_name="crnnocr",
        )
        helper.set_model_props(model, dict(self.metadata))
        onnx.checker.check_model(model, full_check=True)
        return model


class GraphBuilder:
    """Nodes and constants of a graph. Methods return the name of the tensor that they add."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, NDArray[np.generic]] = {}

    def add(self, kind: str, inputs: Sequence[str], output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.add_node(kind, inputs, [output], output, domain, **attributes)
        return output

    def add_node(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], name: str = "", domain: str = "", **attributes: Any
    ) -> None:
        """Add a node. Lists are allowed as attributes."""
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in attributes.items()}
        self.nodes.append(Node(kind, tuple(inputs), tuple(outputs), name, domain, values))

    def constant(self, value: NDArray[np.generic] | Sequence[int] | int, name: str = "") -> str:
        """Add a constant. Integers become int64."""
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = np.array(value, order="C")
        return name

    def graph(self, name: str, inputs: TensorSpecs, outputs: TensorSpecs) -> Graph:
        """All that was added, as a graph."""
        return Graph(name, self.nodes, self.constants, inputs, outputs)

    def model(self, inputs: TensorSpecs, outputs: TensorSpecs, metadata: Mapping[str, str], opset: int) -> Model:
        """All that was added, as a model."""
        uses_onnxruntime = any(node.domain == ONNXRUNTIME for node in self.nodes)
        opsets = {"": opset, **({ONNXRUNTIME: 1} if uses_onnxruntime else {})}
        return Model(self.graph("crnn", inputs, outputs), metadata, opsets)


def _graph_proto(graph: Graph) -> onnx.GraphProto:
    from onnx import helper, numpy_helper

    def values(specs: TensorSpecs) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, int(kind), None if shape is None else list(shape))
            for name, (kind, shape) in specs.items()
        ]

    def node(one: Node) -> onnx.NodeProto:
        attributes: dict[str, Any] = {
            key: _graph_proto(value) if isinstance(value, Graph) else value for key, value in one.attributes.items()
        }
        return helper.make_node(one.kind, one.inputs, one.outputs, one.name or None, domain=one.domain or None, **attributes)

    constants = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    return helper.make_graph(
        [node(one) for one in graph.nodes], graph.name, values(graph.inputs), values(graph.outputs), constants
    )
