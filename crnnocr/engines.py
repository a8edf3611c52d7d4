"""What runs the network: torch, or onnxruntime for an exported model. The same numbers in, the same numbers out."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crnnocr import devices
from crnnocr.errors import ModelError, UsageError
from crnnocr.model import checkpoint
from crnnocr.model.checkpoint import Card

if TYPE_CHECKING:
    import torch

    from crnnocr.model.crnn import CRNN

ONNX_CARD_KEY = "crnnocr"
"""Metadata entry of an exported model that holds its card, as JSON."""

ONNX_TRAINED_ON_KEY = "crnnocr.trained_on"
"""Metadata entry that holds the content ids of the pictures it was trained on: little-endian 64-bit integers in base64."""


class Engine(Protocol):
    """Runs a network over a batch."""

    def log_probs(
        self, images: NDArray[np.float32], widths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Read a batch as `images.to_batch` makes it.

        Args:
            images: (N, 1, H, W) lines from -1 to 1, zero right of each one's width.
            widths: (N,) true widths in pixels.

        Returns:
            log_probs: (N, T, C) natural-log probabilities.
            frames: (N,) true frames of each line.
        """
        ...


class TorchEngine:
    """Runs the network with torch on a device."""

    def __init__(self, model: CRNN, device: torch.device) -> None:
        self.device = device
        self.model = on_device(model, device).eval()

    def log_probs(
        self, images: NDArray[np.float32], widths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `Engine`."""
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(images).to(device=self.device, memory_format=memory_format(self.device))
            log_probs, frames = self.model(batch, torch.from_numpy(widths))
            return log_probs.cpu().numpy(), frames.numpy()


def on_device(model: CRNN, device: torch.device) -> CRNN:
    """`model`, moved to `device` in the memory layout that its convolutions run fastest in."""
    moved: CRNN = model.to(device).to(memory_format=memory_format(device))  # type: ignore[call-overload]
    return moved


def memory_format(device: torch.device) -> torch.memory_format:
    """The layout of pictures and kernels that convolutions run fastest in on `device`."""
    import torch

    # On MPS batch normalisation has given wrong gradients in the other layout.
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


class OnnxEngine:
    """Runs an exported network with onnxruntime on the CPU."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        try:
            self._session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            metadata = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime's errors share no base class of their own
            raise ModelError(f"{path} cannot be run: {str(error).splitlines()[0]}") from error
        if ONNX_CARD_KEY not in metadata:
            raise ModelError(f"{path} was not exported by crnnocr: it holds no card")
        self.card = Card.from_text(metadata[ONNX_CARD_KEY], path)
        try:
            ids = np.frombuffer(base64.b64decode(metadata.get(ONNX_TRAINED_ON_KEY, "")), dtype="<i8")
        except ValueError as error:
            raise ModelError(f"{path}: its list of training pictures is damaged") from error
        self.trained_on = frozenset(ids.tolist())

    def log_probs(
        self, images: NDArray[np.float32], widths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `Engine`."""
        log_probs, frames = self._session.run(["log_probs", "frames"], {"images": images, "widths": widths})
        return log_probs, frames


def load_engine(path: Path, device: str = "auto") -> tuple[Card, Engine, frozenset[int]]:
    """What a model file holds: torch runs a `.safetensors`, onnxruntime an exported `.onnx`.

    Returns:
        The card, an engine that runs the network, and the content ids of the pictures it was trained on.
    """
    if path.suffix == ".onnx":
        if device not in ("auto", "cpu"):
            raise UsageError(f"--device {device}: an exported model runs on the CPU; take auto or cpu")
        engine = OnnxEngine(path)
        return engine.card, engine, engine.trained_on
    card, model = checkpoint.load(path)
    return card, TorchEngine(model, devices.select(device)), checkpoint.trained_on(path)
