"""Whether a training helped: what the start model and the trained one make of the held-out images.

Both recognize them as `predict` and `eval` do, with their views and their engine, so that the scores are those of `eval`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from crnnocr.config import DecodeConfig
from crnnocr.datasets.lines import LineDataset
from crnnocr.evaluation.comparison import Comparison, compare
from crnnocr.evaluation.outcomes import EvalResult, System, score_samples
from crnnocr.images import ImageWarning
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.scores import Scores

_AFTER, _BEFORE = "after", "before"


@dataclass(frozen=True)
class StartMeasured:
    """The scores of the start model on the held-out images, before the first step."""

    name: str
    """The start model."""
    scores: Scores


@dataclass(frozen=True)
class Improvement:
    """The start model and the trained one on the same held-out images."""

    start: str
    """Name of the start model."""
    comparison: Comparison
    """The trained model first."""

    @classmethod
    def of(cls, start: str, before: EvalResult, after: EvalResult) -> Improvement:
        """Compare the results of both. Raises `DataError` if there is no image that both could read."""
        return cls(start, compare(_AFTER, after, _BEFORE, before))

    @property
    def before(self) -> Scores:
        """The start model's scores."""
        return self.comparison.second

    @property
    def after(self) -> Scores:
        """The trained model's scores."""
        return self.comparison.first

    @property
    def is_better(self) -> bool:
        """Whether the trained model has a lower character error rate, even if by chance."""
        return self.after.cer < self.before.cer

    @property
    def verdict(self) -> str:
        """Whether the paired comparison is sure of a difference, in words."""
        if self.comparison.winner is None:
            return "no difference to be seen"
        return "better, surely" if self.comparison.winner == _AFTER else "worse, surely"


def recognize_held_out(model: Path, name: str, held_out: LineDataset, device: str) -> EvalResult:
    """Score a stored model on the images of a validation split, on a device as torch names it.

    Raises:
        UsageError: there is no such device.
        DataError: no image can be read any more.
    """
    recognizer = Recognizer.load(model, device.partition(":")[0])
    system = System(name, recognizer, recognizer.decoder(DecodeConfig()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)  # the images have been looked at
        return score_samples(system.predict(held_out.samples))
