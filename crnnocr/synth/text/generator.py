"""Texts that are made up.

Rare characters are lifted: a bounded share of the texts is made of words and strings that hold them.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from math import sqrt

import numpy as np

from crnnocr.config import Style, SynthConfig
from crnnocr.errors import DataError, UsageError
from crnnocr.synth.languages import Language, languages
from crnnocr.synth.rng import Chance, Weighted
from crnnocr.synth.text import Text, grammar, tidy
from crnnocr.synth.text.corpus import corpus
from crnnocr.synth.text.limits import Limits
from crnnocr.synth.text.locale_formats import DEFAULT, USAGE, Usage
from crnnocr.synth.text.phrase_rules import LIFTED_WORDS, MIXTURES, PROSE, RULES
from crnnocr.synth.text.phrases import Phrases
from crnnocr.synth.text.vocabulary import Alphabet, Stock, characters

_WORDY = ("prose", "words")
"""Kinds of text that are as many words as one asks for."""

_USUAL_LENGTH = 4
"""Characters of a short word, up to which several words of a language count as one."""

_DRAFTS = 6
"""Texts of the style's own length that are tried before one is made to measure."""

_PROBES = 15
"""Texts of a kind without one that can be spelt, after which it is left out."""


class Authors:
    """Made-up texts of each language of `config` in turns of chance."""

    def __init__(self, config: SynthConfig, drawable: frozenset[str]) -> None:
        self._authors = [Author(code, config, drawable) for code in config.lang]
        self.charset = "".join(sorted(frozenset().union(*(author.alphabet.characters for author in self._authors))))

    def __call__(self, index: int, style: Style, rng: np.random.Generator) -> Text:
        """A text in `style`."""
        chance = Chance(rng)
        author = chance.pick(self._authors)
        return Text(author.text(style, chance), author.code)


class Author:
    """Makes texts up in one language."""

    def __init__(self, code: str, config: SynthConfig, drawable: frozenset[str]) -> None:
        self.code = code
        [language] = languages([code])
        if config.words and not language.script.spaced:
            raise UsageError(f"{language.name} sets no spaces between words: count characters with --chars, not --words")
        usage = USAGE.get(code, DEFAULT)
        known = corpus(code)
        if config.charset is None and not _can_draw(known.letters, drawable):
            raise DataError(_undrawn(language, config.fonts))
        usual = characters(config.charset) if config.charset is not None else known.letters | _signs(usage)
        self.alphabet = Alphabet(usual & drawable, known.words, language.script.latin_confusables)
        self._stock = Stock(known.words, self.alphabet)
        self._phrases = Phrases(language, usage, self._stock)
        single = language.script.spaced and " " not in self.alphabet.characters
        self._limits = Limits.of(config, self._phrases.glue, single=single)
        # Two Chinese words are as long as one of most languages.
        self._stretch = max(1, round(_USUAL_LENGTH / self._stock.mean_length))
        self._limited = any(limit is not None for limit in (config.charset, config.words, config.chars))
        self._counts = {s: {"prose": Weighted(mix.prose), "words": Weighted(mix.words)} for s, mix in MIXTURES.items()}
        styles = [style for style in MIXTURES if config.style in (style, Style.MIXED)]
        self._kinds = {style: self._spellable(style) for style in styles}
        wanted = "".join(sorted({*self.alphabet.bases, *self.alphabet.marks}))
        self._lifts = {style: Lift(wanted, partial(self._plain, style), partial(self._holding, style)) for style in styles}

    def text(self, style: Style, chance: Chance) -> str:
        """A text in `style`."""
        lift = self._lifts[style]
        return lift.text(chance) if chance.random() < lift.share else self._plain(style, chance)

    def _plain(self, style: Style, chance: Chance) -> str:
        for _ in range(_DRAFTS):
            text = self._draft(self._kinds[style].draw(chance), style, chance)
            if text:
                return text
        return self._measured(chance)

    def _draft(self, kind: str, style: Style, chance: Chance) -> str:
        """A text of a kind, or nothing where it came out too short or cannot be spelt."""
        count = self._count(kind, style, chance)
        text = self._limits.cut(self.alphabet.spelt(tidy(self._phrases.make(kind, style, chance, count))))
        if self._phrases.glue or kind not in _WORDY:
            count = text.count(" ") + 1
        return text if self._limits.keeps(text, count) else ""

    def _count(self, kind: str, style: Style, chance: Chance) -> int:
        """How many words a text of a kind should have."""
        if kind not in _WORDY:
            return 1
        if self._limits.words:
            return chance.between(*self._limits.words)
        if self._limits.chars:
            return len(self._limits.lengths(chance, self._stock.mean_length))
        return self._counts[style][kind].draw(chance) * self._stretch

    def _measured(self, chance: Chance) -> str:
        """Words, or random strings in place of those that are not there, with exactly a length within the limits."""
        if self._limits.chars:
            lengths = self._limits.lengths(chance, self._stock.mean_length)
            return self._phrases.glue.join([self._stock.of_length(length, chance) for length in lengths])
        return self._phrases.words(chance.between(*(self._limits.words or (1, 1))), chance)

    def _holding(self, style: Style, ask: Callable[[], str], chance: Chance) -> str:
        """Words or strings of which each holds a character that is asked for."""
        if self._limits.chars:
            lengths = self._limits.lengths(chance, self._stock.mean_length)
            return self._phrases.glue.join([self._stock.holding(ask, chance, length) for length in lengths])
        count = chance.between(*(self._limits.words or LIFTED_WORDS[style]))
        return self._phrases.glue.join([self._stock.holding(ask, chance) for _ in range(count)])

    def _spellable(self, style: Style) -> Weighted[str]:
        """The kinds of text that `style` has, less those that cannot be spelt or are never short enough."""
        kinds = MIXTURES[style].kinds
        if not self._limited:
            return Weighted(kinds)
        chance = Chance(np.random.default_rng(0))
        wordless = () if self.alphabet.letters else _WORDY
        able = [kind for kind in kinds if kind not in wordless and any(self._drafts(kind, style, chance))]
        return Weighted({kind: kinds[kind] for kind in able} or {"string": 1.0})

    def _drafts(self, kind: str, style: Style, chance: Chance) -> Iterator[str]:
        return (self._draft(kind, style, chance) for _ in range(_PROBES))


def _can_draw(letters: frozenset[str], drawable: frozenset[str]) -> bool:
    """Whether at least half of the letters, in one case or the other, are drawable."""
    able = sum(not drawable.isdisjoint((c, c.lower(), c.upper())) for c in letters)
    return 2 * able >= len(letters)


def _undrawn(language: Language, folder: str | None) -> str:
    """What to say where no font has the letters of a language."""
    if folder is not None:
        return f"no font in {folder} draws {language.name}: name another folder with --fonts, or leave it out"
    alone = f" (or {language.script.fonts[0]} alone)" if language.script.fonts else ""
    return f"no font here draws {language.name}: pip install 'crnnocr[fonts]'{alone}, or name a folder of fonts with --fonts"


def _signs(usage: Usage) -> frozenset[str]:
    """What texts hold besides the language's own letters: ASCII, the apostrophe, and what the rules are written with."""
    rules = [PROSE, *RULES.values(), *usage.rules.values()]
    literals = set().union(*map(grammar.literals, rules), *usage.marks.values(), *usage.quotes, usage.digits)
    return frozenset(literals.union(string.ascii_letters, string.digits, string.punctuation, " ’"))


MIN_RATE = 0.01
"""Each character comes at least so many times a text in every style, as far as `MAX_SHARE` goes; beyond that, the rare ones
come as evenly as it allows."""

MAX_SHARE = 0.15
"""Most texts that are made for their rare characters."""

_PLAIN_SAMPLES = 600
_LIFTED_SAMPLES = 100

Holding = Callable[[Callable[[], str], Chance], str]
"""Makes a text that holds the characters it asks for, one a call."""


class Lift:
    """How many texts are lifted, and by which of `characters`, given how texts are made without."""

    def __init__(self, characters: str, plain: Callable[[Chance], str], holding: Holding) -> None:
        self._holding = holding
        chance = Chance(np.random.default_rng(0))
        seen = Counter("".join(plain(chance) for _ in range(_PLAIN_SAMPLES)))
        # The lower end of what the rate may be, so that a lucky sample leaves no character short.
        rates = {c: (1 - MAX_SHARE) * max(0.0, seen[c] - sqrt(seen[c])) / _PLAIN_SAMPLES for c in characters}
        self.rare = Weighted({c: MIN_RATE - rate for c, rate in rates.items()})
        """The rare characters by what they lack."""
        self.share = 0.0
        """Share of the texts that are lifted."""
        if self.rare:
            held = self._held(chance)
            level = _level(rates, MAX_SHARE * held)
            self.rare = Weighted({c: level - rate for c, rate in rates.items()})
            self.share = sum(max(0.0, level - rate) for rate in rates.values()) / held

    def text(self, chance: Chance) -> str:
        """A text that holds rare characters."""
        return self._holding(lambda: self.rare.draw(chance), chance)

    def _held(self, chance: Chance) -> float:
        """How many of the characters asked for a lifted text holds."""
        held = 0

        def asked() -> str:
            wanted.append(self.rare.draw(chance))
            return wanted[-1]

        for _ in range(_LIFTED_SAMPLES):
            wanted: list[str] = []
            text = Counter(self._holding(asked, chance))
            held += sum(min(count, text[c]) for c, count in Counter(wanted).items())
        return max(held, 1) / _LIFTED_SAMPLES


def _level(rates: Mapping[str, float], mass: float) -> float:
    """The highest rate, up to `MIN_RATE`, that all lower ones can be brought to with `mass` in all."""
    total = 0.0
    ordered = sorted(rates.values())
    for count, (rate, following) in enumerate(pairwise([*ordered, MIN_RATE]), 1):
        total += rate
        if (mass + total) / count <= following:
            return min(MIN_RATE, (mass + total) / count)
    return MIN_RATE
