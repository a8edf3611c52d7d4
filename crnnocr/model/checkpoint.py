"""`model.safetensors`: the weights and, in its header, the card that says all about the model. The truth about a model.

Reading the card needs no torch. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crnnocr.config import MAX_WIDTH, ModelConfig, Orientation, Precision
from crnnocr.errors import CrnnocrError, ModelError
from crnnocr.files import replacing
from crnnocr.metrics.calibration import Calibration
from crnnocr.model import card as kinds
from crnnocr.text.charset import Charset

if TYPE_CHECKING:
    from torch import Tensor

    from crnnocr.model.crnn import CRNN

FORMAT_VERSION = 1
"""Of the card. A reader refuses a newer one."""

_HEADER_KEY = "crnnocr"
_MAX_HEADER = 100_000_000
_SEEN_KEY = "trained_on"


@dataclass(frozen=True)
class Card:
    """All that is known of a model but its weights."""

    name: str
    """The name it was trained under."""
    charset: Charset
    """Its characters."""
    config: ModelConfig
    """Its shape, and with that the height of its lines."""
    orientation: Orientation = Orientation.HORIZONTAL
    """Which way the lines run in the pictures it reads."""
    training: dict[str, Any] = field(default_factory=dict)
    """How it was trained: data, size, seed, options, versions."""
    scores: dict[str, Any] = field(default_factory=dict)
    """How well it reads: the scores on the pictures that were held out from training."""
    calibration: Calibration = field(default_factory=Calibration)
    """What brings the confidences of its readings to the share of right ones."""
    peaks: tuple[float, ...] = ()
    """The highest value of the maps after each layer of the backbone, from which it can be quantised."""
    precision: Precision = Precision.FP32
    """The numbers that it is read with on a CPU."""

    @property
    def saw_drawings_only(self) -> bool:
        """Whether all that it has learnt from, and been measured on since, was drawn in the training itself."""
        return bool(self.training.get("config", {}).get("synth")) and not self.training.get("data", {}).get("learned")

    def to_json(self) -> dict[str, Any]:
        """The card as values that JSON can hold."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "charset": self.charset.characters,
            "blank": 0,
            "preprocessing": {
                "channels": 1,
                "height": self.config.height,
                "width": "round(width * height / picture height)",
                "min_width": self.config.min_width,
                "max_width": MAX_WIDTH,
                "orientation": self.orientation.value,
                "resampling": "bilinear, antialiased",
                "narrower": "repeat the last column",
                "black": -1,
                "white": 1,
                "padding": 0,
            },
            "model": self.config.to_json(),
            "training": self.training,
            "scores": self.scores,
            "calibration": self.calibration.to_json(),
            "quantisation": {"peaks": list(self.peaks), "precision": self.precision.value},
        }

    @classmethod
    def from_text(cls, text: str, path: Path) -> Card:
        """The card that `to_json` wrote, as JSON text. Raises `ModelError`, naming the file, where it is none or too new."""
        try:
            data = json.loads(text)
            version = data["format_version"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(f"{path} is not a model of crnnocr: it holds no card") from error
        if not isinstance(version, int):
            raise ModelError(f"{path} is not a model of crnnocr: its card has no format version")
        if version > FORMAT_VERSION:
            raise ModelError(
                f"{path} has model format {version}, and this crnnocr reads up to {FORMAT_VERSION}: pip install -U crnnocr"
            )
        try:
            kinds.check(data, kinds.CARD)
            quantisation = data.get("quantisation", {})
            config = ModelConfig.from_json(data["model"])
            return cls(
                name=data["name"],
                charset=Charset(data["charset"]),
                config=config,
                orientation=Orientation(data["preprocessing"].get("orientation", Orientation.HORIZONTAL)),
                training=data["training"],
                scores=data["scores"],
                calibration=Calibration.from_json(data["calibration"]) if "calibration" in data else Calibration(),
                peaks=_peaks(quantisation.get("peaks", []), len(config.backbone)),
                precision=Precision(quantisation.get("precision", Precision.FP32)),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, CrnnocrError) as error:
            raise ModelError(f"{path}: its card cannot be read ({error})") from error


def _peaks(found: list[float], layers: int) -> tuple[float, ...]:
    kinds.check(found, [kinds.number], "peaks")
    if len(found) not in (0, layers) or min(found, default=1) <= 0:
        raise ValueError(f"peaks must be none, or a number above 0 for each of the {layers} layers")
    return tuple(map(float, found))


def save(path: Path, card: Card, model: CRNN, trained_on: Collection[int]) -> None:
    """Write a model, whole or not at all.

    Args:
        path: the file.
        card: what its header says.
        model: the weights.
        trained_on: content ids of the pictures it was trained on, here or before, so that they are never taken for a test.
    """
    import torch
    from safetensors.torch import save as to_bytes

    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    tensors[_SEEN_KEY] = torch.tensor(sorted(set(trained_on)), dtype=torch.int64)
    with replacing(path, durable=True) as part:
        part.write_bytes(to_bytes(tensors, metadata={_HEADER_KEY: json.dumps(card.to_json(), ensure_ascii=False)}))


def read_card(path: Path) -> Card:
    """The card of a model file. Raises `ModelError` where it is not a model, or cut off."""
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
    """The card and the network of a model file, on the CPU, ready to read."""
    import torch

    from crnnocr.model.crnn import CRNN

    card = read_card(path)
    tensors = _tensors(path)
    tensors.pop(_SEEN_KEY, None)
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
    """Content ids of the pictures that a model was trained on."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return frozenset(file.get_tensor(_SEEN_KEY).tolist()) if _SEEN_KEY in file.keys() else frozenset()  # noqa: SIM118
    except TypeError as error:
        raise ModelError(f"{path}: its list of training pictures is damaged") from error


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged: {error}") from error
