"""The card of an exported model, read without onnx or onnxruntime: an ONNX file is a protobuf message.

https://protobuf.dev/programming-guides/encoding and onnx's `onnx.proto` describe it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from crnnocr.errors import ModelError
from crnnocr.model.card import Card

ONNX_CARD_KEY = "crnnocr"
"""Metadata entry of an exported model that holds its card, as JSON."""

SOURCE_HASH_KEY = "crnnocr.source_sha256"
"""Metadata entry with the hash of the `.safetensors` file that the export was made from."""

PRECISION_KEY = "crnnocr.precision"
"""Metadata entry with the `Precision` that it computes with."""

DIRECTION_KEY = "crnnocr.direction"
"""Metadata entry with the order that class ids follow each other in."""

ONNX_TRAINED_ON_KEY = "crnnocr.trained_on"
"""Metadata entry that holds the content ids of the images it was trained on: little-endian 64-bit integers in base64."""

Value: TypeAlias = "int | memoryview"
"""A number, or the bytes of a text or a message within."""

_MAX_SIZE = 2**31
"""Bytes of the largest file: no protobuf message has more."""
_METADATA_FIELD = 14
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_MAX_VARINT = 10
"""Bytes of the longest number."""


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Iterate over the fields of a protobuf message: their numbers and values, in the order of the file.

    Raises `ValueError` for any other file.
    """
    at, end = 0, len(message)
    while at < end:
        tag, at = varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = varint(message, at)
            yield number, value
            continue
        size, at = varint(message, at) if kind == _BYTES else ({_EIGHT_BYTES: 8, _FOUR_BYTES: 4}[kind], at)
        if size > end - at:
            raise ValueError("cut off")
        yield number, message[at : at + size]
        at += size


def varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number at a place, and where it ends."""
    value = 0
    for index, byte in enumerate(message[at : at + _MAX_VARINT]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value & (2**64 - 1), at + index + 1
    raise ValueError("no number")


def read_content(path: Path) -> bytes:
    """The content of an ONNX file. Raises `ModelError` if it cannot be read, or is larger than any can be."""
    try:
        if path.stat().st_size > _MAX_SIZE:
            raise ModelError(f"{path} is not an ONNX graph: it is too large")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def load_metadata(content: bytes, path: Path) -> dict[str, str]:
    """The metadata entries of an ONNX file. Raises `ModelError`, naming the file, for any other file."""
    metadata: dict[str, str] = {}
    try:
        for number, value in fields(memoryview(content)):
            if number == _METADATA_FIELD:
                entry = dict(fields(value))  # type: ignore[arg-type]
                metadata[_text(entry[1])] = _text(entry.get(2, memoryview(b"")))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not an ONNX graph, or is damaged") from error
    return metadata


def load_card(path: Path) -> Card:
    """Load the card of an exported model. Raises `ModelError` for any other file."""
    return card_in(load_metadata(read_content(path), path), path)


def card_in(metadata: dict[str, str], path: Path) -> Card:
    """The card of an exported model. Raises `ModelError` if there is none."""
    if ONNX_CARD_KEY not in metadata:
        raise ModelError(
            f"{path} was not exported by crnnocr: it holds no card; a recognizer in PaddleOCR's format is stored by `crnnocr "
            f"models import {path}`"
        )
    return Card.from_text(metadata[ONNX_CARD_KEY], path)


def trained_on_in(metadata: dict[str, str], path: Path) -> frozenset[int]:
    """Content ids of the images that an exported model was trained on."""
    try:
        ids = np.frombuffer(base64.b64decode(metadata.get(ONNX_TRAINED_ON_KEY, "")), dtype="<i8")
    except ValueError as error:
        raise ModelError(f"{path}: its list of training images is damaged") from error
    return frozenset(ids.tolist())


def _text(value: Value) -> str:
    return bytes(value).decode() if isinstance(value, memoryview) else str(value)
