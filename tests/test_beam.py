"""Beam search, against every path counted one by one and against the plain algorithm."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from paths import (
    NO_FRAMES,
    SHARPNESSES,
    SPACES,
    WIDE,
    Floats,
    Text,
    log,
    log_prob,
    random_log_probs,
    small_cases,
    text_probs,
)

from crnnocr.decoding import Hypothesis, LogProbs
from crnnocr.decoding.beam import beam_search
from crnnocr.decoding.forward import align
from crnnocr.decoding.hypothesis import greedy


def search(log_probs: LogProbs, beam: int, top: int = 1, spaces: Text = ()) -> list[Hypothesis]:
    return beam_search([log_probs], beam, spaces)[0][:top]


def plain_beam_search(log_probs: Floats, beam: int, spaces: Text = ()) -> list[tuple[Text, float]]:
    """The textbook prefix beam search, every extension of every prefix tried in every frame; texts and log-probabilities.

    A space changes nothing in a prefix that is empty or ends in one.
    """
    beams: dict[Text, tuple[float, float]] = {(): (1.0, 0.0)}  # probability of ending in a blank, and of not
    for frame in np.exp(log_probs).tolist():
        after: defaultdict[Text, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for prefix, (blank, last) in beams.items():
            after[prefix][0] += (blank + last) * frame[0]
            for character in range(1, len(frame)):
                if character in spaces and (not prefix or prefix[-1] in spaces):
                    after[prefix][0] += (blank + last) * frame[character]
                elif prefix and prefix[-1] == character:
                    after[prefix][1] += last * frame[character]
                    after[(*prefix, character)][1] += blank * frame[character]
                else:
                    after[(*prefix, character)][1] += (blank + last) * frame[character]
        ranked = sorted(after.items(), key=lambda item: (-sum(item[1]), item[0]))
        beams = {prefix: (blank, last) for prefix, (blank, last) in ranked[:beam]}
    totals: defaultdict[Text, float] = defaultdict(float)
    for prefix, mass in beams.items():
        totals[prefix[:-1] if prefix[-1:] and prefix[-1] in spaces else prefix] += sum(mass)
    ranked_texts = sorted(totals.items(), key=lambda item: -item[1])
    return [(text, math.log(total)) for text, total in ranked_texts if total > 0]


def assert_ranked(found: list[Hypothesis], expected: list[tuple[Text, float]]) -> None:
    assert [hypothesis.ids for hypothesis in found] == [text for text, _ in expected]
    # 1e-9: hundreds of roundings of 64-bit numbers, each of a relative 1e-16, with room.
    assert [hypothesis.log_prob for hypothesis in found] == pytest.approx([p for _, p in expected], rel=0, abs=1e-9)


@pytest.mark.parametrize("spaces", SPACES)
@pytest.mark.parametrize("count", [15, pytest.param(300, marks=pytest.mark.slow)])
def test_a_wide_beam_ranks_all_texts_by_the_sum_over_all_their_paths(count: int, spaces: Text) -> None:
    for log_probs in small_cases(count):
        if log_probs.shape[1] > max(spaces, default=0):
            expected = sorted(text_probs(log_probs, spaces).items(), key=lambda item: -item[1])
            found = search(log_probs, beam=WIDE, top=WIDE, spaces=spaces)
            assert_ranked(found, [(text, math.log(p)) for text, p in expected])


@pytest.mark.parametrize("spaces", [(), (1,), (1, 2)])
@pytest.mark.parametrize("sharpness", SHARPNESSES)
@pytest.mark.parametrize("beam", [1, 2, 3, 5])
def test_leaving_out_what_cannot_enter_a_narrow_beam_changes_nothing(beam: int, sharpness: float, spaces: Text) -> None:
    rng = np.random.default_rng([beam, int(10 * sharpness)])
    for _ in range(6):
        # Up to 24 classes, so that the 2 · beam most probable characters, which the search considers, are often not all.
        log_probs = random_log_probs(rng, int(rng.integers(15, 25)), int(rng.integers(3, 25)), sharpness)
        assert_ranked(search(log_probs, beam, top=beam), plain_beam_search(log_probs, beam))


def test_leaving_out_changes_nothing_if_texts_repeat_characters() -> None:
    rng = np.random.default_rng(11)
    for beam in range(1, 6):
        for _ in range(15):
            log_probs = random_log_probs(rng, 20, 3, 1.0)
            log_probs[::2, 0] += 2  # blanks in every other frame, so that repeats are worth extending by
            log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
            assert_ranked(search(log_probs, beam, top=beam), plain_beam_search(log_probs, beam))


def test_the_best_text_is_not_always_the_text_of_the_best_path() -> None:
    # Harald Scheidl's example, blank first: the best path is two blanks, 0.6 · 0.6 = 0.36, but the paths of "a" sum to
    # 0.4 · 0.4 + 2 · 0.4 · 0.6 = 0.64.
    log_probs = log([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0]])
    best_path, best_text = greedy(log_probs), search(log_probs, beam=25)[0]
    assert best_path.ids == ()
    assert math.exp(best_path.log_prob) == pytest.approx(0.36)
    assert best_text.ids == (1,)
    assert math.exp(best_text.log_prob) == pytest.approx(0.64)


def test_the_n_best_come_best_first_and_no_more_than_asked() -> None:
    log_probs = log([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0]])
    assert [hypothesis.ids for hypothesis in search(log_probs, beam=25, top=5)] == [(1,), ()]  # no other is possible
    assert [hypothesis.ids for hypothesis in search(log_probs, beam=25)] == [(1,)]


def test_characters_repeat_only_over_a_blank() -> None:
    together, apart = log([[0.1, 0.9]] * 3), log([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])
    assert greedy(together).ids == search(together, beam=9)[0].ids == (1,)
    assert greedy(apart).ids == search(apart, beam=9)[0].ids == (1, 1)
    assert log_prob(apart, (1, 1)) == pytest.approx(3 * math.log(0.9))  # one path: a, blank, a
    assert log_prob(apart[:2], (1, 1)) == -np.inf
    assert align([apart], [(1, 1)]) == [(0, 2)]


def test_without_frames_the_beam_reads_the_empty_text() -> None:
    assert search(NO_FRAMES, beam=5, top=5) == [Hypothesis((), 0.0)]


@pytest.mark.parametrize("count", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_impossible_classes_are_never_read(count: int) -> None:
    rng = np.random.default_rng(7)
    for _ in range(count):
        log_probs = random_log_probs(rng, 5, 4, 1.0)
        forbidden = rng.random(log_probs.shape) < 0.4
        forbidden[np.arange(5), rng.integers(4, size=5)] = False  # every frame keeps a class
        log_probs[forbidden] = -np.inf
        log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
        expected = text_probs(log_probs)
        possible = sorted(((text, math.log(p)) for text, p in expected.items() if p > 0), key=lambda item: -item[1])
        assert_ranked(search(log_probs, beam=WIDE, top=WIDE), possible)
        assert greedy(log_probs).ids in dict(possible)
        for text, p in expected.items():
            assert log_prob(log_probs, text) == pytest.approx(math.log(p) if p else -np.inf, rel=0, abs=1e-9)


def test_certain_frames_leave_one_text_of_probability_1() -> None:
    log_probs = log([[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    confident = Hypothesis((1, 1, 2), 0.0)
    assert greedy(log_probs) == confident
    assert search(log_probs, beam=5, top=5) == [confident]
    assert log_prob(log_probs, (1, 1, 2)) == 0
    assert log_prob(log_probs, (1, 2)) == -np.inf


def test_a_charset_of_one_character_can_be_searched_with_any_beam() -> None:
    log_probs = log([[0.3, 0.7], [0.6, 0.4]])
    for beam in (1, 2, 100):
        assert search(log_probs, beam)[0].ids == (1,)


def test_single_precision_is_summed_in_double() -> None:
    log_probs = random_log_probs(np.random.default_rng(8), 6, 4, 1.0).astype(np.float32)
    text = search(log_probs, beam=WIDE)[0]
    assert text.log_prob == pytest.approx(math.log(max(text_probs(log_probs.astype(np.float64)).values())), abs=1e-9)
    assert log_prob(log_probs, text.ids) == pytest.approx(text.log_prob, abs=1e-9)


def test_a_long_sure_line_is_read_by_the_beam_as_by_the_best_path() -> None:
    rng = np.random.default_rng(10)
    log_probs = random_log_probs(rng, 2000, 30, 0.1)
    log_probs[np.arange(2000), rng.integers(30, size=2000)] += 9
    log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
    path, text = greedy(log_probs), search(log_probs, beam=3)[0]
    assert text.ids == path.ids
    # The beam sums at least the best path, and at most all paths of the text.
    assert path.log_prob <= text.log_prob <= log_prob(log_probs, text.ids) + 1e-6


def test_a_long_flat_line_is_searched_without_underflow() -> None:
    log_probs = random_log_probs(np.random.default_rng(12), 2000, 5, 0.5)
    found = search(log_probs, beam=3, top=3)
    assert len(found) == 3
    for hypothesis in found:
        # Five nearly equal classes leave some e**-1 of probability a frame: far below the least 64-bit number, e**-745.
        assert -2000 * math.log(5) < hypothesis.log_prob < -745
        assert hypothesis.log_prob <= log_prob(log_probs, hypothesis.ids) + 1e-6
