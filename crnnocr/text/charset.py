"""The characters that a model knows, and their class ids.

A character is one Unicode code point after NFC normalization. Class ids are in visual order, from left to right, even if the
text runs from right to left. Class 0 is the CTC blank and no character, so that a space, or an emoji, is a character like any
other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from crnnocr.errors import DataError
from crnnocr.text.bidi import logical_to_visual, orders_in_lines, visual_to_logical

BLANK = 0
"""The class id of the CTC blank."""

JOINERS = "\u200c\u200d"
"""The zero-width non-joiner and joiner: without ink of their own, they shape the letters on both sides."""

NUMBER_SIGNS = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Format characters that are visible, as ranges for a regular expression: signs that span numbers (Unicode's
Prepended_Concatenation_Mark).
"""


_SPACES = re.compile(r"[^\S\n\r\v\f\x85\u2028\u2029]+")
"""White space that ends no line."""


@dataclass(frozen=True)
class Charset:
    """An ordered set of characters. Character `characters[i]` has class id `i + 1`; id 0 is the blank."""

    characters: str
    """In the order of their class ids, each once, in NFC."""

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
        """Return the charset of all characters in `texts` (after NFC), in code point order."""
        found: set[str] = set()
        for text in texts:
            found.update(logical_to_visual(nfc(text)))
        return cls("".join(sorted(found)))

    @property
    def classes(self) -> int:
        """Number of classes C of a model with this charset: the characters and the blank."""
        return len(self.characters) + 1

    @cached_property
    def spaces(self) -> tuple[int, ...]:
        """Class ids of the characters that are white space."""
        return tuple(id_ for id_, character in enumerate(self.characters, start=BLANK + 1) if character.isspace())

    def id_of(self, character: str) -> int | None:
        """Return the class id of a character in NFC, as it stands on paper; None if the charset lacks it."""
        return self._ids.get(character)

    def unknown(self, text: str) -> list[str]:
        """List the characters of `text` (after NFC) that the charset lacks, each once, in visual order.

        In a text that runs from right to left they are those that stand on paper: its opening bracket is `)`.
        """
        return list(dict.fromkeys(c for c in logical_to_visual(nfc(text)) if c not in self._ids))

    def encode(self, text: str) -> list[int]:
        """Return the class ids of `text` after NFC, from left to right.

        Raises `DataError`, naming the characters with their code points, if the charset lacks any.
        """
        missing = self.unknown(text)
        if missing:
            raise DataError(f"{text!r} holds {', '.join(map(describe, missing))}, not in the charset")
        return [self._ids[c] for c in logical_to_visual(nfc(text))]

    def encode_in_lines(self, word: str) -> list[list[int]]:
        """Return the class ids of a word in each order in which it may stand in a line, as far as the charset can write them.

        In a line that runs from right to left `50%` may stand as `%50`.
        """
        return [list(ids) for shown in orders_in_lines(nfc(word), self.characters) if (ids := self._all_ids(shown)) is not None]

    def _all_ids(self, shown: str) -> list[int] | None:
        ids = [self._ids.get(c, BLANK) for c in shown]
        return None if BLANK in ids else ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of class `ids`, which run from left to right and must hold no blank. `encode` leads back to them."""
        if any(not BLANK < i < self.classes for i in ids):
            raise ValueError(f"class ids must lie between 1 and {self.classes - 1}: {list(ids)}")
        return visual_to_logical("".join(self.characters[i - 1] for i in ids))


def unknown_characters(texts: Iterable[str], charset: Charset) -> dict[str, list[int]]:
    """Map each character that the charset lacks to the indices of the texts that hold it, in code point order."""
    found: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        for character in charset.unknown(text):
            found.setdefault(character, []).append(index)
    return dict(sorted(found.items()))


def frames_needed(label: Sequence[object]) -> int:
    """Return the fewest frames in which CTC can write a label, given as a text or as class ids.

    Each character takes a frame, and so does the blank between two equal neighbors.
    """
    return len(label) + sum(a == b for a, b in pairwise(label))


def nfc(text: str) -> str:
    """Return `text` in NFC, the only form in which labels are encoded and shown."""
    return unicodedata.normalize("NFC", text)


def single_spaced(text: str) -> str:
    """Return `text` in NFC and single-spaced, as labels and predictions are, without spaces at the ends.

    White space of several kinds becomes a space, as does a tab. A no-break or an ideographic space alone is a character of its
    own. Ends of lines inside stay.
    """
    return _SPACES.sub(_one_space, nfc(text).strip())


def _one_space(found: re.Match[str]) -> str:
    first = found[0][0]
    return first if {*found[0]} == {first} and unicodedata.category(first) == "Zs" else " "


def canonical(text: str) -> str:
    """Return `text` as it is compared: in NFC, and of all texts that look the same on paper the one that models give."""
    return nfc(visual_to_logical(logical_to_visual(nfc(text))))


def describe(character: str) -> str:
    """Return a character with its code point and Unicode name: `'a' (U+0061 LATIN SMALL LETTER A)`."""
    name = unicodedata.name(character, "unnamed")
    return f"{character!r} (U+{ord(character):04X} {name})"


def visible(character: str) -> str:
    """Return a character for a list: itself, `space`, a mark on a dotted circle, or the code point of an invisible one."""
    if character == " ":
        return "space"
    category = unicodedata.category(character)
    if category.startswith(("C", "Z")):  # controls, formats and separators
        return f"U+{ord(character):04X}"
    return f"◌{character}" if category.startswith("M") else character
