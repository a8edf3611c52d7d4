"""Letters, digits, punctuation and space: how well each is read."""

from __future__ import annotations

import unicodedata
from enum import StrEnum

import Levenshtein


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
