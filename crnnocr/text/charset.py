"""The characters a model knows, and their class ids.

A character is one Unicode code point after NFC normalisation. Class ids follow each other as the characters do on paper, from
left to right, also where the text runs from right to left. Class 0 is the CTC blank and is nobody's character, so that
a space, or an emoji, is a character like any other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from crnnocr.errors import DataError
from crnnocr.text.bidi import visual

BLANK = 0
"""The class id of the CTC blank."""

JOINERS = "\u200c\u200d"
"""The zero-width non-joiner and joiner: without ink of their own, they shape the letters on both sides."""


def frames_needed(label: Sequence[object]) -> int:
    """The fewest frames in which CTC can write a label (a text, or its class ids): one for each character, and one for the
    blank between equal neighbours.
    """
    return len(label) + sum(a == b for a, b in pairwise(label))


def nfc(text: str) -> str:
    """Return `text` in NFC, the only form in which labels are encoded, compared and shown."""
    return unicodedata.normalize("NFC", text)


def describe(character: str) -> str:
    """Name a character for a message: itself, code point and Unicode name."""
    name = unicodedata.name(character, "unnamed")
    return f"{character!r} (U+{ord(character):04X} {name})"


def visible(character: str) -> str:
    """Name a character in a list: itself, `space`, a mark on a dotted circle, or the code point of one that shows nothing."""
    if character == " ":
        return "space"
    category = unicodedata.category(character)
    if category.startswith(("C", "Z")):  # controls, formats and separators
        return f"U+{ord(character):04X}"
    return f"◌{character}" if category.startswith("M") else character


@dataclass(frozen=True)
class Charset:
    """An ordered set of characters. Character `characters[i]` has class id `i + 1`; id 0 is the blank."""

    characters: str
    """The characters in the order of their class ids, each once."""

    _ids: dict[str, int] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        if not self.characters:
            raise DataError("a charset needs at least one character")
        ids = {character: index for index, character in enumerate(self.characters, start=BLANK + 1)}
        if len(ids) != len(self.characters):
            twice = next(c for c in self.characters if self.characters.count(c) > 1)
            raise DataError(f"the charset holds {describe(twice)} twice")
        for character in self.characters:
            if nfc(character) != character:
                raise DataError(f"the charset holds {describe(character)}, which NFC writes otherwise")
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> Charset:
        """The charset of all characters in `texts` (after NFC), in code point order."""
        seen: set[str] = set()
        for text in texts:
            seen.update(visual(nfc(text)))
        return cls("".join(sorted(seen)))

    @property
    def classes(self) -> int:
        """Number of classes C of a model for this charset: the characters and the blank."""
        return len(self.characters) + 1

    def id_of(self, character: str) -> int | None:
        """The class id of one character as it stands on paper, in NFC; None where the charset lacks it."""
        return self._ids.get(character)

    def unknown(self, text: str) -> list[str]:
        """The characters of `text` (after NFC) that the charset lacks, each once, in order of appearance.

        Of a text that runs from right to left they are those that stand on paper: its opening bracket is `)`.
        """
        return list(dict.fromkeys(c for c in visual(nfc(text)) if c not in self._ids))

    def encode(self, text: str) -> list[int]:
        """Class ids of `text` after NFC, from left to right.

        Raises `DataError`, naming the character with its code point, where the charset lacks one.
        """
        missing = self.unknown(text)
        if missing:
            raise DataError(f"{text!r} holds {', '.join(map(describe, missing))}, not in the charset")
        return [self._ids[c] for c in visual(nfc(text))]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of class `ids`, which run from left to right and must hold no blank."""
        if any(not BLANK < i < self.classes for i in ids):
            raise ValueError(f"class ids must lie between 1 and {self.classes - 1}: {list(ids)}")
        return visual("".join(self.characters[i - 1] for i in ids))
