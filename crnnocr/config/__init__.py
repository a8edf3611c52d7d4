"""Every option of the library as a field of a frozen dataclass: its default, range and help live here and nowhere else."""

from crnnocr.config.data import EmptyLabels, LabelConfig
from crnnocr.config.export import ExportConfig, ExportFormat
from crnnocr.config.inference import (
    CONFIDENCE_BINS,
    MAX_PIXELS,
    MAX_WIDTH,
    DecodeConfig,
    EngineChoice,
    EngineConfig,
    Invert,
    NormalizationStep,
    Orientation,
    Precision,
    ReadConfig,
)
from crnnocr.config.model import DEFAULT_PRESET, NORM_EPSILON, PRESETS, Conv, HeightWidth, Layer, ModelConfig, Pool, Size
from crnnocr.config.options import Range
from crnnocr.config.recipe import AugmentConfig, Recipe
from crnnocr.config.synth import DEFAULT_COUNT, LabelFormat, Style, SynthConfig
from crnnocr.config.train import AUTO, SCRATCH, CharsetChoice, TrainConfig

__all__ = [
    "AUTO",
    "CONFIDENCE_BINS",
    "DEFAULT_COUNT",
    "DEFAULT_PRESET",
    "MAX_PIXELS",
    "MAX_WIDTH",
    "NORM_EPSILON",
    "PRESETS",
    "SCRATCH",
    "AugmentConfig",
    "CharsetChoice",
    "Conv",
    "DecodeConfig",
    "EmptyLabels",
    "EngineChoice",
    "EngineConfig",
    "ExportConfig",
    "ExportFormat",
    "HeightWidth",
    "Invert",
    "LabelConfig",
    "LabelFormat",
    "Layer",
    "ModelConfig",
    "NormalizationStep",
    "Orientation",
    "Pool",
    "Precision",
    "Range",
    "ReadConfig",
    "Recipe",
    "Size",
    "Style",
    "SynthConfig",
    "TrainConfig",
]
