"""How far what was read is from the truth. A character is a code point after NFC, and so is an edit."""

from __future__ import annotations

from dataclasses import dataclass

import Levenshtein

from crnnocr.charset import normalise
from crnnocr.errors import DataError


@dataclass(frozen=True)
class Scores:
    """The summary of a `Scorer`. Shares lie in [0, 1], but the error rates may pass 1."""

    n: int
    """Number of pictures."""
    mean_levenshtein: float
    """Mean Levenshtein distance, in characters a picture."""
    cer: float
    """Character error rate: edits over all pictures, divided by all true characters."""
    wer: float
    """Word error rate: edits of whole words over all pictures, divided by all true words."""
    exact: float
    """Share of pictures that were read without an error."""
    one_minus_ned: float
    """1 minus the mean of each picture's distance divided by the longer text's length (ICDAR's 1-N.E.D.)."""
    alnum_accuracy: float
    """Share of pictures that were read right where only letters and digits count, and not their case."""


class Scorer:
    """Collects pairs of truth and reading with `update`, and scores them with `summary`."""

    def __init__(self) -> None:
        self.pairs = 0
        """Number of pairs so far."""
        self._edits = 0
        self._characters = 0
        self._word_edits = 0
        self._words = 0
        self._exact = 0
        self._normalised_distance = 0.0
        self._alphanumeric = 0

    def update(self, truth: str, reading: str) -> None:
        """Add one picture: what it says and what was read."""
        truth, reading = normalise(truth), normalise(reading)
        edits = Levenshtein.distance(truth, reading)
        self.pairs += 1
        self._edits += edits
        self._characters += len(truth)
        self._word_edits += Levenshtein.distance(truth.split(), reading.split())
        self._words += len(truth.split())
        self._exact += truth == reading
        self._normalised_distance += edits / max(len(truth), len(reading), 1)
        self._alphanumeric += alphanumeric(truth) == alphanumeric(reading)

    def summary(self) -> Scores:
        """The scores of all pairs so far. Raises `DataError` where there are none."""
        if not self.pairs:
            raise DataError("there is nothing to score")
        return Scores(
            n=self.pairs,
            mean_levenshtein=self._edits / self.pairs,
            cer=self._edits / max(self._characters, 1),
            wer=self._word_edits / max(self._words, 1),
            exact=self._exact / self.pairs,
            one_minus_ned=1 - self._normalised_distance / self.pairs,
            alnum_accuracy=self._alphanumeric / self.pairs,
        )


def alphanumeric(text: str) -> str:
    """The letters and digits of `text` without their case: what the scene-text field compares."""
    return "".join(filter(str.isalnum, text.casefold()))
