"""A character n-gram model of a plain text: how probable each character is after those before it."""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from crnnocr.charset import Charset
from crnnocr.decoders.automaton import MOST_STATES
from crnnocr.decoders.hypothesis import Floats
from crnnocr.decoders.ngrams import BOUNDARY, UNKNOWN, NGrams, smoothed, symbols_of
from crnnocr.decoders.text_file import lines_of
from crnnocr.errors import CrnnocrError, UsageError
from crnnocr.files import replacing

ORDER = 6
"""Characters of the longest n-grams, the one that is told included."""

_FORMAT = 2
_HELD_OUT = 10
"""One line in so many is unseen when the cross-entropy is measured."""
_MEASURED = 20_000
"""Characters on which it is measured."""
_REMEMBERED = 1 << 22
"""Probabilities that are remembered, 8 bytes each: 32 MB."""
_NO_CONTEXT = 0
"""After what is unknown."""


class LanguageModel:
    """The probabilities of characters in their contexts. Safe to use from several threads.

    A context is a number that `start` and `next` give.
    """

    def __init__(self, ngrams: NGrams, classes: int, bonus: float = 0.0) -> None:
        self.classes = classes
        """C, the number of the characters and one for the end of the line, which has the blank's class id."""
        self.bonus = bonus
        """Cross-entropy on lines that it has not seen, in nats a character."""
        self.ngrams = ngrams
        """What was counted and smoothed."""
        self.probs = lru_cache(1 + _REMEMBERED // classes)(self._probs)
        """By context, the (C,) probabilities of the character that follows, the blank standing for the end."""
        self.next = lru_cache(MOST_STATES)(self._next)
        """By context and class id, the context after that character."""
        self.start = self.next(_NO_CONTEXT, BOUNDARY)
        """The context at the beginning of a line."""

    @classmethod
    def load(cls, path: str, charset: Charset, cache: Path | None = None) -> LanguageModel:
        """The model of a text file.

        Args:
            path: a UTF-8 text file.
            charset: the characters to tell; over others no context goes.
            cache: a folder in which models are kept, one for each text and charset; what cannot be written there is not kept.

        Raises:
            UsageError: the text cannot be read, or holds nothing that the charset can write.
        """
        lines = lines_of(path, "--lm")
        key = hashlib.sha256("\n".join([str(_FORMAT), str(ORDER), charset.characters, *lines]).encode()).hexdigest()
        kept = cache / f"{key}.npz" if cache else None
        if kept and (model := _read(kept, charset.classes)):
            return model
        model = cls.of_lines(lines, charset)
        if kept:
            with suppress(CrnnocrError, OSError):  # a read-only home, a full disk
                _write(kept, model)
        return model

    @classmethod
    def of_lines(cls, lines: Sequence[str], charset: Charset, order: int = ORDER) -> LanguageModel:
        """The model of some lines of text."""
        symbols = symbols_of(lines, charset)
        if not (symbols > BOUNDARY).any():
            raise UsageError("--lm holds no character that the model knows")
        kept = [line for n, line in enumerate(lines) if n % _HELD_OUT] or lines
        unseen = lines[::_HELD_OUT]
        measured = cls(smoothed(symbols_of(kept, charset), charset.classes, order), charset.classes)
        bonus = measured.cross_entropy(unseen, charset)
        return cls(smoothed(symbols, charset.classes, order), charset.classes, bonus)

    def log_prob(self, ids: Sequence[int]) -> float:
        """Natural log of the probability of a line of class `ids`, its end included."""
        context, total = self.start, 0.0
        for character in ids:
            total += math.log(self.probs(context)[character])
            context = self.next(context, character)
        return total + math.log(self.probs(context)[BOUNDARY])

    def cross_entropy(self, lines: Sequence[str], charset: Charset) -> float:
        """What lines lose a character, their ends counting as one: nats. Of many lines a part is measured."""
        loss, count = 0.0, 0
        spread = max(1, sum(map(len, lines)) // _MEASURED)
        context, is_within = _NO_CONTEXT, False
        for symbol in symbols_of(lines[::spread], charset).tolist():
            if symbol == UNKNOWN:
                context = _NO_CONTEXT
            elif symbol == BOUNDARY and not is_within:
                context, is_within = self.start, True
            else:
                loss -= math.log(self.probs(context)[symbol])
                count += 1
                context, is_within = self.next(context, symbol), symbol != BOUNDARY
        return loss / max(count, 1)

    def _probs(self, context: int) -> Floats:
        """What its own n-grams say, and its share of what those of the shorter context say."""
        ngrams = self.ngrams
        shorter = self.probs(int(ngrams.shorter[context])) if context else np.full(self.classes, 1 / self.classes)
        probs: Floats = shorter * float(ngrams.shares[context])
        own = slice(ngrams.begins[context], ngrams.begins[context + 1])
        probs[ngrams.symbols[own]] += ngrams.gains[own]
        return probs

    def _next(self, context: int, character: int) -> int:
        """The longest context there is of the ends of this one and the character."""
        ngrams = self.ngrams
        while True:
            begin, end = ngrams.begins[context : context + 2]
            gram = int(begin + np.searchsorted(ngrams.symbols[begin:end], character))
            if gram < end and ngrams.symbols[gram] == character and gram + 1 < len(ngrams.shares):
                return gram + 1
            if context == _NO_CONTEXT:
                return context
            context = int(ngrams.shorter[context])


def _write(file: Path, model: LanguageModel) -> None:
    with replacing(file) as part, part.open("wb") as stream:
        np.savez(stream, bonus=np.array(model.bonus), **vars(model.ngrams))


def _read(file: Path, classes: int) -> LanguageModel | None:
    """The model that is kept there; None if there is none, or it is broken."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            ngrams = NGrams(**{field.name: arrays[field.name] for field in fields(NGrams)})
            return LanguageModel(ngrams, classes, float(arrays["bonus"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
