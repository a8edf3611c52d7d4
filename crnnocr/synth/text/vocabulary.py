"""The characters and words that a source may use, and what is made of characters where there are no words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import pairwise

import numpy as np

from crnnocr.errors import UsageError
from crnnocr.synth.rng import Chance, Weighted
from crnnocr.synth.text.corpus import is_letter, is_mark
from crnnocr.text.charset import JOINERS, nfc

FEW_WORDS = 100
"""With fewer words of the language, as many texts are of invented ones."""

INVENTED = 300
"""Words made of random letters, where the characters spell hardly any of the language."""

INVENTED_NUMBERS = 20_000
"""As many, where there are no letters: nobody expects the same numbers again."""

_HOLDERS = 64
"""Most words that are remembered for a character."""

_MARKED = 0.3
"""Share of the letters in a random string that get a mark, where the language has marks."""

_TRIES = 20
"""Random strings drawn for one whose characters stay apart under NFC."""


class Alphabet:
    """The characters that texts may hold, and the marks that letters take in `words`.

    Those in `twins` look like others: there they come in words alone, unless there is nothing else.
    """

    def __init__(self, characters: Iterable[str], words: Iterable[str], twins: str = "") -> None:
        self.characters = frozenset(characters)
        alone = sorted(c for c in self.characters if c not in (" ", *JOINERS) and not is_mark(c))
        self.bases = tuple(c for c in alone if c not in twins) or tuple(alone)
        """Those that can stand by themselves."""
        if not self.bases:
            raise UsageError("--charset holds no character that a font can draw and that can stand by itself")
        self.letters = tuple(filter(is_letter, self.bases))
        self.signs = tuple(filter(str.isalnum, self.bases)) or self.bases
        """Letters and digits, where there are any."""
        self.marks = tuple(filter(is_mark, self.characters))
        self.takers = _takers(self.characters, words)
        """For each mark, the letters that take it."""
        self._marks: defaultdict[str, str] = defaultdict(str)
        for mark, letters in self.takers.items():
            for letter in letters:
                self._marks[letter] += mark
        lower, upper = (any(map(test, self.characters)) for test in (str.islower, str.isupper))
        self._only = str.upper if upper and not lower else str.lower if lower and not upper else None

    def spells(self, text: str) -> bool:
        """Whether `text` has no other character."""
        return self.characters.issuperset(text)

    def spelt(self, text: str) -> str:
        """What can be spelt of `text`: in the only case there is, less words with other letters, less other signs."""
        if self.spells(text):
            return text
        text = self._only(text) if self._only else text
        foreign = set(text).difference(self.characters)
        letters = set(filter(is_letter, foreign))
        kept = [spelt for word in text.split() if letters.isdisjoint(word) and (spelt := _without(foreign, word))]
        return " ".join(kept) if " " in self.characters else max(kept, key=len, default="")

    def spellable(self, words: Iterable[str]) -> list[str]:
        """The words without letters that are not there in either case."""
        foreign = {c for c in set("".join(words)) if is_letter(c) and self.characters.isdisjoint((c, c.lower(), c.upper()))}
        return [word for word in words if foreign.isdisjoint(word)]

    def string(self, length: int, chance: Chance, among: tuple[str, ...] = ()) -> str:
        """`length` random characters of `among`, by default of all, and marks after letters that take them."""
        among = among or self.bases
        for _ in range(_TRIES):
            text = chance.pick(among)
            while len(text) < length:
                marks = self._marks.get(text[-1])
                text += chance.pick(marks if marks and chance.random() < _MARKED else among)
            if nfc(text) == text:
                return text
        return chance.pick(among) * length

    def string_with(self, wanted: str, length: int, chance: Chance) -> str:
        """`length` random letters and digits with those `wanted` among them, as far as there is room.

        A mark is there after a letter that takes it, or not at all.
        """
        units: list[str] = []
        room = length
        for c in wanted:
            unit = c if not is_mark(c) else chance.pick(self.takers[c]) + c if c in self.takers else ""
            if 0 < len(unit) <= room:
                units.append(unit)
                room -= len(unit)
        units += [chance.pick(self.signs) for _ in range(room)]
        text = "".join(sorted(units, key=lambda unit: chance.random()))
        return text if nfc(text) == text else self.string(length, chance)


def _without(foreign: set[str], word: str) -> str:
    return word if foreign.isdisjoint(word) else "".join([c for c in word if c not in foreign])


def characters(charset: str) -> frozenset[str]:
    """What `--charset` names, in NFC: of é in two code points é, e and the mark; of all white space the space alone."""
    named = set(nfc(charset)).union(*map(nfc, charset))
    return frozenset(c for c in named if c.isprintable() or c in JOINERS)


def _takers(characters: frozenset[str], words: Iterable[str]) -> dict[str, str]:
    marks = frozenset(filter(is_mark, characters))
    found: defaultdict[str, set[str]] = defaultdict(set)
    for word in words if marks else ():
        for letter, mark in pairwise(word):
            if mark in marks and letter in characters and not is_mark(letter):
                found[mark].add(letter)
    return {mark: "".join(sorted(letters)) for mark, letters in sorted(found.items())}


class Stock:
    """Words to draw, each spelt by `alphabet`."""

    def __init__(self, words: Mapping[str, float], alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        spelt = dict(words)
        if not alphabet.spells("".join(words)):
            spelt = {alphabet.spelt(word): words[word] for word in alphabet.spellable(words)}
            spelt.pop("", None)
        if len(spelt) < FEW_WORDS:
            weight = sum(spelt.values()) or 1.0
            invented = self._invented(INVENTED if alphabet.letters else INVENTED_NUMBERS)
            spelt.update(dict.fromkeys(invented, weight / len(invented)))
        self.words = Weighted(spelt)

    def _invented(self, count: int) -> list[str]:
        chance = Chance(np.random.default_rng(0))
        letters = self.alphabet.letters
        among = tuple(c for c in letters if not c.isupper()) or letters or self.alphabet.signs
        return [self.alphabet.string(chance.between(2, 8), chance, among) for _ in range(count)]

    @cached_property
    def mean_length(self) -> float:
        """Characters of a word that is drawn."""
        chance = Chance(np.random.default_rng(0))
        return sum(len(self.words.draw(chance)) for _ in range(INVENTED)) / INVENTED

    def of_length(self, length: int, chance: Chance) -> str:
        """A word of `length` characters, or random ones where there is no such word, or nothing but digits and signs."""
        found = self._by_length.get(length) if self.alphabet.letters else None
        return found.draw(chance) if found else self.alphabet.string(length, chance, self.alphabet.signs)

    @cached_property
    def _by_length(self) -> dict[int, Weighted[str]]:
        groups: defaultdict[int, dict[str, float]] = defaultdict(dict)
        for word, weight in zip(self.words.items, self.words.weights, strict=True):
            groups[len(word)][word] = weight
        return {length: Weighted(words) for length, words in groups.items()}

    def holding(self, ask: Callable[[], str], chance: Chance, length: int = 0) -> str:
        """A word with a character asked for, or a short string with several; of `length` characters, if that is not 0."""
        wanted = ask()
        for form in self._forms(wanted, chance):
            if wanted in form and len(form) == (length or len(form)) and self.alphabet.spells(form):
                return form
        length = length or chance.between(2, 6)
        wanted += "".join([ask() for _ in range((length - 1) // 2)])
        return self.alphabet.string_with(wanted, length, chance)

    def _forms(self, character: str, chance: Chance) -> tuple[str, ...]:
        words = self._holders.get(character) or self._holders.get(character.lower())
        if not words:
            return ()
        word = chance.pick(words)
        return word, word[:1].upper() + word[1:], word.upper()

    @cached_property
    def _holders(self) -> dict[str, list[str]]:
        """For each character, the most frequent words that have it."""
        found: dict[str, list[str]] = {c: [] for c in self.alphabet.characters}
        wanted = set(found)
        for word in self.words.items:
            for c in wanted.intersection(word):
                found[c].append(word)
                if len(found[c]) == _HOLDERS:
                    wanted.remove(c)
        return found
