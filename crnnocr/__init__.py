"""crnnocr: train and run your own text-line recognizer. Importing it loads no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crnnocr.config import DecodeConfig as DecodeConfig
    from crnnocr.config import ReadConfig as ReadConfig
    from crnnocr.config import Style as Style
    from crnnocr.config import SynthConfig as SynthConfig
    from crnnocr.errors import CrnnocrError as CrnnocrError
    from crnnocr.inference.recognizer import Alternative as Alternative
    from crnnocr.inference.recognizer import Character as Character
    from crnnocr.inference.recognizer import Prediction as Prediction
    from crnnocr.inference.recognizer import Recognizer as Recognizer
    from crnnocr.synth.sampler import Sampler as Sampler
    from crnnocr.text.charset import Charset as Charset

__version__ = "0.1.0"

_HOMES = {
    "Alternative": "crnnocr.inference.recognizer",
    "Character": "crnnocr.inference.recognizer",
    "Charset": "crnnocr.text.charset",
    "CrnnocrError": "crnnocr.errors",
    "DecodeConfig": "crnnocr.config",
    "Prediction": "crnnocr.inference.recognizer",
    "ReadConfig": "crnnocr.config",
    "Recognizer": "crnnocr.inference.recognizer",
    "Sampler": "crnnocr.synth.sampler",
    "Style": "crnnocr.config",
    "SynthConfig": "crnnocr.config",
}

__all__ = [
    "Alternative",
    "Character",
    "Charset",
    "CrnnocrError",
    "DecodeConfig",
    "Prediction",
    "ReadConfig",
    "Recognizer",
    "Sampler",
    "Style",
    "SynthConfig",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'crnnocr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
