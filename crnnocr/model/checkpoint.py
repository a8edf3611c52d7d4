"""A model's file, `model.safetensors`: the weights and, in its header, the card. ONNX files are derived from it.

Loading the card needs no torch. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crnnocr.errors import ModelError
from crnnocr.files import atomic_write
from crnnocr.model.card import Card

if TYPE_CHECKING:
    from torch import Tensor

    from crnnocr.model.crnn import CRNN

_HEADER_KEY = "crnnocr"
_MAX_HEADER = 10_000_000
_MAX_SIZE = 2**40
"""No tensor is as large, in any direction."""
_TRAINED_ON_KEY = "trained_on"
_VARIANCE = ".running_var"

_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8}
"""Bytes of a number, by the name of its type: those that a model may have."""


def save(path: Path, card: Card, model: CRNN, trained_on: Collection[int]) -> None:
    """Write a model, whole or not at all.

    Args:
        path: the file.
        card: for its header.
        model: the weights.
        trained_on: ids of the images and groups it was trained on, here or before, so that it is never tested on them.

    Raises `ModelError` if a weight is not a finite number.
    """
    import torch
    from safetensors.torch import save as to_bytes

    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    check_numbers({name: tensor.numpy() for name, tensor in tensors.items()}, path)
    tensors[_TRAINED_ON_KEY] = torch.tensor(sorted(set(trained_on)), dtype=torch.int64)
    with atomic_write(path, durable=True) as part:
        part.write_bytes(to_bytes(tensors, metadata={_HEADER_KEY: json.dumps(card.to_json(), ensure_ascii=False)}))


def load_card(path: Path) -> Card:
    """Load the card alone. Raises `ModelError` if the file is not a model, or is cut off."""
    return Card.from_text(_header(path)["__metadata__"][_HEADER_KEY], path)


def load(path: Path) -> tuple[Card, CRNN]:
    """Load the card and the network, on the CPU and in evaluation mode.

    Raises `ModelError` if they do not fit, or a weight is not a finite number.
    """
    import torch

    from crnnocr.model.crnn import CRNN

    card = load_card(path)
    tensors = _load_tensors(path)
    tensors.pop(_TRAINED_ON_KEY, None)
    try:
        if len(list(card.config.leaves())) > len(tensors) + 1:  # which would take long to build
            raise ValueError("other layers")
        with torch.device("meta"):  # whatever sizes a card names take no memory
            model = CRNN(card.config, card.charset.classes)
        expected = model.state_dict()
        if _shapes(expected) != _shapes(tensors):
            raise ValueError("other shapes")
        own = {name: tensor.to(expected[name].dtype, copy=True) for name, tensor in tensors.items()}  # not the file itself
        model.load_state_dict(own, assign=True)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{path}: its weights do not fit its card") from error
    check_numbers({name: tensor.numpy() for name, tensor in own.items()}, path)
    return card, model.eval()


def check_numbers(weights: Mapping[str, NDArray[np.generic]], path: Path) -> None:
    """Raise `ModelError` if a weight of the model at `path` is not a finite number, or a variance is negative."""
    for name, weight in weights.items():
        if not np.isfinite(weight).all():
            raise ModelError(f"{path}: {name} holds what is not a finite number: it is damaged, or its training failed")
        if name.endswith(_VARIANCE) and weight.size and float(weight.min()) < 0:
            raise ModelError(f"{path}: {name} holds a negative variance: it is damaged")


def trained_on(path: Path) -> frozenset[int]:
    """Ids of the contents and groups of images that a model was trained on."""
    from safetensors import SafetensorError, safe_open

    about = _header(path).get(_TRAINED_ON_KEY)
    if about is None:
        return frozenset()
    if about["dtype"] != "I64" or len(about["shape"]) != 1:
        raise ModelError(f"{path}: its list of training images is damaged")
    try:
        with safe_open(path, framework="numpy") as file:
            return frozenset(file.get_tensor(_TRAINED_ON_KEY).tolist())
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged: {error}") from error


def _header(path: Path) -> dict[str, Any]:
    """The header of a model's file, whose metadata hold a card and whose tensors fill the file.

    Raises `ModelError` if the file is not a model, or is cut off.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= _MAX_HEADER:
                raise ValueError("no header")
            header: dict[str, Any] = json.loads(file.read(length))
            available = file.seek(0, os.SEEK_END)
        if not isinstance(header["__metadata__"][_HEADER_KEY], str):
            raise TypeError("no card")
        size = 8 + length + max((_end_of(about) for name, about in header.items() if name != "__metadata__"), default=0)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is not a model of crnnocr, or is damaged") from error
    if available != size:
        raise ModelError(f"{path} is cut off: it has {available} bytes of {size}; copy or train it again")
    return header


def _end_of(about: dict[str, Any]) -> int:
    """Where a tensor ends, in bytes after the header. Raises `ValueError` if its size is not that of its type and shape."""
    shape, (start, end) = about["shape"], about["data_offsets"]
    if not all(type(number) is int and 0 <= number < _MAX_SIZE for number in (*shape, start, end)):
        raise ValueError("no sizes")
    if end - start != math.prod(shape) * _SIZES[about["dtype"]]:
        raise ValueError("another size")
    return int(end)


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _load_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, OverflowError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
