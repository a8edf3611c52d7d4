"""Engines that run the network: torch, or onnxruntime for an exported model. The same numbers in, the same numbers out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from crnnocr import runtime
from crnnocr.config import EngineChoice, ModelConfig, Orientation, Precision
from crnnocr.errors import ConfigError, ModelError
from crnnocr.graph import assembly, onnx_file
from crnnocr.model import checkpoint, registry
from crnnocr.model.card import Card
from crnnocr.model.exported import PRECISION_KEY, SOURCE_HASH_KEY, card_in, load_metadata, read_content, trained_on_in
from crnnocr.model.registry import GRAPH, WEIGHTS

if TYPE_CHECKING:
    import torch

    from crnnocr.model.crnn import CRNN

DERIVED = {Precision.FP32: GRAPH, Precision.INT8: "model.int8.onnx"}
"""Names of the files beside a `model.safetensors` that hold it for onnxruntime."""


class BatchLimits(NamedTuple):
    """The largest batches that an engine should be given: those that are fastest."""

    lines: int
    columns: int
    """Columns of all lines with their padding. A single line may have more."""


_MAX_LOG_PROB = 1e-3
"""0, and what rounding adds."""

_ON_CPU = BatchLimits(lines=16, columns=4096)
"""Few enough that their feature maps stay in a core's cache."""
_ALONE = BatchLimits(lines=1, columns=4096)
"""For recognizers of other programs, whose results depend on the padding."""
_ON_GPU = BatchLimits(lines=64, columns=65536)


class Engine(Protocol):
    """Runs a network over a batch. Several threads may use it at once."""

    description: str
    """Name of the engine and its device or precision, for people."""

    limits: BatchLimits
    """The largest batches that it should be given."""

    def log_probs(
        self, images: NDArray[np.float32], widths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Run the network over a batch as `images.to_batch` makes it.

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
        self.description = f"torch on {device}"
        self.limits = _ON_CPU if device.type == "cpu" else _ON_GPU
        self.model = on_device(model, device).eval()
        self._one_at_a_time = Lock()  # a batch takes all cores, or the whole GPU

    def log_probs(
        self, images: NDArray[np.float32], widths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `Engine`."""
        import torch

        with self._one_at_a_time, torch.inference_mode():
            batch = torch.from_numpy(images).to(device=self.device, memory_format=memory_format(self.device))
            log_probs, frames = self.model(batch, torch.from_numpy(widths))
            results = log_probs.cpu().numpy(), frames.numpy()
        check_results(*results, widths, self.model.config, self.model.classes)
        return results


def on_device(model: CRNN, device: torch.device) -> CRNN:
    """Move `model` to `device`, in the memory layout that its convolutions run fastest in."""
    moved: CRNN = model.to(device).to(memory_format=memory_format(device))  # type: ignore[call-overload]
    return moved


def memory_format(device: torch.device) -> torch.memory_format:
    """The layout of images and kernels that convolutions run fastest in on `device`."""
    import torch

    # On MPS batch normalization has given wrong gradients in the other layout.
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


class OnnxEngine:
    """Runs an exported network with onnxruntime on the CPU."""

    def __init__(self, source: Path | bytes, is_trusted: bool = False) -> None:
        """Open a file, or the bytes of one.

        Raises `ModelError` if it cannot be run, was not made by crnnocr, or, unless it `is_trusted`, computes anything else
        than what crnnocr builds for its card.
        """
        self._path = path = source if isinstance(source, Path) else Path("the export")
        content = read_content(source) if isinstance(source, Path) else source
        self.metadata = load_metadata(content, path)
        """The file's metadata entries."""
        self.card = card_in(self.metadata, path)
        self.limits = _ALONE if self.card.origin else _ON_CPU
        self.trained_on = trained_on_in(self.metadata, path)
        self.source_hash = self.metadata.get(SOURCE_HASH_KEY, "")
        try:
            self.precision = Precision(self.metadata.get(PRECISION_KEY, Precision.FP32))
        except ValueError as error:
            raise ModelError(f"{path} is of a later crnnocr: {error}") from error
        if not is_trusted:
            self._check(content)
        self._session: Any = self._open(content)
        self.is_self_contained = any(given.name == "pictures" for given in self._session.get_inputs())
        """Whether it takes images of any size instead of lines."""
        self.description = f"onnxruntime, {self.precision}"

    def log_probs(
        self, images: NDArray[np.float32], widths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `Engine`."""
        given: dict[str, NDArray[Any]] = {"images": images, "widths": widths}
        if self.is_self_contained:
            given = self._as_images(images, widths)
        log_probs, frames = self.run(["log_probs", "frames"], given)
        check_results(log_probs, frames, widths, self.card.config, self.card.charset.classes)
        return log_probs, frames

    def run(self, outputs: Sequence[str], inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the graph on inputs that have its own names. Raises `ModelError` if it fails or is stopped."""
        options = runtime.import_onnxruntime().RunOptions()
        try:
            with runtime.stoppable(lambda: setattr(options, "terminate", True)):
                results: list[NDArray[Any]] = self._session.run(list(outputs), inputs, options)
        except Exception as error:  # onnxruntime's errors share no base class of their own
            raise self._error(error) from error
        return results

    def _check(self, content: bytes) -> None:
        try:
            model = onnx_file.read(content)
            assembly.check(model, self.card, self.precision)
        except ValueError as error:
            raise ModelError(
                f"{self._path} is not the graph that this crnnocr exports for its card ({error}): export it again, or, if you "
                f"trust where it comes from, store it with `crnnocr models import {self._path}`"
            ) from error
        floats = {name: value for name, value in model.graph.constants.items() if value.dtype.kind == "f"}
        checkpoint.check_numbers(floats, self._path)

    def _open(self, content: bytes) -> Any:
        onnxruntime = runtime.import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # batches side by side are faster than each on all cores
        options.log_severity_level = 3  # errors; they are raised as well
        cancel = getattr(options, "set_load_cancellation_flag", lambda _: None)
        try:
            with runtime.stoppable(lambda: cancel(True)):
                return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> ModelError:
        first = str(error).splitlines() or [type(error).__name__]
        return ModelError(f"{self._path} cannot be run: {first[0]}")

    def _as_images(self, images: NDArray[np.float32], widths: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Lines as images of the model's height, which the graph's resize leaves as they are."""
        pixels = np.round((images[:, 0] + 1) * np.float32(127.5)).astype(np.uint8)
        sizes = np.stack([np.full_like(widths, pixels.shape[1]), widths], axis=1)
        if self.card.orientation is Orientation.VERTICAL:
            pixels, sizes = np.rot90(pixels, -1, axes=(1, 2)), sizes[:, ::-1]
        return {"pictures": np.ascontiguousarray(pixels), "sizes": np.ascontiguousarray(sizes)}


def load_engine(
    path: Path, device: str = "auto", engine: EngineChoice = EngineChoice.AUTO
) -> tuple[Card, Engine, frozenset[int]]:
    """Load a model into onnxruntime on a CPU, into torch on other devices, unless one of them is asked for.

    onnxruntime runs an exported file, or one that lies beside a `.safetensors` and was made from it as it is now. If there is
    no such file, torch runs.

    Returns:
        The card, an engine that runs the network, and the content ids of the images it was trained on.

    Raises:
        ModelError: the model cannot be read or run, or has no export that onnxruntime is to run.
        ConfigError: engine and device do not go together, or the device is not there.
    """
    is_export = path.suffix == ".onnx"
    if is_export and engine is EngineChoice.TORCH:
        raise ConfigError("engine", "torch: an exported model is run by onnxruntime; name the model it was made from")
    on_cpu = device == "cpu" or (device == "auto" and not _finds_gpu())
    if (is_export or engine is EngineChoice.ONNXRUNTIME) and not (on_cpu or device == "auto"):
        raise ConfigError("device", f"{device}: onnxruntime runs on the CPU here; take auto or cpu")
    if is_export or engine is EngineChoice.ONNXRUNTIME or (engine is EngineChoice.AUTO and on_cpu):
        onnx = OnnxEngine(path, is_trusted=registry.is_imported_graph(path)) if is_export else _derived(path)
        if onnx:
            return onnx.card, onnx, onnx.trained_on
        if engine is EngineChoice.ONNXRUNTIME:
            raise ModelError(f"{path} has no export beside it that is up to date: crnnocr export makes one")
    card, model = checkpoint.load(path)
    return card, TorchEngine(model, runtime.select_device(device)), checkpoint.trained_on(path)


def check_results(
    log_probs: NDArray[np.float32], frames: NDArray[np.int64], widths: NDArray[np.int64], config: ModelConfig, classes: int
) -> None:
    """Raise `ModelError` if the results of a network for lines of (N,) widths cannot be those of its config."""
    expected = np.asarray(config.frames(widths))
    if not np.array_equal(frames, expected):
        raise ModelError(f"the model gives {_shown(frames)} frames for lines that have {_shown(expected)}: it is damaged")
    rows, length, columns = log_probs.shape if log_probs.ndim == 3 else (0, 0, 0)
    if log_probs.dtype != np.float32 or (rows, columns) != (len(widths), classes) or length < expected.max():
        raise ModelError(f"the model gives results of shape {log_probs.shape} for {len(widths)} lines: it is damaged")
    if not log_probs.max() <= _MAX_LOG_PROB:  # also if one is not a number
        raise ModelError("the model gives what are no probabilities: its weights are damaged, or far too large")


def _shown(values: NDArray[np.int64]) -> str:
    return ", ".join(map(str, np.ravel(values)[:3].tolist()))


def _finds_gpu() -> bool:
    return runtime.may_have_gpu() and runtime.select_device("auto").type != "cpu"


def _derived(path: Path) -> OnnxEngine | None:
    """The engine of the export beside a `.safetensors` file; None if there is none, or it was made from other weights."""
    if path.name != WEIGHTS:
        return None
    for precision in dict.fromkeys((checkpoint.load_card(path).precision, Precision.FP32)):
        file = path.parent / DERIVED[precision]
        with suppress(ModelError):
            engine = OnnxEngine(file) if file.is_file() else None
            if engine and engine.source_hash == hashlib.sha256(path.read_bytes()).hexdigest():
                return engine
    return None
