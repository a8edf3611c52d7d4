"""Where the texts of drawn pictures come from."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from typing import NamedTuple, Protocol

import numpy as np

from crnnocr.config import Style, SynthConfig
from crnnocr.text.charset import JOINERS, nfc

_SIGNS = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Format characters that are drawn: signs that span numbers (Unicode's Prepended_Concatenation_Mark)."""

_SHAPED = "\u0590-\u109f\u1780-\u18af\ufb1d-\ufdff\ufe70-\ufefc"
"""Blocks of the scripts that are shaped: Hebrew and Arabic, those of India and their neighbours."""


class TextWarning(UserWarning):
    """Texts of the user's are left out."""


class Text(NamedTuple):
    """A text to draw."""

    text: str
    """In NFC and logical order, with single spaces, inside only."""
    lang: str
    """The code of its language."""


class TextSource(Protocol):
    """Gives the text of the sample with an index; what chance it needs it takes from the generator."""

    charset: str
    """Every character that it may give, in code point order."""

    def __call__(self, index: int, style: Style, rng: np.random.Generator) -> Text:
        """The text of sample `index` in a style."""
        ...


def source(config: SynthConfig, drawable: frozenset[str]) -> TextSource:
    """The texts that `config` asks for, of characters of `drawable` only; but trdg's may hold others.

    Raises `UsageError` where no text can be as asked for, and `DataError` where a text file holds none or where most of a
    language's letters are not drawable. Texts of a file with other characters are set aside with a `TextWarning`.
    """
    drawable = drawable.union(JOINERS)  # a text is shaped with them whether the font has them or not
    if config.text is not None:
        from crnnocr.synth.text.text_file import TextFile

        return TextFile(config, drawable)
    if config.style is Style.TRDG:
        from crnnocr.synth.text.dictionary import Dictionaries

        return Dictionaries(config)
    from crnnocr.synth.text.generator import Authors

    return Authors(config, drawable)


def tidy(text: str) -> str:
    """`text` in NFC with single spaces, inside only, and without characters that are drawn as nothing."""
    return " ".join(nfc(text if text.isascii() else _undrawn().sub(_joiner, text)).split())


def hidden(text: str) -> list[int]:
    """Places of the characters of `text` that `tidy` leaves out because they are drawn as nothing."""
    places: list[int] = []
    for match in () if text.isascii() else _undrawn().finditer(text):
        joiner = _joiner(match)
        kept = match.start() + match[0].index(joiner) if joiner else -1
        places.extend(place for place in range(*match.span()) if place != kept)
    return places


@functools.cache
def _undrawn() -> re.Pattern[str]:
    """Runs of characters that are drawn as nothing: those of Unicode's category Cf."""
    signs = re.compile(f"[{_SIGNS}]")
    found = (chr(code) for code in range(sys.maxunicode + 1))
    undrawn = "".join(c for c in found if unicodedata.category(c) == "Cf" and not signs.match(c))
    return re.compile(f"[{re.escape(undrawn)}]+")


def _joiner(undrawn: re.Match[str]) -> str:
    """Of a run of undrawn characters the first joiner, if letters that are shaped stand on both sides."""
    sides = undrawn.string[max(0, undrawn.start() - 1) : undrawn.start()] + undrawn.string[undrawn.end() : undrawn.end() + 1]
    shaped = re.fullmatch(f"[{_SHAPED}]{{2}}", sides) and all(unicodedata.category(c)[0] in "LM" for c in sides)
    return next((c for c in undrawn[0] if c in JOINERS), "") if shaped else ""
