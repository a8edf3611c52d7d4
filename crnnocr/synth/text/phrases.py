"""Texts of every kind in one language: words, running text, names, numbers and whatever else the rules make."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from crnnocr.config import Style
from crnnocr.synth.languages import Language
from crnnocr.synth.rng import Random, Weighted
from crnnocr.synth.text import grammar
from crnnocr.synth.text.display_rules import DISPLAY_RULES
from crnnocr.synth.text.grammar import Grammar, Maker
from crnnocr.synth.text.locale_formats import LocaleFormats
from crnnocr.synth.text.phrase_rules import MIXTURES, PROSE, RULES
from crnnocr.synth.text.vocabulary import Alphabet, Vocabulary
from crnnocr.text.charset import nfc

if TYPE_CHECKING:
    from faker import Faker

POOL_SIZE = 300
"""Names, addresses and so on of each kind; in those with digits the digits are chosen anew each time."""

_FAKER_KINDS = {
    "name": ("person", "name"),
    "company": ("company", "company"),
    "address": ("address", "street_address"),
    "city": ("address", "city"),
    "phone": ("phone_number", "phone_number"),
    "plate": ("automotive", "license_plate"),
    "monthName": ("date_time", "month_name"),
}
"""For each kind, faker's provider of it, and faker's name for it."""

_NATIVE_DIGITS = 0.3
"""Share of the texts with digits and without Latin letters that get the language's own digits, if it has some."""

_MARKS = {",": ",", ".": ".", "?": "?", "!": "!", ":": ":", ";": ";", "…": "…", "¿": "", "¡": ""}
"""How a mark of `PROSE` is written unless the language writes another."""

_DIGITS_IN_ROW = 0.6
"""Share of the rows of single characters that are of digits only."""

_NUMBERED = 0.15
"""Share of the nonwords that end in digits."""

_HYPHENATED = 0.12
"""Share of a document's lines of running text that end in the middle of a word, with a hyphen."""
_LAST_WORD = re.compile(r"[^\W\d_]{5,}(?=\W*$)")

_MAX_SLOTS = 3
"""Most places for words in a template of `PROSE`."""


class PhraseGenerator:
    """Texts of any kind in a language, with words of a vocabulary."""

    def __init__(self, language: Language, formats: LocaleFormats, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.separator = " " if language.script.spaced else ""
        """The text between two words."""
        self._digits = str.maketrans("0123456789", formats.digits) if formats.digits else None
        self._upper = str.maketrans(dict(formats.upper))
        self._capitals = str.maketrans({**formats.upper, **formats.capitals})
        makers = self._makers(language, formats, vocabulary.alphabet)
        rules = {symbol: rule for symbol, rule in {**RULES, **DISPLAY_RULES, **formats.rules}.items() if symbol not in makers}
        self._grammar = Grammar(rules, makers, {"date": grammar.is_date}, without=language.script.latin_confusables)
        prose = _prose(formats, spaced=language.script.spaced)
        by_slots = [{t: weight for t, weight in prose.items() if _slots(t) <= slots} for slots in range(1, _MAX_SLOTS + 1)]
        self._prose = [self._grammar.parse(templates) for templates in by_slots]
        self._cases = {style: Weighted(mixture.cases) for style, mixture in MIXTURES.items()}

    def _makers(self, language: Language, formats: LocaleFormats, alphabet: Alphabet) -> dict[str, Maker]:
        word = self._vocabulary.words.choose
        pools = faker_pools(language.locale) if language.locale else {}
        encodable = {
            kind: tuple(filter(None, map(alphabet.encodable, pool)))
            for kind, pool in pools.items()
            if kind not in formats.rules
        }
        return {
            "words": _words_slot,
            "Words": _capitalized_words_slot,
            "word": word,
            "Word": lambda rng: self.capitalized(word(rng)),
            "WORD": lambda rng: self.upper(word(rng)),
            "latin": partial(_from_pool, latin_words()),
            "LATIN": lambda rng: rng.choice(latin_words()).upper(),
            **{kind: partial(_from_pool, pool) for kind, pool in encodable.items() if pool},
        }

    def make(self, kind: str, style: Style, rng: Random, count: int = 1) -> str:
        """A text of a kind; words and running text have `count` words."""
        text = self._make(kind, rng, count)
        if kind == "prose" and style is Style.DOCUMENT and self.separator and rng.random() < _HYPHENATED:
            text = self._hyphenated(text, rng)
        if (
            self._digits
            and style is not Style.DISPLAY
            and rng.random() < _NATIVE_DIGITS
            and not any("A" <= c <= "z" for c in text)
        ):
            text = text.translate(self._digits)
        return self._in_case(text, self._cases[style].choose(rng), rng)

    def _make(self, kind: str, rng: Random, count: int) -> str:
        if kind == "words":
            return self.words(count, rng)
        if kind == "prose":
            return self._running_text(count, rng)
        alphabet = self._vocabulary.alphabet
        if kind == "string":
            length = rng.randint(2, 9)
            return alphabet.random_string(length, rng, alphabet.bases if rng.random() < 0.5 else alphabet.alphanumerics)
        if kind == "nonword":
            return self._nonword(rng)
        if kind == "row":
            among = alphabet.digits if rng.random() < _DIGITS_IN_ROW else alphabet.alphanumerics
            return " ".join([rng.choice(among) for _ in range(rng.randint(2, 8))])
        if kind == "glyph":
            return alphabet.random_string(rng.randint(1, 2), rng, alphabet.alphanumerics)
        return self._grammar.make(kind, rng)

    def _nonword(self, rng: Random) -> str:
        """Random letters as many as a word has, some of them with digits at the end."""
        alphabet, letters = self._vocabulary.alphabet, self._vocabulary.small_letters
        length = len(self._vocabulary.words.choose(rng))
        digits = rng.randint(1, 2) if length > 2 and rng.random() < _NUMBERED else 0
        text = alphabet.random_string(length - digits, rng, letters)
        return text + "".join([rng.choice(alphabet.digits) for _ in range(digits)])

    def words(self, count: int, rng: Random) -> str:
        """`count` words without marks between them."""
        choose = self._vocabulary.words.choose
        return self.separator.join([choose(rng) for _ in range(count)])

    def _running_text(self, count: int, rng: Random) -> str:
        """Running text with `count` words in the slots of a template."""
        parts = self._prose[min(count, _MAX_SLOTS) - 1].choose(rng)
        slots = sum(part is _words_slot or part is _capitalized_words_slot for part in parts)
        ends = sorted(rng.randint(0, count - slots) for _ in range(slots - 1))
        counts = [1 + end - start for start, end in pairwise([0, *ends, count - slots])]
        texts = []
        for part in parts:
            if part is _words_slot:
                texts.append(self.words(counts.pop(), rng))
            elif part is _capitalized_words_slot:
                texts.append(self.capitalized(self.words(counts.pop(), rng)))
            else:
                texts.append(part if isinstance(part, str) else part(rng))
        return "".join(texts)

    def _hyphenated(self, text: str, rng: Random) -> str:
        """`text` up to somewhere in its last word, and a hyphen; unchanged if that word is short."""
        word = _LAST_WORD.search(text)
        if word is None:
            return text
        hyphenated = f"{text[: rng.randint(word.start() + 2, word.end() - 2)]}-"
        return hyphenated if self._vocabulary.alphabet.encodes(hyphenated) else text

    def upper(self, text: str) -> str:
        """`text` in capitals, as the language writes them."""
        return text.translate(self._capitals).upper()

    def capitalized(self, text: str) -> str:
        """`text` with its first letter in upper case."""
        return text[:1].translate(self._upper).upper() + text[1:]

    def _in_case(self, text: str, case: str, rng: Random) -> str:
        if case == "asis":
            return text
        if case == "upper":
            cased = self.upper(text)
        elif case == "lower":
            cased = text.lower()
        elif case == "title":
            cased = " ".join(map(self.capitalized, text.split(" ")))
        else:
            cased = "".join([c.upper() if rng.random() < 0.5 else c.lower() for c in text])
        return cased if self._vocabulary.alphabet.encodes(cased) else text


def _words_slot(rng: Random) -> str:
    raise AssertionError("a slot for words, which running text fills")


def _capitalized_words_slot(rng: Random) -> str:
    raise AssertionError("a slot for words, which running text fills")


def _from_pool(pool: tuple[str, ...], rng: Random) -> str:
    """One of the pool, with other digits in place of its own; zeros stay, since they often lead."""
    text = rng.choice(pool)
    if text.isalpha():
        return text
    return "".join([chr(ord(c) - int(c) + rng.randint(1, 9)) if c.isdecimal() and int(c) else c for c in text])


def _slots(template: str) -> int:
    return template.count("{words}") + template.count("{Words}")


def _prose(formats: LocaleFormats, *, spaced: bool) -> dict[str, float]:
    """The templates of `PROSE` as a language writes them."""
    templates: dict[str, float] = {}
    for template, weight in PROSE.items():
        for mark, default in _MARKS.items():
            template = template.replace(f"{{{mark}}}", formats.marks.get(mark, default))
        if not spaced:
            template = template.replace(" ", formats.marks.get(" ", ""))
        for quotes in formats.quotes if "“" in template else ("“”",):
            half = len(quotes) // 2
            quoted = template.replace("“", quotes[:half]).replace("”", quotes[half:])
            templates[quoted] = templates.get(quoted, 0) + weight / len(formats.quotes if "“" in template else "1")
    return templates


@functools.cache
def faker_pools(locale: str) -> Mapping[str, tuple[str, ...]]:
    """Faker's names, companies, addresses and so on of `locale`, by kind. A kind that faker would borrow from another language
    is left out.
    """
    from faker import Faker

    fake = Faker(locale)
    own = {_topic(provider): provider for provider in fake.get_providers() if (provider.__lang__ or "")[:2] == locale[:2]}
    for provider in own.values():
        _sort_lists(provider)
    calls = {kind: call for kind, (topic, call) in _FAKER_KINDS.items() if topic in own and hasattr(fake, call)}
    return {kind: _pool(fake, call) for kind, call in calls.items()}


def _topic(provider: object) -> str:
    """`person` of `faker.providers.person.de_DE`."""
    return type(provider).__module__.split(".")[2]


def _sort_lists(provider: object) -> None:
    """Sort the lists that a provider chooses from: Italian cities come out of a set, in another order in each process."""
    for name, value in vars(type(provider)).items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            setattr(provider, name, sorted(value))


def _pool(fake: Faker, call: str) -> tuple[str, ...]:
    fake.seed_instance(0)
    with _seeded():
        texts = {_normalize(getattr(fake, call)()) for _ in range(POOL_SIZE)}
    return tuple(sorted(texts))  # faker chooses months up to today, so their order depends on the clock


@contextmanager
def _seeded() -> Iterator[None]:
    """Seed Python's own generator, which Ukrainian plates come from, and restore it afterwards."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


def _normalize(text: str) -> str:
    return " ".join(nfc(text).split())


@functools.cache
def latin_words() -> tuple[str, ...]:
    """Plain words in the letters a to z, as web addresses have in any language."""
    from faker import Faker

    listed = Faker("en_US", providers=["faker.providers.lorem"]).get_words_list()
    return tuple(word for word in dict.fromkeys(map(str.lower, listed)) if word.isalpha())
