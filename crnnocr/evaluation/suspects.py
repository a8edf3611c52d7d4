"""Labels that a model doubts: where it is sure of another text.

A wrong label looks to an evaluation like a wrong reading. What tells them apart is how sure the model is of its reading, and
how much less probable it takes the label to be: both probabilities are exact, summed over all alignments with the frames of
the picture. The margin between them is what Northcutt et al. 2021 ("Confident Learning", section 3.2) rank labels by, with
the calibrated confidence in place of the model's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr import images
from crnnocr.config import ReadConfig
from crnnocr.decoders.lattice import score
from crnnocr.evaluation import Outcome
from crnnocr.recognizer import Recognizer

_AT_A_TIME = 256


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
        """From 0 to 1: the confidence of the reading, less as much as the label is as probable."""
        margin = -math.expm1(min(0.0, self.label_log_prob - self.reading_log_prob))
        return self.outcome.prediction.confidence * margin


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
    found: list[Suspect] = []
    for start in range(0, len(judged), _AT_A_TIME):
        some = judged[start : start + _AT_A_TIME]
        lines = recognizer.read([_line(recognizer, each, read) for each in some])
        labels = score(lines, [charset.encode(each.sample.text) for each in some]).tolist()
        readings = score(lines, [charset.encode(each.prediction.text) for each in some]).tolist()
        found += map(Suspect, some, labels, readings)
    found.sort(key=lambda suspect: (-suspect.doubt, suspect.label_log_prob - suspect.reading_log_prob))
    return Suspects(tuple(found), len(wrong) - len(judged))


def _line(recognizer: Recognizer, outcome: Outcome, read: ReadConfig) -> images.Line:
    shape, orientation = recognizer.card.config, outcome.prediction.orientation
    return images.open_line(outcome.sample, shape.height, shape.min_width, orientation, read.invert).line
