"""The texts of synthetic images: made up in a language, or taken from a file."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from typing import NamedTuple, Protocol

import numpy as np

from crnnocr.config import Style, SynthConfig
from crnnocr.text.charset import JOINERS, NUMBER_SIGNS, nfc

_SHAPED = "\u0590-\u109f\u1780-\u18af\ufb1d-\ufdff\ufe70-\ufefc"
"""Blocks of the scripts that are shaped: Hebrew and Arabic, those of India and their neighbors."""


class TextWarning(UserWarning):
    """Some of the user's texts are left out."""


class Text(NamedTuple):
    """A text and its language."""

    text: str
    """In NFC and logical order, with single spaces, inside only."""
    lang: str
    """The code of its language."""


class TextSource(Protocol):
    """Gives the text of the sample with an index. All its randomness comes from the generator."""

    charset: str
    """Every character that it may give, in code point order."""

    def __call__(self, index: int, style: Style, rng: np.random.Generator) -> Text:
        """The text of sample `index` in a style."""
        ...


def create_source(config: SynthConfig, drawable: frozenset[str]) -> TextSource:
    """The texts that `config` asks for, of `drawable` characters only.

    Raises `UsageError` if no text can be as asked for, and `DataError` if a text file holds none or most letters of a language
    are not drawable. Warns with `TextWarning` if texts of a file are left out because they are not drawable.
    """
    if config.text is not None:
        from crnnocr.synth.text.text_file import TextFile

        return TextFile(config, drawable)
    from crnnocr.synth.text.generator import TextGenerator

    return TextGenerator(config, drawable)


def normalize_text(text: str) -> str:
    """`text` in NFC with single spaces, inside only, and without invisible characters."""
    return " ".join(nfc(text if text.isascii() else _invisible().sub(_kept_joiner, text)).split())


def invisible_positions(text: str) -> list[int]:
    """Positions of the invisible characters of `text` that `normalize_text` drops."""
    positions: list[int] = []
    for match in () if text.isascii() else _invisible().finditer(text):
        joiner = _kept_joiner(match)
        kept = match.start() + match[0].index(joiner) if joiner else -1
        positions.extend(position for position in range(*match.span()) if position != kept)
    return positions


@functools.cache
def _invisible() -> re.Pattern[str]:
    """Runs of invisible characters: those of Unicode's category Cf, except those that span numbers."""
    signs = re.compile(f"[{NUMBER_SIGNS}]")
    characters = (chr(code) for code in range(sys.maxunicode + 1))
    invisible = "".join(c for c in characters if unicodedata.category(c) == "Cf" and not signs.match(c))
    return re.compile(f"[{re.escape(invisible)}]+")


def _kept_joiner(run: re.Match[str]) -> str:
    """The first joiner of a run of invisible characters, if shaped letters stand on both sides; else nothing."""
    sides = run.string[max(0, run.start() - 1) : run.start()] + run.string[run.end() : run.end() + 1]
    shaped = re.fullmatch(f"[{_SHAPED}]{{2}}", sides) and all(unicodedata.category(c)[0] in "LM" for c in sides)
    return next((c for c in run[0] if c in JOINERS), "") if shaped else ""
