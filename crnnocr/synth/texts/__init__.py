"""Where the texts of drawn pictures come from."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from crnnocr.charset import normalise
from crnnocr.config import Style, SynthConfig


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
    """The texts that `config` asks for; those that are made up hold characters of `drawable` only.

    Raises `UsageError` where no text can be as asked for, and `DataError` where a text file holds none.
    """
    if config.text is not None:
        from crnnocr.synth.texts.text_file import TextFile

        return TextFile(config)
    if config.style is Style.TRDG:
        from crnnocr.synth.texts.dictionary import Dictionaries

        return Dictionaries(config)
    from crnnocr.synth.texts.author import Authors

    return Authors(config, drawable)


def tidy(text: str) -> str:
    """`text` in NFC with single spaces, inside only."""
    return " ".join(normalise(text).split())
