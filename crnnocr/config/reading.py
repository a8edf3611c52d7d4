"""How pictures are read, and by what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crnnocr.config.pictures import Orientation
from crnnocr.errors import UsageError


class Precision(StrEnum):
    """The numbers that a network computes with."""

    FP32 = "fp32"
    """Single precision, as it was trained."""
    FP16 = "fp16"
    """Weights in half precision, and the convolutions computed in it where the processor can: half the size."""
    INT8 = "int8"
    """Bytes in the convolutions and LSTMs: the fastest on a CPU, and hardly less accurate."""


class EngineChoice(StrEnum):
    """What runs the network."""

    AUTO = "auto"
    """torch on a GPU, onnxruntime on a CPU."""
    ONNXRUNTIME = "onnxruntime"
    """onnxruntime, on the CPU."""
    TORCH = "torch"
    """torch, on the device."""


class Invert(StrEnum):
    """Whether black and white are exchanged before reading."""

    NEVER = "never"
    """Pictures are read as they are."""
    AUTO = "auto"
    """Those that are light on dark become dark on light."""
    ALWAYS = "always"
    """All are exchanged."""


@dataclass(frozen=True)
class ReadConfig:
    """What is done with pictures that are read, and what is said of them."""

    orientation: Orientation | None = None
    """Which way the lines run; by default what the model was trained for. With `auto`, a tall picture is read all
    ways, and the surest reading is taken."""
    invert: Invert = Invert.NEVER
    """Whether black and white are exchanged."""
    characters: bool = False
    """Say of each character where it is and how sure."""
    threads: int | None = None
    """How many threads work; by default one a core."""
    quick: bool = False
    """Look at each picture once, also where the reading is not sure: quicker, and wrong more often."""

    def __post_init__(self) -> None:
        if self.orientation is not None:
            object.__setattr__(self, "orientation", Orientation(self.orientation))
        object.__setattr__(self, "invert", Invert(self.invert))
        if self.threads is not None and self.threads < 1:
            raise UsageError("--threads must be at least 1")
