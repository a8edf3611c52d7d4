"""Characters that look like others: letters of another script, full-width and other compatibility forms, variants of signs.

A model sees pictures only: where labels write one shape in two ways it has to guess which, and learns neither well. The tables
hold what print hardly tells apart, a choice from Unicode's confusables (UTS 39). Two scripts that each have words of their own
are no fault; nor are Latin and East Asian characters in one word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

_FORMS: dict[str, dict[str, str]] = {
    "CYRILLIC": dict(zip("ABCEHIJKMOPSTXYaceijopsxyËÏëï", "АВСЕНІЈКМОРЅТХУасеіјорѕхуЁЇёї", strict=True)),
    "GREEK": dict(zip("ABEHIKMNOPTXYZov", "ΑΒΕΗΙΚΜΝΟΡΤΧΥΖον", strict=True)),
}
_FORMS["LATIN"] = {shape: shape for forms in list(_FORMS.values()) for shape in forms}
_SHAPE = {letter: shape for forms in _FORMS.values() for shape, letter in forms.items()}
"""What each of these letters looks like, named by the Latin letter; `_FORMS` leads back to each script's own."""

LATIN_CONFUSABLES: Mapping[str, str] = {
    "CYRILLIC": "ABCEHIJKMOPSTXYabcehijkmopstxy",
    "GREEK": "ABEHIKMNOPTUVXYZabehikmnoptuvxyz",
}
"""Letters of ASCII that look like a letter of another script, the one in upper or the other in lower case."""

_RARE = 0.02
"""Letters of a script that are at most this share of another's are rare beside them."""

_WORD = re.compile(r"[^\W\d_]+")
# Cyrillic and Greek texts write them in Latin letters.
_ROMAN_NUMERAL = re.compile(r"\b(?:[IVXLCDM]{2,}|[IVX])\b")

_WIDE = re.compile("[\uff01-\uff5e\uffe0-\uffe6]")
_EAST_ASIAN = re.compile(r"CJK |HIRAGANA |KATAKANA |HANGUL |BOPOMOFO ")
# Radicals that pass for ideographs (⽇), ligatures (ﬁ), letters as Arabic joins them (ﺑ), mathematical letters (𝐀).
_COMPATIBILITY = re.compile("[\u2e80-\u2fdf\ufb00-\ufb06\ufb50-\ufdef\ufe70-\ufefc\U0001d400-\U0001d7ff]")

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


@dataclass(frozen=True)
class LookAlike:
    """A character in a text that looks like another, which is more likely to be meant."""

    index: int
    """Which text."""
    character: str
    """What stands there."""
    twin: str
    """What it looks like; for a ligature, several characters."""


def look_alikes(texts: Sequence[str], alphabet: Mapping[str, int]) -> Iterator[LookAlike]:
    """The look-alikes in `texts`, each once a text; `alphabet` counts the characters of all.

    A Latin, Cyrillic or Greek letter is one in a word of another of these scripts, if all letters of its own script in the word
    have twins in that one; and anywhere, if all letters of its script in the set have twins in another's, beside which they
    are rare or which themselves have twins only. Full-width forms are look-alikes where nothing East Asian is in the set, and
    elsewhere letters and digits of which the set holds the plain form as well.
    """
    scripts = _letters(alphabet)
    always = {**_compatibility_forms(alphabet), **_foreign_letters(scripts, alphabet)}
    if not always and len(scripts) < 2:
        return
    any_always = _any_of("".join(always))
    mixed = re.compile("|".join(f"[{one}][{other}]" for one, other in permutations(scripts.values(), 2)) or r"(?!)")
    for index, text in enumerate(texts):
        found = {c: always[c] for c in any_always.findall(_ROMAN_NUMERAL.sub("", text))} if any_always.search(text) else {}
        if mixed.search(text):
            for word in _WORD.findall(text):
                found.update(_odd_letters(word, alphabet))
        yield from (LookAlike(index, character, twin) for character, twin in found.items())


def mixed_variants(alphabet: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """For each sign that `alphabet` holds in several ways of writing: the characters of the usual way, and of the others."""
    for row in _VARIANTS:
        ways = {present: sum(alphabet[c] for c in present) for way in row if (present := _present(way, alphabet))}
        if len(ways) > 1:
            usual = max(ways, key=ways.__getitem__)
            yield usual, "".join(way for way in ways if way != usual)


def twin_in(known: str, character: str) -> str | None:
    """The first character of `known` that `character` looks like, or None."""
    shape = _SHAPE.get(character)
    twins = {forms[shape] for forms in _FORMS.values() if shape in forms} if shape else set()
    twins.update(*(way for row in _VARIANTS if character in "".join(row) for way in row))
    twins.add(unicodedata.normalize("NFKC", character))
    return next((c for c in known if c in twins - {character}), None)


def _present(way: str, alphabet: Mapping[str, int]) -> str:
    return "".join(c for c in way if c in alphabet)


def _letters(characters: Mapping[str, int] | str) -> dict[str, str]:
    """The letters among `characters` of each script that has look-alikes, where there are any."""
    found: dict[str, str] = {}
    for character in characters:
        script = unicodedata.name(character, "").partition(" ")[0]
        if script in _FORMS and character.isalpha():
            found[script] = found.get(script, "") + character
    return found


def _any_of(characters: str) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(characters)}]" if characters else r"(?!)")


def _twins(letters: str, script: str) -> dict[str, str]:
    """Each letter's twin in `script`; empty where one of them has none."""
    twins = {letter: _FORMS[script].get(_SHAPE.get(letter, ""), "") for letter in letters}
    return twins if all(twins.values()) else {}


def _foreign_letters(scripts: Mapping[str, str], alphabet: Mapping[str, int]) -> dict[str, str]:
    """The letters of each script that is in the set only in place of another's, with the twins there."""
    found: dict[str, str] = {}
    count = {script: sum(alphabet[letter] for letter in letters) for script, letters in scripts.items()}
    for rare, other in permutations(scripts, 2):
        copied = _twins(scripts[other], rare) and (count[rare], rare) < (count[other], other)
        if copied or count[rare] <= _RARE * count[other]:
            found.update(_twins(scripts[rare], other))
    return found


def _odd_letters(word: str, alphabet: Mapping[str, int]) -> dict[str, str]:
    """The letters of a word in two scripts that stand in for letters of the other, each with its twin there.

    They are those of the script that has fewer letters in the word, or else in the set. A word has three letters and more, all
    of one case or with a capital first: no code of letters by chance.
    """
    scripts = _letters(word)
    size = {s: (sum(map(word.count, letters)), sum(alphabet[c] for c in letters)) for s, letters in scripts.items()}
    is_word = sum(letters for letters, _ in size.values()) >= 3 and (word.islower() or word.isupper() or word.istitle())
    if len(scripts) != 2 or not is_word:
        return {}
    odd, usual = sorted(scripts, key=size.__getitem__)
    return _twins(scripts[odd], usual)


def _compatibility_forms(alphabet: Mapping[str, int]) -> dict[str, str]:
    """The compatibility forms that pass for plain characters, with those."""
    plain = {c: unicodedata.normalize("NFKC", c) for c in alphabet if _COMPATIBILITY.match(c) or _WIDE.match(c)}
    east_asian = any(_EAST_ASIAN.match(unicodedata.name(c, "")) for c in alphabet)

    def passes(c: str) -> bool:
        return not _WIDE.match(c) or not east_asian or (c.isalnum() and plain[c] in alphabet)

    return {c: twin for c, twin in plain.items() if twin != c and passes(c)}
