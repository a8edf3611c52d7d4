"""Labels that a model doubts: where it is sure of another text.

A wrong label looks to an evaluation like a wrong reading. What tells them apart is how sure the model is of its reading, and
how much less probable it takes the label to be. Both probabilities are exact, summed over all alignments with the frames of
the picture; their log-ratio is what the label costs if the reading is right, and the calibrated confidence is how likely that
is. The product of both finds more of the labels that `benchmarks/suspects.py` makes wrong than either alone, or than the margin
P(reading) - P(label), by which Northcutt et al. 2021 ("Confident Learning") rank labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr.config import ReadConfig
from crnnocr.decoding.forward import text_log_probs
from crnnocr.evaluation.outcomes import Outcome
from crnnocr.inference.recognizer import Recognizer

_AT_A_TIME = 256
_MOST_NATS = 100.0
"""A label that is less probable than the reading by more is impossible either way."""


@dataclass(frozen=True)
class Suspect:
    """A label that the model doubts."""

    outcome: Outcome
    """The picture, its label, and what was read."""
    label_log_prob: float
    """Natural log of the label's probability by the model; -inf where its frames are too few for it."""
    reading_log_prob: float
    """Natural log of that of the reading."""

    @property
    def doubt(self) -> float:
        """The confidence of the reading, times how much less probable the label is, in nats: from 0 to 100."""
        less = min(max(0.0, self.reading_log_prob - self.label_log_prob), _MOST_NATS)
        return self.outcome.prediction.confidence * less


@dataclass(frozen=True)
class Suspects:
    """The labels that a model doubts."""

    found: tuple[Suspect, ...]
    """The most doubtful first."""
    unknown: int
    """Labels that were read otherwise but cannot be judged: they hold characters that the model does not know."""


def suspects(recognizer: Recognizer, outcomes: Sequence[Outcome], read: ReadConfig) -> Suspects:
    """The labels that are not what was read, by how much the model doubts them.

    Args:
        recognizer: what has read them.
        outcomes: what it has read.
        read: how.
    """
    wrong = [each for each in outcomes if not each.is_right and each.prediction.error is None]
    charset = recognizer.card.charset
    judged = [each for each in wrong if not charset.unknown(each.sample.text)]
    preprocessor = recognizer.preprocessor(read)
    found: list[Suspect] = []
    for start in range(0, len(judged), _AT_A_TIME):
        some = judged[start : start + _AT_A_TIME]
        lines = recognizer.log_probs([preprocessor.view(each.sample, each.prediction.view).line for each in some])
        labels = text_log_probs(lines, [charset.encode(each.sample.text) for each in some]).tolist()
        readings = text_log_probs(lines, [charset.encode(each.prediction.text) for each in some]).tolist()
        found += map(Suspect, some, labels, readings)
    found.sort(key=lambda suspect: -suspect.doubt)
    return Suspects(tuple(found), len(wrong) - len(judged))
