"""Scores beside an independent library, their intervals, what counts as the same text, and what confidences are worth."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from itertools import combinations

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnnocr.config import NormalizationStep
from crnnocr.errors import UsageError
from crnnocr.metrics import bootstrap, calibration
from crnnocr.metrics.confusions import CharacterClass, Confusions, class_of, edits_by_class
from crnnocr.metrics.scores import Scorer, count
from crnnocr.text.normalization import QUOTES, Normalization

ALPHABET = "aab cdé\u0301ß漢字かなあ ,.-0O1lІا\u05d0ل\U0001f600e\u0308 \u202e"
"""Composing accents, look-alikes of three scripts, right-to-left letters, a mark that turns the line, emoji."""


def random_pairs(n: int, seed: int) -> list[tuple[str, str]]:
    """Truths with at least a word, and readings that share much with them."""
    chance = random.Random(seed)
    pairs: list[tuple[str, str]] = []
    while len(pairs) < n:
        truth = "".join(chance.choices(ALPHABET, k=chance.randrange(1, 30)))
        reading = list(truth)
        for _ in range(chance.randrange(6)):
            place = chance.randrange(len(reading) + 1)
            reading[place : place + chance.randrange(2)] = chance.choices(ALPHABET, k=chance.randrange(3))
        truth, text = (unicodedata.normalize("NFC", each).strip() for each in (truth, "".join(reading)))
        if truth.split():
            pairs.append((truth, text))
    return pairs


def test_character_and_word_error_rates_are_those_of_an_independent_library_on_thousands_of_pairs() -> None:
    pairs = random_pairs(5000, seed=6)
    # jiwer's own defaults trim texts and merge spaces; a space more is an error here.
    as_it_is = jiwer.Compose([jiwer.ReduceToListOfListOfChars()])
    words = jiwer.Compose([jiwer.ReduceToListOfListOfWords()])
    scorer = Scorer()
    for truth, reading in pairs:
        scorer.update(truth, reading)
        own = count(truth, reading)
        theirs = jiwer.process_characters(truth, reading, as_it_is, as_it_is)
        assert own.edits == theirs.substitutions + theirs.deletions + theirs.insertions
    truths, readings = ([pair[side] for pair in pairs] for side in (0, 1))
    own_scores = scorer.summary()
    assert own_scores.cer == pytest.approx(jiwer.process_characters(truths, readings, as_it_is, as_it_is).cer, abs=1e-12)
    spaced, spaced_readings = ([" ".join(text.split()) for text in side] for side in (truths, readings))
    assert own_scores["wer"] == pytest.approx(jiwer.process_words(spaced, spaced_readings, words, words).wer, abs=1e-12)


def test_the_edits_of_classes_and_of_characters_add_up_to_all_edits() -> None:
    confusions = Confusions()
    edits, by_class, characters = 0, Counter[CharacterClass](), Counter[CharacterClass]()
    for truth, reading in random_pairs(1000, seed=7):
        confusions.update(truth, reading)
        edits += count(truth, reading).edits
        for name, (wrong, occurring) in edits_by_class(truth, reading).items():
            by_class[name] += wrong
            characters[name] += occurring
    scores = confusions.characters()
    assert by_class.total() == edits == sum(n for _, n in confusions.most_common())
    assert characters.total() == sum(score.truths for score in scores)
    # What is right counts on both sides: what is read is right, a substitution, or added.
    assert sum(score.right for score in scores) == sum(score.readings for score in scores) - sum(
        n for edit, n in confusions.most_common() if edit.reading
    )
    assert all(0 <= (score.recall or 0) <= 1 and 0 <= (score.precision or 0) <= 1 for score in scores)


def test_precision_and_recall_by_hand() -> None:
    confusions = Confusions()
    confusions.update("OO0", "O00")  # one O is read as 0
    confusions.update("O", "")  # one is lost
    found = {score.character: score for score in confusions.characters()}
    assert (found["O"].truths, found["O"].readings, found["O"].right) == (3, 1, 1)
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


# What counts as the same text


@pytest.mark.parametrize(
    ("steps", "a", "b"),
    [
        ("", "e\u0301", "é"),
        ("nfkc", "ﬁ①Ａ", "fi1A"),
        ("case", "STRASSE", "straße"),
        ("spaces", "a \u00a0b\u3000c ", "abc"),
        ("quotes", "“a”–‘b’", "\"a\"-'b'"),
        ("nfkc,case", "ＦＦ", "ﬀ"),
        ("quotes,spaces,case", "« A »", '"a"'),
        ("case,quotes", "ŉ", "'n"),
    ],
)
def test_differences_that_do_not_count(steps: str, a: str, b: str) -> None:
    normalization = Normalization.parse([steps] if steps else [])
    assert normalization(a) == normalization(b)
    assert normalization(normalization(a)) == normalization(a)
    if steps:
        assert Normalization()(a) != Normalization()(b)


COMBINATIONS = [Normalization(steps) for n in range(len(NormalizationStep) + 1) for steps in combinations(NormalizationStep, n)]


@pytest.mark.parametrize("normalization", [each for each in COMBINATIONS if NormalizationStep.QUOTES in each.steps], ids=str)
def test_kinds_of_quotes_and_dashes_are_alike_whatever_else_does_not_count(normalization: Normalization) -> None:
    for plain, kinds in QUOTES.items():
        assert {kind: normalization(f"a{kind}b") for kind in kinds} == dict.fromkeys(kinds, f"a{plain}b")


@given(st.text(max_size=20) | st.text("ŉﬁǰΐẞİςΣ´″‴¨ŀ①Ａ\u0345\u0301\u0307ſ’ ", max_size=8))
def test_what_is_normalised_stays_as_it_is(text: str) -> None:
    for normalization in COMBINATIONS:
        assert normalization(normalization(text)) == normalization(text)


def test_what_does_not_count_is_said_in_words_and_in_one_order() -> None:
    assert str(Normalization()) == "NFC"
    assert str(Normalization.parse(["spaces", "case,nfkc"])) == "NFKC, without case, without spaces"
    assert Normalization.parse(["spaces,case"]) == Normalization.parse(["case", "spaces"])
    with pytest.raises(UsageError, match="choose of nfc, nfkc, case, spaces, quotes"):
        Normalization.parse(["cases"])


# Intervals


def test_the_interval_of_a_share_is_that_of_its_normal_approximation() -> None:
    # 300 of 1000: 0.3 ± 1.96 · sqrt(0.3 · 0.7 / 1000). 2000 draws move a percentile by about 0.001.
    found = bootstrap.ratio([1] * 300 + [0] * 700, [1] * 1000)
    reach = 1.96 * np.sqrt(0.3 * 0.7 / 1000)
    assert found.value == pytest.approx(0.3)
    assert [found.low, found.high] == pytest.approx([0.3 - reach, 0.3 + reach], abs=0.003)


def test_the_interval_of_a_ratio_is_that_of_the_delta_method() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(5, 40, 3000)
    edits = rng.binomial(lengths, 0.05)
    found = bootstrap.ratio(edits, lengths)
    rate = edits.sum() / lengths.sum()
    deviation = (edits - rate * lengths).std() / lengths.mean() / np.sqrt(3000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation, rel=0.06)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        found = bootstrap.ratio(rng.random(150) < 0.2, np.ones(150))
        hits += found.low <= 0.2 <= found.high
    assert 0.91 <= hits / 300 <= 0.98  # 0.95 with a standard deviation of 0.013, and a little less for so few pictures


def test_intervals_are_the_same_each_time_and_whatever_the_order() -> None:
    rng = np.random.default_rng(3)
    parts, wholes = rng.integers(0, 3, 200), rng.integers(3, 9, 200)
    order = rng.permutation(200)
    assert bootstrap.ratio(parts, wholes) == bootstrap.ratio(parts[order], wholes[order])


def test_of_one_picture_and_of_pictures_that_are_alike_the_interval_is_a_point() -> None:
    assert bootstrap.ratio([1], [4]) == bootstrap.Estimate(0.25, 0.25, 0.25)
    assert bootstrap.ratio([0] * 50, [7] * 50) == bootstrap.Estimate(0, 0, 0)
    assert bootstrap.ratio([2, 2], [0, 0]).value == 4  # no true characters to divide by


def test_a_pair_is_drawn_for_both_at_once() -> None:
    """Both readers make the same many errors on hard pictures: apart their intervals overlap, in pairs the better is sure."""
    rng = np.random.default_rng(4)
    hard = rng.poisson(3, 400)
    worse = hard + (rng.random(400) < 0.1)
    alone, other = bootstrap.ratio(hard, np.full(400, 10)), bootstrap.ratio(worse, np.full(400, 10))
    assert alone.high > other.low
    paired = bootstrap.difference(hard, np.full(400, 10), worse, np.full(400, 10))
    assert paired.is_sure
    assert paired.high < 0
    assert paired.above == 0
    same = bootstrap.difference(hard, np.full(400, 10), hard, np.full(400, 10))
    assert (same.value, same.low, same.high, same.above) == (0, 0, 0, 0.5)


# What confidences are worth


def test_the_interval_of_wilson_by_his_formula_and_at_the_ends() -> None:
    # 8 of 10, as in Newcombe 1998's way: 0.490 to 0.943.
    assert list(calibration.wilson(0.8, 10)) == pytest.approx([0.490, 0.943], abs=5e-4)
    assert calibration.wilson(1.0, 20)[1] == pytest.approx(1)
    assert calibration.wilson(1.0, 20)[0] == pytest.approx(0.839, abs=5e-4)


def test_bins_are_closed_above_and_empty_ones_are_left_out() -> None:
    first, last = calibration.bins([0.1, 0.2, 0.2001, 1.0], [0, 1, 1, 1], 5)[:2], calibration.bins([1.0], [1], 5)[-1]
    assert [(each.n, each.right) for each in first] == [(2, 0.5), (1, 1)]
    assert (last.n, last.confidence) == (1, 1)


def test_refusing_the_least_sure_by_hand() -> None:
    curve = calibration.RiskCoverage([0.9, 0.1, 0.8, 0.5], [0, 4, 1, 1], [10, 10, 10, 10], [1, 0, 0, 0])
    assert [each.cer for each in curve.table((0, 0.25, 0.5, 0.75))] == pytest.approx([6 / 40, 2 / 30, 1 / 20, 0])
    assert curve.at(0.25).confidence == 0.5
    assert curve.area() == pytest.approx((0 + 1 / 2 + 2 / 3 + 3 / 4) / 4)


def test_pictures_of_equal_confidence_are_refused_in_equal_parts() -> None:
    curve = calibration.RiskCoverage([0.5] * 4, [0, 0, 4, 4], [10] * 4, [1, 1, 0, 0])
    assert {each.cer for each in curve.table((0, 0.25, 0.5, 0.75))} == {0.2}


def test_the_score_of_brier_by_hand() -> None:
    assert calibration.brier([0.9, 0.2], [1, 0]) == pytest.approx((0.01 + 0.04) / 2)
