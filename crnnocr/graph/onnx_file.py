"""Read an ONNX file as a `Model`, without onnx or onnxruntime, and nothing but what an export of crnnocr can hold.

Whatever the file has beyond that is an error: functions, training, sparse tensors, tensors in other files, fields that come
twice. So there is nothing in it that another reader could take for something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crnnocr.graph.builder import ElementType, Graph, Model, Node, TensorSpecs
from crnnocr.model.exported import Value, fields, varint

Schema: TypeAlias = "Mapping[int, tuple[str, Callable[[Any], Any], bool]]"
"""By a field's number: its name, the function that reads its value, and whether there may be many."""

_DTYPES: dict[int, np.dtype[Any]] = {
    ElementType.FLOAT: np.dtype("<f4"),
    ElementType.UINT8: np.dtype("u1"),
    ElementType.INT8: np.dtype("i1"),
    ElementType.INT32: np.dtype("<i4"),
    ElementType.INT64: np.dtype("<i8"),
    ElementType.BOOL: np.dtype("?"),
    ElementType.FLOAT16: np.dtype("<f2"),
    ElementType.DOUBLE: np.dtype("<f8"),
}
_MAX_DEPTH = 2
"""Graphs within each other."""
_FLOAT, _INT, _STRING, _GRAPH, _INTS = 1, 2, 3, 5, 7
"""Kinds of attributes."""


def read(content: bytes) -> Model:
    """Read a file. Raises `ValueError`, with what is wrong, if it holds anything that exports of crnnocr do not."""
    try:
        found = _message(memoryview(content), _model_schema(_MAX_DEPTH))
    except (UnicodeDecodeError, KeyError, TypeError, OverflowError) as error:
        raise ValueError("it is damaged") from error
    opsets = {one.get("domain", ""): one["version"] for one in found.get("opset_import", [])}
    metadata = {one["key"]: one.get("value", "") for one in found.get("metadata_props", [])}
    return Model(found["graph"], metadata, opsets, found.get("ir_version", 0))


def _message(value: Value, schema: Schema) -> dict[str, Any]:
    """The fields of a message, by name."""
    if isinstance(value, int):
        raise TypeError("a number in place of a message")
    found: dict[str, Any] = {}
    for number, content in fields(value):
        if number not in schema:
            raise ValueError(f"it has a field {number} that no export of crnnocr has")
        name, read, is_repeated = schema[number]
        if is_repeated:
            found.setdefault(name, []).append(read(content))
        elif name in found:
            raise ValueError(f"its {name} comes twice")
        else:
            found[name] = read(content)
    return found


def _model_schema(depth: int) -> Schema:
    return {
        1: ("ir_version", _integer, False),
        2: ("producer_name", _text, False),
        3: ("producer_version", _text, False),
        4: ("domain", _text, False),
        5: ("model_version", _integer, False),
        6: ("doc_string", _text, False),
        7: ("graph", lambda value: _graph(value, depth), False),
        8: ("opset_import", lambda value: _message(value, _OPSET), True),
        14: ("metadata_props", lambda value: _message(value, _ENTRY), True),
    }


def _graph(value: Value, depth: int) -> Graph:
    if not depth:
        raise ValueError("its graphs are too deep within each other")
    schema: Schema = {
        1: ("node", lambda value: _node(value, depth - 1), True),
        2: ("name", _text, False),
        5: ("initializer", _tensor, True),
        11: ("input", _value_info, True),
        12: ("output", _value_info, True),
    }
    found = _message(value, schema)
    return Graph(
        name=found.get("name", ""),
        nodes=found.get("node", []),
        constants=_distinct(found.get("initializer", [])),
        inputs=_distinct(found.get("input", [])),
        outputs=_distinct(found.get("output", [])),
    )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    by_name = dict(pairs)
    if len(by_name) < len(pairs):
        raise ValueError("two of its tensors have one name")
    return by_name


def _node(value: Value, depth: int) -> Node:
    schema: Schema = {
        1: ("input", _text, True),
        2: ("output", _text, True),
        3: ("name", _text, False),
        4: ("op_type", _text, False),
        5: ("attribute", lambda value: _attribute(value, depth), True),
        7: ("domain", _text, False),
    }
    found = _message(value, schema)
    return Node(
        kind=found.get("op_type", ""),
        inputs=tuple(found.get("input", ())),
        outputs=tuple(found.get("output", ())),
        name=found.get("name", ""),
        domain=found.get("domain", ""),
        attributes=_distinct(found.get("attribute", [])),
    )


def _attribute(value: Value, depth: int) -> tuple[str, Any]:
    schema: Schema = {
        1: ("name", _text, False),
        2: ("f", _float, False),
        3: ("i", _integer, False),
        4: ("s", _text, False),
        6: ("g", lambda value: _graph(value, depth), False),
        8: ("ints", _integers, True),
        20: ("type", _integer, False),
    }
    found = _message(value, schema)
    name, kind = found.pop("name"), found.pop("type")
    wanted = {_FLOAT: "f", _INT: "i", _STRING: "s", _GRAPH: "g", _INTS: "ints"}[kind]
    if set(found) - {wanted}:
        raise ValueError(f"its attribute {name} has two values")
    if kind == _INTS:
        return name, tuple(number for some in found.get("ints", []) for number in some)
    return name, found.get(wanted, "" if kind == _STRING else 0)


def _tensor(value: Value) -> tuple[str, NDArray[np.generic]]:
    schema: Schema = {
        1: ("dims", _integers, True),
        2: ("data_type", _integer, False),
        8: ("name", _text, False),
        9: ("raw_data", _raw, False),
        13: ("external_data", _raw, True),
        14: ("data_location", _integer, False),
    }
    found = _message(value, schema)
    if "external_data" in found or found.get("data_location", 0):
        raise ValueError(f"its tensor {found.get('name', '')} is in another file")
    shape = [size for some in found.get("dims", []) for size in some]
    dtype, content = _DTYPES.get(found["data_type"]), found.get("raw_data", b"")
    if dtype is None or any(size < 0 for size in shape):
        raise ValueError(f"its tensor {found.get('name', '')} has a type or shape that no export of crnnocr has")
    return found.get("name", ""), np.frombuffer(content, dtype).reshape(shape)


def _value_info(value: Value) -> tuple[str, tuple[int, list[int | str] | None]]:
    found = _message(value, _VALUE_INFO)
    about = found["type"]["tensor_type"]
    shape = about.get("shape")
    if any(len(size) > 1 for size in (shape or {}).get("dim", [])):
        raise ValueError("one of its sizes has two values")
    sizes = None if shape is None else [next(iter(size.values()), "") for size in shape.get("dim", [])]
    return found["name"], (about.get("elem_type", 0), sizes)


def specs_of(specs: TensorSpecs) -> dict[str, tuple[int, list[int | str] | None]]:
    """Inputs or outputs in the form in which they are read."""
    return {name: (int(kind), None if shape is None else list(shape)) for name, (kind, shape) in specs.items()}


def _integer(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError("bytes in place of a number")
    return value - 2**64 if value >= 2**63 else value


def _float(value: Value) -> float:
    return float(np.frombuffer(_raw(value), "<f4").item())


def _integers(value: Value) -> list[int]:
    """One number, or many in one field."""
    if isinstance(value, int):
        return [_integer(value)]
    numbers, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        numbers.append(_integer(number))
    return numbers


def _raw(value: Value) -> memoryview:
    if isinstance(value, int):
        raise TypeError("a number in place of bytes")
    return value


def _text(value: Value) -> str:
    return bytes(_raw(value)).decode()


_OPSET: Schema = {1: ("domain", _text, False), 2: ("version", _integer, False)}
_ENTRY: Schema = {1: ("key", _text, False), 2: ("value", _text, False)}
_DIMENSION: Schema = {1: ("value", _integer, False), 2: ("name", _text, False)}
_SHAPE: Schema = {1: ("dim", lambda value: _message(value, _DIMENSION), True)}
_TENSOR_TYPE: Schema = {
    1: ("elem_type", _integer, False),
    2: ("shape", lambda value: _message(value, _SHAPE), False),
}
_TYPE: Schema = {1: ("tensor_type", lambda value: _message(value, _TENSOR_TYPE), False)}
_VALUE_INFO: Schema = {1: ("name", _text, False), 2: ("type", lambda value: _message(value, _TYPE), False)}
