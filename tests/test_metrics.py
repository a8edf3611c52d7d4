"""Metrics: how far what was read is from the truth."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence

import pytest

from crnnocr.errors import DataError
from crnnocr.metrics.scores import Scorer, Scores, alphanumeric


def scores(*pairs: tuple[str, str]) -> Scores:
    """The summary of pairs of truth and reading."""
    scorer = Scorer()
    for truth, reading in pairs:
        scorer.update(truth, reading)
    assert scorer.samples == len(pairs)
    return scorer.summary()


def edit_distance(a: Sequence[object], b: Sequence[object]) -> int:
    """The textbook table of Wagner and Fischer 1974, whole."""
    table = [[max(i, j) if not i or not j else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            substituted = table[i - 1][j - 1] + (a[i - 1] != b[j - 1])
            table[i][j] = min(substituted, table[i - 1][j] + 1, table[i][j - 1] + 1)
    return table[-1][-1]


PERFECT = {"mean_levenshtein": 0, "cer": 0, "wer": 0, "exact": 1, "one_minus_ned": 1, "alnum_accuracy": 1}

THREE = (
    ("one two", "one too"),  # 1 edit in 7 characters, 1 of 2 words wrong
    ("cat", "cat"),  # right
    ("A-1", "a1"),  # 2 edits in 3 characters (A → a, the dash lost), 1 of 1 word wrong, right as letters and digits
)


def test_the_mean_levenshtein_distance_is_edits_a_picture() -> None:
    assert scores(*THREE)["mean_levenshtein"] == pytest.approx((1 + 0 + 2) / 3)


def test_the_character_error_rate_is_all_edits_over_all_true_characters() -> None:
    assert scores(*THREE).cer == pytest.approx((1 + 0 + 2) / (7 + 3 + 3))


def test_the_word_error_rate_is_all_word_edits_over_all_true_words() -> None:
    assert scores(*THREE)["wer"] == pytest.approx((1 + 0 + 1) / (2 + 1 + 1))


def test_exact_is_the_share_of_pictures_without_an_error() -> None:
    assert scores(*THREE).exact_match == pytest.approx(1 / 3)


def test_the_normalised_distance_is_averaged_over_pictures_not_over_characters() -> None:
    # Longer texts of 7, 3 and 3 characters: 1 - (1/7 + 0 + 2/3) / 3.
    assert scores(*THREE)["one_minus_ned"] == pytest.approx(46 / 63)


def test_alphanumeric_accuracy_sees_neither_case_nor_punctuation() -> None:
    assert scores(*THREE)["alnum_accuracy"] == pytest.approx(2 / 3)
    assert scores(("don't STOP", "DONT stop!"))["alnum_accuracy"] == 1
    assert scores(("abc", "abd"))["alnum_accuracy"] == 0
    assert alphanumeric("Größe: 5 m²") == "grösse5m²"  # letters of every script stay, ß folds to ss, ² is a digit


def test_n_is_the_number_of_pictures() -> None:
    assert scores(*THREE).n == 3


def test_a_distance_counts_insertions_deletions_and_substitutions() -> None:
    # kitten → sitting, the example everyone knows: k → s, e → i, g put in.
    result = scores(("kitten", "sitting"))
    assert result["mean_levenshtein"] == 3
    assert result.cer == pytest.approx(3 / 6)
    assert result["one_minus_ned"] == pytest.approx(1 - 3 / 7)


def test_right_readings_have_perfect_scores() -> None:
    perfect = Scores(2, PERFECT)
    assert scores(("abc", "abc"), ("x y", "x y")) == perfect


def test_error_rates_may_pass_1() -> None:
    result = scores(("a", "b c d"))  # 5 edits for 1 character, 3 word edits for 1 word
    assert result.cer == 5
    assert result["wer"] == 3
    assert result["one_minus_ned"] == 0  # 5 edits over the longer text's 5 characters


def test_a_space_counts_as_a_character_but_makes_no_word() -> None:
    result = scores(("a b", "ab"), ("a b", "a  b"))
    assert result.cer == pytest.approx((1 + 1) / (3 + 3))
    assert result["wer"] == pytest.approx((2 + 0) / (2 + 2))  # two words for one wrong one; then both right


@pytest.mark.parametrize(("truth", "reading"), [("cafe\u0301", "caf\u00e9"), ("caf\u00e9", "cafe\u0301")])
def test_both_sides_are_brought_to_nfc(truth: str, reading: str) -> None:
    assert scores((truth, reading)).exact_match == 1
    assert scores((truth, reading)).cer == 0


def test_a_lost_accent_is_one_edit_in_as_many_characters_as_are_seen() -> None:
    assert scores(("cafe\u0301", "cafe")).cer == pytest.approx(1 / 4)


def test_an_emoji_is_one_character() -> None:
    result = scores(("hi \U0001f600", "hi \U0001f680"))
    assert result["mean_levenshtein"] == 1
    assert result.cer == pytest.approx(1 / 4)


def test_an_empty_reading_loses_every_character() -> None:
    result = scores(("ab cd", ""))
    assert result["mean_levenshtein"] == 5
    assert (result.cer, result["wer"], result.exact_match, result["one_minus_ned"]) == (1, 1, 0, 0)


def test_an_empty_truth_counts_what_was_read_as_edits() -> None:
    result = scores(("", "ab"), ("cd", "cd"))
    assert result.cer == pytest.approx((2 + 0) / (0 + 2))
    assert result["wer"] == pytest.approx((1 + 0) / (0 + 1))
    assert result["one_minus_ned"] == pytest.approx((0 + 1) / 2)


def test_an_empty_truth_read_as_nothing_is_right() -> None:
    assert scores(("", "")) == Scores(1, PERFECT)


def test_no_pairs_cannot_be_scored() -> None:
    with pytest.raises(DataError, match="nothing to score"):
        Scorer().summary()


def test_every_distance_is_that_of_the_textbook_table() -> None:
    chance = random.Random(987)
    alphabet = "aabb c\u00e9\u0301\U0001f600"  # few characters, so that most texts share some; accents that compose
    for _ in range(500):
        truth, reading = ("".join(chance.choices(alphabet, k=chance.randrange(13))) for _ in range(2))
        nfc_truth, nfc_reading = unicodedata.normalize("NFC", truth), unicodedata.normalize("NFC", reading)
        edits = edit_distance(nfc_truth, nfc_reading)
        word_edits = edit_distance(nfc_truth.split(), nfc_reading.split())
        result = scores((truth, reading))
        assert result["mean_levenshtein"] == edits
        assert result.cer == pytest.approx(edits / max(len(nfc_truth), 1))
        assert result["wer"] == pytest.approx(word_edits / max(len(nfc_truth.split()), 1))
        assert result.exact_match == (edits == 0)
        assert 0 <= result["one_minus_ned"] <= 1
