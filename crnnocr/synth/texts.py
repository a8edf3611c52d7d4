"""Where the texts of drawn pictures come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from crnnocr.charset import normalise
from crnnocr.errors import DataError, UsageError

TextSource = Callable[[int, np.random.Generator], str]
"""Gives the text of the sample with an index; what chance it needs it takes from the generator."""


def from_words(words: Sequence[str], fewest: int, most: int) -> TextSource:
    """Texts of `fewest` to `most` words, each drawn uniformly from `words`."""

    def text(index: int, rng: np.random.Generator) -> str:
        count = int(rng.integers(fewest, most + 1))
        return tidy(" ".join(words[i] for i in rng.integers(len(words), size=count)))

    return text


def from_file(path: Path) -> TextSource:
    """The lines of a text file in turn, again from the first after the last; empty lines are passed over.

    Raises `UsageError` where the file cannot be read and `DataError` where it holds no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read --text {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    texts = [text for text in map(tidy, lines) if text]
    if not texts:
        raise DataError(f"{path} holds no text")
    return lambda index, rng: texts[index % len(texts)]


def tidy(text: str) -> str:
    """`text` in NFC with single spaces, inside only."""
    return " ".join(normalise(text).split())
