"""A model and how it reads: what an evaluation measures."""

from __future__ import annotations

from dataclasses import dataclass, field

from crnnocr.config import ReadConfig
from crnnocr.decoders.decoder import Decoder
from crnnocr.recognizer import Recognizer


@dataclass(frozen=True)
class Reader:
    """A model, how it finds texts, and what it does with pictures."""

    model: str
    """What the model is called."""
    recognizer: Recognizer
    """What reads."""
    decoder: Decoder
    """What finds texts, as `Recognizer.decoder` makes it."""
    read: ReadConfig = field(default_factory=ReadConfig)
    """What is done with the pictures."""
    options: str = ""
    """How texts are found, in words; empty where by the defaults."""
    name: str = ""
    """What to call it beside another reader; by default as its model."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.model)
