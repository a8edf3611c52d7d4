"""Character confusions: the edits between references and predictions, counted by character and by class of characters.

A character is a code point after NFC. Of several shortest edit scripts between two texts Levenshtein's is counted, which is
the same each time.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import Levenshtein

from crnnocr.text.charset import nfc, visible


@dataclass(frozen=True)
class Edit:
    """A substituted, deleted or inserted character."""

    reference: str
    """Empty for an insertion."""
    prediction: str
    """Empty for a deletion."""

    def __str__(self) -> str:
        """Write the edit for people: `O → 0`, `space lost`, `e added`."""
        if not self.prediction:
            return f"{visible(self.reference)} lost"
        if not self.reference:
            return f"{visible(self.prediction)} added"
        return f"{visible(self.reference)} → {visible(self.prediction)}"


@dataclass(frozen=True)
class CharacterScore:
    """Precision and recall of one character."""

    character: str
    references: int
    """Occurrences in the references."""
    predictions: int
    """Occurrences in the predictions."""
    correct: int
    """Occurrences in the references that were recognized."""

    @property
    def recall(self) -> float | None:
        """Share of its occurrences in the references that were recognized; None if there are none."""
        return self.correct / self.references if self.references else None

    @property
    def precision(self) -> float | None:
        """Share of its occurrences in the predictions that are correct; None if there are none."""
        return self.correct / self.predictions if self.predictions else None

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 if nothing is correct."""
        return 2 * self.correct / (self.references + self.predictions)


class Confusions:
    """Counts the edits between references and predictions.

    Example::

        confusions = Confusions()
        confusions.update("ROOM 10", "R0OM1O")
        for edit, count in confusions.most_common(3):
            print(edit, count)
    """

    def __init__(self) -> None:
        self._edits: Counter[Edit] = Counter()
        self._references: Counter[str] = Counter()
        self._predictions: Counter[str] = Counter()

    def update(self, reference: str, prediction: str) -> None:
        """Add one sample."""
        reference, prediction = nfc(reference), nfc(prediction)
        self._references.update(reference)
        self._predictions.update(prediction)
        for operation, i, j in Levenshtein.editops(reference, prediction):
            before = "" if operation == "insert" else reference[i]
            after = "" if operation == "delete" else prediction[j]
            self._edits[Edit(before, after)] += 1

    def most_common(self, n: int | None = None) -> list[tuple[Edit, int]]:
        """List the `n` most frequent edits, or all, with their counts; equal counts in the order of their characters."""
        ordered = sorted(self._edits.items(), key=lambda item: (-item[1], item[0].reference, item[0].prediction))
        return ordered[:n]

    def characters(self) -> list[CharacterScore]:
        """Score each character of the references and predictions, in the order of their code points."""
        wrong: Counter[str] = Counter()
        for edit, count in self._edits.items():
            wrong[edit.reference] += count
        return [
            CharacterScore(each, self._references[each], self._predictions[each], self._references[each] - wrong[each])
            for each in sorted(self._references | self._predictions)
        ]


def differing(reference: str, prediction: str) -> tuple[set[int], set[int]]:
    """Find the characters in which two NFC texts differ.

    Returns:
        The indices of deleted and substituted characters of `reference`, and those of inserted and substituted characters of
        `prediction`.
    """
    operations = Levenshtein.editops(reference, prediction)
    return (
        {i for operation, i, _ in operations if operation != "insert"},
        {j for operation, _, j in operations if operation != "delete"},
    )


class CharacterClass(StrEnum):
    """A class of characters, by their Unicode categories."""

    LETTERS = "letters"
    """Letters of all scripts, and the marks on them."""
    DIGITS = "digits"
    """Digits and other numbers of all scripts."""
    PUNCTUATION = "punctuation"
    """Punctuation, and symbols such as + and €."""
    SPACE = "space"
    """White space, and all other characters that show nothing."""


_BY_CATEGORY = {
    "L": CharacterClass.LETTERS,
    "M": CharacterClass.LETTERS,
    "N": CharacterClass.DIGITS,
    "P": CharacterClass.PUNCTUATION,
    "S": CharacterClass.PUNCTUATION,
}


def class_of(character: str) -> CharacterClass:
    """Classify a code point."""
    return _BY_CATEGORY.get(unicodedata.category(character)[0], CharacterClass.SPACE)


def edits_by_class(reference: str, prediction: str) -> dict[CharacterClass, tuple[int, int]]:
    """Count the edits and the reference characters of each class that occurs.

    An edit belongs to the class of the reference character, or, if it is an insertion, of the inserted one. The edits of all
    classes add up to the Levenshtein distance.
    """
    counts: dict[CharacterClass, tuple[int, int]] = {}
    for character in reference:
        edits, characters = counts.get(class_of(character), (0, 0))
        counts[class_of(character)] = edits, characters + 1
    for operation, i, j in Levenshtein.editops(reference, prediction):
        of = class_of(prediction[j] if operation == "insert" else reference[i])
        edits, characters = counts.get(of, (0, 0))
        counts[of] = edits + 1, characters
    return counts
