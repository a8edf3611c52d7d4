"""How far what was read is from the truth. A character is a code point after NFC, and so is an edit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import Levenshtein

from crnnocr.errors import DataError
from crnnocr.text.charset import normalise


class Counts(NamedTuple):
    """What one picture, or the sum of many, adds to the scores."""

    pictures: int = 0
    """Number of pictures."""
    characters: int = 0
    """True characters."""
    edits: int = 0
    """Levenshtein distance between truth and reading, in characters."""
    words: int = 0
    """True words: what white space separates."""
    word_edits: int = 0
    """The same distance, of whole words."""
    exact: int = 0
    """Pictures that were read without an error."""
    likeness: float = 0.0
    """1 minus the distance divided by the longer text's length, for each picture."""
    alphanumeric: int = 0
    """Pictures that were read right where only letters and digits count, and not their case."""


RATIOS = {
    "mean_levenshtein": ("edits", "pictures"),
    "cer": ("edits", "characters"),
    "wer": ("word_edits", "words"),
    "exact": ("exact", "pictures"),
    "one_minus_ned": ("likeness", "pictures"),
    "alnum_accuracy": ("alphanumeric", "pictures"),
}
"""Each score as what of `Counts` is divided by what, both summed over all pictures."""

ERRORS = frozenset({"mean_levenshtein", "cer", "wer"})
"""The scores of which less is better."""


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
        self._sums = Counts()

    @property
    def pairs(self) -> int:
        """Number of pairs so far."""
        return self._sums.pictures

    def update(self, truth: str, reading: str) -> None:
        """Add one picture: what it says and what was read."""
        self.add(count(truth, reading))

    def add(self, counts: Counts) -> None:
        """Add what was counted before."""
        self._sums = Counts._make(map(sum, zip(self._sums, counts, strict=True)))

    def summary(self) -> Scores:
        """The scores of all pairs so far. Raises `DataError` where there are none."""
        if not self.pairs:
            raise DataError("there is nothing to score")
        sums = self._sums._asdict()
        return Scores(n=self.pairs, **{name: sums[part] / max(sums[whole], 1) for name, (part, whole) in RATIOS.items()})


def count(truth: str, reading: str) -> Counts:
    """What one picture adds to the scores, of what it says and what was read."""
    truth, reading = normalise(truth), normalise(reading)
    edits = Levenshtein.distance(truth, reading)
    return Counts(
        pictures=1,
        characters=len(truth),
        edits=edits,
        words=len(truth.split()),
        word_edits=Levenshtein.distance(truth.split(), reading.split()),
        exact=int(truth == reading),
        likeness=1 - edits / max(len(truth), len(reading), 1),
        alphanumeric=int(alphanumeric(truth) == alphanumeric(reading)),
    )


def alphanumeric(text: str) -> str:
    """The letters and digits of `text` without their case: what the scene-text field compares."""
    return "".join(filter(str.isalnum, text.casefold()))
