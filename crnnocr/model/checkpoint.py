"""A model's file, `model.safetensors`: the weights and, in its header, the card. ONNX files are derived from it.

Loading the card needs no torch. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from crnnocr.errors import ModelError
from crnnocr.files import atomic_write
from crnnocr.model.card import Card

if TYPE_CHECKING:
    from torch import Tensor

    from crnnocr.model.crnn import CRNN

_HEADER_KEY = "crnnocr"
_MAX_HEADER = 100_000_000
_TRAINED_ON_KEY = "trained_on"


def save(path: Path, card: Card, model: CRNN, trained_on: Collection[int]) -> None:
    """Write a model, whole or not at all.

    Args:
        path: the file.
        card: for its header.
        model: the weights.
        trained_on: content ids of the images it was trained on, here or before, so that it is never tested on them.
    """
    import torch
    from safetensors.torch import save as to_bytes

    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    tensors[_TRAINED_ON_KEY] = torch.tensor(sorted(set(trained_on)), dtype=torch.int64)
    with atomic_write(path, durable=True) as part:
        part.write_bytes(to_bytes(tensors, metadata={_HEADER_KEY: json.dumps(card.to_json(), ensure_ascii=False)}))


def load_card(path: Path) -> Card:
    """Load the card alone. Raises `ModelError` if the file is not a model, or is cut off."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= _MAX_HEADER:
                raise ValueError("no header")
            header = json.loads(file.read(length))
            size = 8 + length + max((v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"), default=0)
        metadata = header["__metadata__"][_HEADER_KEY]
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is not a model of crnnocr, or is damaged") from error
    if path.stat().st_size != size:
        raise ModelError(f"{path} is cut off: it has {path.stat().st_size} bytes of {size}; copy or train it again")
    return Card.from_text(metadata, path)


def load(path: Path) -> tuple[Card, CRNN]:
    """Load the card and the network, on the CPU and in evaluation mode. Raises `ModelError` if they do not fit."""
    import torch

    from crnnocr.model.crnn import CRNN

    card = load_card(path)
    tensors = _load_tensors(path)
    tensors.pop(_TRAINED_ON_KEY, None)
    try:
        with torch.device("meta"):  # whatever sizes a card names take no memory
            model = CRNN(card.config, card.charset.classes)
        expected = model.state_dict()
        if _shapes(expected) != _shapes(tensors):
            raise ValueError("other shapes")
        own = {name: tensor.to(expected[name].dtype, copy=True) for name, tensor in tensors.items()}  # not the file itself
        model.load_state_dict(own, assign=True)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{path}: its weights do not fit its card") from error
    return card, model.eval()


def trained_on(path: Path) -> frozenset[int]:
    """Content ids of the images that a model was trained on."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            known = _TRAINED_ON_KEY in file.keys()  # noqa: SIM118
            return frozenset(file.get_tensor(_TRAINED_ON_KEY).tolist()) if known else frozenset()
    except TypeError as error:
        raise ModelError(f"{path}: its list of training images is damaged") from error


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _load_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged: {error}") from error
