"""How often each style has which kind of text, how long, and in which case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crnnocr.config import Style


@dataclass(frozen=True)
class Mixture:
    """How texts of a style are made up."""

    kinds: Mapping[str, float]
    """Weight of each kind of text: of a rule, or of `prose`, `words` (a few, with no mark between), `string` (random
    characters) and `glyph` (one or two of them)."""
    prose: Mapping[int, float]
    """Weight of each number of words in running text."""
    words: Mapping[int, float]
    """Weight of each number of words without marks."""
    cases: Mapping[str, float]
    """Weight of each way to write capitals: `asis`, `lower`, `upper`, `title`, `mixed`."""


MIXTURES: Mapping[Style, Mixture] = {
    Style.CLEAN: Mixture(
        kinds={
            "words": 34,
            "prose": 26,
            "name": 4,
            "company": 2,
            "address": 2,
            "city": 2,
            "number": 6,
            "percent": 1,
            "price": 4,
            "quantity": 2,
            "date": 4,
            "time": 2,
            "phone": 2,
            "code": 5,
            "enumeration": 1,
            "email": 1.5,
            "url": 1.5,
            "tag": 1,
            "techno": 1,
            "brand": 1,
            "string": 4,
            "glyph": 3,
        },
        prose={2: 4, 3: 4, 4: 3, 5: 2, 6: 1},
        words={1: 60, 2: 28, 3: 12},
        cases={"asis": 56, "lower": 10, "upper": 18, "title": 13, "mixed": 3},
    ),
    Style.DOCUMENT: Mixture(
        kinds={
            "prose": 62,
            "words": 10,
            "name": 3,
            "company": 1.5,
            "address": 1.5,
            "city": 1,
            "number": 3,
            "percent": 1,
            "price": 1.5,
            "quantity": 1,
            "date": 3,
            "time": 1,
            "phone": 1,
            "code": 2,
            "enumeration": 2,
            "email": 0.7,
            "url": 0.7,
            "techno": 0.5,
            "string": 2,
            "glyph": 3,
        },
        prose={3: 5, 4: 5, 5: 4, 6: 3, 7: 2, 8: 1.5, 9: 1, 10: 1},
        words={1: 60, 2: 25, 3: 15},
        cases={"asis": 88, "lower": 2, "upper": 5, "title": 4.5, "mixed": 0.5},
    ),
    Style.SCENE: Mixture(
        kinds={
            "words": 58,
            "prose": 3,
            "name": 2,
            "company": 2,
            "city": 2,
            "number": 7,
            "percent": 1,
            "price": 3,
            "quantity": 1,
            "date": 0.7,
            "time": 1,
            "phone": 1,
            "code": 4,
            "url": 0.7,
            "tag": 0.7,
            "brand": 6,
            "string": 6,
            "glyph": 3,
        },
        prose={2: 3, 3: 2, 4: 1},
        words={1: 84, 2: 13, 3: 3},
        cases={"asis": 30, "lower": 10, "upper": 36, "title": 22, "mixed": 2},
    ),
    Style.RECEIPT: Mixture(
        kinds={
            "line": 62,
            "words": 5,
            "prose": 5,
            "name": 1,
            "company": 4,
            "address": 5,
            "city": 2,
            "number": 4,
            "percent": 1,
            "price": 5,
            "quantity": 1,
            "date": 5,
            "time": 3,
            "phone": 4,
            "code": 6,
            "url": 1.5,
            "email": 0.5,
            "string": 1.5,
            "glyph": 2,
        },
        prose={2: 3, 3: 3, 4: 2},
        words={1: 60, 2: 30, 3: 10},
        cases={"asis": 42, "lower": 3, "upper": 48, "title": 6, "mixed": 1},
    ),
}
"""Of each style that makes its texts up."""

LIFTED_WORDS: Mapping[Style, tuple[int, int]] = {
    Style.CLEAN: (2, 3),
    Style.DOCUMENT: (3, 6),
    Style.SCENE: (1, 2),
    Style.RECEIPT: (2, 3),
}
"""Fewest and most words of a text that is made for its rare characters."""
