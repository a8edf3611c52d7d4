"""Made-up texts in one or more languages, within limits of length.

Rare characters are oversampled: a bounded share of the texts consists of words and strings that contain them.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import sqrt

import numpy as np

from crnnocr.config import Range, Style, SynthConfig
from crnnocr.errors import ConfigError, DataError, UsageError
from crnnocr.synth.languages import Language, languages
from crnnocr.synth.rng import Random, Weighted
from crnnocr.synth.text import Text, grammar, normalize_text
from crnnocr.synth.text.display_rules import DISPLAY_RULES
from crnnocr.synth.text.locale_formats import DEFAULT, LOCALE_FORMATS, LocaleFormats
from crnnocr.synth.text.phrase_rules import MIXTURES, OVERSAMPLED_WORDS, PROSE, RULES
from crnnocr.synth.text.phrases import PhraseGenerator
from crnnocr.synth.text.vocabulary import Alphabet, Vocabulary, corpus, is_mark, parse_charset

MIN_RATE = 0.01
"""Mean occurrences of each character per text, in every style. If `MAX_SHARE` does not allow that, the rare characters come as
evenly as it does allow.
"""

MAX_SHARE = 0.15
"""Largest share of texts that are made for their rare characters."""

_USUAL_SAMPLES, _OVERSAMPLED = 600, 100
"""Texts on which rates are measured: usual ones, and those made for rare characters."""

TextContaining = Callable[[Callable[[], str], Random], str]
"""Makes a text that contains the characters it asks for, one a call."""

_WORDY = ("prose", "words")
"""Kinds of text that can have any number of words."""

_SHORT_WORD = 4
"""Characters of a short word. In a language with shorter ones, several words count as one."""

_DRAFTS = 6
"""Texts of the style's own kinds that are tried before one is composed of words of the right lengths."""

_PROBES = 15
"""Drafts of a kind after which it is given up, if none can be written."""


class TextGenerator:
    """Made-up texts, each in one of the languages of `config`."""

    def __init__(self, config: SynthConfig, drawable: frozenset[str]) -> None:
        self._languages = [_LanguageGenerator(code, config, drawable) for code in config.lang]
        self.charset = "".join(sorted(frozenset().union(*(one.alphabet.characters for one in self._languages))))

    def __call__(self, index: int, style: Style, rng: np.random.Generator) -> Text:
        """A text in `style`."""
        random = Random(rng)
        language = random.choice(self._languages)
        return Text(language.text(style, random), language.code)


class _LanguageGenerator:
    """Made-up texts in one language."""

    def __init__(self, code: str, config: SynthConfig, drawable: frozenset[str]) -> None:
        self.code = code
        [language] = languages([code])
        if config.words and not language.script.spaced:
            raise UsageError(f"{language.name} sets no spaces between words: count characters with `chars`, not with `words`")
        formats = LOCALE_FORMATS.get(code, DEFAULT)
        known = corpus(code)
        if config.charset is None and config.style is not Style.DISPLAY and not _can_draw(known.letters, drawable):
            raise DataError(_no_font(language, config.fonts))
        rules = {} if config.style is not Style.DISPLAY else DISPLAY_RULES
        usual = parse_charset(config.charset) if config.charset is not None else known.letters | _signs(formats, rules)
        self.alphabet = Alphabet(usual & drawable, known.words, language.script.latin_confusables)
        self._vocabulary = Vocabulary(known.words, self.alphabet)
        self._phrases = PhraseGenerator(language, formats, self._vocabulary)
        single = language.script.spaced and " " not in self.alphabet.characters
        self._limits = LengthLimits.of(config, self._phrases.separator, single=single)
        # Two Chinese words are as long as one of most languages.
        self._count_factor = max(1, round(_SHORT_WORD / self._vocabulary.mean_length))
        self._is_limited = any(limit is not None for limit in (config.charset, config.words, config.chars))
        self._counts = {s: {"prose": Weighted(mix.prose), "words": Weighted(mix.words)} for s, mix in MIXTURES.items()}
        styles = [config.style] if config.style in MIXTURES else [s for s in MIXTURES if s is not Style.DISPLAY]
        self._kinds = {style: self._possible_kinds(style) for style in styles}
        wanted = "".join(sorted({*self.alphabet.bases, *self.alphabet.marks}))
        self._oversampling = {
            style: Oversampling(wanted, partial(self._usual_text, style), partial(self._text_containing, style))
            for style in styles
        }

    def text(self, style: Style, rng: Random) -> str:
        """A text in `style`."""
        oversampling = self._oversampling[style]
        return oversampling.text(rng) if rng.random() < oversampling.share else self._usual_text(style, rng)

    def _usual_text(self, style: Style, rng: Random) -> str:
        for _ in range(_DRAFTS):
            text = self._draft(self._kinds[style].choose(rng), style, rng)
            if text and self.alphabet.is_unambiguous(text):
                return text
        return self._text_of_exact_length(rng)

    def _draft(self, kind: str, style: Style, rng: Random) -> str:
        """A text of a kind; empty if it came out too short or cannot be written."""
        count = self._word_count(kind, style, rng)
        phrase = normalize_text(self._phrases.make(kind, style, rng, count))
        text = self._limits.truncate(self.alphabet.encodable(phrase))
        if self._phrases.separator or kind not in _WORDY:
            count = text.count(" ") + 1
        return text if self._limits.allow(text, count) else ""

    def _word_count(self, kind: str, style: Style, rng: Random) -> int:
        """How many words a text of a kind should have."""
        if kind not in _WORDY:
            return 1
        if self._limits.words:
            return rng.randint(*self._limits.words)
        if self._limits.chars:
            return len(self._limits.word_lengths(rng, self._vocabulary.mean_length))
        return self._counts[style][kind].choose(rng) * self._count_factor

    def _text_of_exact_length(self, rng: Random) -> str:
        """Words, or random strings where words are missing, whose length is within the limits."""
        if self._limits.chars:
            lengths = self._limits.word_lengths(rng, self._vocabulary.mean_length)
            return self._phrases.separator.join([self._vocabulary.of_length(length, rng) for length in lengths])
        return self._phrases.words(rng.randint(*(self._limits.words or (1, 1))), rng)

    def _text_containing(self, style: Style, ask: Callable[[], str], rng: Random) -> str:
        """Words or strings, each of which contains a character that `ask` gives."""
        if self._limits.chars:
            lengths = self._limits.word_lengths(rng, self._vocabulary.mean_length)
            return self._phrases.separator.join([self._vocabulary.containing(ask, rng, length) for length in lengths])
        count = rng.randint(*(self._limits.words or OVERSAMPLED_WORDS[style]))
        return self._phrases.separator.join([self._vocabulary.containing(ask, rng) for _ in range(count)])

    def _possible_kinds(self, style: Style) -> Weighted[str]:
        """The kinds of text of `style`, without those that cannot be written or are never short enough."""
        kinds = MIXTURES[style].kinds
        if not self._is_limited:
            return Weighted(kinds)
        rng = Random(np.random.default_rng(0))
        wordless = () if self.alphabet.letters else _WORDY
        possible = [kind for kind in kinds if kind not in wordless and any(self._drafts(kind, style, rng))]
        return Weighted({kind: kinds[kind] for kind in possible} or {"string": 1.0})

    def _drafts(self, kind: str, style: Style, rng: Random) -> Iterator[str]:
        return (self._draft(kind, style, rng) for _ in range(_PROBES))


def _can_draw(letters: frozenset[str], drawable: frozenset[str]) -> bool:
    """Whether at least half of the letters, in one case or the other, are drawable."""
    count = sum(not drawable.isdisjoint((c, c.lower(), c.upper())) for c in letters)
    return 2 * count >= len(letters)


def _no_font(language: Language, folder: str | None) -> str:
    """The message that no font has the letters of a language."""
    if folder is not None:
        return f"no font in {folder} draws {language.name}: name another folder with `fonts`, or leave it out"
    alone = f" (or {language.script.fonts[0]} alone)" if language.script.fonts else ""
    return f"no font here draws {language.name}: pip install 'crnnocr[fonts]'{alone}, or name a folder of fonts with `fonts`"


def _signs(formats: LocaleFormats, rules: Mapping[str, grammar.Templates]) -> frozenset[str]:
    """Characters of texts besides the language's own letters: ASCII, the apostrophe, and the literals of the rules."""
    tables = [PROSE, *RULES.values(), *rules.values(), *formats.rules.values()]
    literals = set().union(*map(grammar.literals, tables), *formats.marks.values(), *formats.quotes, formats.digits)
    return frozenset(literals.union(string.ascii_letters, string.digits, string.punctuation, " ’"))


@dataclass(frozen=True)
class LengthLimits:
    """The fewest and the most words and characters of a text."""

    words: Range | None
    """None if any number will do."""
    chars: Range | None
    """None if any number will do."""
    separator: str
    """The text between two words."""

    @classmethod
    def of(cls, config: SynthConfig, separator: str, *, single: bool) -> LengthLimits:
        """The limits of `config`; `single` if no text can have two words. Raises `UsageError` if no text can keep them."""
        words, chars = config.words, config.chars
        if single and words and words[0] > 1:
            raise ConfigError("words", f"{words[0]} needs a space in `charset`")
        if single:
            words = (1, 1)
        if words and chars and words[0] + (words[0] - 1) * len(separator) > chars[1]:
            raise UsageError(f"{words[0]} words (`words`) never fit into {chars[1]} characters (`chars`)")
        return cls(words, chars, separator)

    def allow(self, text: str, count: int) -> bool:
        """Whether `text`, of `count` words, is within the limits."""
        return _is_within(count, self.words) and _is_within(len(text), self.chars)

    def truncate(self, text: str) -> str:
        """The start of `text` that is not too long, up to the end of a word if words are separated."""
        max_length = self.chars[1] if self.chars else len(text)
        if len(text) <= max_length:
            return text
        end = text.rfind(" ", 0, max_length + 1) if self.separator else max_length
        while end > 0 and is_mark(text[end]):
            end -= 1
        return text[: max(end, 0)].rstrip()

    def word_lengths(self, rng: Random, mean: float) -> list[int]:
        """Lengths in characters of words that together, with separators, are within the limits. `mean` is a usual length."""
        gap = len(self.separator)
        min_words, max_words = self.words or (1, 10**6)
        assert self.chars is not None
        total = rng.randint(max(self.chars[0], min_words + (min_words - 1) * gap), self.chars[1])
        max_words = min(max_words, (total + gap) // (1 + gap))
        usual = round((total + gap) / (mean + gap) + rng.random() - 0.5)
        count = min(max(usual, min_words), max_words)
        return _split(total - (count - 1) * gap, count, rng)


def _is_within(number: int, pair: Range | None) -> bool:
    return pair is None or pair[0] <= number <= pair[1]


def _split(total: int, count: int, rng: Random) -> list[int]:
    """`total` as the sum of `count` random numbers of at least 1, near each other."""
    parts = [1 + (total - count) // count] * count
    for _ in range((total - count) % count):
        parts[rng.randrange(count)] += 1
    for _ in range(2 * count):
        source, target = rng.randrange(count), rng.randrange(count)
        moved = rng.randrange(parts[source])
        parts[source] -= moved
        parts[target] += moved
    return parts


class Oversampling:
    """The share of texts made for rare characters, and the weights of these, given how texts are made otherwise."""

    def __init__(self, characters: str, usual: Callable[[Random], str], containing: TextContaining) -> None:
        self._containing = containing
        rng = Random(np.random.default_rng(0))
        counts = Counter("".join(usual(rng) for _ in range(_USUAL_SAMPLES)))
        # The lower end of what the rate may be, so that a lucky sample leaves no character short.
        rates = {c: (1 - MAX_SHARE) * max(0.0, counts[c] - sqrt(counts[c])) / _USUAL_SAMPLES for c in characters}
        self.rare = Weighted({c: MIN_RATE - rate for c, rate in rates.items()})
        """The rare characters, each with what it lacks as its weight."""
        self.share = 0.0
        """Share of the texts that are made for rare characters."""
        if self.rare:
            per_text = self._rare_per_text(rng)
            level = _reachable_rate(rates, MAX_SHARE * per_text)
            self.rare = Weighted({c: level - rate for c, rate in rates.items()})
            self.share = sum(max(0.0, level - rate) for rate in rates.values()) / per_text

    def text(self, rng: Random) -> str:
        """A text that contains rare characters."""
        return self._containing(lambda: self.rare.choose(rng), rng)

    def _rare_per_text(self, rng: Random) -> float:
        """How many of the characters that it asks for such a text contains, on average."""
        total = 0

        def ask() -> str:
            wanted.append(self.rare.choose(rng))
            return wanted[-1]

        for _ in range(_OVERSAMPLED):
            wanted: list[str] = []
            text = Counter(self._containing(ask, rng))
            total += sum(min(count, text[c]) for c, count in Counter(wanted).items())
        return max(total, 1) / _OVERSAMPLED


def _reachable_rate(rates: Mapping[str, float], mass: float) -> float:
    """The highest rate, up to `MIN_RATE`, to which all lower ones can be raised with `mass` in all."""
    total = 0.0
    ordered = sorted(rates.values())
    for count, (rate, following) in enumerate(pairwise([*ordered, MIN_RATE]), 1):
        total += rate
        if (mass + total) / count <= following:
            return min(MIN_RATE, (mass + total) / count)
    return MIN_RATE
