"""Recognizers in PaddleOCR's format as models of ours: graphs with a card, measured and calibrated on somebody's images.

Such a recognizer takes colored lines 48 pixels high, (N, 3, 48, W) from -1 to 1, padded with 0 to at least 320 columns, and
gives a softmax (N, T, C) in each frame of 8 columns: first the blank, then the characters of a dictionary, and mostly a space.
So do those of PP-OCRv3 to PP-OCRv6 as ONNX (https://github.com/PaddlePaddle/PaddleOCR, https://github.com/RapidAI/RapidOCR).

Its squeeze-and-excitation sees the padding, so that a line's result depends on how wide its batch is. Each line is recognized
alone.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.compose
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from crnnocr import runtime
from crnnocr.config import Attention, Conv, DecodeConfig, ModelConfig
from crnnocr.datasets import Sample
from crnnocr.datasets.lines import load_lines
from crnnocr.errors import DataError, ModelError
from crnnocr.evaluation.outcomes import predict_samples, score_samples
from crnnocr.export.folder import has_external_data
from crnnocr.files import read_text
from crnnocr.inference.engines import OnnxEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics import calibration
from crnnocr.model.card import Card
from crnnocr.model.exported import ONNX_CARD_KEY
from crnnocr.text.charset import Charset, canonical

HEIGHT = 48
_COLUMNS = 8
"""Of a frame."""
_MIN_WIDTH = 320
"""Of what it was trained on, in columns."""
_MIN_PROBABILITY = 1e-30
"""The smallest one whose logarithm is taken."""

_WINDOW = (HEIGHT, _COLUMNS)

CONFIG = ModelConfig(
    preset="paddleocr",
    height=HEIGHT,
    backbone=(Conv(1, _WINDOW, stride=_WINDOW, padding=(0, 0), more_padding=(0, _COLUMNS - 1), norm=False), Attention(1)),
    hidden=1,
)
"""Stands for all such networks: their frames, and that these may attend to each other."""


_UNINFORMATIVE = ("inference", "model", "rec")
"""Names of files that do not tell which recognizer they hold."""
_MIN_OPSET = 11
_PREFIX = "paddleocr."
"""Of all names in the recognizer's own graph."""
_PROBED = 2 * _MIN_WIDTH
"""Columns of the line by which its frames and classes are checked."""


def convert(file: Path, dictionary: Path | None = None, samples: Sequence[Sample] = ()) -> bytes:
    """Make a graph of ours, with a card, of a recognizer in PaddleOCR's format.

    Args:
        file: its ONNX file.
        dictionary: its characters, one a line, or its `inference.yml`; by default as its metadata or the latter beside it say.
        samples: labeled images to measure it on, and to calibrate its confidences with.

    Raises:
        ModelError: it is no such graph, or cannot be run.
        DataError: its characters are not known, or not as many as its classes; or no image could be read.
    """
    model = read(file)
    if not is_recognizer(model):
        raise ModelError(
            f"{file} was not exported by crnnocr, and is no recognizer in PaddleOCR's format, which takes (N, 3, 48, W) and "
            "gives (N, T, C)"
        )
    found = characters(model, file, dictionary)
    _probe(model, len(found) + 1, file)
    known, classes = unique(found)
    card = Card(
        name=file.parent.resolve().name if file.stem in _UNINFORMATIVE else file.stem,
        charset=Charset(known),
        config=CONFIG,
        origin=file.name,
    )

    def graph() -> bytes:
        metadata = {ONNX_CARD_KEY: json.dumps(card.to_json(), ensure_ascii=False)}
        content: bytes = wrapped(model, classes, metadata).SerializeToString()
        return content

    content = graph()
    if samples:
        recognizer = Recognizer(card, OnnxEngine(content, is_trusted=True))
        result = score_samples(predict_samples(recognizer, samples, DecodeConfig()))
        card = replace(card, scores=result.scores, calibration=_calibration(recognizer, samples))
        content = graph()
    return content


def _probe(model: onnx.ModelProto, classes: int, file: Path) -> None:
    """Raise `ModelError` if what a graph gives for a line are not probabilities of so many classes in a frame of 8 columns."""
    try:
        session = runtime.import_onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        line = np.random.default_rng(0).uniform(-1, 1, (1, 3, HEIGHT, _PROBED)).astype(np.float32)
        (found,) = session.run(None, {session.get_inputs()[0].name: line})
    except Exception as error:  # onnxruntime's errors share no base class of their own
        raise ModelError(f"{file} cannot be run: {str(error).splitlines()[0]}") from error
    if found.shape != (1, _PROBED // _COLUMNS, classes):
        expected = f"{_PROBED // _COLUMNS} frames of {classes:,} classes, one more than its characters"
        raise ModelError(
            f"{file} gives {found.shape[1]} frames of {found.shape[2]:,} classes for {_PROBED} columns, not {expected}"
        )
    if not np.allclose(found.sum(axis=2), 1, atol=1e-3):
        raise ModelError(f"{file} gives no probabilities: export it with its softmax")


def _calibration(recognizer: Recognizer, samples: Sequence[Sample]) -> calibration.Calibration:
    """Fitted on greedy predictions of a single view, as it is for models that are trained here."""
    lines, _ = load_lines(samples, recognizer.preprocessor())
    decoder = recognizer.decoder(DecodeConfig())
    log_probs = recognizer.log_probs([lines[i].pixels for i in range(len(lines))])
    found = decoder.decode(log_probs)
    texts = [recognizer.card.charset.decode(each[0].ids) for each in found]
    return calibration.fit(
        [decoder.certainty(each, seen) for each, seen in zip(found, log_probs, strict=True)],
        [text == canonical(label) for text, label in zip(texts, lines.texts, strict=True)],
    )


def is_recognizer(model: onnx.ModelProto) -> bool:
    """Whether a graph takes and gives what such a recognizer does."""
    held = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in held]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        return False
    if model.functions or model.graph.sparse_initializer or _opset(model) < _MIN_OPSET:
        return False
    shape, result = (each.type.tensor_type.shape.dim for each in (inputs[0], model.graph.output[0]))
    if len(shape) != 4 or len(result) != 3:
        return False
    return shape[1].dim_value == 3 and shape[2].dim_value in (0, HEIGHT)  # 0 is any


def _opset(model: onnx.ModelProto) -> int:
    return int(next((each.version for each in model.opset_import if not each.domain), 0))


def read(path: Path) -> onnx.ModelProto:
    """Read an ONNX file. Raises `ModelError` if it is none."""
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except DecodeError as error:
        raise ModelError(f"{path} is not an ONNX graph, or is damaged") from error
    if has_external_data(model):
        raise ModelError(f"{path} has tensors in other files: have the program that made it write a single one")
    return model


def characters(model: onnx.ModelProto, path: Path, dictionary: Path | None) -> list[str]:
    """The characters of class 1 and up, as the dictionary, an `inference.yml`, or the graph's own metadata say.

    Raises `DataError` if none does, or if they are not as many as the classes.
    """
    classes = model.graph.output[0].type.tensor_type.shape.dim[2].dim_value
    stored = {each.key: each.value for each in model.metadata_props}
    beside = path.with_name("inference.yml")
    source: object = f"its metadata, {path},"
    if dictionary is None and "character" in stored:
        found = stored["character"].split("\n")
    elif dictionary or beside.is_file():
        source = dictionary or beside
        found = _listed(dictionary or beside)
    else:
        raise DataError(f"{path} does not say which characters it recognizes: name its dictionary, or its inference.yml")
    found = [each.rstrip("\r") for each in found]
    if found and not found[-1]:
        found.pop()
    if classes == len(found) + 2 or (not classes and " " not in found):
        found.append(" ")
    if classes and classes != len(found) + 1:
        raise DataError(
            f"{source} holds {len(found):,} characters, and {path} has {classes:,} classes: it belongs to another one"
        )
    return found


def _listed(path: Path) -> list[str]:
    """The lines of a dictionary, or the list `character_dict` of an `inference.yml`."""
    lines = read_text(path).split("\n")
    if path.suffix not in (".yml", ".yaml"):
        return lines
    start = next((i for i, line in enumerate(lines) if line.strip() == "character_dict:"), None)
    if start is None:
        raise DataError(f"{path} has no character_dict")
    found: list[str] = []
    for line in lines[start + 1 :]:
        if not line.lstrip().startswith("- "):
            break
        found.append(_yaml_scalar(line.lstrip()[2:]))
    return found


_YAML_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_YAML_ESCAPED = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")


def _yaml_scalar(text: str) -> str:
    """A character as YAML writes it: plain, or in quotes (https://yaml.org/spec/1.2.2/#73-flow-scalar-styles)."""
    text = text if text.isspace() else text.strip(" \r")
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return _YAML_ESCAPED.sub(_yaml_unescaped, text[1:-1])
    return text


def _yaml_unescaped(found: re.Match[str]) -> str:
    escape = found[1]
    return chr(int(escape[1:], 16)) if len(escape) > 1 else _YAML_ESCAPES.get(escape, found[0])


def unique(found: list[str]) -> tuple[str, list[list[int]]]:
    """The characters of a dictionary as those of a charset, each once and in NFC, and the classes of each.

    What is no single code point in NFC, which no charset can hold, is left out.
    """
    classes: dict[str, list[int]] = {}
    for index, character in enumerate(found, start=1):
        plain = unicodedata.normalize("NFC", character)
        if len(plain) == 1:
            classes.setdefault(plain, []).append(index)
    return "".join(classes), list(classes.values())


def wrapped(model: onnx.ModelProto, classes: list[list[int]], metadata: dict[str, str]) -> onnx.ModelProto:
    """The recognizer with lines and widths as inputs, log-probabilities and frames as outputs, and our metadata.

    Args:
        model: the recognizer.
        classes: its classes for each of our characters, from the first on.
        metadata: replaces its own.
    """
    model = onnx.compose.add_prefix(model, _PREFIX)
    graph = model.graph
    held = {each.name for each in graph.initializer}
    given = next(each.name for each in graph.input if each.name not in held)
    add = _Adder()
    columns = add("Shape", "images", then=("Gather", add.constant(3)))
    frame, less, least = map(add.constant, (_COLUMNS, _COLUMNS - 1, _MIN_WIDTH))
    rounded = add("Mul", add("Div", add("Add", columns, less), frame), frame)
    wanted = add("Where", add("Less", rounded, least), least, rounded)
    missing = add("Reshape", add("Sub", wanted, columns), add.constant([1]))
    padded = add("Pad", "images", add("Concat", add.constant([0] * 7), missing, axis=0))
    before = [*add.pop_nodes(), helper.make_node("Concat", [padded] * 3, [given], axis=1)]
    kept = add("Gather", graph.output[0].name, add.constant([0, *(each[0] for each in classes)]), axis=2)
    if others := [(index, row) for row, each in enumerate(classes, start=1) for index in each[1:]]:
        places = np.zeros((len(others), len(classes) + 1), np.float32)
        places[range(len(others)), [row for _, row in others]] = 1
        again = add("Gather", graph.output[0].name, add.constant([index for index, _ in others]), axis=2)
        kept = add("Add", kept, add("MatMul", again, add.constant(places)))
    add("Log", add("Max", kept, add.constant(np.float32(_MIN_PROBABILITY))), output="log_probs")
    add("Div", add("Add", "widths", less), frame, output="frames")
    nodes = [*before, *graph.node, *add.pop_nodes()]
    inputs = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, HEIGHT, "width"]),
        helper.make_tensor_value_info("widths", TensorProto.INT64, ["batch"]),
    ]
    outputs = [
        helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, ["batch", "frames", len(classes) + 1]),
        helper.make_tensor_value_info("frames", TensorProto.INT64, ["batch"]),
    ]
    whole = helper.make_graph(nodes, "recognizer", inputs, outputs, [*graph.initializer, *add.constants])
    made = helper.make_model(whole, opset_imports=model.opset_import, ir_version=max(model.ir_version, 4))
    helper.set_model_props(made, metadata)
    return made


class _Adder:
    """Makes nodes and constants with names of their own."""

    def __init__(self) -> None:
        self.constants: list[TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._count = 0

    def __call__(
        self, kind: str, *inputs: str, then: tuple[str, str] | None = None, output: str = "", **attributes: Any
    ) -> str:
        """The output of a new node; with `then`, that of a second one."""
        output = output or self._name()
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return self(then[0], output, then[1]) if then else output

    def constant(self, value: Any) -> str:
        """The name of a new constant; whole numbers have 64 bits."""
        array = np.asarray(value)
        name = self._name()
        self.constants.append(numpy_helper.from_array(array.astype(np.int64) if array.dtype.kind == "i" else array, name))
        return name

    def pop_nodes(self) -> list[onnx.NodeProto]:
        """The nodes that were made since the last call."""
        nodes, self._nodes = self._nodes, []
        return nodes

    def _name(self) -> str:
        self._count += 1
        return f"crnnocr.{self._count}"
