"""Whether a training helped: the start model and the trained one on the held-out images.

Both recognize them as `predict` and `eval` do, with their views and their engine, so that the scores are those of `eval`.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from crnnocr.config import DecodeConfig
from crnnocr.datasets import Sample
from crnnocr.errors import CrnnocrError
from crnnocr.evaluation.comparison import Comparison, compare
from crnnocr.evaluation.outcomes import EvalResult, predict_samples, score_samples
from crnnocr.files import atomic_write
from crnnocr.images import ImageWarning
from crnnocr.inference.recognizer import Prediction, Recognizer
from crnnocr.metrics import calibration
from crnnocr.metrics.calibration import Calibration
from crnnocr.metrics.scores import Scores

_AFTER, _BEFORE = "after", "before"


class Verdict(StrEnum):
    """The result of the paired comparison of the character error rates."""

    BETTER = "significantly better"
    WORSE = "significantly worse"
    NOT_SIGNIFICANT = "no significant difference"


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
        """Whether the trained model has a lower character error rate, be it by chance."""
        return self.after.cer < self.before.cer

    @property
    def verdict(self) -> Verdict:
        """Whether the difference is significant, and in whose favor."""
        winner = self.comparison.winner
        return {_AFTER: Verdict.BETTER, _BEFORE: Verdict.WORSE}[winner] if winner else Verdict.NOT_SIGNIFICANT


def recognize_held_out(recognizer: Recognizer, samples: Sequence[Sample]) -> EvalResult:
    """Score a model on held-out images. Raises `DataError` if none can be read any more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)  # the images have been read before
        return score_samples(predict_samples(recognizer, samples, DecodeConfig()))


def save(result: EvalResult, samples: Sequence[Sample], path: Path) -> None:
    """Write what was recognized in held-out images, a line each, to be loaded if the training is resumed."""
    found = {outcome.sample: outcome.prediction for outcome in result.outcomes}
    predictions = [found.get(sample) for sample in samples]
    with atomic_write(path, durable=True) as part:
        part.write_text("".join(f"{json.dumps(each and [each.text, each.confidence])}\n" for each in predictions))


def load(path: Path, samples: Sequence[Sample]) -> EvalResult:
    """Load what `save` wrote for the same images. Raises `CrnnocrError` if it is missing or damaged."""
    try:
        rows = list(map(json.loads, path.read_text().splitlines()))
        if len(rows) != len(samples):
            raise ValueError(f"{len(rows)} rows for {len(samples)} images")
        return score_samples(_predictions(samples, rows))
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise CrnnocrError(f"{path} cannot be read ({error}): begin again without `resume`") from error


def pooled(results: Iterable[EvalResult]) -> EvalResult:
    """Score the predictions of several results together. Raises `DataError` if there are none."""
    return score_samples((outcome.sample, outcome.prediction) for result in results for outcome in result.outcomes)


def calibrated_on(result: EvalResult) -> Calibration:
    """The calibration of a model without one, by its predictions for images that it was not trained on."""
    log_probs = [math.log(max(each.prediction.confidence, sys.float_info.min)) for each in result.outcomes]
    return calibration.fit(log_probs, [each.predicted == each.reference for each in result.outcomes])


def _predictions(samples: Sequence[Sample], rows: Iterable[list[object] | None]) -> Iterable[tuple[Sample, Prediction]]:
    for sample, row in zip(samples, rows, strict=True):
        if row:
            yield sample, Prediction(str(row[0]), float(str(row[1])))
