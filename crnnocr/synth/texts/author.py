"""Texts that are made up."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from crnnocr.config import Style, SynthConfig
from crnnocr.errors import DataError, UsageError
from crnnocr.synth.languages import Language, languages
from crnnocr.synth.texts import Text, grammar, tidy
from crnnocr.synth.texts.chance import Chance, Weighted
from crnnocr.synth.texts.corpus import corpus
from crnnocr.synth.texts.lifting import Lift
from crnnocr.synth.texts.limits import Limits
from crnnocr.synth.texts.mixtures import LIFTED_WORDS, MIXTURES
from crnnocr.synth.texts.phrases import Phrases
from crnnocr.synth.texts.rules import PROSE, RULES
from crnnocr.synth.texts.stock import Alphabet, Stock, characters
from crnnocr.synth.texts.usage import DEFAULT, USAGE, Usage

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
        self.alphabet = Alphabet(usual & drawable, known.words, language.script.twins)
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
