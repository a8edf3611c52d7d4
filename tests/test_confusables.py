"""Characters that look like others are found by the words they stand in."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from crnnocr.config import Style, SynthConfig
from crnnocr.synth import fonts
from crnnocr.synth.languages import LANGUAGES
from crnnocr.synth.text import create_source
from crnnocr.synth.text.vocabulary import corpus
from crnnocr.text.confusables import LATIN_CONFUSABLES, counterparts, find_confusables, mixed_variants


def confusables(*texts: str) -> list[tuple[str, str]]:
    """Each confusable in the texts, with the character that is likely meant."""
    return [(each.character, each.intended) for each in find_confusables(texts, Counter("".join(texts)))]


BOTH = ("the quick brown fox", "съешь ещё этих мягких булок")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("кaк", [("a", "а")]),
        ("COBЕТ", [("Е", "E"), ("Т", "T")]),
        ("PУССКИЙ", [("P", "Р")]),
        ("Тhe", [("Т", "T")]),
        ("тёмный", []),
        ("Яndex", []),
        ("Wi-Fi в США", []),
        ("iPhone-ом", []),
        ("x и у", []),
        ("Qх", []),
        ("LщVz", []),
        ("DАQc", []),
    ],
)
def test_a_letter_of_another_script_in_a_word_is_found_if_it_has_a_counterpart_there(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert confusables(*BOTH, text) == expected


PLAIN = (
    "Москва, 12 мая",
    "Он сам хотел",
    "А в XVI веке",
    "Формат A4 и DVD",
    "Αθήνα, Τρίτη",
    "Το νερό, Α΄ Λυκείου",
    "北京，三号",
    "（株）東京 １２階",
    "カタカナ ーニロ",
    "서울 3호선",
    "12 m³, 5 cm², x¹",
    "№ 7 … ½ ™ ª º ℃ ① ℓ ℝ",
    "10 kΩ, 3 µm, 5 μm",
    "Überraschung naïve",
    "ℵ₀ 𝔄 ﷺ",
)


def test_plain_texts_hold_no_confusables_together_or_alone() -> None:
    assert confusables(*PLAIN[:6], *PLAIN[9:]) == []
    for text in PLAIN:
        assert confusables(text) == confusables("The cat", text) == []
        assert counterparts([text], " ,AaBCEHOPTXXceopxyvИ0123456789.-") == {}


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
def test_words_of_languages_hold_no_confusables(lang: str) -> None:
    assert confusables(*islice(corpus(lang).words, 3000)) == []


@pytest.mark.parametrize("lang", ["ru", "uk", "mk", "el"])
def test_synthetic_texts_hold_no_confusables(lang: str) -> None:
    """Random strings, too."""
    config = SynthConfig(lang=(lang,))
    source = create_source(config, fonts.characters(fonts.collect(config)))
    styles = (Style.CLEAN, Style.DOCUMENT, Style.SCENE, Style.RECEIPT)
    assert confusables(*(source(i, styles[i % 4], np.random.default_rng([3, i])).text for i in range(1600))) == []


@pytest.mark.parametrize("texts", [("ＡＢＣ 日本", "株式会社"), ("１２月、", "（株）"), ("A/B（日）,，",)])
def test_full_width_forms_are_not_confusable_among_wide_characters(texts: tuple[str, ...]) -> None:
    assert confusables(*texts) == []


def test_a_full_width_letter_is_confusable_if_the_plain_one_is_there_too() -> None:
    assert confusables("ＡＢ 日本", "A4") == [("Ａ", "A")]
    assert confusables("⽇本") == [("⽇", "日")]


def test_the_rarer_variants_of_a_sign_are_found() -> None:
    text = "don't can't won't it’s “x” 1-2 3−4 5-6"
    assert list(mixed_variants(Counter(text))) == [("'", "’"), ("-", "−")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bаnd", {"а": "a"}),
        ("Bаnd Ａ", {"а": "a", "Ａ": "A"}),
        ("12\u00a0a\u2009b", {"\u00a0": " ", "\u2009": " "}),
        ("ﬁn", {}),
        ("a‑b", {"‑": "-"}),
        ("Ж’", {}),
    ],
)
def test_what_can_be_written_with_known_characters_is_found(text: str, expected: dict[str, str]) -> None:
    assert counterparts([text], "AaBbdn -12'") == expected


def test_a_letter_that_has_words_of_its_own_is_not_written_with_another() -> None:
    assert counterparts(["Bаnd", "а также"], "AaBbdn ") == {}


def test_latin_letters_that_resemble_cyrillic_or_greek_ones_in_either_case() -> None:
    assert LATIN_CONFUSABLES["CYRILLIC"] == "ABCEHIJKMOPSTXYabcehijkmopstxy"
    assert LATIN_CONFUSABLES["GREEK"] == "ABEHIKMNOPTUVXYZabehikmnoptuvxyz"
