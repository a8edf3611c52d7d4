r"""The syntax of patterns: the part of regular expressions that describes texts.

Literals; `\` before a special character; `.`; `\d \w \s` and their complements `\D \W \S`; classes `[a-z]` and `[^a-z]`;
groups `( )` and `(?: )`; `|`; `? * + {m} {m,} {,n} {m,n}`. A pattern stands for the whole text, so a `^` at its start and a `$`
at its end are allowed and change nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from crnnocr.errors import ConfigError
from crnnocr.text.charset import BLANK, Charset, describe, nfc

_MAX_DEPTH = 50
"""Groups nested in each other."""
_MAX_REPEATS = 1000
"""Largest number in braces."""


@dataclass(frozen=True)
class Characters:
    """Any one of some characters."""

    ids: frozenset[int]
    """Their class ids."""


@dataclass(frozen=True)
class Sequence:
    """One part after the other."""

    parts: tuple[Part, ...]
    """No parts are the empty text."""


@dataclass(frozen=True)
class Choice:
    """One of several parts."""

    options: tuple[Part, ...]
    """At least two."""


@dataclass(frozen=True)
class Repeat:
    """A part, several times."""

    part: Part
    minimum: int
    """The fewest times."""
    maximum: int | None
    """The most times; None for any number."""


Part: TypeAlias = Characters | Sequence | Choice | Repeat


_QUANTIFIERS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}


def is_word_character(character: str) -> bool:
    """Whether a character is part of words: a letter, a digit or a mark."""
    return unicodedata.category(character)[0] in "LNM"


_KINDS: dict[str, Callable[[str], bool]] = {
    "d": str.isdecimal,
    "w": lambda character: is_word_character(character) or character == "_",
    "s": str.isspace,
}


def parse(pattern: str, charset: Charset) -> Part:
    """Parse `pattern` in the class ids of `charset`.

    Raises `ConfigError`, naming the place, if the pattern is malformed or asks for characters that the charset lacks.
    """
    return _Parser(nfc(pattern), charset).parse()


class _Parser:
    """Reads a pattern from left to right (recursive descent)."""

    def __init__(self, pattern: str, charset: Charset) -> None:
        self._pattern = pattern
        self._charset = charset
        self._place = 0
        self._depth = 0

    def parse(self) -> Part:
        self._take("^")
        part = self._choice()
        self._take("$")
        if self._place < len(self._pattern):
            raise self._error("unmatched )" if self._next == ")" else f"{self._next} is special: write \\{self._next}")
        return part

    @property
    def _next(self) -> str:
        """The next character of the pattern; empty at its end."""
        return self._pattern[self._place : self._place + 1]

    def _take(self, expected: str) -> bool:
        """Go past `expected` if it comes next."""
        found = self._pattern.startswith(expected, self._place)
        self._place += found * len(expected)
        return found

    def _error(self, what: str, place: int | None = None) -> ConfigError:
        return ConfigError("pattern", f"{self._pattern}, place {(self._place if place is None else place) + 1}: {what}")

    def _choice(self) -> Part:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Part:
        parts = []
        while self._next and self._next not in ")|^$":
            parts.append(self._repeated(self._single()))
        return Sequence(tuple(parts))

    def _repeated(self, part: Part) -> Part:
        place = self._place
        if self._next in _QUANTIFIERS:
            minimum, maximum = _QUANTIFIERS[self._next]
            self._place += 1
        elif self._take("{"):
            minimum, maximum = self._braces(place)
        else:
            return part
        if self._next and self._next in "?*+{":
            raise self._error("a quantifier follows another: put what is repeated in ( )")
        return Repeat(part, minimum, maximum)

    def _braces(self, place: int) -> tuple[int, int | None]:
        """The numbers of `{m}`, `{m,}`, `{,n}` or `{m,n}`, of which the `{` stands at `place`."""
        inside, closed, _ = self._pattern[self._place :].partition("}")
        low, comma, high = inside.partition(",")
        numbers = [int(number) if number.isascii() and number.isdecimal() else None for number in (low, high)]
        if not closed or not inside.strip(",") or any(text and n is None for text, n in zip((low, high), numbers, strict=True)):
            raise self._error("after { come numbers, as in {3}, {2,} or {2,4}; write \\{ for the character", place)
        self._place += len(inside) + 1
        minimum = numbers[0] or 0
        maximum = numbers[1] if comma else minimum
        if max(minimum, maximum or 0) > _MAX_REPEATS or (maximum is not None and maximum < minimum):
            raise self._error(f"{{{inside}}} must go up, to {_MAX_REPEATS} at most", place)
        return minimum, maximum

    def _single(self) -> Part:
        place = self._place
        if self._take("("):
            return self._group(place)
        if self._take("["):
            return self._class(place)
        if self._take("."):
            return Characters(self._matching(lambda _: True))
        if self._next in ("?", "*", "+", "{"):
            raise self._error(f"nothing stands before {self._next} to be repeated; write \\{self._next} for the character")
        ids = self._kind()
        if ids is None:
            character = self._character()
            if self._charset.id_of(character) is None:
                raise self._error(f"the model does not know {describe(character)}", place)
            ids = self._matching(character.__eq__)
        return self._of_the_model(ids, place)

    def _group(self, place: int) -> Part:
        self._take("?:")
        if self._next == "?":
            raise self._error("of the groups that begin with (? only (?: ) is known")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"more than {_MAX_DEPTH} nested groups", place)
        part = self._choice()
        self._depth -= 1
        if not self._take(")"):
            raise self._error("unmatched (", place) if not self._next else self._error(f"{self._next} within a group")
        return part

    def _class(self, place: int) -> Part:
        negated = self._take("^")
        ids: set[int] = set()
        is_first = True
        while is_first or self._next != "]":
            if not self._next:
                raise self._error("unmatched [", place)
            ids |= self._range()
            is_first = False
        self._take("]")
        chosen = self._matching(lambda _: True) - ids if negated else ids
        return self._of_the_model(frozenset(chosen), place)

    def _range(self) -> frozenset[int]:
        """The next character, kind or range of a class, without the characters that the charset lacks."""
        place = self._place
        kind = self._kind()
        if kind is not None:
            return kind
        low = high = self._character()
        if self._next == "-" and self._pattern[self._place + 1 : self._place + 2] not in ("]", ""):
            self._place += 1
            high = self._character()
        if high < low:
            raise self._error(f"the range {low}-{high} goes down", place)
        return self._matching(lambda character: low <= character <= high)

    def _kind(self) -> frozenset[int] | None:
        """The characters of a kind, with its backslash, if one comes next."""
        letter = self._pattern[self._place + 1 : self._place + 2]
        if self._next != "\\" or letter.lower() not in _KINDS:
            return None
        self._place += 2
        is_of_kind = _KINDS[letter.lower()]
        return self._matching(lambda character: is_of_kind(character) == letter.islower())

    def _character(self) -> str:
        """The next character, without its backslash."""
        place = self._place
        if self._take("\\") and (not self._next or self._next.isalnum()):
            known = ", ".join(f"\\{letter} \\{letter.upper()}" for letter in _KINDS)
            raise self._error(f"\\{self._next} has no meaning: {known} have, and \\ before a special character", place)
        self._place += 1
        return self._pattern[self._place - 1]

    def _of_the_model(self, ids: frozenset[int], place: int) -> Characters:
        if not ids:
            raise self._error(f"the model knows no character of {self._pattern[place : self._place]}", place)
        return Characters(ids)

    def _matching(self, wanted: Callable[[str], bool]) -> frozenset[int]:
        """The class ids of the characters of the charset that `wanted` is true of."""
        return frozenset(i for i, c in enumerate(self._charset.characters, start=BLANK + 1) if wanted(c))
