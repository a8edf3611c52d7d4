"""The words of a language by their frequency, and the letters that they are written with."""

from __future__ import annotations

import functools
import re
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from crnnocr.synth import trdg
from crnnocr.synth.languages import LANGUAGES
from crnnocr.text.charset import nfc

WORD_LIMIT = 50_000
"""Most words of a language; the rest are too rare to matter, and often misspelt or foreign."""

TEMPER = 0.7
"""Words are drawn by frequency to this power: common words stay common, and the long tail is seen too."""

_MAIN_SCRIPT = 0.05
"""Share of all letters from which a script is one of the language, and not that of foreign words in its corpus."""

_RAREST_LETTER = 4e-4
"""A letter that comes less often than this, where the mean of all letters is 1, is a foreign one; English has é."""

_JAMO = re.compile("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")
"""Parts of Korean syllables, as which wordfreq, by NFKC, has the letters that stand by themselves: ㅋ."""


@dataclass(frozen=True)
class Corpus:
    """Words of a language."""

    words: Mapping[str, float]
    """Weight to draw each word with, the most frequent first."""
    letters: frozenset[str]
    """Letters and marks of the words, in both cases."""


Step = tuple[float, list[str]]
"""Words that are as frequent, and how frequent."""


@functools.lru_cache(maxsize=4)
def corpus(code: str) -> Corpus:
    """The words of the language with this code in `LANGUAGES`."""
    language = LANGUAGES[code]
    steps = _wordfreq(language.words) if language.words else _lorem(language.locale or "")
    steps = [(frequency, _unfolded(words, language.folded)) for frequency, words in steps]
    letters = _letters(steps)
    bases, marks = (re.escape("".join(c for c in letters if is_mark(c) is mark)) for mark in (False, True))
    is_word = re.compile(f"[{bases}][{bases}{marks}'’-]*").fullmatch
    words = {word: frequency**TEMPER for frequency, alike in steps for word in alike if is_word(word)}
    return Corpus(words, frozenset(case for c in letters for case in (c, c.upper()) if len(case) == 1))


@functools.cache
def is_letter(character: str) -> bool:
    """Whether `character` is a letter, or a mark that is part of one."""
    return unicodedata.category(character)[0] in "LM"


@functools.cache
def is_mark(character: str) -> bool:
    """Whether `character` is a combining mark, which cannot stand by itself."""
    return unicodedata.category(character)[0] == "M"


def _wordfreq(code: str) -> list[Step]:
    """The most frequent words, in steps of falling frequency."""
    import wordfreq

    # wordfreq's own functions would keep the whole list, of up to 700,000 words, in memory.
    listed = wordfreq.read_cBpack(wordfreq.available_languages("small")[code])
    if sum(map(len, listed)) < WORD_LIMIT:
        listed = wordfreq.read_cBpack(wordfreq.available_languages("best")[code])
    most = bisect_left(list(accumulate(map(len, listed), initial=0)), WORD_LIMIT)
    return [(10 ** (-centibels / 100), list(map(nfc, words))) for centibels, words in enumerate(listed[:most])]


def _lorem(locale: str) -> list[Step]:
    """Faker's words of a locale, each as frequent."""
    from faker import Faker

    listed = Faker(locale, providers=["faker.providers.lorem"]).get_words_list()
    return [(1.0, [nfc(word) for word in dict.fromkeys(listed)])]


def _unfolded(words: list[str], letter: str) -> list[str]:
    """The words with `letter` where wordfreq has others for it."""
    if letter == "ß":
        return [_eszetts().get(word, word) for word in words]
    if letter == "ς":
        return [f"{word[:-1]}ς" if word.endswith("σ") else word for word in words]
    return words


@functools.cache
def _eszetts() -> dict[str, str]:
    """How German words with ß are spelt, by how they are without, but for those that are words too."""
    words = frozenset(map(str.lower, trdg.dictionary("de")))
    return {folded: word for word in words if "ß" in word and (folded := word.casefold()) not in words}


def _letters(steps: list[Step]) -> frozenset[str]:
    """The letters and marks that are frequent enough, of the scripts that are."""
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
    least = _RAREST_LETTER * sum(own.values()) / len(own)
    return frozenset(c for c, weight in own.items() if weight > least)


def _script(character: str) -> str:
    """The first word of the character's name, which is its script: `GREEK`, `CJK`."""
    first = re.split("[ -]", unicodedata.name(character, "UNNAMED"))[0]
    return "CJK" if first == "IDEOGRAPHIC" else first
