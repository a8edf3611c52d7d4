"""Characters that look like others are found by the words they stand in."""

from __future__ import annotations

from collections import Counter

import pytest

from crnnocr.text.confusables import LATIN_CONFUSABLES, confusable_in, find_confusables, mixed_variants


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


def test_plates_in_two_scripts_are_found_by_the_rarer_one() -> None:
    assert confusables("АВ123С", "КМ456Н", "AB789C") == [("A", "А"), ("B", "В"), ("C", "С")]


@pytest.mark.parametrize("texts", [("ＡＢＣ 日本", "株式会社"), ("１２月、", "（株）"), ("A/B（日）,，",)])
def test_full_width_forms_are_not_confusable_among_wide_characters(texts: tuple[str, ...]) -> None:
    assert confusables(*texts) == []


def test_a_full_width_letter_is_confusable_if_the_plain_one_is_there_too() -> None:
    assert confusables("ＡＢ 日本", "A4") == [("Ａ", "A")]
    assert confusables("⽇本") == [("⽇", "日")]


def test_the_rarer_variants_of_a_sign_are_found() -> None:
    text = "don't can't won't it’s “x” 1-2 3−4 5-6"
    assert list(mixed_variants(Counter(text))) == [("'", "’"), ("-", "−")]


@pytest.mark.parametrize(("character", "counterpart"), [("А", "A"), ("Ａ", "A"), ("’", "'"), ("Ж", None), ("A", None)])
def test_the_known_character_that_an_unknown_one_resembles_is_found(character: str, counterpart: str | None) -> None:
    assert confusable_in("A'B", character) == counterpart


def test_latin_letters_that_resemble_cyrillic_or_greek_ones_in_either_case() -> None:
    assert LATIN_CONFUSABLES["CYRILLIC"] == "ABCEHIJKMOPSTXYabcehijkmopstxy"
    assert LATIN_CONFUSABLES["GREEK"] == "ABEHIKMNOPTUVXYZabehikmnoptuvxyz"
