"""Confusables: characters that look like others, and every table of them.

They are letters of another script, full-width and other compatibility forms, and variants of signs. The tables hold what print
hardly tells apart, a selection from Unicode's confusables (UTS 39).

A model sees images only. If labels write one shape in two ways, it has to guess which, and learns neither well. Words of one
script are fine, whatever else the set holds, and so are Latin and East Asian characters in one word. What has a look of its own
is fine, too, even if Unicode calls it compatible with something else: `m³`, `№`, `½`, `™`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

_HOMOGLYPHS: dict[str, dict[str, str]] = {
    "CYRILLIC": dict(zip("ABCEHIJKMOPSTXYaceijopsxyËÏëï", "АВСЕНІЈКМОРЅТХУасеіјорѕхуЁЇёї", strict=True)),
    "GREEK": dict(zip("ABEHIKMNOPTXYZov", "ΑΒΕΗΙΚΜΝΟΡΤΧΥΖον", strict=True)),
}
_HOMOGLYPHS["LATIN"] = {shape: shape for letters in list(_HOMOGLYPHS.values()) for shape in letters}
_SHAPE = {letter: shape for letters in _HOMOGLYPHS.values() for shape, letter in letters.items()}
"""The Latin letter that each letter looks like; `_HOMOGLYPHS` leads back to the letters of each script."""


def _in_both_cases(letters: Iterable[str]) -> str:
    return "".join(sorted({case for letter in letters if letter.isascii() for case in (letter.upper(), letter.lower())}))


LATIN_CONFUSABLES: Mapping[str, str] = {
    "CYRILLIC": _in_both_cases(_HOMOGLYPHS["CYRILLIC"]),
    "GREEK": _in_both_cases([*_HOMOGLYPHS["GREEK"], "u"]),  # υ is near enough here
}
"""Letters of ASCII that look like a letter of another script in upper or lower case."""

_VARIANTS: tuple[tuple[str, ...], ...] = (
    ("'", "’‘ʼ", "´", "′"),
    ('"', "“”„‟", "″"),
    ("-", "‐‑", "–", "−"),
    ("·", "∙⋅"),
    ("°", "º", "˚"),
    ("µ", "μ"),
    ("/", "⁄∕"),
    ("~", "∼〜"),
    ("ŞşŢţ", "ȘșȚț"),
)
"""Signs that differ little and are typed for one another: in each row, the ways of writing one."""

QUOTES_AND_DASHES: Mapping[str, str] = {"'": "‘’‚‛′ʹʼ`´", '"': "“”„‟″«»", "-": "‐‑‒–—―−"}
"""Signs that count as the plain one if kinds of quotes and dashes do not matter. They need not look alike."""

# Radicals that pass for ideographs (⽇), ligatures (ﬁ), letters as Arabic joins them (ﺑ), mathematical letters in upright,
# slanted, sans-serif and typewriter forms (𝐀), but not in script, Fraktur and double-struck ones.
_COMPATIBILITY = re.compile(
    "[\u2e80-\u2fdf\ufb00-\ufb06\ufb50-\ufdef\ufe70-\ufefc\U0001d400-\U0001d49b\U0001d5a0-\U0001d7d7\U0001d7e2-\U0001d7ff]"
)
_SAME_SIGNS = {"‐": "-", "‑": "-", "∙": "·", "⋅": "·", "˚": "°", "⁄": "/", "∕": "/", "∼": "~", "ʼ": "’"}
"""Signs of one shape, each with the one that is typed more."""
_WIDE = re.compile("[\uff01-\uff5e\uffe0-\uffe6]")

_EAST_ASIAN = re.compile(r"CJK |HIRAGANA |KATAKANA |HANGUL |BOPOMOFO ")
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Confusable:
    """A character in a text that looks like another, which is more likely to be meant."""

    index: int
    """Which text."""
    character: str
    """The character in the text."""
    intended: str
    """The one that it looks like; for a ligature, several characters."""


def find_confusables(texts: Sequence[str], alphabet: Mapping[str, int]) -> Iterator[Confusable]:
    """Find the confusables in `texts`, each once a text. `alphabet` counts the characters of all texts.

    A Latin, Cyrillic or Greek letter is confusable in a word of another of these scripts, if all letters of its own script in
    the word have counterparts in that one. Full-width forms are confusable if nothing East Asian is in the set; if something
    is, then only letters and digits of which the set holds the plain form as well.
    """
    scripts = _letters(alphabet)
    always = _compatibility_forms(alphabet)
    if not always and len(scripts) < 2:
        return
    any_always = _any_of("".join(always))
    mixed = re.compile("|".join(f"[{one}][{other}]" for one, other in permutations(scripts.values(), 2)) or r"(?!)")
    for index, text in enumerate(texts):
        found = {c: always[c] for c in any_always.findall(text)}
        if mixed.search(text):
            for word in _WORD.findall(text):
                found.update(_odd_letters(word, alphabet))
        yield from (Confusable(index, character, intended) for character, intended in found.items())


def has_mixed_word(text: str) -> bool:
    """Whether all letters of one script in a word of `text` look like letters of another one in it."""
    words = map(_letters, _WORD.findall(text))
    return any(_counterparts(scripts[one], other) for scripts in words for one, other in permutations(scripts, 2))


def mixed_variants(alphabet: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """For each sign that `alphabet` holds in several variants, yield those of the usual one and those of the others."""
    for row in _VARIANTS:
        variants = {present: sum(alphabet[c] for c in present) for variant in row if (present := _present(variant, alphabet))}
        if len(variants) > 1:
            usual = max(variants, key=variants.__getitem__)
            yield usual, "".join(variant for variant in variants if variant != usual)


def counterparts(texts: Sequence[str], known: str) -> dict[str, str]:
    """Find characters in `texts` that can be written with characters of `known`, so that every text looks the same.

    A letter is one of these only if no text holds it as a letter of its own script.
    """
    alphabet = Counter("".join(texts))
    found = list(find_confusables(texts, alphabet))
    times = Counter(each.character for each in found)
    same = {each.character: each.intended for each in found if times[each.character] == sum(each.character in t for t in texts)}
    same |= {c: " " if c.isspace() else _SAME_SIGNS[c] for c in alphabet if c.isspace() or c in _SAME_SIGNS}
    return {c: intended for c, intended in same.items() if c not in known and set(intended) <= set(known)}


def _present(variant: str, alphabet: Mapping[str, int]) -> str:
    return "".join(c for c in variant if c in alphabet)


def _letters(characters: Mapping[str, int] | str) -> dict[str, str]:
    """The letters among `characters` of each script with homoglyphs, without the scripts that have none there."""
    found: dict[str, str] = {}
    for character in characters:
        script = unicodedata.name(character, "").partition(" ")[0]
        if script in _HOMOGLYPHS and character.isalpha():
            found[script] = found.get(script, "") + character
    return found


def _any_of(characters: str) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(characters)}]" if characters else r"(?!)")


def _counterparts(letters: str, script: str) -> dict[str, str]:
    """The counterpart of each letter in `script`; empty if one of them has none."""
    counterparts = {letter: _HOMOGLYPHS[script].get(_SHAPE.get(letter, ""), "") for letter in letters}
    return counterparts if all(counterparts.values()) else {}


def _odd_letters(word: str, alphabet: Mapping[str, int]) -> dict[str, str]:
    """The letters of a word in two scripts that stand for letters of the other one, with their counterparts there.

    They are those of the script that has fewer letters in the word, or else in the set. A word has at least three letters, all
    of one case or with a capital first, so that it is no random code.
    """
    scripts = _letters(word)
    size = {s: (sum(map(word.count, letters)), sum(alphabet[c] for c in letters)) for s, letters in scripts.items()}
    is_word = sum(letters for letters, _ in size.values()) >= 3 and (word.islower() or word.isupper() or word.istitle())
    if len(scripts) != 2 or not is_word:
        return {}
    odd, usual = sorted(scripts, key=size.__getitem__)
    return _counterparts(scripts[odd], usual)


def _compatibility_forms(alphabet: Mapping[str, int]) -> dict[str, str]:
    """The compatibility forms that pass for plain characters, with these."""
    plain = {c: unicodedata.normalize("NFKC", c) for c in alphabet if _COMPATIBILITY.match(c) or _WIDE.match(c)}
    east_asian = any(_EAST_ASIAN.match(unicodedata.name(c, "")) for c in alphabet)

    def passes(c: str) -> bool:
        return not _WIDE.match(c) or not east_asian or (c.isalnum() and plain[c] in alphabet)

    return {c: base for c, base in plain.items() if base != c and passes(c)}
