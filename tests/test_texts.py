"""Texts are what they were asked to be, look like their language and style, and are the same each time."""

from __future__ import annotations

import datetime
import functools
import itertools
import json
import re
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wordfreq

from crnnocr.config import Range, Style, SynthConfig
from crnnocr.errors import DataError, UsageError
from crnnocr.synth import text as texts
from crnnocr.synth import trdg
from crnnocr.synth.languages import LANGUAGES
from crnnocr.synth.rng import Chance
from crnnocr.synth.text.generator import MAX_SHARE, MIN_RATE
from crnnocr.synth.text.grammar import exists
from crnnocr.synth.text.text_file import BLOCK, TextFile, pieces

ALL = frozenset(map(chr, range(0x20, 0x20000)))
"""As if there were a font for everything."""

STYLES = (Style.CLEAN, Style.DOCUMENT, Style.SCENE, Style.RECEIPT)


def drawn(source: texts.TextSource, count: int, style: Style = Style.CLEAN, seed: int = 0) -> list[str]:
    return [source(index, style, np.random.default_rng([seed, index])).text for index in range(count)]


def of_all_styles(source: texts.TextSource, count: int) -> list[str]:
    """`count` texts of each style."""
    return [text for style in STYLES for text in drawn(source, count, style)]


@pytest.fixture(scope="module")
def english() -> texts.TextSource:
    return texts.source(SynthConfig(), ALL)


def is_tidy(text: str) -> bool:
    return bool(text) and text == " ".join(unicodedata.normalize("NFC", text).split())


@functools.cache
def script_of(character: str) -> str:
    return unicodedata.name(character, "?").split()[0]


def letters_of(lines: Iterable[str]) -> Counter[str]:
    """How many letters there are of each script."""
    return Counter(script_of(c) for line in lines for c in line if c.isalpha())


SCRIPTS = {
    "ar": {"ARABIC"},
    "bg": {"CYRILLIC"},
    "bn": {"BENGALI"},
    "el": {"GREEK"},
    "fa": {"ARABIC"},
    "he": {"HEBREW"},
    "hi": {"DEVANAGARI"},
    "ja": {"HIRAGANA", "KATAKANA", "CJK"},
    "ko": {"HANGUL"},
    "mk": {"CYRILLIC"},
    "ru": {"CYRILLIC"},
    "ta": {"TAMIL"},
    "th": {"THAI"},
    "uk": {"CYRILLIC"},
    "ur": {"ARABIC"},
    "zh": {"CJK"},
}
"""Of the languages that are not written in Latin letters."""


LETTERS = {
    "ar": "ءأؤئىة٠٩",
    "de": "äöüßÄÖÜ",
    "el": "άέήίόύώςΩ",
    "es": "áéíñóúü",
    "fr": "àâçéèêëîïôùûœ",
    "hi": "ािीुक्ष०९₹",
    "ja": "のアー々",
    "pl": "ąćęłńóśźż",
    "ru": "ёйъыэЁ₽",
    "tr": "çğıİöşü₺",
    "vi": "ạảấầẩẫậắđơưĐ₫",
    "zh": "的一是不¥",
}
"""Some that a language is written with."""

MARKS = {"ar": "،؟", "de": "„“", "el": "·;«", "es": "¿¡«»", "fr": "«»", "hi": "।", "ja": "、。「", "ru": "«»", "zh": "，。《"}
"""Some that come often."""


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_language_has_various_texts_in_its_script(lang: str) -> None:
    source = texts.source(SynthConfig(lang=(lang,), style=Style.DOCUMENT), ALL)
    lines = drawn(source, 400, Style.DOCUMENT)
    assert len(set(lines)) >= 370  # single characters and short numbers come again
    assert all(map(is_tidy, lines))
    assert set().union(*lines) <= set(source.charset)
    assert set(LETTERS.get(lang, "")) <= set(source.charset)
    assert set(MARKS.get(lang, ".,?")) <= set().union(*lines)
    scripts = letters_of(lines)
    own = SCRIPTS.get(lang, {"LATIN"})
    assert sum(scripts[script] for script in own) >= 0.8 * scripts.total()  # codes, units and the net are in Latin letters
    # An ª or ー is a letter too, whose name begins otherwise.
    assert sum(scripts[script] for script in own | {"LATIN"}) >= 0.98 * scripts.total()


def test_a_language_that_is_not_known_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="--lang xx is not there: choose of ar, "):
        texts.source(SynthConfig(lang=("xx",)), ALL)


def test_words_are_drawn_by_their_frequency() -> None:
    source = texts.source(SynthConfig(style=Style.SCENE, words=(1, 1)), ALL)
    counts = Counter(text.lower() for text in drawn(source, 6000, Style.SCENE))
    ranked = wordfreq.top_n_list("en", 40_000)
    bands = [ranked[:100], ranked[100:1000], ranked[1000:10_000], ranked[10_000:40_000]]
    shares = [sum(counts[word] for word in band) for band in bands]
    rates = [share / len(band) for share, band in zip(shares, bands, strict=True)]
    assert rates == sorted(rates, reverse=True)
    assert min(shares) >= 200  # none of the bands is left to chance


def test_of_final_sigma_and_eszett_the_folded_form_is_not_kept() -> None:
    greek = " ".join(drawn(texts.source(SynthConfig(lang=("el",), style=Style.DOCUMENT), ALL), 1500, Style.DOCUMENT)).split()
    words = [word for word in greek if word.isalpha() and word.islower() and len(word) > 3]
    assert sum(word.endswith("ς") for word in words) > 100
    assert sum(word.endswith("σ") for word in words) < 10  # strings of chance have some
    german = Counter(" ".join(drawn(texts.source(SynthConfig(lang=("de",), words=(6, 9)), ALL), 1500)).split())
    assert german["groß"] + german["außerdem"] + german["Straße"] + german["heißt"] > 0
    assert german["ausserdem"] + german["Ausserdem"] + german["heisst"] == 0  # in capitals ß is written SS
    assert german["dass"] + german["muss"] > 0


# The brief's lengths, to a fifth.
@pytest.mark.parametrize(("style", "mean"), [(Style.CLEAN, 14), (Style.DOCUMENT, 25), (Style.SCENE, 8), (Style.RECEIPT, 16)])
def test_styles_have_their_lengths(style: Style, mean: int, english: texts.TextSource) -> None:
    lengths = [len(text) for text in drawn(english, 1500, style)]
    assert np.mean(lengths) == pytest.approx(mean, rel=0.2)


def test_styles_have_their_own_kinds_and_cases(english: texts.TextSource) -> None:
    lines = {style: drawn(english, 1500, style) for style in STYLES}

    def share(style: Style, test: Callable[[str], bool]) -> float:
        return sum(map(test, lines[style])) / len(lines[style])

    assert share(Style.SCENE, lambda text: " " not in text) > 0.65
    assert share(Style.SCENE, str.isupper) > 0.3
    assert share(Style.RECEIPT, str.isupper) > 0.4
    assert share(Style.DOCUMENT, str.isupper) < 0.15
    assert share(Style.DOCUMENT, lambda text: text[-1] in ".?!") > 0.2
    assert share(Style.RECEIPT, lambda text: text[-3:-2] == "." and text[-2:].isdigit()) > 0.2
    for style in STYLES:
        assert 0.01 < share(style, lambda text: len(text) <= 2) < 0.12
        assert share(style, lambda text: any(map(str.isdigit, text))) > 0.1


def test_the_texts_hold_what_is_found_in_the_world(english: texts.TextSource) -> None:
    lines = "\n".join(of_all_styles(english, 2500))
    for pattern in (
        r"^[\w.]+@[\w-]+\.\w+$",  # an e-mail
        r"^(https?://|www\.)[\w-]+\.\w+",
        r"^#\w+$",
        r"[$€£]\d+\.\d\d\b",
        r"^\d\d?/\d\d?/(\d\d){1,2}$",
        r"^\d\d:\d\d$",
        r"^[A-Z]{2,3}-\d+$",
        r"^\d{1,3}(,\d{3})+$",
        r"^\d+(\.\d+)? ?%$",
        r"^\d+ (kg|ml|cm)$",
        r"^(TOTAL|SUBTOTAL)",
        r"^\d X .* \d+\.\d\d$",
        r"^“.*”$",
        r"\(\w+",
        r"\w, \w",
        r"\w – \w",
        r"\w's\b",
        r"^(January|March|May|July|August) \d+, \d{4}$",
        r"^[a-z]+$",
        r"^[A-Z]+$",
        r"^[A-Z][a-z]+ [A-Z][a-z]+$",
        r"^[a-z]+[A-Z]+[a-z]+[A-Za-z]*$",
    ):
        assert len(re.findall(pattern, lines, re.MULTILINE)) >= 3, pattern


def test_scripts_without_spaces_join_their_words() -> None:
    for lang in ("zh", "ja"):
        lines = drawn(texts.source(SynthConfig(lang=(lang,), style=Style.DOCUMENT), ALL), 500, Style.DOCUMENT)
        own = [line for line in lines if sum(script_of(c) in SCRIPTS[lang] for c in line) > 6]
        assert len(own) > 200
        assert sum(" " in line for line in own) < 0.05 * len(own)
        assert any(any(map(str.isdigit, line)) for line in own)


@pytest.mark.parametrize("lang", ["en", "de", "ru", "ar", "hi", "th", "ja"])
def test_every_character_comes_as_often_as_the_least_rate_asks(lang: str) -> None:
    source = texts.source(SynthConfig(lang=(lang,), style=Style.DOCUMENT), ALL)
    count = 3000
    counts = Counter("".join(drawn(source, count, Style.DOCUMENT, seed=5)))
    rare = [counts[c] for c in source.charset if c not in " " + LANGUAGES[lang].script.latin_confusables]
    if len(source.charset) > 1000:  # more than the bounded share can lift: each still comes about as often
        assert sum(n > 0 for n in rare) > 0.6 * len(rare)
        return
    # Of 3000 × 0.01 = 30 expected, a third is five standard deviations (√30 = 5.5) less, but for the marks that few words have.
    assert np.mean(np.array(rare) >= MIN_RATE * count / 3) > 0.97
    assert min(rare) > 0


def test_latin_letters_that_look_like_cyrillic_ones_come_in_latin_words_alone() -> None:
    source = texts.source(SynthConfig(lang=("ru",), style=Style.CLEAN), ALL)
    words = " ".join(drawn(source, 3000)).split()
    twins = set("ABCEHKMOPTXaceopxy")
    assert not [word for word in words if word in twins]
    mixed = [word for word in words if not twins.isdisjoint(word) and letters_of([word])["CYRILLIC"]]
    assert len(mixed) < 0.003 * len(words)  # Russian plates as faker has them


def test_lifting_is_bounded_and_the_same_for_the_larger_set(english: texts.TextSource) -> None:
    odd = set("^`{}~|\\<>")
    for style in STYLES:
        lines = drawn(english, 2000, style)
        assert sum(not odd.isdisjoint(line) for line in lines) / len(lines) < MAX_SHARE + 0.03  # random strings have some too
    assert drawn(english, 50) == drawn(english, 100)[:50]


CHARSETS = {
    "all": None,
    "digits": "0123456789",
    "codes": "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "greek": "αβγδεζηθικλμνξοπρσςτυφχψω ",
    "one": "x",
    "decomposed": "abcdeu\u0308o\u0301 \u0301",
    "jamo": "\u1100\u1161\u11a8가",
}
LENGTHS: list[Range | None] = [None, (1, 4), (7, 7), (30, 45)]


@pytest.mark.parametrize("chars", LENGTHS, ids=str)
@pytest.mark.parametrize("charset", CHARSETS)
def test_lengths_and_characters_are_those_asked_for(charset: str, chars: Range | None) -> None:
    allowed = CHARSETS[charset]
    spelt = None if allowed is None else set(unicodedata.normalize("NFC", allowed)) | set(allowed)
    for lang, words in itertools.product(("en",) if allowed else ("en", "th"), (None, (2, 3))):
        if lang == "th" and words:
            continue
        config = SynthConfig(lang=(lang,), style=Style.SCENE, charset=allowed, words=words, chars=chars)
        spaced = LANGUAGES[lang].script.spaced
        fits = not (spaced and words == (2, 3) and spelt and " " not in spelt)  # two words need a space
        fits = fits and not (words == (2, 3) and chars and chars[1] < 2 + spaced)
        if not fits:
            with pytest.raises(UsageError, match="--words"):
                texts.source(config, ALL)
            continue
        for text in drawn(texts.source(config, ALL), 40, Style.SCENE):
            assert is_tidy(text)
            assert spelt is None or set(text) <= spelt
            assert chars is None or chars[0] <= len(text) <= chars[1]
            assert not words or not spaced or words[0] <= len(text.split(" ")) <= words[1]


def test_every_length_of_a_range_comes() -> None:
    lines = of_all_styles(texts.source(SynthConfig(chars=(3, 9)), ALL), 150)
    assert set(map(len, lines)) == set(range(3, 10))
    lines = of_all_styles(texts.source(SynthConfig(words=(2, 5)), ALL), 150)
    assert {len(line.split(" ")) for line in lines} == {2, 3, 4, 5}


def test_a_charset_spells_words_where_it_can() -> None:
    upper = drawn(texts.source(SynthConfig(charset=CHARSETS["codes"]), ALL), 300)
    known = {word.upper() for word in wordfreq.top_n_list("en", 50_000)}
    assert sum(word in known for word in upper) > 100
    assert sum(not word.isalpha() and not word.isdigit() for word in upper) > 20  # codes
    greek = texts.source(SynthConfig(charset=CHARSETS["greek"]), ALL)  # English has no word with these
    assert len(set(drawn(greek, 300))) > 250


def test_digits_alone_make_numbers_of_many_lengths() -> None:
    lines = drawn(texts.source(SynthConfig(charset="0123456789"), ALL), 500)
    assert all(line.isdigit() for line in lines)
    assert len(set(lines)) > 300
    assert set(map(len, lines)) >= set(range(1, 9))


def test_made_up_texts_hold_only_what_a_font_can_draw() -> None:
    able = frozenset("abcdefghijklmnopqrstuvwxyz .0123456789")
    source = texts.source(SynthConfig(), able)
    assert set(source.charset) == able
    assert set("".join(of_all_styles(source, 200))) == able


@pytest.mark.parametrize(("lang", "package"), [("ar", "fontpkg-noto-sans-arabic"), ("hi", "fontpkg-noto-sans-devanagari")])
def test_a_language_without_a_font_is_an_error_that_names_the_mend(lang: str, package: str) -> None:
    latin = frozenset(map(chr, range(0x20, 0x250)))
    name = LANGUAGES[lang].name
    said = rf"^no font here draws {name}: pip install 'crnnocr\[fonts\]' \(or {package} alone\), or name a folder of fonts"
    with pytest.raises(DataError, match=said):
        texts.source(SynthConfig(lang=("en", lang)), latin)
    with pytest.raises(DataError, match=f"^no font in my/fonts draws {name}: name another folder with --fonts"):
        texts.source(SynthConfig(lang=(lang,), fonts="my/fonts"), latin)
    with pytest.raises(DataError, match=r"draws Chinese: pip install 'crnnocr\[fonts\]', or name"):
        texts.source(SynthConfig(lang=("zh",)), latin)
    assert texts.source(SynthConfig(lang=(lang,), charset="0123456789"), latin).charset == "0123456789"
    letters = set(texts.source(SynthConfig(lang=(lang,)), ALL).charset)
    rare = max(letters)  # a few missing letters are no reason
    assert set(texts.source(SynthConfig(lang=(lang,)), ALL - {rare}).charset) == letters - {rare}


def test_conjoining_jamo_are_no_letters_of_korean() -> None:
    assert not [c for c in texts.source(SynthConfig(lang=("ko",)), ALL).charset if "\u1100" <= c <= "\u11ff"]


def test_a_charset_names_its_characters_composed_or_not() -> None:
    assert texts.source(SynthConfig(charset="e\u0301"), ALL).charset == "eé\u0301"
    assert texts.source(SynthConfig(charset="e\n\u0301\n"), ALL).charset == "e\u0301"
    assert texts.source(SynthConfig(charset="\u212b"), ALL).charset == "Å"  # NFC of ANGSTROM SIGN
    persian = texts.source(SynthConfig(lang=("fa",), charset="ابپتیم\u200c"), ALL)
    assert "\u200c" in persian.charset
    assert not [text for text in drawn(persian, 300) if text.strip("\u200c") != text]


def day_of(year: str, month: str, day: str) -> datetime.date:
    return datetime.date(int(year), int(month), int(day))


def test_dates_and_times_are_such_as_there_are() -> None:
    lines = "\n".join(of_all_styles(texts.source(SynthConfig(), ALL), 4000))
    dates = re.findall(r"\b((?:19|20)\d\d)-(\d\d)-(\d\d)$", lines, re.MULTILINE)
    assert len(dates) > 30
    assert all(day_of(*date) for date in dates)  # which raises where there is none
    american = re.findall(r"^(\d\d)/(\d\d)/(\d{4})$", lines, re.MULTILINE)
    assert len(american) > 30
    assert all(day_of(year, month, day) for month, day, year in american)
    hours = [int(hour) for hour in re.findall(r"(\d+):\d\d [ap]m\b", lines, re.IGNORECASE)]
    assert set(hours) == set(range(1, 13))
    for lang, month_sign, day_sign in (("zh", "月", "日"), ("ja", "月", "日"), ("ko", "월", "일")):
        asian = "\n".join(drawn(texts.source(SynthConfig(lang=(lang,), style=Style.RECEIPT), ALL), 6000, Style.RECEIPT))
        found = re.findall(rf"([0-9]+){month_sign} ?([0-9]+){day_sign}", asian)
        assert {int(month) for month, _ in found} == set(range(1, 13))
        assert max(int(day) for _, day in found) in (29, 30, 31)
        assert all(day_of("2000", month, day) for month, day in found)


@pytest.mark.parametrize(
    ("day", "month", "year", "there"),
    [
        ("29", "02", "1914", False),
        ("29", "02", "2000", True),
        ("29", "02", "1900", False),
        ("31", "04", "2001", False),
        ("31", "12", "2001", True),
        ("30", "January", "2001", False),  # whose number is not known
        ("28", "February", "2001", True),
    ],
)
def test_a_date_exists_where_the_calendar_has_it(day: str, month: str, year: str, there: bool) -> None:
    assert exists({"day": day, "month": month, "year": year}) is there


def test_only_english_names_have_an_apostrophe_and_s() -> None:
    for lang, some in (("en", True), ("fr", False), ("ru", False)):
        lines = of_all_styles(texts.source(SynthConfig(lang=(lang,)), ALL), 2000)
        assert (sum(line.endswith("’s") and line.count("’") == 1 and " " in line for line in lines) > 0) is some


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("\ufeffco\u00adop\u200b \u200b x\u2060y\u200e", "coop xy"),
        ("e\u200b\u0301", "é"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("می\u200c\u200c\u00adخواهم", "می\u200cخواهم"),
        ("می\u200c خواهم\u200d", "می خواهم"),
        ("क\u094d\u200dष", "क\u094d\u200dष"),
        ("a\u200cb\u200dc", "abc"),
        ("\u200c", ""),
        ("\u06dd١", "\u06dd١"),  # the end of an ayah is drawn
    ],
)
def test_what_is_drawn_as_nothing_is_left_out(text: str, tidied: str) -> None:
    assert texts.tidy(text) == tidied


def test_a_charset_that_stands_for_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="--charset holds no character"):
        texts.source(SynthConfig(charset="\u0301"), ALL)
    with pytest.raises(UsageError, match="--charset holds no character that a font can draw"):
        texts.source(SynthConfig(charset="☃"), frozenset("abc"))


@pytest.mark.parametrize("words", [(2, 3), (5, 5)])
def test_words_that_never_fit_the_characters_are_refused(words: Range) -> None:
    with pytest.raises(UsageError, match=rf"{words[0]} words .--words. never fit into 2 characters"):
        texts.source(SynthConfig(words=words, chars=(1, 2)), ALL)


def test_each_text_is_of_one_of_the_languages_evenly() -> None:
    source = texts.source(SynthConfig(lang=("ru", "el", "he"), style=Style.CLEAN), ALL)
    given = [source(i, Style.CLEAN, np.random.default_rng([0, i])) for i in range(900)]
    counts = Counter(text.lang for text in given)
    assert set(counts) == {"ru", "el", "he"}
    assert min(counts.values()) > 240  # 300 expected, less four standard deviations (√200 = 14)
    for text, lang in given:
        assert not set(letters_of([text])) & (set().union(*SCRIPTS.values()) - SCRIPTS[lang])


def test_a_text_depends_on_its_own_chance_alone() -> None:
    first, second = (texts.source(SynthConfig(lang=("en", "ja")), ALL) for _ in range(2))
    forwards = [first(i, style, np.random.default_rng([1, i])) for i in range(40) for style in STYLES]
    backwards = [second(i, style, np.random.default_rng([1, i])) for i in range(39, -1, -1) for style in reversed(STYLES)]
    assert forwards == backwards[::-1]
    assert drawn(first, 20, seed=1) != drawn(first, 20, seed=2)


@pytest.mark.parametrize("langs", [("hi", "en"), ("it", "uk")])
def test_texts_are_the_same_in_every_process(
    langs: tuple[str, ...], run_process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    script = (
        "import json, numpy as np\n"
        "from crnnocr.config import Style, SynthConfig\n"
        "from crnnocr.synth import text as texts\n"
        f"source = texts.source(SynthConfig(lang={langs}), frozenset(map(chr, range(0x20, 0x20000))))\n"
        "print(json.dumps([source(i, Style.RECEIPT, np.random.default_rng([0, i])).text for i in range(300)]))"
    )
    done = run_process("-c", script)
    assert json.loads(done.stdout) == drawn(texts.source(SynthConfig(lang=langs), ALL), 300, Style.RECEIPT)


def test_importing_the_texts_loads_neither_wordfreq_nor_faker(
    run_process: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    script = "import sys, crnnocr.synth.text; print({'wordfreq', 'faker', 'ftfy', 'PIL', 'trdg'} & set(sys.modules))"
    assert run_process("-c", script).stdout == "set()\n"


@pytest.mark.parametrize("lang", ["en", "de", "fr", "zh"])
def test_trdgs_style_draws_from_its_dictionary_as_ever(lang: str) -> None:
    source = texts.source(SynthConfig(lang=(lang,), style=Style.TRDG, words=(2, 4)), ALL)
    words = trdg.dictionary(lang)
    for index in range(50):
        ours, theirs = np.random.default_rng([3, index]), np.random.default_rng([3, index])
        text = source(index, Style.TRDG, ours)
        count = int(theirs.integers(2, 5))
        assert text == (" ".join(" ".join(words[i] for i in theirs.integers(len(words), size=count)).split()), lang)
        assert ours.bit_generator.state == theirs.bit_generator.state
        assert set(text.text) <= set(source.charset)


def test_numbers_of_one_length_are_as_many_as_there_can_be() -> None:
    sampler = texts.source(SynthConfig(charset="0123456789", chars=(6, 6)), ALL)
    numbers = drawn(sampler, 600)
    # Of 600 draws of a million, 0.2 are expected to come twice.
    assert len(set(numbers)) >= 590
    assert all(len(number) == 6 and number.isdecimal() for number in numbers)


def test_trdgs_style_takes_one_to_three_words_and_keeps_to_its_limits() -> None:
    counts = {len(line.split(" ")) for line in drawn(texts.source(SynthConfig(style=Style.TRDG), ALL), 100, Style.TRDG)}
    assert counts == {1, 2, 3}
    config = SynthConfig(style=Style.TRDG, charset="abcdefghijklm ", chars=(6, 6))
    for line in drawn(texts.source(config, ALL), 100, Style.TRDG):
        assert len(line) == 6
        assert set(line) <= set("abcdefghijklm ")
    with pytest.raises(UsageError, match="--style trdg has no --lang es"):
        texts.source(SynthConfig(lang=("es",), style=Style.TRDG), ALL)
    with pytest.raises(UsageError, match="no word that fits"):
        texts.source(SynthConfig(charset="☃", style=Style.TRDG), ALL)


def file_source(path: Path, text: str | bytes, **options: Any) -> TextFile:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    source = texts.source(SynthConfig(text=str(path), **options), ALL)
    assert isinstance(source, TextFile)
    return source


def whole(source: TextFile) -> list[str]:
    """All texts of a file, in turn."""
    lines = drawn(source, source.count + 1)
    assert lines[-1] == lines[0]  # again from the first
    return lines[:-1]


def test_lines_of_a_file_come_in_turn(tmp_path: Path) -> None:
    text = "\ufeffeins  zwei \r\n\r\n\t\nGru\u0308ße\rdrei\u2028vier\n x "
    assert whole(file_source(tmp_path / "a.txt", text)) == ["eins zwei", "Grüße", "drei", "vier", "x"]
    assert texts.source(SynthConfig(text=str(tmp_path / "a.txt")), ALL).charset == "".join(
        sorted(set("eins zweiGrüßedreivierx"))
    )


def test_of_a_file_only_what_the_charset_spells_is_left(tmp_path: Path) -> None:
    lines = "abba\nabc\na b\nba\n"
    assert whole(file_source(tmp_path / "a.txt", lines, charset="ab")) == ["abba", "ba"]
    assert whole(file_source(tmp_path / "a.txt", lines, charset="ab", words=(1, 1))) == ["abba", "a", "b", "ba"]
    with pytest.raises(DataError, match=r"a\.txt holds no text that --charset can spell"):
        file_source(tmp_path / "a.txt", lines, charset="xyz")


def test_of_a_file_only_what_a_font_can_draw_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    able = frozenset("abcdefghij ")
    path.write_text("abc\n\nd 😀\ne\u200bf\nghé😀\n😀 xyzwv\n")
    with pytest.warns(texts.TextWarning) as warned:
        source = texts.source(SynthConfig(text=str(path)), able)
    assert drawn(source, 3) == ["abc", "ef", "abc"]
    assert source.charset == "abcef"
    [warning] = warned
    said = str(warning.message)
    assert said.startswith("3 texts left out: no font here draws '😀' (U+1F600 GRINNING FACE), 'é' (U+00E9 ")
    assert f"'z' (U+007A LATIN SMALL LETTER Z) and 2 more, first in {path}, line 3: " in said
    with pytest.warns(texts.TextWarning, match=r"^2 texts left out: .*line 3"):
        pieces_of = texts.source(SynthConfig(text=str(path), charset="abcd😀 ", words=(1, 1)), able)
    assert drawn(pieces_of, 2) == ["abc", "d"]
    path.write_text("😀\n")
    with pytest.raises(DataError, match=r"no font here draws '😀' .*a\.txt, line 1: take them out"):
        texts.source(SynthConfig(text=str(path)), able)


@pytest.mark.parametrize("chars", [(4, 9), (3, 3)])
def test_pieces_hold_nothing_that_is_drawn_as_nothing_and_begin_with_no_joiner(chars: Range, tmp_path: Path) -> None:
    story = "\ufeff\u200bمی\u200cخواهم co\u00adop کتاب\u200cهایم \u200b را نمی\u200c\u200cدانم " * 9
    lines = whole(file_source(tmp_path / "fa.txt", story, lang=("fa",), chars=chars))
    assert all(chars[0] <= len(line) <= chars[1] and line.strip("\u200c ") == line for line in lines)
    assert "\u200c" in "".join(lines)
    assert set("".join(lines)) == set(story) - set("\ufeff\u200b\u00ad")


def test_a_file_that_cannot_be_used_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    options: dict[str, Range]
    for options in ({}, {"words": (1, 2)}, {"chars": (3, 3)}):
        path.unlink(missing_ok=True)
        with pytest.raises(UsageError, match=r"cannot read --text .*lines\.txt: No such file"):
            texts.source(replace(SynthConfig(text=str(path)), **options), ALL)  # type: ignore[arg-type]
        with pytest.raises(DataError, match=r"lines\.txt holds no text$"):
            file_source(path, " \n\n", **options)
        with pytest.raises(DataError, match=r"lines\.txt is not UTF-8 \(byte 7\)"):  # "Gut\n\nGr" is 7 bytes long
            file_source(path, "Gut\n\nGrüße".encode("latin-1"), **options)
    with pytest.raises(DataError, match=r"holds no text of that length"):
        file_source(path, "too short", chars=(50, 60))
    with pytest.raises(UsageError, match="--chars"):
        file_source(path, "没有空格", lang=("zh",), words=(2, 2))
    for lang in ("zh", "ja", "th"):
        with pytest.raises(UsageError, match=f"{LANGUAGES[lang].name} sets no spaces between words: .*--chars"):
            texts.source(SynthConfig(lang=("en", lang), words=(2, 2)), ALL)


STORY = (
    "It was  the best of times, it was the worst\r\nof times; it was\tan age of wisdom.\r\n\r\n"
    "Grüße, Здравствуй, naïve – €5!\n\nA heading\n\n" + "".join(f"word{i} of number {i} stands\nhere " for i in range(60))
)


def covers(lines: list[str], story: str) -> bool:
    """Whether the lines, one after the other, hold all of the story: each begins in or right after the one before it."""
    told, end = " ".join(story.split()), 0
    for line in lines:
        starts = [i for i in range(max(0, end - len(line)), end + 2) if told.startswith(line, i)]
        if not starts:
            return False
        end = max(end, starts[-1] + len(line))
    return end == len(told)


@pytest.mark.parametrize("words", [(1, 1), (3, 3), (2, 6), (20, 25)])
def test_running_text_is_cut_into_pieces_of_words(words: Range, tmp_path: Path) -> None:
    lines = whole(file_source(tmp_path / "story.txt", STORY, words=words))
    assert {len(line.split(" ")) for line in lines} <= set(range(words[0], words[1] + 1))
    assert all(map(is_tidy, lines))
    assert covers(lines, STORY)


@pytest.mark.parametrize("chars", [(12, 30), (20, 25), (60, 90)])
def test_running_text_is_cut_into_pieces_of_characters_at_the_ends_of_words(chars: Range, tmp_path: Path) -> None:
    lines = whole(file_source(tmp_path / "story.txt", STORY, chars=chars))
    assert all(chars[0] <= len(line) <= chars[1] and is_tidy(line) for line in lines)
    assert covers(lines, STORY)
    whole_words = set(STORY.split())
    assert sum(set(line.split()) <= whole_words for line in lines) > 0.9 * len(lines)


def test_pieces_of_words_and_characters_keep_both(tmp_path: Path) -> None:
    lines = whole(file_source(tmp_path / "story.txt", STORY, words=(2, 4), chars=(8, 24)))
    assert all(2 <= len(line.split(" ")) <= 4 and 8 <= len(line) <= 24 for line in lines)
    assert covers(lines, STORY)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_pieces_of_one_exact_length_hold_all_that_pieces_can(length: int, tmp_path: Path) -> None:
    told = "A tale of b cd efg, hijk (lmnop) q rstuvwx yzABCDEFGHIJKLMN – O."
    lines = whole(file_source(tmp_path / "story.txt", told, chars=(length, length)))
    assert {len(line) for line in lines} == {length}
    assert all(map(is_tidy, lines))
    able = [i for i in range(len(told) - length + 1) if is_tidy(told[i : i + length])]
    for place, character in enumerate(told):
        if character != " " and any(i <= place < i + length for i in able):
            assert any(told[i : i + length] in lines for i in able if i <= place < i + length), place


def test_text_without_spaces_is_cut_anywhere_but_before_a_mark(tmp_path: Path) -> None:
    story = "ภาษาไทยเป็นภาษาที่มีระดับเสียงของคำแน่นอนหรือวรรณยุกต์เช่นเดียวกับภาษาจีน" * 5
    lines = whole(file_source(tmp_path / "thai.txt", story, lang=("th",), chars=(5, 9)))
    assert "".join(lines).startswith(story[:60])
    assert all(5 <= len(line) <= 9 for line in lines)
    assert not [line for line in lines if unicodedata.category(line[0])[0] == "M"]


def test_decomposed_running_text_is_composed_before_it_is_measured(tmp_path: Path) -> None:
    story = "Grüße über Äcker fähiger Köche " * 8
    lines = whole(file_source(tmp_path / "nfd.txt", unicodedata.normalize("NFD", story), chars=(10, 14)))
    assert lines == whole(file_source(tmp_path / "nfc.txt", story, chars=(10, 14)))


def test_a_paragraph_ends_a_piece_where_both_are_long_enough(tmp_path: Path) -> None:
    story = "one two three four five six\n\nseven eight nine ten\n\nlast\n"
    assert whole(file_source(tmp_path / "a.txt", story, words=(4, 4))) == [
        "one two three four",
        "three four five six",
        "seven eight nine ten",
        "eight nine ten last",
    ]


def test_a_text_without_paragraphs_is_taken_in_blocks(tmp_path: Path) -> None:
    story = "".join(f"line {i} of a long text\n" for i in range(2 * BLOCK // 20))
    source = file_source(tmp_path / "long.txt", story, words=(6, 6))
    words = " ".join(whole(source)).split(" ")
    assert set(story.split()) == set(words)
    assert words[:6000] == story.split()[:6000]


@pytest.mark.parametrize(("words", "chars"), [((3, 3), None), (None, (4, 4)), ((2, 2), (3, 3))])
def test_a_text_that_is_too_short_has_no_pieces(words: Range | None, chars: Range | None) -> None:
    chance = Chance(np.random.default_rng(0))
    assert list(pieces("a b" if words == (3, 3) else "abc", words, chars, spaced=True, chance=chance)) == []
