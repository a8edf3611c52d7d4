"""The charset: which characters a model knows, and their class ids."""

from __future__ import annotations

import dataclasses
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnnocr.errors import DataError
from crnnocr.text.charset import BLANK, Charset, describe, nfc, unknown_characters

DECOMPOSED = "e\u0301"
"""é as a letter and a combining accent: two code points."""

COMPOSED = "\u00e9"
"""é as NFC writes it: one code point."""


def test_normalizing_makes_one_character_of_a_letter_and_its_accent() -> None:
    assert nfc(DECOMPOSED) == COMPOSED
    assert len(nfc(DECOMPOSED)) == 1


def test_a_charset_is_frozen() -> None:
    charset = Charset("abc")
    with pytest.raises(dataclasses.FrozenInstanceError):
        charset.characters = "abcd"  # type: ignore[misc]


def test_charsets_of_the_same_characters_are_equal_and_hash_alike() -> None:
    assert Charset("abc") == Charset("abc")
    assert hash(Charset("abc")) == hash(Charset("abc"))
    assert Charset("abc") != Charset("acb")


def test_the_blank_is_class_0_and_nobody_s_character() -> None:
    charset = Charset("ab")
    assert BLANK == 0
    assert charset.encode("ab") == [1, 2]
    assert charset.classes == 3  # two characters and the blank


def test_a_charset_of_labels_holds_each_character_once_in_code_point_order() -> None:
    assert Charset.from_texts(["banana", "Bob", "b2"]).characters == "2Babno"


def test_a_charset_of_labels_takes_both_ways_to_write_an_accent_as_one_character() -> None:
    charset = Charset.from_texts([DECOMPOSED, COMPOSED])
    assert charset.characters == COMPOSED
    assert charset.encode(DECOMPOSED) == charset.encode(COMPOSED) == [1]
    assert charset.decode([1]) == COMPOSED


def test_an_accent_with_no_composed_form_stays_a_character_of_its_own() -> None:
    text = "q\u0301"  # Unicode has no q with an acute
    charset = Charset.from_texts([text])
    assert charset.characters == text
    assert charset.decode(charset.encode(text)) == text


@pytest.mark.parametrize("character", [" ", "\U0001f600", "\u00a0", "-"])
def test_a_space_an_emoji_and_a_dash_are_characters_like_any_other(character: str) -> None:
    charset = Charset.from_texts([f"a{character}b"])
    ids = charset.encode(f"{character}a{character}")
    assert len(ids) == 3
    assert ids[0] == ids[2] == charset.characters.index(character) + 1
    assert charset.decode(ids) == f"{character}a{character}"


def test_an_empty_text_has_no_class_ids() -> None:
    assert Charset("ab").encode("") == []
    assert Charset("ab").decode([]) == ""


@settings(derandomize=True, deadline=None)
@given(st.lists(st.text(), min_size=1).filter(any))
def test_what_is_encoded_with_the_charset_of_the_labels_is_decoded_to_its_nfc(texts: list[str]) -> None:
    charset = Charset.from_texts(texts)
    for text in texts:
        ids = charset.encode(text)
        assert all(BLANK < i < charset.classes for i in ids)
        assert charset.decode(ids) == unicodedata.normalize("NFC", text)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=4)))
def test_what_is_decoded_is_encoded_to_the_same_class_ids(ids: list[int]) -> None:
    charset = Charset("dab ")
    assert charset.encode(charset.decode(ids)) == ids


def test_class_ids_may_be_numpy_integers() -> None:
    ids: list[int] = list(np.array([2, 1]))
    assert Charset("ab").decode(ids) == "ba"


def test_a_single_character_has_its_class_whatever_direction_it_has() -> None:
    charset = Charset("(א)")
    assert [charset.id_of(c) for c in "(א)b"] == [1, 2, 3, None]


def test_unknown_characters_are_listed_once_in_order_of_appearance() -> None:
    assert Charset("abc").unknown("zaxbz") == ["z", "x"]
    assert Charset("abc").unknown("cab") == []


def test_unknown_characters_are_listed_with_the_texts_that_hold_them() -> None:
    assert unknown_characters(["ab", "xa", "yxx"], Charset("ab")) == {"x": [1, 2], "y": [2]}


def test_an_accent_is_unknown_as_the_one_character_that_nfc_makes_of_it() -> None:
    assert Charset("e").unknown(DECOMPOSED) == [COMPOSED]


def test_encoding_names_every_unknown_character_with_its_code_point() -> None:
    with pytest.raises(DataError) as caught:
        Charset("abc").encode("aé\U0001f600\x07")
    message = str(caught.value)
    assert "U+00E9 LATIN SMALL LETTER E WITH ACUTE" in message
    assert "U+1F600 GRINNING FACE" in message
    assert "U+0007" in message  # a control character has no name
    assert "U+0061" not in message


def test_a_description_shows_what_cannot_be_seen() -> None:
    assert describe("\u00a0") == r"'\xa0' (U+00A0 NO-BREAK SPACE)"


@pytest.mark.parametrize(
    ("characters", "complaint"),
    [
        ("", "at least one character"),
        ("abca", r"'a' \(U\+0061 LATIN SMALL LETTER A\) twice"),
        ("a\u212b", r"U\+212B ANGSTROM SIGN"),  # NFC writes the sign as the letter Å, U+00C5
    ],
)
def test_empty_doubled_and_unnormalized_charsets_are_rejected(characters: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        Charset(characters)


@pytest.mark.parametrize("texts", [[], [""]])
def test_labels_without_a_character_make_no_charset(texts: list[str]) -> None:
    with pytest.raises(DataError, match="at least one character"):
        Charset.from_texts(texts)


@pytest.mark.parametrize("wrong", [BLANK, -1, 3])
def test_decoding_rejects_the_blank_and_ids_out_of_range(wrong: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 2"):
        Charset("ab").decode([1, wrong, 2])
