"""Confidences of characters, against every path counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from paths import (
    NO_FRAMES,
    SPACES,
    Floats,
    Text,
    all_texts_of_small_cases,
    log,
    log_prob,
    mixed_lines,
    random_log_probs,
    single_spaced,
    text_probs,
)

from crnnocr.decoding.hypothesis import greedy
from crnnocr.decoding.posteriors import posteriors


def posteriors_by_counting(line: Floats, text: Text, spaces: Text) -> list[float]:
    """For each character the text's probability as a share of that of all texts that differ in it alone, by counting."""
    probs = text_probs(line, spaces)
    result = []
    for i in range(len(text)):
        others = [text[:i] + text[i + 1 :], *((*text[:i], c, *text[i + 1 :]) for c in range(1, line.shape[1]))]
        rivals = {single_spaced(other, spaces) for other in others}
        result.append(probs[text] / sum(probs.get(rival, 0.0) for rival in rivals))
    return result


@pytest.mark.parametrize("spaces", SPACES[:3])
def test_a_character_s_confidence_is_its_share_among_all_texts_that_differ_in_it_alone(spaces: Text) -> None:
    for classes in range(1 + max(spaces, default=1), 5):
        cases = [case for case in all_texts_of_small_cases(60, spaces) if case[0].shape[1] == classes]
        lines, texts, _ = zip(*cases, strict=True)
        for (line, text, _), found in zip(cases, posteriors(lines, texts, spaces), strict=True):
            assert list(found) == pytest.approx(posteriors_by_counting(line, text, spaces), rel=0, abs=1e-6)  # as documented


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


def test_only_the_uncertain_character_has_a_low_confidence() -> None:
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
    # Of the first character only its neighborhood matters: the line cut off far behind it gives the same.
    short = line[:100]
    assert found[0] == pytest.approx(posteriors([short], [greedy(short).ids])[0][0], abs=1e-3)
