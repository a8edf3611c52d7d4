"""Which characters are taken for which: the edits between truth and reading, counted.

Letters, digits, punctuation and space: how well each is read.
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
    """One character that was read otherwise, lost or added. A character is a code point after NFC."""

    truth: str
    """The true character; empty where one was added."""
    reading: str
    """What was read for it; empty where it was lost."""

    def __str__(self) -> str:
        """For people: `O → 0`, `space lost`, `e added`."""
        if not self.reading:
            return f"{visible(self.truth)} lost"
        if not self.truth:
            return f"{visible(self.reading)} added"
        return f"{visible(self.truth)} → {visible(self.reading)}"


@dataclass(frozen=True)
class CharacterScore:
    """How well one character is read."""

    character: str
    """The character."""
    truths: int
    """How often it stands in the labels."""
    readings: int
    """How often it was read."""
    right: int
    """How often it was read where it stands."""

    @property
    def recall(self) -> float | None:
        """Share of its occurrences that were read; None where there are none."""
        return self.right / self.truths if self.truths else None

    @property
    def precision(self) -> float | None:
        """Share of its readings that are right; None where there are none."""
        return self.right / self.readings if self.readings else None

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 0 where nothing is right."""
        return 2 * self.right / (self.truths + self.readings)


class Confusions:
    """Collects pairs of truth and reading with `update`, and tells the most frequent edits between them.

    Of several shortest ways from one text to the other it counts one, which is the same each time.

    Example::

        confusions = Confusions()
        confusions.update("ROOM 10", "R0OM1O")
        for edit, count in confusions.most_common(3):
            print(edit, count)
    """

    def __init__(self) -> None:
        self._counts: Counter[Edit] = Counter()
        self._truths: Counter[str] = Counter()
        self._readings: Counter[str] = Counter()

    def update(self, truth: str, reading: str) -> None:
        """Add one picture: what it says and what was read."""
        truth, reading = nfc(truth), nfc(reading)
        self._truths.update(truth)
        self._readings.update(reading)
        for operation, i, j in Levenshtein.editops(truth, reading):
            self._counts[Edit("" if operation == "insert" else truth[i], "" if operation == "delete" else reading[j])] += 1

    def most_common(self, n: int | None = None) -> list[tuple[Edit, int]]:
        """The `n` most frequent edits (without it all), and how often each occurred; equals by their characters."""
        ordered = sorted(self._counts.items(), key=lambda item: (-item[1], item[0].truth, item[0].reading))
        return ordered[:n]

    def characters(self) -> list[CharacterScore]:
        """How well each character of the labels and readings is read, in the order of their code points."""
        wrong: Counter[str] = Counter()
        for edit, count in self._counts.items():
            wrong[edit.truth] += count
        return [
            CharacterScore(
                character, self._truths[character], self._readings[character], self._truths[character] - wrong[character]
            )
            for character in sorted(self._truths | self._readings)
        ]


def differing(truth: str, reading: str) -> tuple[set[int], set[int]]:
    """Which characters of two NFC texts differ, by a shortest way from one to the other (Levenshtein's).

    Returns:
        The indices in `truth` that were lost or read otherwise, and the indices in `reading` that are wrong or too many.
    """
    operations = Levenshtein.editops(truth, reading)
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
    """White space, and what else shows nothing."""


_BY_CATEGORY = {
    "L": CharacterClass.LETTERS,
    "M": CharacterClass.LETTERS,
    "N": CharacterClass.DIGITS,
    "P": CharacterClass.PUNCTUATION,
    "S": CharacterClass.PUNCTUATION,
}


def class_of(character: str) -> CharacterClass:
    """The class of a code point."""
    return _BY_CATEGORY.get(unicodedata.category(character)[0], CharacterClass.SPACE)


def edits_by_class(truth: str, reading: str) -> dict[CharacterClass, tuple[int, int]]:
    """For each class that occurs, its edits and its true characters. All edits together are the Levenshtein distance.

    An edit is of the class of the true character; where one was added, of that one.
    """
    counts: dict[CharacterClass, tuple[int, int]] = {}
    for character in truth:
        edits, characters = counts.get(class_of(character), (0, 0))
        counts[class_of(character)] = edits, characters + 1
    for operation, i, j in Levenshtein.editops(truth, reading):
        of = class_of(reading[j] if operation == "insert" else truth[i])
        edits, characters = counts.get(of, (0, 0))
        counts[of] = edits + 1, characters
    return counts
