"""What a model is handed over as."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crnnocr.config.inference import Orientation, Precision
from crnnocr.errors import UsageError


class ExportFormat(StrEnum):
    """What a model is handed over as."""

    ONNX = "onnx"
    """A graph for onnxruntime and others."""
    WEB = "web"
    """A page that reads pictures in a browser."""


@dataclass(frozen=True)
class ExportConfig:
    """What a model is handed over as, and what it computes with."""

    format: ExportFormat = ExportFormat.ONNX
    """A graph, or a page."""
    precision: Precision = Precision.FP32
    """The numbers that the network computes with."""
    self_contained: bool = False
    """Grey pictures in and texts out: resize, normalisation and decoding are in the graph. A page's always is."""
    orientation: Orientation | None = None
    """Which way the lines run, where the model is not to say. A graph that takes pictures looks at them in one way: where the
    model reads all, it takes lines for horizontal."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "format", ExportFormat(self.format))
        object.__setattr__(self, "precision", Precision(self.precision))
        if self.format is ExportFormat.WEB:
            object.__setattr__(self, "self_contained", True)
        if self.orientation is not None:
            object.__setattr__(self, "orientation", Orientation(self.orientation))
            if self.orientation not in (Orientation.HORIZONTAL, Orientation.VERTICAL):
                raise UsageError("--orientation takes horizontal or vertical where a model is exported")

    @property
    def folder(self) -> str:
        """How the folder ends that it is written to when nobody names one, after the model's name."""
        parts = [self.format.value, *[self.precision.value] * (self.precision is not Precision.FP32)]
        return "-".join([*parts, *["self-contained"] * (self.self_contained and self.format is ExportFormat.ONNX)])

    @property
    def is_exact(self) -> bool:
        """Whether it computes as the model does, number for number."""
        return self.precision is Precision.FP32 and not self.self_contained
