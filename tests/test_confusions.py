"""Confusions: edits counted by character and by class of characters."""

from __future__ import annotations

from collections import Counter

import pytest
from text_pairs import random_pairs

from crnnocr.metrics.confusions import CharacterClass, Confusions, Edit, class_of, differing, edits_by_class
from crnnocr.metrics.scores import count
from crnnocr.text.charset import visible


def confusions(*pairs: tuple[str, str]) -> Confusions:
    """The confusions in pairs of reference and prediction."""
    collected = Confusions()
    for reference, prediction in pairs:
        collected.update(reference, prediction)
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


def test_the_most_frequent_edits_come_first_and_ties_in_the_order_of_their_characters() -> None:
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
    ("reference", "prediction", "expected"),
    [("", "", []), ("ab", "", [(Edit("a", ""), 1), (Edit("b", ""), 1)]), ("", "x", [(Edit("", "x"), 1)])],
)
def test_an_empty_text_gives_insertions_or_deletions(reference: str, prediction: str, expected: list[tuple[Edit, int]]) -> None:
    assert confusions((reference, prediction)).most_common() == expected


@pytest.mark.parametrize(
    ("edit", "expected"),
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
def test_an_edit_is_written_in_a_word_or_two(edit: Edit, expected: str) -> None:
    assert str(edit) == expected


def test_differing_characters_are_found_on_both_sides() -> None:
    assert differing("cart", "dart") == ({0}, {0})
    assert differing("a b", "ab") == ({1}, set())
    assert differing("ab", "axb") == (set(), {1})
    assert differing("same", "same") == (set(), set())


@pytest.mark.parametrize("character", ["A", "漢", "ש", "€", "👍"])
def test_a_visible_character_stands_for_itself(character: str) -> None:
    assert visible(character) == character


def test_the_edits_of_classes_and_of_characters_add_up_to_all_edits() -> None:
    pairs = random_pairs(1000, seed=7)
    found = confusions(*pairs)
    by_class, characters = Counter[CharacterClass](), Counter[CharacterClass]()
    for pair in pairs:
        for name, (wrong, total) in edits_by_class(*pair).items():
            by_class[name] += wrong
            characters[name] += total
    scores = found.characters()
    assert by_class.total() == sum(count(*pair).edits for pair in pairs) == sum(n for _, n in found.most_common())
    assert characters.total() == sum(score.references for score in scores)
    # A predicted character is correct, a substitution, or an insertion.
    wrong_predictions = sum(n for edit, n in found.most_common() if edit.prediction)
    assert sum(score.correct for score in scores) == sum(score.predictions for score in scores) - wrong_predictions
    assert all(0 <= (score.recall or 0) <= 1 and 0 <= (score.precision or 0) <= 1 for score in scores)


def test_precision_and_recall_by_hand() -> None:
    # One O becomes 0, and one is lost.
    found = {score.character: score for score in confusions(("OO0", "O00"), ("O", "")).characters()}
    assert (found["O"].references, found["O"].predictions, found["O"].correct) == (3, 1, 1)
    assert [found["O"].recall, found["O"].precision] == pytest.approx([1 / 3, 1])
    assert [found["0"].recall, found["0"].precision] == pytest.approx([1, 1 / 2])
    assert found["0"].f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("é", "letters"),
        ("\u0301", "letters"),
        ("漢", "letters"),
        ("٣", "digits"),
        ("€", "punctuation"),
        ("—", "punctuation"),
        (" ", "space"),
    ],
)
def test_the_class_of_a_character(character: str, expected: str) -> None:
    assert class_of(character) == expected
