"""Suspected label errors: labels that differ from a prediction in which the model is confident.

To an evaluation a wrong label looks like a wrong prediction. What tells them apart is the model's confidence, and how much less
probable it finds the label. Both probabilities are exact, summed over all alignments with the frames of the image. Their
log-ratio is what the label costs if the prediction is correct, and the calibrated confidence is how likely that is. The product
of the two finds more of the labels that `benchmarks/suspects.py` makes wrong than either alone, and more than the margin
P(prediction) - P(label), by which Northcutt et al. 2021 ("Confident Learning") rank labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr.config import ReadConfig
from crnnocr.decoding.forward import text_log_probs
from crnnocr.decoding.hypothesis import normalized
from crnnocr.evaluation.outcomes import Outcome
from crnnocr.inference.recognizer import Recognizer

_AT_A_TIME = 256
_MAX_LOG_RATIO = 100.0
"""A label that is less probable than this, in nats, is impossible either way."""


@dataclass(frozen=True)
class LabelError:
    """A suspected label error."""

    outcome: Outcome
    label_log_prob: float
    """Natural log of the label's probability by the model; -inf if the image has too few frames for it."""
    predicted_log_prob: float
    """Natural log of the predicted text's probability by the model."""

    @property
    def suspicion(self) -> float:
        """Confidence of the prediction times its log-probability ratio to the label, in nats: 0 to 100."""
        log_ratio = min(max(0.0, self.predicted_log_prob - self.label_log_prob), _MAX_LOG_RATIO)
        return self.outcome.prediction.confidence * log_ratio


@dataclass(frozen=True)
class LabelErrors:
    """The suspected label errors of an evaluation."""

    found: tuple[LabelError, ...]
    """The most suspicious first."""
    unjudged: int
    """Labels that differ from their prediction but hold characters that are not in the model's charset."""


def find_label_errors(recognizer: Recognizer, outcomes: Sequence[Outcome], read: ReadConfig) -> LabelErrors:
    """Rank the labels that differ from their prediction by how suspicious they are.

    Args:
        recognizer: the one that made the predictions.
        outcomes: its scored predictions.
        read: how the images of the predictions were seen.
    """
    wrong = [each for each in outcomes if not each.is_correct and each.prediction.error is None]
    charset = recognizer.card.charset
    judged = [each for each in wrong if not charset.unknown(each.sample.text)]
    preprocessor = recognizer.preprocessor(read)
    found: list[LabelError] = []
    for start in range(0, len(judged), _AT_A_TIME):
        batch = judged[start : start + _AT_A_TIME]
        log_probs = recognizer.log_probs([preprocessor.view(each.sample, each.prediction.view).line for each in batch])
        labels = [normalized(charset.encode(each.sample.text), charset.spaces) for each in batch]
        of_labels = text_log_probs(log_probs, labels, charset.spaces).tolist()
        predictions = [charset.encode(each.prediction.text) for each in batch]
        of_predictions = text_log_probs(log_probs, predictions, charset.spaces).tolist()
        found += map(LabelError, batch, of_labels, of_predictions)
    found.sort(key=lambda error: -error.suspicion)
    return LabelErrors(tuple(found), unjudged=len(wrong) - len(judged))
