"""Words of trdg's dictionaries, drawn as the first version of crnnocr drew them."""

from __future__ import annotations

import numpy as np

from crnnocr.config import Style, SynthConfig
from crnnocr.errors import UsageError
from crnnocr.synth import trdg
from crnnocr.synth.rng import Chance
from crnnocr.synth.text import Text, tidy
from crnnocr.synth.text.limits import Limits
from crnnocr.synth.text.vocabulary import Alphabet, Stock, characters

DEFAULT_WORDS = (1, 3)

_TRIES = 20
"""Texts that are drawn for one of a length that is asked for, before one is made to measure."""


class Dictionaries:
    """Words of each language of `config` in turns of chance, each word as likely."""

    def __init__(self, config: SynthConfig) -> None:
        self._words = {code: _words(code, config) for code in config.lang}
        space = config.charset is None or " " in config.charset
        self._limits = Limits.of(config, " ", single=not space)
        self._drawn = self._limits.words or (DEFAULT_WORDS if space else (1, 1))
        alphabet = frozenset(" " if self._drawn[1] > 1 else "").union(
            *(word for words in self._words.values() for word in words)
        )
        self.charset = "".join(sorted(alphabet))
        self._stocks = {code: Stock(dict.fromkeys(words, 1.0), Alphabet(alphabet, ())) for code, words in self._words.items()}

    def __call__(self, index: int, style: Style, rng: np.random.Generator) -> Text:
        """Some words."""
        codes = list(self._words)
        code = codes[0] if len(codes) == 1 else codes[int(rng.integers(len(codes)))]
        words = self._words[code]
        for _ in range(_TRIES):
            count = int(rng.integers(self._drawn[0], self._drawn[1] + 1))
            text = tidy(" ".join(words[i] for i in rng.integers(len(words), size=count)))
            if self._limits.keeps(text, count):
                return Text(text, code)
        return Text(self._measured(code, Chance(rng)), code)

    def _measured(self, code: str, chance: Chance) -> str:
        stock = self._stocks[code]
        return " ".join([stock.of_length(n, chance) for n in self._limits.lengths(chance, stock.mean_length)])


def _words(code: str, config: SynthConfig) -> tuple[str, ...]:
    """The words of a dictionary that can be spelt and are not too long."""
    words = trdg.dictionary(code)
    if config.charset is not None:
        allowed = characters(config.charset)
        words = tuple(word for word in words if allowed.issuperset(word))
    if config.chars:
        longest = config.chars[1]
        words = tuple(word for word in words if len(word) <= longest)
    if not words:
        raise UsageError(f"trdg's dictionary for --lang {code} has no word that fits: leave --style trdg out")
    return words
