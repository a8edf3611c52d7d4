"""Metrics: every one beside its formula, a textbook algorithm and an independent library."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence

import jiwer
import pytest
from text_pairs import random_pairs

from crnnocr.errors import DataError
from crnnocr.metrics.scores import METRICS, Better, Counts, Scorer, Scores, alphanumeric, count, headline


def scores(*pairs: tuple[str, str]) -> Scores:
    """The summary of pairs of reference and prediction."""
    scorer = Scorer()
    for reference, prediction in pairs:
        scorer.update(reference, prediction)
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


PERFECT = {key: metric.best for key, metric in METRICS.items()}

THREE = (
    ("one two", "one too"),  # 1 edit in 7 characters, 1 of 2 words wrong
    ("cat", "cat"),  # correct
    ("A-1", "a1"),  # 2 edits in 3 characters (A → a, the dash lost), 1 of 1 word wrong, right as letters and digits
)


def test_the_mean_levenshtein_distance_is_edits_per_sample() -> None:
    assert scores(*THREE)["mean_levenshtein"] == pytest.approx((1 + 0 + 2) / 3)


def test_the_character_error_rate_is_all_edits_over_all_reference_characters() -> None:
    assert scores(*THREE).cer == pytest.approx((1 + 0 + 2) / (7 + 3 + 3))


def test_the_word_error_rate_is_all_word_edits_over_all_reference_words() -> None:
    assert scores(*THREE)["wer"] == pytest.approx((1 + 0 + 1) / (2 + 1 + 1))


def test_exact_match_is_the_share_of_samples_without_an_edit() -> None:
    assert scores(*THREE).exact_match == pytest.approx(1 / 3)


def test_the_normalized_distance_is_averaged_over_samples_not_over_characters() -> None:
    # Longer texts of 7, 3 and 3 characters: 1 - (1/7 + 0 + 2/3) / 3.
    assert scores(*THREE)["one_minus_ned"] == pytest.approx(46 / 63)


def test_alphanumeric_accuracy_ignores_case_and_punctuation() -> None:
    assert scores(*THREE)["alnum_accuracy"] == pytest.approx(2 / 3)
    assert scores(("don't STOP", "DONT stop!"))["alnum_accuracy"] == 1
    assert scores(("abc", "abd"))["alnum_accuracy"] == 0
    assert alphanumeric("Größe: 5 m²") == "grösse5m²"  # letters of every script stay, ß folds to ss, ² is a digit


def test_n_is_the_number_of_samples() -> None:
    assert scores(*THREE).n == 3


def test_a_distance_counts_insertions_deletions_and_substitutions() -> None:
    # kitten → sitting, the example everyone knows: k → s, e → i, g inserted.
    result = scores(("kitten", "sitting"))
    assert result["mean_levenshtein"] == 3
    assert result.cer == pytest.approx(3 / 6)
    assert result["one_minus_ned"] == pytest.approx(1 - 3 / 7)


def test_correct_predictions_have_perfect_scores() -> None:
    perfect = Scores(2, PERFECT)
    assert scores(("abc", "abc"), ("x y", "x y")) == perfect


def test_error_rates_can_exceed_1() -> None:
    result = scores(("a", "b c d"))  # 5 edits for 1 character, 3 word edits for 1 word
    assert result.cer == 5
    assert result["wer"] == 3
    assert result["one_minus_ned"] == 0  # 5 edits over the longer text's 5 characters


def test_a_space_counts_as_a_character_but_makes_no_word() -> None:
    result = scores(("a b", "ab"), ("a b", "a  b"))
    assert result.cer == pytest.approx((1 + 1) / (3 + 3))
    assert result["wer"] == pytest.approx((2 + 0) / (2 + 2))  # two words for one wrong one; then both right


@pytest.mark.parametrize(("reference", "prediction"), [("cafe\u0301", "caf\u00e9"), ("caf\u00e9", "cafe\u0301")])
def test_both_texts_are_compared_in_nfc(reference: str, prediction: str) -> None:
    assert scores((reference, prediction)).exact_match == 1
    assert scores((reference, prediction)).cer == 0


def test_a_lost_accent_is_one_edit_of_one_character() -> None:
    assert scores(("cafe\u0301", "cafe")).cer == pytest.approx(1 / 4)


def test_an_emoji_is_one_character() -> None:
    result = scores(("hi \U0001f600", "hi \U0001f680"))
    assert result["mean_levenshtein"] == 1
    assert result.cer == pytest.approx(1 / 4)


def test_an_empty_prediction_loses_every_character() -> None:
    result = scores(("ab cd", ""))
    assert result["mean_levenshtein"] == 5
    assert (result.cer, result["wer"], result.exact_match, result["one_minus_ned"]) == (1, 1, 0, 0)


def test_an_empty_reference_counts_predicted_characters_as_edits() -> None:
    result = scores(("", "ab"), ("cd", "cd"))
    assert result.cer == pytest.approx((2 + 0) / (0 + 2))
    assert result["wer"] == pytest.approx((1 + 0) / (0 + 1))
    assert result["one_minus_ned"] == pytest.approx((0 + 1) / 2)


def test_an_empty_prediction_of_an_empty_reference_is_correct() -> None:
    assert scores(("", "")) == Scores(1, PERFECT)


def test_no_samples_cannot_be_scored() -> None:
    with pytest.raises(DataError, match="nothing to score"):
        Scorer().summary()


def test_every_distance_is_that_of_the_textbook_table() -> None:
    rng = random.Random(987)
    alphabet = "aabb c\u00e9\u0301\U0001f600"  # few characters, so that most texts share some; accents that compose
    for _ in range(500):
        reference, prediction = ("".join(rng.choices(alphabet, k=rng.randrange(13))) for _ in range(2))
        nfc_reference, nfc_prediction = unicodedata.normalize("NFC", reference), unicodedata.normalize("NFC", prediction)
        edits = edit_distance(nfc_reference, nfc_prediction)
        word_edits = edit_distance(nfc_reference.split(), nfc_prediction.split())
        result = scores((reference, prediction))
        assert result["mean_levenshtein"] == edits
        assert result.cer == pytest.approx(edits / max(len(nfc_reference), 1))
        assert result["wer"] == pytest.approx(word_edits / max(len(nfc_reference.split()), 1))
        assert result.exact_match == (edits == 0)
        assert 0 <= result["one_minus_ned"] <= 1


def test_error_rates_agree_with_an_independent_library_on_thousands_of_pairs() -> None:
    pairs = random_pairs(5000, seed=6)
    # jiwer's defaults strip texts and merge spaces; here an additional space is an error.
    characters = jiwer.Compose([jiwer.ReduceToListOfListOfChars()])
    words = jiwer.Compose([jiwer.ReduceToListOfListOfWords()])
    for reference, prediction in pairs:
        theirs = jiwer.process_characters(reference, prediction, characters, characters)
        assert count(reference, prediction).edits == theirs.substitutions + theirs.deletions + theirs.insertions
    references, predictions = ([pair[side] for pair in pairs] for side in (0, 1))
    ours = scores(*pairs)
    assert ours.cer == pytest.approx(jiwer.process_characters(references, predictions, characters, characters).cer, abs=1e-12)
    spaced, spaced_predictions = ([" ".join(text.split()) for text in side] for side in (references, predictions))
    assert ours["wer"] == pytest.approx(jiwer.process_words(spaced, spaced_predictions, words, words).wer, abs=1e-12)


class TestTable:
    def test_every_metric_is_a_ratio_of_counts(self) -> None:
        for key, metric in METRICS.items():
            assert key == metric.key
            assert {metric.numerator, metric.denominator} <= set(Counts._fields)

    def test_errors_are_best_at_0_and_accuracies_at_1(self) -> None:
        assert [METRICS[key].best for key in ("cer", "wer", "mean_levenshtein")] == [0, 0, 0]
        assert [METRICS[key].best for key in ("exact", "one_minus_ned", "alnum_accuracy")] == [1, 1, 1]

    def test_worse_predictions_have_no_better_score(self) -> None:
        good, bad = scores(*THREE), scores(*((reference, f"{prediction}xyz") for reference, prediction in THREE))
        for key, metric in METRICS.items():
            assert good[key] <= bad[key] if metric.better is Better.LOWER else good[key] >= bad[key]

    def test_values_are_written_in_their_unit(self) -> None:
        assert METRICS["cer"].format(0.12345) == "12.35%"
        assert METRICS["mean_levenshtein"].format(1.8) == "1.800"
        assert METRICS["cer"].format_difference(-0.0123) == "−1.23"
        assert METRICS["mean_levenshtein"].format_difference(0.1) == "+0.100"

    def test_a_headline_names_what_there_is(self) -> None:
        assert headline({"cer": 0.0123, "exact": 0.9}) == "character error rate (CER) 1.23%, exact match 90.00%"
        assert headline({}) == ""
