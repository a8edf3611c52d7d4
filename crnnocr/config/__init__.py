"""Every option of the library as a frozen dataclass. Defaults live here and nowhere else."""

from crnnocr.config.export import ExportConfig, ExportFormat
from crnnocr.config.inference import (
    CONFIDENCE_BINS,
    MAX_PIXELS,
    MAX_WIDTH,
    DecodeConfig,
    EngineChoice,
    Invert,
    NormalizationStep,
    Orientation,
    Pair,
    Precision,
    ReadConfig,
)
from crnnocr.config.model import DEFAULT_PRESET, NORM_EPSILON, PRESETS, Conv, Layer, ModelConfig, Pool, Size
from crnnocr.config.synth import DEFAULT_COUNT, LabelFormat, Style, SynthConfig
from crnnocr.config.train import AUTO, SCRATCH, AugmentConfig, CharsetChoice, TrainConfig

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
    "EngineChoice",
    "ExportConfig",
    "ExportFormat",
    "Invert",
    "LabelFormat",
    "Layer",
    "ModelConfig",
    "NormalizationStep",
    "Orientation",
    "Pair",
    "Pool",
    "Precision",
    "ReadConfig",
    "Size",
    "Style",
    "SynthConfig",
    "TrainConfig",
]
