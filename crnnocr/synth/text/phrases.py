"""Names, companies, addresses and the like of a country, as faker makes them.

Kinds of text in a language: words, running text, names, numbers and what else the rules make.
"""

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
from crnnocr.synth.rng import Chance, Weighted
from crnnocr.synth.text import grammar
from crnnocr.synth.text.grammar import Grammar, Maker
from crnnocr.synth.text.locale_formats import Usage
from crnnocr.synth.text.phrase_rules import MIXTURES, PROSE, RULES
from crnnocr.synth.text.vocabulary import Alphabet, Stock
from crnnocr.text.charset import nfc

if TYPE_CHECKING:
    from faker import Faker

POOL_SIZE = 300
"""Things of each kind; in those with digits the digits are drawn anew each time."""

_KINDS = {
    "name": ("person", "name"),
    "company": ("company", "company"),
    "address": ("address", "street_address"),
    "city": ("address", "city"),
    "phone": ("phone_number", "phone_number"),
    "plate": ("automotive", "license_plate"),
    "monthName": ("date_time", "month_name"),
}
"""For each kind, who in faker provides it and how it is called there."""


@functools.cache
def pools(locale: str) -> Mapping[str, tuple[str, ...]]:
    """Things of each kind that faker knows for `locale`; a kind that it would borrow from another language is left out."""
    from faker import Faker

    fake = Faker(locale)
    owned = {_topic(provider): provider for provider in fake.get_providers() if (provider.__lang__ or "")[:2] == locale[:2]}
    for provider in owned.values():
        _put_in_order(provider)
    calls = {kind: call for kind, (topic, call) in _KINDS.items() if topic in owned and hasattr(fake, call)}
    return {kind: _pool(fake, call) for kind, call in calls.items()}


def _put_in_order(provider: object) -> None:
    """Sort the lists that a provider draws from: that of Italian cities comes out of a set, and differs between processes."""
    for name, value in vars(type(provider)).items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            setattr(provider, name, sorted(value))


def _pool(fake: Faker, call: str) -> tuple[str, ...]:
    fake.seed_instance(0)
    with _seeded():
        things = {_line(getattr(fake, call)()) for _ in range(POOL_SIZE)}
    return tuple(sorted(things))  # the months come by the clock, which faker draws dates up to


@contextmanager
def _seeded() -> Iterator[None]:
    """Python's own generator begins anew, for Ukrainian plates are drawn from that, and is then as before."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


@functools.cache
def latin() -> tuple[str, ...]:
    """Plain words in the letters a to z, as in the addresses of the net in any language."""
    from faker import Faker

    listed = Faker("en_US", providers=["faker.providers.lorem"]).get_words_list()
    return tuple(word for word in dict.fromkeys(map(str.lower, listed)) if word.isalpha())


def _topic(provider: object) -> str:
    """`person` of `faker.providers.person.de_DE`."""
    return type(provider).__module__.split(".")[2]


def _line(text: str) -> str:
    return " ".join(nfc(text).split())


_NATIVE = 0.3
"""Share of the texts with digits and without Latin letters that have the language's own digits, where it has some."""

_MARKS = {",": ",", ".": ".", "?": "?", "!": "!", ":": ":", ";": ";", "…": "…", "¿": "", "¡": ""}
"""What is written for a mark of `PROSE` where the language has no other."""

_BROKEN = 0.12
"""Share of a document's lines of running text that end in the middle of a word, with a hyphen."""
_LAST_WORD = re.compile(r"[^\W\d_]{5,}(?=\W*$)")

_MOST_SLOTS = 3
"""Most places for words in a template of `PROSE`."""


class Phrases:
    """Texts of any kind in a language, of the words in `stock`."""

    def __init__(self, language: Language, usage: Usage, stock: Stock) -> None:
        self._stock = stock
        self.glue = " " if language.script.spaced else ""
        """What stands between two words."""
        self._digits = str.maketrans("0123456789", usage.digits) if usage.digits else None
        self._upper = str.maketrans(dict(usage.upper))
        self._capitals = str.maketrans({**usage.upper, **usage.capitals})
        makers = self._makers(language, usage, stock.alphabet)
        rules = {**RULES, **usage.rules}
        open_rules = {symbol: rule for symbol, rule in rules.items() if symbol not in makers}
        self._grammar = Grammar(open_rules, makers, {"date": grammar.exists}, without=language.script.latin_confusables)
        prose = _prose(usage, spaced=language.script.spaced)
        few = [{t: weight for t, weight in prose.items() if _slots(t) <= most} for most in range(1, _MOST_SLOTS + 1)]
        self._prose = [self._grammar.parsed(templates) for templates in few]
        self._cases = {style: Weighted(mixture.cases) for style, mixture in MIXTURES.items()}

    def _makers(self, language: Language, usage: Usage, alphabet: Alphabet) -> dict[str, Maker]:
        word = self._stock.words.draw
        things = pools(language.locale) if language.locale else {}
        able = {
            kind: tuple(filter(None, map(alphabet.spelt, pool))) for kind, pool in things.items() if kind not in usage.rules
        }
        return {
            "words": _words_here,
            "Words": _capital_words_here,
            "word": word,
            "Word": lambda chance: self.capital(word(chance)),
            "WORD": lambda chance: self.upper(word(chance)),
            "latin": partial(_one_of, latin()),
            "LATIN": lambda chance: chance.pick(latin()).upper(),
            **{kind: partial(_one_of, pool) for kind, pool in able.items() if pool},
        }

    def make(self, kind: str, style: Style, chance: Chance, count: int = 1) -> str:
        """A text of a kind; words and running text are of `count` words."""
        text = self._made(kind, chance, count)
        if kind == "prose" and style is Style.DOCUMENT and self.glue and chance.random() < _BROKEN:
            text = self._broken(text, chance)
        if self._digits and chance.random() < _NATIVE and not any("A" <= c <= "z" for c in text):
            text = text.translate(self._digits)
        return self._cased(text, self._cases[style].draw(chance), chance)

    def _made(self, kind: str, chance: Chance, count: int) -> str:
        if kind == "words":
            return self.words(count, chance)
        if kind == "prose":
            return self._running(count, chance)
        if kind == "string":
            alphabet = self._stock.alphabet
            return alphabet.string(chance.between(2, 9), chance, alphabet.bases if chance.random() < 0.5 else alphabet.signs)
        if kind == "glyph":
            return self._stock.alphabet.string(chance.between(1, 2), chance, self._stock.alphabet.signs)
        return self._grammar.make(kind, chance)

    def words(self, count: int, chance: Chance) -> str:
        """So many words, with no mark between them."""
        draw = self._stock.words.draw
        return self.glue.join([draw(chance) for _ in range(count)])

    def _running(self, count: int, chance: Chance) -> str:
        """Running text with `count` words at its templates' places for words."""
        parts = self._prose[min(count, _MOST_SLOTS) - 1].draw(chance)
        slots = sum(part is _words_here or part is _capital_words_here for part in parts)
        cuts = sorted(chance.between(0, count - slots) for _ in range(slots - 1))
        shares = [1 + end - start for start, end in pairwise([0, *cuts, count - slots])]
        texts = []
        for part in parts:
            if part is _words_here:
                texts.append(self.words(shares.pop(), chance))
            elif part is _capital_words_here:
                texts.append(self.capital(self.words(shares.pop(), chance)))
            else:
                texts.append(part if isinstance(part, str) else part(chance))
        return "".join(texts)

    def _broken(self, text: str, chance: Chance) -> str:
        """`text` up to somewhere in its last word, and a hyphen; as it is where that word is short."""
        word = _LAST_WORD.search(text)
        if word is None:
            return text
        broken = f"{text[: chance.between(word.start() + 2, word.end() - 2)]}-"
        return broken if self._stock.alphabet.spells(broken) else text

    def upper(self, text: str) -> str:
        """`text` in capitals, as the language writes them."""
        return text.translate(self._capitals).upper()

    def capital(self, text: str) -> str:
        """`text` with its first letter in upper case."""
        return text[:1].translate(self._upper).upper() + text[1:]

    def _cased(self, text: str, case: str, chance: Chance) -> str:
        if case == "asis":
            return text
        if case == "upper":
            cased = self.upper(text)
        elif case == "lower":
            cased = text.lower()
        elif case == "title":
            cased = " ".join(map(self.capital, text.split(" ")))
        else:
            cased = "".join([c.upper() if chance.random() < 0.5 else c.lower() for c in text])
        return cased if self._stock.alphabet.spells(cased) else text


def _words_here(chance: Chance) -> str:
    raise AssertionError("a place for words, which running text fills")


def _capital_words_here(chance: Chance) -> str:
    raise AssertionError("a place for words, which running text fills")


def _one_of(pool: tuple[str, ...], chance: Chance) -> str:
    """One of the pool, with other digits in place of its own; zeros stay, for they often lead."""
    text = chance.pick(pool)
    if text.isalpha():
        return text
    return "".join([chr(ord(c) - int(c) + chance.between(1, 9)) if c.isdecimal() and int(c) else c for c in text])


def _slots(template: str) -> int:
    return template.count("{words}") + template.count("{Words}")


def _prose(usage: Usage, *, spaced: bool) -> dict[str, float]:
    """The templates of `PROSE` as a language writes them."""
    templates: dict[str, float] = {}
    for template, weight in PROSE.items():
        for mark, default in _MARKS.items():
            template = template.replace(f"{{{mark}}}", usage.marks.get(mark, default))
        if not spaced:
            template = template.replace(" ", usage.marks.get(" ", ""))
        for quotes in usage.quotes if "“" in template else ("“”",):
            half = len(quotes) // 2
            quoted = template.replace("“", quotes[:half]).replace("”", quotes[half:])
            templates[quoted] = templates.get(quoted, 0) + weight / len(usage.quotes if "“" in template else "1")
    return templates
