"""The forms in which a model is exported."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crnnocr.config.inference import Orientation, Precision
from crnnocr.config.options import option, validate


class ExportFormat(StrEnum):
    """The kind of program that runs an export."""

    ONNX = "onnx"
    """A graph for onnxruntime and others."""
    WEB = "web"
    """A page that recognizes images in a browser."""


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """The form of an export, and the numbers it computes with."""

    format: ExportFormat = option(ExportFormat.ONNX, "An ONNX graph, or a page that recognizes images in a browser.")
    precision: Precision = option(Precision.FP32, "Number type that the network computes with.")
    self_contained: bool = option(
        False, "Gray images in, texts out: preprocessing and decoding go into the graph. Always so in a page."
    )
    orientation: Orientation | None = option(
        None,
        "Which way lines run, if not as the model says.",
        metavar="horizontal|vertical",
        choices=(Orientation.HORIZONTAL, Orientation.VERTICAL),
    )
    """A graph that takes images has one orientation: if the model recognizes all, horizontal."""

    def __post_init__(self) -> None:
        validate(self)
        if self.format is ExportFormat.WEB:
            object.__setattr__(self, "self_contained", True)

    @property
    def folder(self) -> str:
        """The end, after the model's name, of the folder that it is written to if nobody names one."""
        parts = [self.format.value, *[self.precision.value] * (self.precision is not Precision.FP32)]
        return "-".join([*parts, *["self-contained"] * (self.self_contained and self.format is ExportFormat.ONNX)])

    @property
    def is_exact(self) -> bool:
        """Whether it computes as the model does, number for number."""
        return self.precision is Precision.FP32 and not self.self_contained
