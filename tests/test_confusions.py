"""Confusions: which characters are taken for which."""

from __future__ import annotations

import pytest

from crnnocr.metrics.confusions import Confusions, Edit, differing
from crnnocr.text.charset import visible


def confusions(*pairs: tuple[str, str]) -> Confusions:
    """The confusions in pairs of truth and reading."""
    collected = Confusions()
    for truth, reading in pairs:
        collected.update(truth, reading)
    return collected


def test_each_edit_is_counted_by_its_kind_and_characters() -> None:
    found = confusions(
        ("ROOM", "R0OM"),  # O → 0
        ("OLD", "0LD"),  # O → 0
        ("a b", "ab"),  # the space lost
        ("here", "heere"),  # an e added
        ("right", "right"),
    )
    assert dict(found.most_common()) == {Edit("O", "0"): 2, Edit(" ", ""): 1, Edit("", "e"): 1}


def test_the_most_common_come_first_and_equals_in_the_order_of_their_characters() -> None:
    found = confusions(("bb", "dd"), ("a", "o"), ("1", "l"), ("1", "l"), ("z", "s"))
    assert found.most_common(3) == [(Edit("1", "l"), 2), (Edit("b", "d"), 2), (Edit("a", "o"), 1)]


def test_there_are_as_many_edits_as_the_levenshtein_distance() -> None:
    # kitten → sitting takes 3 edits, the standard example.
    assert sum(count for _, count in confusions(("kitten", "sitting")).most_common()) == 3


def test_texts_are_compared_after_nfc() -> None:
    decomposed = "cafe\u0301"
    assert confusions((decomposed, "café")).most_common() == []
    assert confusions((decomposed, "cafe")).most_common() == [(Edit("é", "e"), 1)]


@pytest.mark.parametrize(
    ("truth", "reading", "expected"),
    [("", "", []), ("ab", "", [(Edit("a", ""), 1), (Edit("b", ""), 1)]), ("", "x", [(Edit("", "x"), 1)])],
)
def test_nothing_true_or_nothing_read(truth: str, reading: str, expected: list[tuple[Edit, int]]) -> None:
    assert confusions((truth, reading)).most_common() == expected


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (Edit("O", "0"), "O → 0"),
        (Edit(" ", ""), "space lost"),
        (Edit("", "e"), "e added"),
        (Edit("-", " "), "- → space"),
        (Edit("\u0301", ""), "◌\u0301 lost"),
        (Edit("", "\u200f"), "U+200F added"),
        (Edit("\u3000", "\t"), "U+3000 → U+0009"),
    ],
)
def test_an_edit_is_said_in_a_word_or_two(edit: Edit, said: str) -> None:
    assert str(edit) == said


def test_differing_characters_are_found_on_both_sides() -> None:
    assert differing("cart", "dart") == ({0}, {0})
    assert differing("a b", "ab") == ({1}, set())
    assert differing("ab", "axb") == (set(), {1})
    assert differing("same", "same") == (set(), set())


@pytest.mark.parametrize("character", ["A", "漢", "ש", "€", "👍"])
def test_what_can_be_seen_is_shown_as_it_is(character: str) -> None:
    assert visible(character) == character
