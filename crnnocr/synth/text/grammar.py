"""Random texts by rules: a symbol is replaced by one of its templates, and the symbols in that by theirs.

A template is text with fields in braces: `{price}` is a symbol; `{#AA-0000}` is a pattern, in which each `0` is replaced by a
digit and so on as `PLACEHOLDERS` says; the rest stands for itself.
"""

from __future__ import annotations

import re
import string
from calendar import monthrange
from collections.abc import Callable, Mapping

from crnnocr.synth.rng import Random, Weighted

Maker = Callable[[Random], str]
"""Makes one text."""

Check = Callable[[Mapping[str, str]], bool]
"""Whether the texts of a template's fields, by their symbols, go together."""

Templates = Mapping[str, float] | tuple[str, ...]
"""Templates with their weights, or templates of equal weight."""

PLACEHOLDERS = {
    "0": string.digits,
    "9": string.digits[1:],
    "5": string.digits[:6],
    "A": string.ascii_uppercase,
    "a": string.ascii_lowercase,
    "*": string.ascii_uppercase + string.digits,
    "^": string.digits + "abcdef",
    "~": string.digits + "ABCDEF",
}
"""The choices for each placeholder of a pattern; all other characters stand for themselves."""

_FIELD = re.compile(r"\{([^{}]+)\}")

_DAYS_OF_EVERY_MONTH = 28

_COMMON_YEAR = 2001
"""Stands for a year that is not known."""


class Grammar:
    """Rules that texts are made by. No pattern gives a letter of `without`.

    A text for a symbol in `checks` is made again until its check, which gets the texts of its fields, holds.
    """

    def __init__(
        self,
        rules: Mapping[str, Templates],
        makers: Mapping[str, Maker],
        checks: Mapping[str, Check] | None = None,
        without: str = "",
    ) -> None:
        self._checks = checks or {}
        self._choices = {sign: "".join(c for c in choices if c not in without) for sign, choices in PLACEHOLDERS.items()}
        self._makers: dict[str, Maker] = dict(makers)
        for symbol in rules:
            self._makers.setdefault(symbol, self._rule_maker(symbol))
        self._names = {maker: symbol for symbol, maker in self._makers.items()}
        self._templates = {symbol: self.parse(templates) for symbol, templates in rules.items()}

    def make(self, symbol: str, rng: Random) -> str:
        """A text for `symbol`."""
        return self._makers[symbol](rng)

    def _rule_maker(self, symbol: str) -> Maker:
        check = self._checks.get(symbol)

        def make(rng: Random) -> str:
            parts = self._templates[symbol].choose(rng)  # which are parsed only after all makers are known
            while True:
                texts = [part if isinstance(part, str) else part(rng) for part in parts]
                if check is None or check(self._fields(parts, texts)):
                    return "".join(texts)

        return make

    def _fields(self, parts: tuple[str | Maker, ...], texts: list[str]) -> dict[str, str]:
        """The texts of the symbols among the parts of a template."""
        made = zip(parts, texts, strict=True)
        return {self._names[part]: text for part, text in made if not isinstance(part, str) and part in self._names}

    def parse(self, templates: Templates) -> Weighted[tuple[str | Maker, ...]]:
        """Templates to choose from, each as its literal parts and the makers of its fields."""
        weights = templates if isinstance(templates, Mapping) else dict.fromkeys(templates, 1.0)
        return Weighted({self._parts(template): weight for template, weight in weights.items()})

    def _parts(self, template: str) -> tuple[str | Maker, ...]:
        pieces = _FIELD.split(template)  # texts and fields by turns
        return tuple(self._field(piece) if i % 2 else piece for i, piece in enumerate(pieces) if piece)

    def _field(self, field: str) -> Maker:
        return self._pattern_maker(field[1:]) if field[0] == "#" else self._makers[field]

    def _pattern_maker(self, pattern: str) -> Maker:
        choices = [self._choices.get(c, c) for c in pattern]

        def make(rng: Random) -> str:
            return "".join([c[int(rng.random() * len(c))] for c in choices])

        return make


def literals(templates: Templates) -> set[str]:
    """The characters that stand for themselves in `templates`."""
    return set("".join(_FIELD.sub("", template) for template in templates))


def is_date(fields: Mapping[str, str]) -> bool:
    """Whether the day that the fields of a date name exists. A month by name counts as one of 28 days."""
    day = int(fields.get("dayNumber") or fields.get("day") or 1)
    month = fields.get("monthNumber") or fields.get("month") or fields.get("monthName") or ""
    if not month.isdecimal():
        return day <= _DAYS_OF_EVERY_MONTH
    return day <= monthrange(int(fields.get("year", _COMMON_YEAR)), int(month))[1]
