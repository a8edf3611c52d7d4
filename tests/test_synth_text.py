"""Texts are as they were asked for, look like their language and style, and are the same each time."""

from __future__ import annotations

import datetime
import functools
import itertools
import json
import re
import string
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import wordfreq
from synthetic_texts import ALL, is_normalized, some_texts

from crnnocr.config import Range, Style, SynthConfig
from crnnocr.errors import DataError, UsageError
from crnnocr.synth import text as texts
from crnnocr.synth.languages import LANGUAGES
from crnnocr.synth.text.generator import MAX_SHARE, MIN_RATE
from crnnocr.synth.text.grammar import is_date
from crnnocr.synth.text.vocabulary import Alphabet, Vocabulary, corpus

STYLES = (Style.CLEAN, Style.DOCUMENT, Style.SCENE, Style.RECEIPT)


def vocabulary_of(lang: str) -> Vocabulary:
    known = corpus(lang)
    return Vocabulary(known.words, Alphabet(known.letters | frozenset(string.ascii_letters), known.words))


def of_all_styles(source: texts.TextSource, count: int) -> list[str]:
    """`count` texts of each style."""
    return [text for style in STYLES for text in some_texts(source, count, style)]


@pytest.fixture(scope="module")
def english() -> texts.TextSource:
    return texts.create_source(SynthConfig(), ALL)


@functools.cache
def script_of(character: str) -> str:
    return unicodedata.name(character, "?").split()[0]


def letters_of(lines: Iterable[str]) -> Counter[str]:
    """The number of letters of each script."""
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
"""By language; the others are written in Latin letters."""


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
"""Some letters of each language."""

MARKS = {"ar": "،؟", "de": "„“", "el": "·;«", "es": "¿¡«»", "fr": "«»", "hi": "।", "ja": "、。「", "ru": "«»", "zh": "，。《"}
"""Some frequent marks of each language."""


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_language_has_various_texts_in_its_script(lang: str) -> None:
    source = texts.create_source(SynthConfig(lang=(lang,), style=Style.DOCUMENT), ALL)
    lines = some_texts(source, 400, Style.DOCUMENT)
    assert len(set(lines)) >= 370  # single characters and short numbers come again
    assert all(map(is_normalized, lines))
    assert set().union(*lines) <= set(source.charset)
    assert set(LETTERS.get(lang, "")) <= set(source.charset)
    assert set(MARKS.get(lang, ".,?")) <= set().union(*lines)
    scripts = letters_of(lines)
    own = SCRIPTS.get(lang, {"LATIN"})
    assert sum(scripts[script] for script in own) >= 0.8 * scripts.total()  # codes, units and the net are in Latin letters
    # An ª or ー is a letter too, whose name begins otherwise.
    assert sum(scripts[script] for script in own | {"LATIN"}) >= 0.98 * scripts.total()


def test_an_unknown_language_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match=r"^lang xx is not there: choose from ar, "):
        texts.create_source(SynthConfig(lang=("xx",)), ALL)


def test_words_come_by_their_frequency() -> None:
    source = texts.create_source(SynthConfig(style=Style.SCENE, words=(1, 1)), ALL)
    counts = Counter(text.lower() for text in some_texts(source, 6000, Style.SCENE))
    ranked = wordfreq.top_n_list("en", 40_000)
    bands = [ranked[:100], ranked[100:1000], ranked[1000:10_000], ranked[10_000:40_000]]
    shares = [sum(counts[word] for word in band) for band in bands]
    rates = [share / len(band) for share, band in zip(shares, bands, strict=True)]
    assert rates == sorted(rates, reverse=True)
    assert min(shares) >= 200  # enough in each band


def test_final_sigma_and_eszett_are_restored() -> None:
    greek = " ".join(
        some_texts(texts.create_source(SynthConfig(lang=("el",), style=Style.DOCUMENT), ALL), 1500, Style.DOCUMENT)
    ).split()
    words = [word for word in greek if word.isalpha() and word.islower() and len(word) > 3]
    assert sum(word.endswith("ς") for word in words) > 100
    assert sum(word.endswith("σ") for word in words) < 10  # random strings have some
    german = Counter(" ".join(some_texts(texts.create_source(SynthConfig(lang=("de",), words=(6, 9)), ALL), 1500)).split())
    assert german["groß"] + german["außerdem"] + german["Straße"] + german["heißt"] > 0
    assert german["ausserdem"] + german["Ausserdem"] + german["heisst"] == 0  # in capitals ß is written SS
    assert german["dass"] + german["muss"] > 0


# The lengths that each style is meant to have, within a fifth.
@pytest.mark.parametrize("style", [Style.DOCUMENT, Style.SCENE, Style.RECEIPT])
def test_some_texts_are_rows_of_single_characters(style: Style, english: texts.TextSource) -> None:
    lines = [text for text in some_texts(english, 1500, style) if re.fullmatch(r"\S( \S)+", text)]
    assert 0.005 < len(lines) / 1500 < 0.04
    assert any(line.replace(" ", "").isdecimal() for line in lines)
    assert any(line.count(" ") >= 5 for line in lines)


@pytest.mark.parametrize(("style", "mean"), [(Style.CLEAN, 14), (Style.DOCUMENT, 25), (Style.SCENE, 8), (Style.RECEIPT, 16)])
def test_each_style_has_its_length(style: Style, mean: int, english: texts.TextSource) -> None:
    lengths = [len(text) for text in some_texts(english, 1500, style)]
    assert np.mean(lengths) == pytest.approx(mean, rel=0.2)


def test_each_style_has_its_kinds_and_cases(english: texts.TextSource) -> None:
    lines = {style: some_texts(english, 1500, style) for style in STYLES}

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


def test_a_few_texts_are_of_random_letters_as_words_are_written(english: texts.TextSource) -> None:
    known = wordfreq.get_frequency_dict("en", "best").keys()

    def unpronounceable(text: str) -> bool:
        return bool(re.fullmatch(r"(?=[a-z]{5,}$)[^aeiouy]{4,}.*", text.lower())) and text.lower() not in known

    shares = {style: sum(map(unpronounceable, some_texts(english, 4000, style))) / 4000 for style in STYLES}
    # A word in three has five letters or more; (20 / 26) ** 4 of such strings begin with four consonants.
    assert 0.002 < shares[Style.SCENE] < 0.03
    assert shares[Style.CLEAN] < 0.3 * shares[Style.SCENE]


@pytest.mark.parametrize("lang", ["en", "ru", "el", "he", "hi", "th", "ja", "ko"])
def test_random_letters_are_of_the_language(lang: str) -> None:
    letters = vocabulary_of(lang).small_letters
    assert len(letters) >= 22  # Hebrew has the fewest
    assert not any(map(str.isupper, letters))
    assert {script_of(c) for c in letters} <= {"LATIN"} if lang == "en" else not any("a" <= c <= "z" for c in letters)


def test_texts_contain_what_real_images_show(english: texts.TextSource) -> None:
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
        lines = some_texts(texts.create_source(SynthConfig(lang=(lang,), style=Style.DOCUMENT), ALL), 500, Style.DOCUMENT)
        own = [line for line in lines if sum(script_of(c) in SCRIPTS[lang] for c in line) > 6]
        assert len(own) > 200
        assert sum(" " in line for line in own) < 0.05 * len(own)
        assert any(any(map(str.isdigit, line)) for line in own)


@pytest.mark.parametrize("lang", ["en", "de", "ru", "ar", "hi", "th", "ja"])
def test_every_character_has_at_least_the_smallest_rate(lang: str) -> None:
    source = texts.create_source(SynthConfig(lang=(lang,), style=Style.DOCUMENT), ALL)
    count = 3000
    counts = Counter("".join(some_texts(source, count, Style.DOCUMENT, seed=5)))
    rare = [counts[c] for c in source.charset if c not in " " + LANGUAGES[lang].script.latin_confusables]
    if len(source.charset) > 1000:  # more than the bounded share can oversample: they still come evenly
        assert sum(n > 0 for n in rare) > 0.6 * len(rare)
        return
    # 3000 × 0.01 = 30 are expected; a third is five standard deviations (√30 = 5.5) less. Few words have some marks.
    assert np.mean(np.array(rare) >= MIN_RATE * count / 3) > 0.97
    assert min(rare) > 0


def test_latin_confusables_of_cyrillic_come_in_latin_words_only() -> None:
    source = texts.create_source(SynthConfig(lang=("ru",), style=Style.CLEAN), ALL)
    words = " ".join(some_texts(source, 3000)).split()
    confusables = set("ABCEHKMOPTXaceopxy")
    assert not [word for word in words if word in confusables]
    mixed = [word for word in words if not confusables.isdisjoint(word) and letters_of([word])["CYRILLIC"]]
    assert len(mixed) < 0.003 * len(words)  # Russian plates of faker's


def test_oversampling_is_bounded_and_does_not_depend_on_the_count(english: texts.TextSource) -> None:
    odd = set("^`{}~|\\<>")
    for style in STYLES:
        lines = some_texts(english, 2000, style)
        assert sum(not odd.isdisjoint(line) for line in lines) / len(lines) < MAX_SHARE + 0.03  # random strings have some too
    assert some_texts(english, 50) == some_texts(english, 100)[:50]


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
def test_texts_keep_the_lengths_and_characters_asked_for(charset: str, chars: Range | None) -> None:
    allowed = CHARSETS[charset]
    characters = None if allowed is None else set(unicodedata.normalize("NFC", allowed)) | set(allowed)
    for lang, words in itertools.product(("en",) if allowed else ("en", "th"), (None, (2, 3))):
        if lang == "th" and words:
            continue
        config = SynthConfig(lang=(lang,), style=Style.SCENE, charset=allowed, words=words, chars=chars)
        spaced = LANGUAGES[lang].script.spaced
        fits = not (spaced and words == (2, 3) and characters and " " not in characters)  # two words need a space
        fits = fits and not (words == (2, 3) and chars and chars[1] < 2 + spaced)
        if not fits:
            with pytest.raises(UsageError, match="words"):
                texts.create_source(config, ALL)
            continue
        for text in some_texts(texts.create_source(config, ALL), 40, Style.SCENE):
            assert is_normalized(text)
            assert characters is None or set(text) <= characters
            assert chars is None or chars[0] <= len(text) <= chars[1]
            assert not words or not spaced or words[0] <= len(text.split(" ")) <= words[1]


def test_every_length_of_a_range_occurs() -> None:
    lines = of_all_styles(texts.create_source(SynthConfig(chars=(3, 9)), ALL), 150)
    assert set(map(len, lines)) == set(range(3, 10))
    lines = of_all_styles(texts.create_source(SynthConfig(words=(2, 5)), ALL), 150)
    assert {len(line.split(" ")) for line in lines} == {2, 3, 4, 5}


def test_a_charset_gives_words_if_it_can_write_some() -> None:
    upper = some_texts(texts.create_source(SynthConfig(charset=CHARSETS["codes"]), ALL), 300)
    known = {word.upper() for word in wordfreq.top_n_list("en", 50_000)}
    assert sum(word in known for word in upper) > 100
    assert sum(not word.isalpha() and not word.isdigit() for word in upper) > 20  # codes
    greek = texts.create_source(SynthConfig(charset=CHARSETS["greek"]), ALL)  # English has no word with these
    assert len(set(some_texts(greek, 300))) > 250


def test_only_digits_give_numbers_of_many_lengths() -> None:
    lines = some_texts(texts.create_source(SynthConfig(charset="0123456789"), ALL), 500)
    assert all(line.isdigit() for line in lines)
    assert len(set(lines)) > 300
    assert set(map(len, lines)) >= set(range(1, 9))


def test_made_up_texts_contain_only_drawable_characters() -> None:
    drawable = frozenset("abcdefghijklmnopqrstuvwxyz .0123456789")
    source = texts.create_source(SynthConfig(), drawable)
    assert set(source.charset) == drawable
    assert set("".join(of_all_styles(source, 200))) == drawable


@pytest.mark.parametrize(("lang", "package"), [("ar", "fontpkg-noto-sans-arabic"), ("hi", "fontpkg-noto-sans-devanagari")])
def test_a_language_without_a_font_is_an_error_that_names_the_fix(lang: str, package: str) -> None:
    latin = frozenset(map(chr, range(0x20, 0x250)))
    name = LANGUAGES[lang].name
    message = rf"^no font here draws {name}: pip install 'crnnocr\[fonts\]' \(or {package} alone\), or name a folder of fonts"
    with pytest.raises(DataError, match=message):
        texts.create_source(SynthConfig(lang=("en", lang)), latin)
    with pytest.raises(DataError, match=f"^no font in my/fonts draws {name}: name another folder with `fonts`"):
        texts.create_source(SynthConfig(lang=(lang,), fonts="my/fonts"), latin)
    with pytest.raises(DataError, match=r"draws Chinese: pip install 'crnnocr\[fonts\]', or name"):
        texts.create_source(SynthConfig(lang=("zh",)), latin)
    assert texts.create_source(SynthConfig(lang=(lang,), charset="0123456789"), latin).charset == "0123456789"
    letters = set(texts.create_source(SynthConfig(lang=(lang,)), ALL).charset)
    rare = max(letters)  # a few missing letters do not matter
    assert set(texts.create_source(SynthConfig(lang=(lang,)), ALL - {rare}).charset) == letters - {rare}


def test_korean_has_no_conjoining_jamo() -> None:
    assert not [c for c in texts.create_source(SynthConfig(lang=("ko",)), ALL).charset if "\u1100" <= c <= "\u11ff"]


def test_a_charset_may_be_composed_or_decomposed() -> None:
    assert texts.create_source(SynthConfig(charset="e\u0301"), ALL).charset == "eé\u0301"
    assert texts.create_source(SynthConfig(charset="e\n\u0301\n"), ALL).charset == "e\u0301"
    assert texts.create_source(SynthConfig(charset="\u212b"), ALL).charset == "Å"  # NFC of ANGSTROM SIGN
    persian = texts.create_source(SynthConfig(lang=("fa",), charset="ابپتیم\u200c"), ALL)
    assert "\u200c" in persian.charset
    assert not [text for text in some_texts(persian, 300) if text.strip("\u200c") != text]


def day_of(year: str, month: str, day: str) -> datetime.date:
    return datetime.date(int(year), int(month), int(day))


def test_dates_and_times_exist() -> None:
    lines = "\n".join(of_all_styles(texts.create_source(SynthConfig(), ALL), 4000))
    dates = re.findall(r"\b((?:19|20)\d\d)-(\d\d)-(\d\d)$", lines, re.MULTILINE)
    assert len(dates) > 30
    assert all(day_of(*date) for date in dates)  # which raises if there is no such day
    american = re.findall(r"^(\d\d)/(\d\d)/(\d{4})$", lines, re.MULTILINE)
    assert len(american) > 30
    assert all(day_of(year, month, day) for month, day, year in american)
    hours = [int(hour) for hour in re.findall(r"(\d+):\d\d [ap]m\b", lines, re.IGNORECASE)]
    assert set(hours) == set(range(1, 13))
    for lang, month_sign, day_sign in (("zh", "月", "日"), ("ja", "月", "日"), ("ko", "월", "일")):
        asian = "\n".join(
            some_texts(texts.create_source(SynthConfig(lang=(lang,), style=Style.RECEIPT), ALL), 6000, Style.RECEIPT)
        )
        found = re.findall(rf"([0-9]+){month_sign} ?([0-9]+){day_sign}", asian)
        assert {int(month) for month, _ in found} == set(range(1, 13))
        assert max(int(day) for _, day in found) in (29, 30, 31)
        assert all(day_of("2000", month, day) for month, day in found)


@pytest.mark.parametrize(
    ("day", "month", "year", "exists"),
    [
        ("29", "02", "1914", False),
        ("29", "02", "2000", True),
        ("29", "02", "1900", False),
        ("31", "04", "2001", False),
        ("31", "12", "2001", True),
        ("30", "January", "2001", False),  # its number is not known
        ("28", "February", "2001", True),
    ],
)
def test_is_date_knows_the_calendar(day: str, month: str, year: str, exists: bool) -> None:
    assert is_date({"day": day, "month": month, "year": year}) is exists


def test_only_english_names_have_an_apostrophe_and_s() -> None:
    for lang, some in (("en", True), ("fr", False), ("ru", False)):
        lines = of_all_styles(texts.create_source(SynthConfig(lang=(lang,)), ALL), 2000)
        assert (sum(line.endswith("’s") and line.count("’") == 1 and " " in line for line in lines) > 0) is some


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("\ufeffco\u00adop\u200b \u200b x\u2060y\u200e", "coop xy"),
        ("e\u200b\u0301", "é"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("می\u200c\u200c\u00adخواهم", "می\u200cخواهم"),
        ("می\u200c خواهم\u200d", "می خواهم"),
        ("क\u094d\u200dष", "क\u094d\u200dष"),
        ("a\u200cb\u200dc", "abc"),
        ("\u200c", ""),
        ("\u06dd١", "\u06dd١"),  # the end of ayah is visible
    ],
)
def test_invisible_characters_are_dropped(text: str, normalized: str) -> None:
    assert texts.normalize_text(text) == normalized


def test_a_charset_without_drawable_characters_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^charset holds no character"):
        texts.create_source(SynthConfig(charset="\u0301"), ALL)
    with pytest.raises(UsageError, match=r"^charset holds no character that can be drawn"):
        texts.create_source(SynthConfig(charset="☃"), frozenset("abc"))


@pytest.mark.parametrize("words", [(2, 3), (5, 5)])
def test_words_that_never_fit_the_characters_are_refused(words: Range) -> None:
    with pytest.raises(UsageError, match=rf"{words[0]} words \(`words`\) never fit into 2 characters"):
        texts.create_source(SynthConfig(words=words, chars=(1, 2)), ALL)


def test_languages_are_equally_likely() -> None:
    source = texts.create_source(SynthConfig(lang=("ru", "el", "he"), style=Style.CLEAN), ALL)
    given = [source(i, Style.CLEAN, np.random.default_rng([0, i])) for i in range(900)]
    counts = Counter(text.lang for text in given)
    assert set(counts) == {"ru", "el", "he"}
    assert min(counts.values()) > 240  # 300 expected, less four standard deviations (√200 = 14)
    for text, lang in given:
        assert not set(letters_of([text])) & (set().union(*SCRIPTS.values()) - SCRIPTS[lang])


def test_a_text_depends_on_its_random_numbers_only() -> None:
    first, second = (texts.create_source(SynthConfig(lang=("en", "ja")), ALL) for _ in range(2))
    forwards = [first(i, style, np.random.default_rng([1, i])) for i in range(40) for style in STYLES]
    backwards = [second(i, style, np.random.default_rng([1, i])) for i in range(39, -1, -1) for style in reversed(STYLES)]
    assert forwards == backwards[::-1]
    assert some_texts(first, 20, seed=1) != some_texts(first, 20, seed=2)


@pytest.mark.parametrize("langs", [("hi", "en"), ("it", "uk")])
def test_texts_are_the_same_in_every_process(
    langs: tuple[str, ...], run_process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    script = (
        "import json, numpy as np\n"
        "from crnnocr.config import Style, SynthConfig\n"
        "from crnnocr.synth import text as texts\n"
        f"source = texts.create_source(SynthConfig(lang={langs}), frozenset(map(chr, range(0x20, 0x20000))))\n"
        "print(json.dumps([source(i, Style.RECEIPT, np.random.default_rng([0, i])).text for i in range(300)]))"
    )
    done = run_process("-c", script)
    assert json.loads(done.stdout) == some_texts(texts.create_source(SynthConfig(lang=langs), ALL), 300, Style.RECEIPT)


def test_importing_the_text_package_is_cheap(
    run_process: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    script = "import sys, crnnocr.synth.text; print({'wordfreq', 'faker', 'ftfy', 'PIL', 'trdg'} & set(sys.modules))"
    assert run_process("-c", script).stdout == "set()\n"


def test_numbers_of_one_length_hardly_repeat() -> None:
    sampler = texts.create_source(SynthConfig(charset="0123456789", chars=(6, 6)), ALL)
    numbers = some_texts(sampler, 600)
    # Of 600 of a million, 0.2 are expected twice.
    assert len(set(numbers)) >= 590
    assert all(len(number) == 6 and number.isdecimal() for number in numbers)
