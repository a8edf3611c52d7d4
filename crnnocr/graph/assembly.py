"""The graph of a model, as its card says; and whether a graph from a file is that one, so that it is safe to run.

A graph is a program: it may compute forever, fill the memory, or give anything. Here one is accepted only if it is, node by
node, what crnnocr itself builds for the card, with weights of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import Attention, Conv, Excitation, LayerNorm, ModelConfig, Precision
from crnnocr.errors import CrnnocrError
from crnnocr.graph import end_to_end, network
from crnnocr.graph.builder import Graph, Model, Node
from crnnocr.graph.onnx_file import specs_of
from crnnocr.graph.quantization import Floats
from crnnocr.model.card import Card


def assemble(
    card: Card, weights: dict[str, Floats], precision: Precision, self_contained: bool, metadata: Mapping[str, str]
) -> Model:
    """Build the graph of a model from its card and its `state_dict`, as arrays.

    Raises `UsageError` if a self-contained graph cannot read lines of this orientation.
    """
    ranges = card.activation_ranges if precision is Precision.INT8 else ()
    given = network.Network(card.config, card.charset.classes, weights, precision, ranges)
    if self_contained:
        return end_to_end.build(given, card.orientation, card.calibration, card.charset.spaces, metadata)
    return network.build(given, metadata)


def check(found: Model, card: Card, precision: Precision) -> None:
    """Raise `ValueError`, with the first difference, if a graph from a file is not what `assemble` makes for the card."""
    shapes = weight_shapes(card.config, card.charset.classes)
    available = sum(constant.nbytes for constant in found.graph.constants.values())
    if len(list(card.config.leaves())) > len(found.graph.nodes) or sum(map(math.prod, shapes.values())) > 8 * available:
        raise ValueError("its weights do not fit its card")
    if precision is Precision.INT8 and not card.activation_ranges:
        raise ValueError("its card has no activation ranges")
    weights: dict[str, Floats] = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    is_self_contained = "pictures" in found.graph.inputs
    try:
        with np.errstate(all="ignore"):  # of weights that are zeros
            wanted = assemble(card, weights, precision, is_self_contained, {})
    except CrnnocrError as error:
        raise ValueError(str(error)) from error
    if (found.ir_version, found.opsets) != (wanted.ir_version, wanted.opsets):
        raise ValueError("it is of another version of ONNX")
    _compare(found.graph, wanted.graph)


def weight_shapes(config: ModelConfig, classes: int) -> dict[str, tuple[int, ...]]:
    """The shapes of all weights of a network that a graph is made of, by their names in its `state_dict`."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, leaf, channels in config.leaves():
        if isinstance(leaf, Conv):
            shapes[f"{name}.0.weight"] = (leaf.channels, 1 if leaf.is_depthwise else channels, *leaf.kernel)
            of_channels = ("1.weight", "1.bias", "1.running_mean", "1.running_var") if leaf.norm else ("0.bias",)
            shapes.update((f"{name}.{each}", (leaf.channels,)) for each in of_channels)
        elif isinstance(leaf, Excitation):
            shapes[f"{name}.squeeze.weight"], shapes[f"{name}.squeeze.bias"] = (leaf.units, channels), (leaf.units,)
            shapes[f"{name}.excite.weight"], shapes[f"{name}.excite.bias"] = (channels, leaf.units), (channels,)
        elif isinstance(leaf, Attention):
            shapes[f"{name}.given.weight"], shapes[f"{name}.given.bias"] = (3 * channels, channels), (3 * channels,)
            shapes[f"{name}.result.weight"], shapes[f"{name}.result.bias"] = (channels, channels), (channels,)
        elif isinstance(leaf, LayerNorm):
            shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (channels,)
    both = 2 * config.hidden
    for name, features in (("first", config.features), ("second", config.projection or both)):
        for direction in ("along", "against"):
            start = f"lstm.{name}.{direction}"
            shapes[f"{start}.weight_ih_l0"] = (2 * both, features)
            shapes[f"{start}.weight_hh_l0"] = (2 * both, config.hidden)
            shapes[f"{start}.bias_ih_l0"] = shapes[f"{start}.bias_hh_l0"] = (2 * both,)
    if config.projection:
        shapes["lstm.between.weight"], shapes["lstm.between.bias"] = (config.projection, both), (config.projection,)
    shapes["head.weight"], shapes["head.bias"] = (classes, both), (classes,)
    if config.skip:
        shapes["auxiliary.weight"], shapes["auxiliary.bias"] = (classes, config.features), (classes,)
    return shapes


def _compare(found: Graph, wanted: Graph) -> None:
    """Raise `ValueError`, with the first difference, if two graphs differ in more than weights."""
    for what, one, other in (
        ("inputs", found.inputs, wanted.inputs),
        ("outputs", found.outputs, wanted.outputs),
    ):
        if specs_of(one) != specs_of(other):
            raise ValueError(f"its {what} are others")
    if len(found.nodes) != len(wanted.nodes):
        raise ValueError(f"it has {len(found.nodes):,} nodes instead of {len(wanted.nodes):,}")
    for index, pair in enumerate(zip(found.nodes, wanted.nodes, strict=True)):
        _compare_nodes(*pair, f"node {index}, {pair[0].kind},")
    if found.constants.keys() != wanted.constants.keys():
        raise ValueError("it has other constants")
    for name, constant in found.constants.items():
        _compare_constants(constant, wanted.constants[name], name)


def _compare_nodes(found: Node, wanted: Node, place: str) -> None:
    if (found.domain, found.kind) != (wanted.domain, wanted.kind):
        raise ValueError(f"{place} should be {wanted.kind}")
    if (found.inputs, found.outputs) != (wanted.inputs, wanted.outputs):
        raise ValueError(f"{place} has other inputs or outputs")
    if found.attributes.keys() != wanted.attributes.keys():
        raise ValueError(f"{place} has other attributes")
    for name, value in found.attributes.items():
        _compare_attributes(value, wanted.attributes[name], f"{place} attribute {name},")


def _compare_attributes(found: Any, wanted: Any, place: str) -> None:
    if isinstance(found, Graph) and isinstance(wanted, Graph):
        _compare(found, wanted)
    elif found != (tuple(wanted) if isinstance(wanted, Sequence) and not isinstance(wanted, str) else wanted):
        raise ValueError(f"{place} is another")


def _compare_constants(found: NDArray[np.generic], wanted: NDArray[np.generic], name: str) -> None:
    """Types and shapes are compared, and the numbers that sizes and places are computed from."""
    if (found.dtype, found.shape) != (wanted.dtype, wanted.shape):
        raise ValueError(f"its constant {name} has another type or shape")
    if found.dtype == np.int64 and not np.array_equal(found, wanted):
        raise ValueError(f"its constant {name} is another")
