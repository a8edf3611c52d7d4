"""All that an evaluation has found, and a report tells of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr.datasets import Fault
from crnnocr.evaluation.analysis import Analysis
from crnnocr.evaluation.comparison import Comparison
from crnnocr.evaluation.speed import Speed


@dataclass(frozen=True)
class Evidence:
    """What was measured, of what."""

    models: tuple[str, ...]
    """The model that is measured, and the one that it is compared with if that is another."""
    data: tuple[str, ...]
    """Folders and label files, as they were named."""
    formats: tuple[str, ...]
    """Their formats, in words."""
    options: str
    """How texts were found, in words; empty where by the defaults."""
    analysis: Analysis
    """How well the model reads."""
    speed: Speed
    """How fast."""
    comparison: Comparison | None = None
    """With another reader, if there is one."""
    faults: Sequence[Fault] = ()
    """What of the data could not be used."""
    trained_on: int = 0
    """Pictures that were left out since a model was trained on them."""
    unknown: Sequence[str] = ()
    """Characters of the labels that the model does not know, in words."""

    @property
    def model(self) -> str:
        """The model that is measured."""
        return self.models[0]
