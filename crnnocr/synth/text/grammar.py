"""Which days there are in a calendar.

Texts by rules: a symbol is replaced by one of its templates, and the symbols in that by theirs.

A template is text with fields in braces: `{price}` is a symbol, `{#AA-0000}` a shape, whose every `0` is replaced by a digit
and so on as `SHAPES` says, and the rest stands for itself.
"""

from __future__ import annotations

import re
import string
from calendar import monthrange
from collections.abc import Callable, Mapping

from crnnocr.synth.rng import Chance, Weighted

_DAYS_OF_ALL = 28
"""Days that every month has."""

_COMMON_YEAR = 2001
"""Stands for a year that is not known."""


def exists(fields: Mapping[str, str]) -> bool:
    """Whether there is the day of a date, of the texts of its fields; with a month by name only one that every month has."""
    day = int(fields.get("dayNumber") or fields.get("day") or 1)
    month = fields.get("monthNumber") or fields.get("month") or fields.get("monthName") or ""
    if not month.isdecimal():
        return day <= _DAYS_OF_ALL
    return day <= monthrange(int(fields.get("year", _COMMON_YEAR)), int(month))[1]


Maker = Callable[[Chance], str]
"""Makes one text."""

Check = Callable[[Mapping[str, str]], bool]
"""Whether the texts of a template's fields, by their symbols, go together."""

Templates = Mapping[str, float] | tuple[str, ...]
"""Templates with their weights, or templates that are each as likely."""

SHAPES = {
    "0": string.digits,
    "9": string.digits[1:],
    "5": string.digits[:6],
    "A": string.ascii_uppercase,
    "a": string.ascii_lowercase,
    "*": string.ascii_uppercase + string.digits,
    "^": string.digits + "abcdef",
    "~": string.digits + "ABCDEF",
}
"""What each character of a shape is replaced by one of; all others stand for themselves."""

_FIELD = re.compile(r"\{([^{}]+)\}")


class Grammar:
    """Rules that texts are made by; no shape has a letter of `without`.

    A text for a symbol in `checks` is made again until its check, which is given the texts of its fields, holds.
    """

    def __init__(
        self,
        rules: Mapping[str, Templates],
        makers: Mapping[str, Maker],
        checks: Mapping[str, Check] | None = None,
        without: str = "",
    ) -> None:
        self._checks = checks or {}
        self._shapes = {sign: "".join(c for c in choices if c not in without) for sign, choices in SHAPES.items()}
        self._makers: dict[str, Maker] = dict(makers)
        for symbol in rules:
            self._makers.setdefault(symbol, self._later(symbol))
        self._names = {maker: symbol for symbol, maker in self._makers.items()}
        self._templates = {symbol: self.parsed(templates) for symbol, templates in rules.items()}

    def make(self, symbol: str, chance: Chance) -> str:
        """A text for `symbol`."""
        return self._makers[symbol](chance)

    def _later(self, symbol: str) -> Maker:
        holds = self._checks.get(symbol)

        def make(chance: Chance) -> str:
            parts = self._templates[symbol].draw(chance)
            while True:
                texts = [part if isinstance(part, str) else part(chance) for part in parts]
                if holds is None or holds(self._fields(parts, texts)):
                    return "".join(texts)

        return make

    def _fields(self, parts: tuple[str | Maker, ...], texts: list[str]) -> dict[str, str]:
        """The texts of the symbols among the parts of a template."""
        made = zip(parts, texts, strict=True)
        return {self._names[part]: text for part, text in made if not isinstance(part, str) and part in self._names}

    def parsed(self, templates: Templates) -> Weighted[tuple[str | Maker, ...]]:
        """Templates to draw from, as their literal parts and the makers of the others."""
        weights = templates if isinstance(templates, Mapping) else dict.fromkeys(templates, 1.0)
        return Weighted({self._parts(template): weight for template, weight in weights.items()})

    def _parts(self, template: str) -> tuple[str | Maker, ...]:
        pieces = _FIELD.split(template)  # texts and fields by turns
        return tuple(self._field(piece) if i % 2 else piece for i, piece in enumerate(pieces) if piece)

    def _field(self, field: str) -> Maker:
        return self._shape(field[1:]) if field[0] == "#" else self._makers[field]

    def _shape(self, pattern: str) -> Maker:
        choices = [self._shapes.get(c, c) for c in pattern]

        def make(chance: Chance) -> str:
            return "".join([c[int(chance.random() * len(c))] for c in choices])

        return make


def literals(templates: Templates) -> set[str]:
    """The characters that stand for themselves in `templates`."""
    return set("".join(_FIELD.sub("", template) for template in templates))
