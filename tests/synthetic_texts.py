"""Shared by tests of made-up texts and of text files."""

from __future__ import annotations

import unicodedata

import numpy as np

from crnnocr.config import Style
from crnnocr.synth import text as texts

ALL = frozenset(map(chr, range(0x20, 0x20000)))
"""As if there were a font for everything."""


def some_texts(source: texts.TextSource, count: int, style: Style = Style.CLEAN, seed: int = 0) -> list[str]:
    return [source(index, style, np.random.default_rng([seed, index])).text for index in range(count)]


def is_normalized(text: str) -> bool:
    return bool(text) and text == " ".join(unicodedata.normalize("NFC", text).split())
