"""What is summed over all alignments of a text, and the best of them, against every path counted one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from paths import SHARPNESSES, Floats, Text, best_path_frames, log, paths_and_texts, random_log_probs, small_cases, text_probs

from crnnocr.decoding import LogProbs
from crnnocr.decoding.forward import align, text_log_probs
from crnnocr.decoding.hypothesis import greedy
from crnnocr.decoding.posteriors import posteriors

NO_FRAMES = np.zeros((0, 3))
"""A line without a single frame."""


def log_prob(log_probs: LogProbs, text: Text) -> float:
    return float(text_log_probs([log_probs], [text])[0])


def all_texts_of_small_cases(count: int) -> list[tuple[Floats, Text, float]]:
    """Lines with each of their texts and its probability."""
    return [(line, text, p) for line in small_cases(count) for text, p in text_probs(line).items()]


def mixed_lines(count: int) -> tuple[list[LogProbs], list[Text]]:
    """Seeded lines of 1 to 90 frames and their greedy texts."""
    rng = np.random.default_rng(4)
    lines = [random_log_probs(rng, int(rng.integers(1, 90)), 7, SHARPNESSES[i % 4]) for i in range(count)]
    return [*lines], [greedy(line).ids for line in lines]


def test_many_texts_at_once_are_as_probable_as_all_their_paths() -> None:
    lines, texts, probs = zip(*all_texts_of_small_cases(60), strict=True)
    assert text_log_probs(lines, texts) == pytest.approx(np.log(probs), rel=0, abs=1e-9)


def test_a_text_s_probability_is_the_same_beside_any_others() -> None:
    lines, texts = mixed_lines(70)
    alone = [log_prob(line, text) for line, text in zip(lines, texts, strict=True)]
    assert text_log_probs(lines, texts) == pytest.approx(alone, rel=1e-12)


def test_no_lines_have_no_scores() -> None:
    assert text_log_probs([], []).shape == (0,)
    assert align([], []) == []
    assert posteriors([], []) == []


def test_a_text_of_hardly_any_probability_is_summed_all_the_same() -> None:
    # One path only, of e**-400 a frame: e**-1200, which no 64-bit number holds. Beside it a text of probability 1.
    line = np.array([[0.0, -400.0], [-400.0, 0.0], [0.0, -400.0]])
    assert text_log_probs([line, line], [(1, 1), (1,)]) == pytest.approx([-1200, 0], abs=1e-9)


def test_a_rival_far_more_probable_on_the_way_takes_nothing_away() -> None:
    # The text must leave a prefix of probability 1 for characters of e**-90 each: in frame 20 that is e**-1800 of it.
    line = np.full((40, 3), -90.0)
    line[:, 0] = 0.0
    text = (1, 2) * 10
    # binomial(40 + 20, 40) paths have 20 frames of characters (more cost more), with 20 · 90 to pay.
    assert log_prob(line, text) == pytest.approx(math.log(math.comb(40, 20)) - 1800, abs=1e-9)


def test_a_text_that_does_not_fit_is_impossible_and_has_no_alignment() -> None:
    log_probs = log([[0.2, 0.4, 0.4]] * 2)
    assert log_prob(log_probs, (1, 2, 1)) == -np.inf
    with pytest.raises(ValueError, match="3 characters do not fit 2 frames"):
        align([log_probs], [(1, 2, 1)])


def test_alignments_are_those_of_the_most_probable_path_that_reads_the_text() -> None:
    rng = np.random.default_rng(5)
    lines, texts = [], []
    for log_probs in small_cases(200):
        _, possible, _ = paths_and_texts(*log_probs.shape)
        texts += [possible[i] for i in rng.integers(len(possible), size=5)]
        lines += [log_probs] * 5
    assert align(lines, texts) == [best_path_frames(line, text) for line, text in zip(lines, texts, strict=True)]


def test_a_character_is_where_it_is_surest_in_its_run() -> None:
    log_probs = log(
        [
            [0.4, 0.6, 0.0],  # a
            [0.2, 0.8, 0.0],  # a, the surest of the run
            [0.3, 0.7, 0.0],  # a
            [0.9, 0.1, 0.0],  # blank
            [0.0, 0.9, 0.1],  # a again, after the blank
            [0.0, 0.3, 0.7],  # b at once
            [0.0, 0.1, 0.9],  # b, surer
        ]
    )
    assert align([log_probs], [(1, 1, 2)]) == [(1, 4, 6)]


def test_frames_increase_along_the_text() -> None:
    lines, texts = mixed_lines(40)
    for line, frames in zip(lines, align(lines, texts), strict=True):
        assert all(a < b for a, b in itertools.pairwise((-1, *frames, len(line))))


def test_without_frames_only_the_empty_text_is_aligned() -> None:
    assert align([NO_FRAMES], [()]) == [()]
    with pytest.raises(ValueError, match="1 characters do not fit 0 frames"):
        align([NO_FRAMES], [(1,)])


def test_what_has_no_probability_has_no_alignment() -> None:
    with pytest.raises(ValueError, match="no probability"):
        align([log([[0.0, 1.0, 0.0]])], [(2,)])


def test_improbable_frames_are_aligned_like_others() -> None:
    assert align([np.array([[-900.0, -800.0], [-800.0, -900.0]])], [(1,)]) == [(0,)]


def posteriors_by_counting(line: Floats, text: Text) -> list[float]:
    """For each character the text's probability as a share of that of all texts that differ in it alone, by counting."""
    probs = text_probs(line)
    result = []
    for i in range(len(text)):
        rivals = [text[:i] + text[i + 1 :], *((*text[:i], c, *text[i + 1 :]) for c in range(1, line.shape[1]))]
        result.append(probs[text] / sum(probs.get(rival, 0.0) for rival in rivals))
    return result


def test_a_character_s_confidence_is_its_share_among_all_texts_that_differ_in_it_alone() -> None:
    for classes in (2, 3, 4):
        cases = [case for case in all_texts_of_small_cases(60) if case[0].shape[1] == classes]
        lines, texts, _ = zip(*cases, strict=True)
        for (line, text, _), found in zip(cases, posteriors(lines, texts), strict=True):
            assert list(found) == pytest.approx(posteriors_by_counting(line, text), rel=0, abs=1e-6)  # as documented


def test_confidences_are_the_same_beside_any_others() -> None:
    lines, texts = mixed_lines(40)
    for line, text, found in zip(lines, texts, posteriors(lines, texts), strict=True):
        assert found == pytest.approx(posteriors([line], [text])[0], rel=0, abs=1e-6)
        assert all(0 <= p <= 1 for p in found)
        assert len(found) == len(text)


def test_a_character_is_certain_though_no_frame_is_when_it_may_be_in_either() -> None:
    # One a, in the second or third frame: each gives it one half, but there is nothing else it could be.
    line = log([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    # a, aa over both frames is a as well: 3/4 of the paths; none: 1/4.
    assert posteriors([line], [(1,)]) == [pytest.approx((0.75,))]
    spread = log([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
    assert posteriors([spread], [(1,)]) == [pytest.approx((1.0,))]


def test_only_the_doubtful_character_is_doubtful() -> None:
    line = log([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.6, 0.4], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    assert posteriors([line], [(1, 2, 3)]) == [pytest.approx((1.0, 0.6, 1.0))]
    assert posteriors([line], [(1, 3, 3)]) == [pytest.approx((1.0, 0.4, 1.0))]


def test_in_a_text_without_probability_nothing_is_sure() -> None:
    assert posteriors([log([[0.0, 1.0, 0.0]]), NO_FRAMES], [(2,), (1, 2)]) == [pytest.approx((0.0,)), (0.0, 0.0)]
    assert posteriors([NO_FRAMES, NO_FRAMES], [(1,), ()]) == [(0.0,), ()]


def test_the_characters_of_a_long_hardly_probable_line_have_confidences() -> None:
    rng = np.random.default_rng(3)
    line = random_log_probs(rng, 1500, 5, 1.0)
    text = greedy(line).ids
    assert log_prob(line, text) < -650  # beyond what the linear domain is trusted with
    found = posteriors([line], [text])[0]
    assert all(0 < p <= 1 for p in found)
    # Of the first character only its neighbourhood matters: the line cut off far behind it gives the same.
    short = line[:100]
    assert found[0] == pytest.approx(posteriors([short], [greedy(short).ids])[0][0], abs=1e-3)
