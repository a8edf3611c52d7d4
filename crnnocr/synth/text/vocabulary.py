"""Words of a language by frequency, the characters that texts may hold, and what is made of characters if words are missing."""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from crnnocr.errors import ConfigError
from crnnocr.synth import trdg
from crnnocr.synth.languages import LANGUAGES
from crnnocr.synth.rng import Random, Weighted
from crnnocr.text.charset import JOINERS, nfc
from crnnocr.text.confusables import has_mixed_word

MAX_WORDS = 50_000
"""Most words of a language; the others are too rare to matter, and often misspelled or foreign."""

FREQUENCY_POWER = 0.7
"""Words are chosen by their frequency to this power: common words stay common, and the long tail is seen too."""

_MAIN_SCRIPT = 0.05
"""Share of all letters from which a script belongs to the language, and not to foreign words in its corpus."""

_RAREST_LETTER = 4e-4
"""Frequency below which a letter is foreign, where the mean of all letters is 1. English has é."""

_JAMO = re.compile("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")
"""Parts of Korean syllables. wordfreq has them, by NFKC, for letters that stand by themselves, such as ㅋ."""

FEW_WORDS = 100
"""With fewer words of the language than this, half of the texts are invented words."""

INVENTED = 300
"""Random words that are invented if the charset can write hardly any word of the language."""

INVENTED_NUMBERS = 20_000
"""As many if there are no letters: nobody expects the same numbers again."""

_MAX_REMEMBERED = 64
"""Most words that are remembered for a character."""

_MARKED = 0.3
"""Share of the letters in a random string that get a mark, if the language has marks."""

_ATTEMPTS = 20
"""Random strings that are tried for one that NFC leaves as it is."""


@functools.cache
def is_letter(character: str) -> bool:
    """Whether `character` is a letter, or a mark that is part of one."""
    return unicodedata.category(character)[0] in "LM"


@functools.cache
def is_mark(character: str) -> bool:
    """Whether `character` is a combining mark, which cannot stand by itself."""
    return unicodedata.category(character)[0] == "M"


def parse_charset(charset: str) -> frozenset[str]:
    """The characters that the option `charset` names, in NFC: é, e and the mark for a decomposed é, a space for white space."""
    named = set(nfc(charset)).union(*map(nfc, charset))
    return frozenset(c for c in named if c.isprintable() or c in JOINERS)


@dataclass(frozen=True)
class Corpus:
    """Words of a language."""

    words: Mapping[str, float]
    """Weight of each word, the most frequent first."""
    letters: frozenset[str]
    """Letters and marks of the words, in both cases."""


Step = tuple[float, list[str]]
"""A frequency, and the words that have it."""


@functools.lru_cache(maxsize=4)
def corpus(code: str) -> Corpus:
    """The words of the language with this code in `LANGUAGES`."""
    language = LANGUAGES[code]
    steps = _wordfreq(language.words) if language.words else _lorem(language.locale or "")
    steps = [(frequency, _unfolded(words, language.folded)) for frequency, words in steps]
    letters = _letters(steps)
    bases, marks = (re.escape("".join(c for c in letters if is_mark(c) is mark)) for mark in (False, True))
    is_word = re.compile(f"[{bases}][{bases}{marks}'’-]*").fullmatch
    words = {word: frequency**FREQUENCY_POWER for frequency, group in steps for word in group if is_word(word)}
    return Corpus(words, frozenset(case for c in letters for case in (c, c.upper()) if len(case) == 1))


def _wordfreq(code: str) -> list[Step]:
    """The most frequent words, in steps of falling frequency."""
    import wordfreq

    # wordfreq's own functions would keep the whole list, of up to 700,000 words, in memory.
    listed = wordfreq.read_cBpack(wordfreq.available_languages("small")[code])
    if sum(map(len, listed)) < MAX_WORDS:
        listed = wordfreq.read_cBpack(wordfreq.available_languages("best")[code])
    steps = bisect_left(list(accumulate(map(len, listed), initial=0)), MAX_WORDS)
    return [(10 ** (-centibels / 100), list(map(nfc, words))) for centibels, words in enumerate(listed[:steps])]


def _lorem(locale: str) -> list[Step]:
    """Faker's words of a locale, all with one frequency."""
    from faker import Faker

    listed = Faker(locale, providers=["faker.providers.lorem"]).get_words_list()
    return [(1.0, [nfc(word) for word in dict.fromkeys(listed)])]


def _unfolded(words: list[str], letter: str) -> list[str]:
    """The words with `letter` where wordfreq writes others for it."""
    if letter == "ß":
        return [_eszett_words().get(word, word) for word in words]
    if letter == "ς":
        return [f"{word[:-1]}ς" if word.endswith("σ") else word for word in words]
    return words


@functools.cache
def _eszett_words() -> dict[str, str]:
    """German words with ß by how they are written without it, except those that are words without it too."""
    words = frozenset(map(str.lower, trdg.dictionary("de")))
    return {folded: word for word in words if "ß" in word and (folded := word.casefold()) not in words}


def _letters(steps: list[Step]) -> frozenset[str]:
    """The letters and marks that are frequent enough, in the scripts that are."""
    weights: defaultdict[str, float] = defaultdict(float)
    for frequency, words in steps:
        for c, times in Counter("".join(words)).items():
            weights[c] += frequency * times
    letters = {c: weight for c, weight in weights.items() if is_letter(c) and not _JAMO.match(c)}
    scripts: defaultdict[str, float] = defaultdict(float)
    for c, weight in letters.items():
        scripts[_script(c)] += weight
    main = {script for script, weight in scripts.items() if weight > _MAIN_SCRIPT * sum(scripts.values())}
    own = {c: weight for c, weight in letters.items() if _script(c) in main}
    threshold = _RAREST_LETTER * sum(own.values()) / len(own)
    return frozenset(c for c, weight in own.items() if weight > threshold)


def _script(character: str) -> str:
    """The first word of the character's Unicode name, which is its script: `GREEK`, `CJK`."""
    first = re.split("[ -]", unicodedata.name(character, "UNNAMED"))[0]
    return "CJK" if first == "IDEOGRAPHIC" else first


class Alphabet:
    """The characters that texts may hold, and the letters of `words` that take marks.

    Characters among `confusables` are not used in random strings, unless there are no others, and letters that look like one of
    another script are in no word of that script.
    """

    def __init__(self, characters: Iterable[str], words: Iterable[str], confusables: str = "") -> None:
        self.characters = frozenset(characters)
        self._has_confusables = bool(confusables)
        candidates = sorted(c for c in self.characters if c not in (" ", *JOINERS) and not is_mark(c))
        self.bases = tuple(c for c in candidates if c not in confusables) or tuple(candidates)
        """Characters that can stand by themselves."""
        if not self.bases:
            raise ConfigError("charset", "holds no character that can be drawn and can stand by itself")
        self.letters = tuple(filter(is_letter, self.bases))
        self.alphanumerics = tuple(filter(str.isalnum, self.bases)) or self.bases
        """Letters and digits, or all bases if there are none."""
        self.digits = tuple(c for c in self.bases if c in string.digits) or self.alphanumerics
        """Digits, or letters if there are none."""
        self.marks = tuple(filter(is_mark, self.characters))
        self.bases_of_mark = _bases_of_marks(self.characters, words)
        """For each mark, the letters that take it."""
        self._marks_of_base: defaultdict[str, str] = defaultdict(str)
        for mark, letters in self.bases_of_mark.items():
            for letter in letters:
                self._marks_of_base[letter] += mark
        lower, upper = (any(map(test, self.characters)) for test in (str.islower, str.isupper))
        self._to_only_case = str.upper if upper and not lower else str.lower if lower and not upper else None

    def encodes(self, text: str) -> bool:
        """Whether `text` holds no other character."""
        return self.characters.issuperset(text)

    def encodable(self, text: str) -> str:
        """The part of `text` that can be written: in the only case there is, without words that have other letters, and without
        other signs.
        """
        if self.encodes(text):
            return text
        text = self._to_only_case(text) if self._to_only_case else text
        foreign = set(text).difference(self.characters)
        letters = set(filter(is_letter, foreign))
        kept = [part for word in text.split() if letters.isdisjoint(word) and (part := _without(foreign, word))]
        return " ".join(kept) if " " in self.characters else max(kept, key=len, default="")

    def encodable_words(self, words: Iterable[str]) -> list[str]:
        """The words whose letters are all there in one case or the other."""
        foreign = {c for c in set("".join(words)) if is_letter(c) and self.characters.isdisjoint((c, c.lower(), c.upper()))}
        return [word for word in words if foreign.isdisjoint(word)]

    def random_string(self, length: int, rng: Random, among: tuple[str, ...] = ()) -> str:
        """`length` random characters of `among`, by default of all, with marks after letters that take them."""
        among = among or self.bases
        for _ in range(_ATTEMPTS):
            text = rng.choice(among)
            while len(text) < length:
                marks = self._marks_of_base.get(text[-1])
                text += rng.choice(marks if marks and rng.random() < _MARKED else among)
            if self.is_unambiguous(text):
                return text
        return rng.choice(among) * length

    def random_string_with(self, wanted: str, length: int, rng: Random) -> str:
        """`length` random letters and digits that include the characters `wanted`, as far as there is room.

        A mark comes after a letter that takes it, or not at all.
        """
        units: list[str] = []
        room = length
        for c in wanted:
            unit = c if not is_mark(c) else rng.choice(self.bases_of_mark[c]) + c if c in self.bases_of_mark else ""
            if 0 < len(unit) <= room:
                units.append(unit)
                room -= len(unit)
        units += [rng.choice(self.alphanumerics) for _ in range(room)]
        text = "".join(sorted(units, key=lambda unit: rng.random()))
        return text if self.is_unambiguous(text) else self.random_string(length, rng)

    def is_unambiguous(self, text: str) -> bool:
        """Whether `text` is in NFC, and no letter in it passes for one of another script in its word."""
        return nfc(text) == text and not (self._has_confusables and has_mixed_word(text))


def _without(foreign: set[str], word: str) -> str:
    return word if foreign.isdisjoint(word) else "".join([c for c in word if c not in foreign])


def _bases_of_marks(characters: frozenset[str], words: Iterable[str]) -> dict[str, str]:
    marks = frozenset(filter(is_mark, characters))
    found: defaultdict[str, set[str]] = defaultdict(set)
    for word in words if marks else ():
        for letter, mark in pairwise(word):
            if mark in marks and letter in characters and not is_mark(letter):
                found[mark].add(letter)
    return {mark: "".join(sorted(letters)) for mark, letters in sorted(found.items())}


class Vocabulary:
    """Weighted words that `alphabet` can write."""

    def __init__(self, words: Mapping[str, float], alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        kept = dict(words)
        if not alphabet.encodes("".join(words)):
            kept = {alphabet.encodable(word): words[word] for word in alphabet.encodable_words(words)}
            kept.pop("", None)
        if len(kept) < FEW_WORDS:
            weight = sum(kept.values()) or 1.0
            invented = self._invented(INVENTED if alphabet.letters else INVENTED_NUMBERS)
            kept.update(dict.fromkeys(invented, weight / len(invented)))
        self.words = Weighted(kept)

    def _invented(self, count: int) -> list[str]:
        rng = Random(np.random.default_rng(0))
        letters = self.alphabet.letters
        among = tuple(c for c in letters if not c.isupper()) or letters or self.alphabet.alphanumerics
        return [self.alphabet.random_string(rng.randint(2, 8), rng, among) for _ in range(count)]

    @cached_property
    def small_letters(self) -> tuple[str, ...]:
        """The letters of the words that can stand by themselves, without capitals if there are others."""
        there = set().union(*self.words.items)
        letters = tuple(c for c in self.alphabet.letters if c in there) or self.alphabet.alphanumerics
        return tuple(c for c in letters if not c.isupper()) or letters

    @cached_property
    def mean_length(self) -> float:
        """Mean number of characters of a random word."""
        rng = Random(np.random.default_rng(0))
        return sum(len(self.words.choose(rng)) for _ in range(INVENTED)) / INVENTED

    def of_length(self, length: int, rng: Random) -> str:
        """A word of `length` characters, or random ones if there is no such word, or no letter at all."""
        found = self._by_length.get(length) if self.alphabet.letters else None
        return found.choose(rng) if found else self.alphabet.random_string(length, rng, self.alphabet.alphanumerics)

    @cached_property
    def _by_length(self) -> dict[int, Weighted[str]]:
        groups: defaultdict[int, dict[str, float]] = defaultdict(dict)
        for word, weight in zip(self.words.items, self.words.weights, strict=True):
            groups[len(word)][word] = weight
        return {length: Weighted(words) for length, words in groups.items()}

    def containing(self, ask: Callable[[], str], rng: Random, length: int = 0) -> str:
        """A word with a character that `ask` gives, or a short string with several, of `length` characters unless that is 0."""
        wanted = ask()
        for form in self._forms_containing(wanted, rng):
            if wanted in form and len(form) == (length or len(form)) and self.alphabet.encodes(form):
                return form
        length = length or rng.randint(2, 6)
        wanted += "".join([ask() for _ in range((length - 1) // 2)])
        return self.alphabet.random_string_with(wanted, length, rng)

    def _forms_containing(self, character: str, rng: Random) -> tuple[str, ...]:
        words = self._words_containing.get(character) or self._words_containing.get(character.lower())
        if not words:
            return ()
        word = rng.choice(words)
        return word, word[:1].upper() + word[1:], word.upper()

    @cached_property
    def _words_containing(self) -> dict[str, list[str]]:
        """For each character, the most frequent words that contain it."""
        found: dict[str, list[str]] = {c: [] for c in self.alphabet.characters}
        wanted = set(found)
        for word in self.words.items:
            for c in wanted.intersection(word):
                found[c].append(word)
                if len(found[c]) == _MAX_REMEMBERED:
                    wanted.remove(c)
        return found
